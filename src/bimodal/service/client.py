"""Client of a server: the methods of `Recognizer` over HTTP (extra `client`)."""

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bimodal.asr.timed_words import TimedWords
from bimodal.audio.decode import check_signal
from bimodal.audio.inputs import as_audio, as_clip
from bimodal.audio.rates import check_rate
from bimodal.audio.source import Encoded, as_source, opened, source_name
from bimodal.errors import BimodalError
from bimodal.records import Clip, CoverageBy, Recognition, failed_recognition

_PATIENCE: Final = 8  # number of attempts at a busy server
_LONGEST_WAIT: Final = 30.0  # seconds


class Client:
    """A server started by `bimodal serve`. Safe to call from several threads.

    Args:
        url: Address of the server, such as `http://127.0.0.1:8000`.
        token: Token of the server; empty for none.
        timeout: Seconds to wait for a response.

    Raises:
        BimodalError: httpx is not installed.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     client.recognize("clip.wav", transcript="I can't believe it!").emotion
        'surprise'
    """

    def __init__(self, url: str, *, token: str = "", timeout: float = 120.0) -> None:
        try:
            import httpx
        except ModuleNotFoundError as error:
            raise BimodalError(f"the client needs '{error.name}': pip install 'bimodal-emotion[client]'") from error
        self._token = token
        self._failure: Any = httpx.HTTPError
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout, follow_redirects=False)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def emotions(self) -> tuple[str, ...]:
        """Emotions of the server's model.

        Raises:
            BimodalError: The server cannot be reached or refuses the request.
        """
        return tuple(self.model()["emotions"])

    def model(self) -> dict[str, Any]:
        """Description of the server's model: name, revision, emotions, licence, modalities.

        Raises:
            BimodalError: As in `emotions`.
        """
        (found,) = self._ask("GET", "/v1/models").json()["models"]
        return dict(found)

    def recognize(
        self,
        audio: Any = None,
        *,
        sampling_rate: int | None = None,
        transcript: str | None = None,
        explain: bool = False,
        coverage: float | None = None,
        coverage_by: CoverageBy = "emotion",
    ) -> Recognition:
        """As `Recognizer.recognize`; the audio is sent to the server.

        Raises:
            BimodalError: The server cannot be reached, or refuses; the message gives the reason.
        """
        clip = Clip(audio=audio, sampling_rate=sampling_rate, transcript=transcript)
        return self.recognize_batch([clip], explain=explain, coverage=coverage, coverage_by=coverage_by)[0]

    def recognize_batch(
        self,
        clips: Sequence[Clip | Any],
        *,
        explain: bool = False,
        strict: bool = True,
        coverage: float | None = None,
        coverage_by: CoverageBy = "emotion",
    ) -> list[Recognition]:
        """As `Recognizer.recognize_batch`; clips are sent one after the other.

        Args:
            clips: Clips, or audio in any form.
            explain: Explain each result.
            strict: Raise at the first clip that cannot be recognised. False gives a result with `error` and goes on.
            coverage: Of prediction sets; None for none.
            coverage_by: As in `Recognizer.recognize_batch`.

        Raises:
            BimodalError: As in `recognize`; also for feature columns and earlier turns, which a server does not accept.
        """
        options = {
            "explain": "true" if explain else None,
            "coverage": coverage,
            "coverage_by": None if coverage is None else coverage_by,
        }
        return [self._recognize_one(as_clip(item), options, strict) for item in clips]

    def recognize_long(
        self,
        path: Encoded,
        *,
        words: Sequence[TimedWords] = (),
        channels: Literal["mix", "speakers"] = "mix",
        speakers: int | Literal["auto"] | None = None,
    ) -> Iterator[Recognition]:
        """As `bimodal.inference.timeline.recognize_long`: results one by one.

        Args:
            path: A recording.
            words: As there.
            channels: As there, in its settings.
            speakers: Likewise; the server needs the segmentation network.

        Raises:
            BimodalError: As in `recognize`.
        """
        fields: dict[str, Any] = {"channels": channels, "speakers": speakers}
        if words:
            fields["words"] = msgspec.json.encode(list(words)).decode()
        job = self._ask("POST", "/v1/jobs", _form(fields, _read(path))).json()["id"]
        place = f"/v1/jobs/{job}"  # not `Location`, which holds the path below which a proxy offers the server
        try:
            yield from self._follow(place)
        finally:
            self._ask("DELETE", place)

    def stream(
        self, sampling_rate: int, *, speaker: str | None = None, partial: bool = True, hop: float = 2.0
    ) -> "RemoteStream":
        """As `Recognizer.stream`. Results arrive when the server has them, at the latest with `finish`.

        Args:
            sampling_rate: Sampling rate in Hz.
            speaker: Name of the speaker.
            partial: Whether the server sends partial results.
            hop: Approximate time between results, in seconds.

        Raises:
            AudioError: No sampling rate in Hz.
            BimodalError: The server cannot be reached or refuses the request.
        """
        start = {
            "type": "start", "sampling_rate": check_rate(sampling_rate), "speaker": speaker, "partial": partial,
            "hop": hop, "window": max(4.0, hop), "token": self._token,
        }  # fmt: skip
        return RemoteStream(f"{str(self._http.base_url).rstrip('/')}/v1/stream".replace("http", "ws", 1), start)

    def _recognize_one(self, clip: Clip, options: Mapping[str, Any], strict: bool) -> Recognition:
        try:
            return self._recognize(clip, options)
        except BimodalError as error:
            if strict:
                raise
            return failed_recognition(str(error), speaker=clip.speaker, transcript=clip.transcript)

    def _recognize(self, clip: Clip, options: Mapping[str, Any]) -> Recognition:
        if clip.columns is not None or clip.before or clip.track is not None:
            raise BimodalError(
                "a server accepts recordings and words only; use Recognizer for feature columns, earlier turns, tracks"
            )
        fields = {
            "transcript": clip.transcript,
            "transcript_confidence": clip.transcript_confidence,
            "start": clip.start,
            "end": clip.end,
            "speaker": clip.speaker,
            **options,
        }
        answer = self._ask("POST", "/v1/recognize", _form(fields, _sound(clip)))
        return msgspec.json.decode(answer.content, type=Recognition)

    def _follow(self, place: str) -> Iterator[Recognition]:
        """Results of a job, until its last event."""
        name = ""
        try:
            with self._http.stream("GET", f"{place}/events") as stream:
                for line in stream.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "event":
                        name = value
                    elif field == "data" and name == "result":
                        yield msgspec.json.decode(value, type=Recognition)
                    elif field == "data" and name == "failed":
                        raise BimodalError(json.loads(value)["problem"]["detail"])
                    elif field == "data" and name in ("done", "cancelled"):
                        return
        except self._failure as error:
            raise BimodalError(f"{self._http.base_url}: the connection was lost ({error})") from error
        raise BimodalError(f"{self._http.base_url}: the connection was lost")

    def _ask(self, method: str, path: str, form: dict[str, Any] | None = None) -> Any:
        """Send a request; repeat it if the server is busy."""
        for attempt in range(_PATIENCE):
            try:
                answer = self._http.request(method, path, files=form)
            except self._failure as error:
                raise BimodalError(f"{self._http.base_url}: cannot be reached ({error})") from error
            if answer.status_code not in (429, 503) or attempt == _PATIENCE - 1:
                break
            time.sleep(min(_LONGEST_WAIT, float(answer.headers.get("retry-after", 1))))
        if answer.is_success:
            return answer
        try:
            told = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            told = f"status {answer.status_code}; check that the address is that of a bimodal server"
        raise BimodalError(f"{self._http.base_url}: {told}")


