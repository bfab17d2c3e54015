"""A Model Context Protocol server: agents recognise recordings below one folder (extra `mcp`).

The tools take names of files and never audio. All of them only read. An argument that cannot be used gives one sentence
as a tool error, so that the agent can mend it.
"""

import math
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field, ValidationError

import bimodal
from bimodal.asr.timed_words import make_asr
from bimodal.asr.whisper import Transcriber
from bimodal.audio.decode import Decoded, iterate_audio
from bimodal.audio.recordings import find_recordings
from bimodal.errors import AudioError, BimodalError
from bimodal.inference.recognizer import Recognizer
from bimodal.inference.summary import Highlight, Phase, summarise
from bimodal.records import LAW, Clip, Recognition, shortened

LONGEST_CLIP: Final = 60.0
"""Longest recording that gets one answer as a whole, in seconds; a longer one needs a timeline."""

MOST_STRETCHES: Final = 200
"""Most stretches of one timeline; an agent reads each of them."""

MOST_RECORDINGS: Final = 500
"""Most names of one list."""

_BLOCK_SECONDS: Final = 10.0
_LONGEST_SENTENCE: Final = 300
_PAUSE: Final = 1.0  # seconds; a longer pause divides stretches of the same emotion

File = Annotated[str, Field(description="Name of the recording, relative to the folder of this server.")]
Start = Annotated[float | None, Field(description="Start in seconds; leave out for the beginning.")]
End = Annotated[float | None, Field(description="End in seconds; leave out for the end.")]
Words = Annotated[str | None, Field(description="The words that are spoken, if they are known.")]
Last = Annotated[float, Field(description="How many of the last seconds; more than 0, at most 60.")]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an agent needs of a `Recognition`, under the same names, and the score of the emotion.

    Attributes:
        emotion: The most probable emotion; None if the model abstained.
        score: Its calibrated probability, 0 to 1; None without an emotion.
        scores: That of each emotion; they sum to 1.
        speech_scores: From the voice alone; None without it.
        text_scores: From the words alone; None without them.
        start: In seconds from the beginning of the recording.
        end: Likewise.
        transcript: The words that were used; None if there were none.
        abstained: True if there is no emotion.
        reason: Why the model abstained, in one sentence; None if it did not.
        warnings: Reasons to doubt the answer.
        model: Name of the model.
    """

    emotion: str | None
    score: float | None
    scores: dict[str, float]
    speech_scores: dict[str, float] | None
    text_scores: dict[str, float] | None
    start: float | None
    end: float | None
    transcript: str | None
    abstained: bool
    reason: str | None
    warnings: list[str]
    model: str


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Speech with one emotion.

    Attributes:
        start: In seconds from the beginning of the recording.
        end: Likewise.
        emotion: The emotion; None if the model abstained.
        score: Its mean probability, 0 to 1; None without an emotion.
        words: The words, by speech recognition; None without it.
    """

    start: float
    end: float
    emotion: str | None
    score: float | None
    words: str | None = None


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A recording over time, short enough for an agent to read.

    Attributes:
        start: Where the timeline begins, in seconds.
        end: Where it ends.
        speech_seconds: Seconds of speech with an emotion.
        dominant: The emotion with the largest share; None if none was recognised.
        shares: Share of the speech for each emotion, 0 to 1.
        phases: Parts in which one emotion prevails.
        highlights: At most five moments that differ most from the recording as a whole.
        stretches: In order of time.
        left_out: Number of later stretches that are not listed; ask again from the end of the last one.
        warnings: Reasons to doubt the results, each once.
    """

    start: float
    end: float
    speech_seconds: float
    dominant: str | None
    shares: dict[str, float]
    phases: list[Phase]
    highlights: list[Highlight]
    stretches: list[Stretch]
    left_out: int
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """The recordings of the folder.

    Attributes:
        names: For the argument `file` of the other tools.
        left_out: Number of recordings that are not listed.
    """

    names: list[str]
    left_out: int


class Server(MCPServer[Any]):
    """The server of the SDK; arguments of a wrong type give one sentence, and not the report of pydantic."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None) -> Any:
        """As in the SDK.

        Raises:
            ToolError: One sentence.
        """
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            raise ToolError(_sentence(error, name)) from error.__cause__


def make_server(recognizer: Recognizer, folder: Path, *, transcriber: Transcriber | None = None) -> Server:
    """A server of the recordings below a folder.

    Args:
        recognizer: A model that uses recordings.
        folder: The only folder that the tools read. A link out of it is refused.
        transcriber: Gives the words where the agent does not; None for the voice alone.

    Raises:
        BimodalError: No such folder, or the model uses no recordings.
    """
    if not folder.is_dir():
        raise BimodalError(f"{folder}: no such folder; name the folder of the recordings with --folder")
    recognizer.model.check_takes_audio()
    tools = _Tools(recognizer, folder.resolve(), transcriber)
    server = Server(
        "bimodal",
        title="Emotion in speech",
        version=bimodal.__version__,
        instructions="Recognises the emotion that recorded speech expresses, as people perceive it, from the voice and "
        f"the words. It does not know what a person feels; scores are probabilities. {LAW}",
        log_level="ERROR",
    )
    reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    for tool in (tools.list_recordings, tools.recognize_recording, tools.recognize_timeline, tools.recognize_last):
        server.add_tool(tool, annotations=reads)
    return server


class _Tools:
    """The tools; their docstrings are what agents read."""

    def __init__(self, recognizer: Recognizer, folder: Path, transcriber: Transcriber | None) -> None:
        self._recognizer, self._folder, self._transcriber = recognizer, folder, transcriber
        self._turns = threading.BoundedSemaphore(os.cpu_count() or 1)

    def list_recordings(self) -> Recordings:
        """List the recordings of this server's folder."""
        with self._opened(".") as folder:
            names = [str(one.place) for one in find_recordings([folder]) if self._inside(one.path.resolve())]
        return Recordings(names=names[:MOST_RECORDINGS], left_out=max(0, len(names) - MOST_RECORDINGS))

    def recognize_recording(self, file: File, start: Start = None, end: End = None, transcript: Words = None) -> Answer:
        """Recognise the emotion of a recording, or of the stretch from start to end, as a whole; at most 60 seconds."""
        with self._opened(file) as path:
            return self._whole(_clip(path, *_range(start, end)), start or 0.0, transcript)

    def recognize_timeline(self, file: File, start: Start = None, end: End = None) -> Timeline:
        """Recognise a recording of any length over time: stretches of speech with their emotions, and the shares."""
        with self._opened(file) as path:
            return _timeline(list(self._over_time(path, *_range(start, end))), start or 0.0)

    def recognize_last(self, file: File, seconds: Last = 5.0, transcript: Words = None) -> Answer:
        """Recognise the last seconds of a recording, also of one that another program is still writing."""
        if not 0 < seconds <= LONGEST_CLIP:
            raise ToolError(f"seconds is {seconds:g}, expected more than 0 and at most {LONGEST_CLIP:g}")
        with self._opened(file) as path:
            return self._whole(*_last(path, seconds), transcript)

    def _whole(self, decoded: Decoded, start: float, transcript: str | None) -> Answer:
        clip = Clip(audio=decoded, transcript=transcript)
        if transcript is None and self._transcriber is not None:
            found = self._transcriber.transcribe(decoded.signal)
            clip = replace(clip, transcript=found.text or None, language=found.language)
            clip = replace(clip, transcript_confidence=found.confidence if found.text else None)
        return _answer(_moved(self._recognizer.recognize_batch([clip])[0], start))

    def _over_time(self, path: Path, start: float | None, end: float | None) -> Iterator[Recognition]:
        from bimodal.inference.timeline import recognize_long  # as `Recognizer.recognize_long`, of a stretch

        blocks = iterate_audio(path, start=start, end=end)
        asr = None if self._transcriber is None else make_asr(self._transcriber)
        results = recognize_long(self._recognizer.model, path, asr=asr, opened=blocks)
        return (_moved(result, start or 0.0) for result in results)

    def _inside(self, path: Path) -> bool:
        return path == self._folder or self._folder in path.parents

    @contextmanager
    def _opened(self, file: str) -> Iterator[Path]:
        """The path of a file below the folder, while it is this call's turn; faults name the file as the agent did.

        Raises:
            ToolError: Outside the folder, or not usable.
        """
        try:
            path = (self._folder / file).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a name with a null character, links in a circle
            raise ToolError(f"{shortened(file)!r} is no name of a file; call list_recordings") from error
        if not self._inside(path):
            raise ToolError(f"{shortened(file)}: outside the folder of this server; call list_recordings for its files")
        try:
            with self._turns:
                yield path
        except BimodalError as error:
            told = str(error).replace(str(path), file).replace(f"{self._folder}{os.sep}", "")
            raise ToolError(shortened(told, _LONGEST_SENTENCE)) from error