class RemoteStream:
    """A live stream on a server, opened by `Client.stream`. Not safe for several threads.

    Args:
        url: Address of the WebSocket.
        start: Its first message.

    Raises:
        BimodalError: The server cannot be reached or refuses the request.
    """

    def __init__(self, url: str, start: dict[str, Any]) -> None:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        self._failures = (WebSocketException, OSError)
        self._url, self._over = url, False
        self._partial: Recognition | None = None
        try:
            self._socket = connect(url, max_size=None, compression=None)
            self._socket.__enter__()
            self._socket.send(json.dumps(start))
        except self._failures as error:
            raise BimodalError(f"{url}: cannot be reached ({error})") from error
        self._take(wait=True)

    def __enter__(self) -> "RemoteStream":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def push(self, samples: npt.ArrayLike) -> list[Recognition]:
        """Send the next samples (T,) in [-1, 1]; return the results that have arrived.

        Raises:
            AudioError: Samples that are not finite or have another shape or type.
            BimodalError: The server ended the stream; the message gives the reason.
        """
        if np.size(samples):
            self._send(check_signal(samples).astype("<f4").tobytes())
        return self._take(wait=False)

    def partial(self) -> Recognition | None:
        """The last partial result of the current segment, or None."""
        return self._partial

    def finish(self) -> list[Recognition]:
        """End the stream and return the remaining results.

        Raises:
            BimodalError: As in `push`.
        """
        self._send('{"type": "end"}')
        results = []
        while not self._over:
            results += self._take(wait=True)
        self.close()
        return results

    def close(self) -> None:
        """Close the connection at once."""
        self._over = True
        self._socket.close()

    def _send(self, message: str | bytes) -> None:
        try:
            self._socket.send(message)
        except self._failures:
            self._take(wait=True)  # raises with the server's reason
            raise BimodalError(f"{self._url}: the connection was lost") from None

    def _take(self, *, wait: bool) -> list[Recognition]:
        """Results that have arrived; with `wait`, at least one message."""
        results: list[Recognition] = []
        try:
            while not self._over:
                told = json.loads(self._socket.recv(timeout=None if wait else 0))
                wait = False
                self._over = told["type"] in ("end", "error")
                if told["type"] == "error":
                    raise BimodalError(f"{self._url}: {told['message']} ({told['error']})")
                if told["type"] in ("partial", "final"):
                    result = msgspec.convert(told["result"], Recognition)
                    self._partial = result if told["type"] == "partial" else None
                    results += [result] if told["type"] == "final" else []
        except TimeoutError:
            pass
        except self._failures as error:
            raise BimodalError(f"{self._url}: the connection was lost ({error})") from error
        return results


def _form(fields: dict[str, Any], audio: tuple[str, bytes] | None) -> dict[str, Any]:
    """A multipart form; fields that are None are left out."""
    form: dict[str, Any] = {name: (None, str(value)) for name, value in fields.items() if value is not None}
    if audio is not None:
        form["audio"] = audio
    return form or {"transcript": (None, "")}  # httpx sends an empty form as no form


def _sound(clip: Clip) -> tuple[str, bytes] | None:
    """The clip's recording as a file: encoded audio as it is, samples as 32-bit WAV."""
    if clip.audio is None:
        return None
    audio = as_audio(clip.audio, clip.sampling_rate)
    if not isinstance(audio, tuple):
        return _read(audio)
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, *audio, subtype="FLOAT", format="WAV")
    return "signal.wav", stream.getvalue()


def _read(audio: Encoded) -> tuple[str, bytes]:
    """Name and bytes of encoded audio."""
    source = as_source(audio)
    name = source_name(source)
    try:
        with opened(source) as stream:
            return Path(name).name, stream.read()
    except OSError as error:
        raise BimodalError(f"{name}: cannot be read ({error.strerror})") from error