def _range(start: float | None, end: float | None) -> tuple[float | None, float | None]:
    """Start and end, unless they are no stretch.

    Raises:
        ToolError: Negative, infinite, or in the wrong order.
    """
    first, last = start or 0.0, math.inf if end is None else end
    if not 0 <= first < last or math.isinf(first) or (end is not None and math.isinf(end)):
        raise ToolError(f"start {start}, end {end}: expected 0 <= start < end, in seconds")
    return start, end


def _clip(path: Path, start: float | None, end: float | None) -> Decoded:
    """A recording, or a stretch of it, at 16 kHz.

    Raises:
        BimodalError: It cannot be used, or is too long for one answer.
    """
    blocks = iterate_audio(path, start=start, end=end, block_seconds=_BLOCK_SECONDS)
    read, seconds, rate = [], 0.0, 0
    for block, rate in blocks:
        read.append(block)
        seconds += len(block) / rate
        if seconds > LONGEST_CLIP:
            raise BimodalError(
                f"{path}: lasts longer than {LONGEST_CLIP:g} s; call recognize_timeline, or give start and end"
            )
    return Decoded(signal=np.concatenate(read), sampling_rate=rate, warnings=blocks.warnings).at_model_rate(str(path))


def _last(path: Path, seconds: float) -> tuple[Decoded, float]:
    """The last seconds of a recording at 16 kHz, and where they begin. What its header says of its length is not used.

    Raises:
        AudioError: It cannot be used.
    """
    held: deque[Any] = deque(maxlen=math.ceil(seconds / _BLOCK_SECONDS) + 1)
    length = 0
    for block, rate in iterate_audio(path, block_seconds=_BLOCK_SECONDS):
        held.append((block, rate))
        length += len(block)
    if not held:
        raise AudioError(f"{path}: holds no samples yet; try again later")
    rate = held[-1][1]
    signal = np.concatenate([block for block, _ in held])[-math.ceil(seconds * rate) :]
    decoded = Decoded(signal=signal, sampling_rate=rate).at_model_rate(str(path))
    return decoded, (length - len(signal)) / rate


def _moved(result: Recognition, seconds: float) -> Recognition:
    """A result on the clock of the whole recording."""
    if not seconds or result.start is None or result.end is None:
        return result
    return replace(result, start=result.start + seconds, end=result.end + seconds)


def _answer(result: Recognition) -> Answer:
    """A result as an agent reads it."""
    same = {field.name: getattr(result, field.name) for field in fields(Answer) if field.name != "score"}
    score = None if result.emotion is None else result.scores[result.emotion]
    return Answer(**{**same, "warnings": list(result.warnings)}, score=score)


def _timeline(results: Sequence[Recognition], start: float) -> Timeline:
    summary, stretches = summarise(results), list(_stretches(results))
    return Timeline(
        start=start,
        end=max(start, summary.duration),
        speech_seconds=summary.speech_seconds,
        dominant=summary.dominant,
        shares=dict(summary.shares),
        phases=list(summary.phases),
        highlights=list(summary.highlights),
        stretches=list(islice(stretches, MOST_STRETCHES)),
        left_out=max(0, len(stretches) - MOST_STRETCHES),
        warnings=list(dict.fromkeys(warning for result in results for warning in result.warnings)),
    )


def _stretches(results: Iterable[Recognition]) -> Iterator[Stretch]:
    """Results in a row with one emotion, taken together; the score is the mean over time."""
    held: list[Recognition] = []
    for result in results:
        if held and (result.emotion != held[-1].emotion or (result.start or 0.0) - (held[-1].end or 0.0) > _PAUSE):
            yield _joined(held)
            held = []
        held.append(result)
    if held:
        yield _joined(held)


def _joined(results: Sequence[Recognition]) -> Stretch:
    emotion = results[0].emotion
    lengths = [(one.end or 0.0) - (one.start or 0.0) for one in results]
    score = None
    if emotion is not None:
        scores = [one.scores[emotion] for one in results]
        total = sum(lengths)
        score = sum(map(float.__mul__, scores, lengths)) / total if total else scores[0]
    words = " ".join(dict.fromkeys(one.transcript for one in results if one.transcript))
    return Stretch(
        start=results[0].start or 0.0, end=results[-1].end or 0.0, emotion=emotion, score=score, words=words or None
    )


def _sentence(error: ToolError, tool: str) -> str:
    """What an agent is told: one sentence, without the values of its arguments."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        first = cause.errors(include_url=False, include_input=False)[0]
        return f"{tool}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).removeprefix(f"Error executing tool {tool}: ")
