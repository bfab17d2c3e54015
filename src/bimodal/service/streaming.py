"""Live speech on a WebSocket: samples in, partial and final results out.

The client begins with a JSON message `{"type": "start", "sampling_rate": 48000, "encoding": "float32"}`, with the
token where one is needed, then sends samples as binary messages, and at last `{"type": "end"}`. Between them it may
send `{"type": "words", "start": 0.5, "end": 2.1, "transcript": "Stop that!"}`. The server answers `ready`, then
`partial` and `final` results as they come, then `end`; or `error` with a name, after which it closes.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from bimodal.asr.timed_words import TimedWords
from bimodal.audio.decode import Signal
from bimodal.inference.stream import Stream, TimelineConfig
from bimodal.records import CoverageBy, Recognition
from bimodal.service.about import describe_model
from bimodal.service.engine import Engine
from bimodal.service.forms import renamed_field
from bimodal.service.guard import Access
from bimodal.service.problems import Problem, log_mistake

router = APIRouter()

_LARGEST_TEXT: Final = 65_536
_CHECKED_SECONDS: Final = 1.0  # of a stream, for samples of another type than it says
_FEWEST_CHECKED: Final = 100
_LARGEST_SAMPLE: Final = 1e6
_SMALLEST_SAMPLE: Final = 1e-7
_ABSURDLY_SMALL: Final = 1e-20
_ABSURD_SHARE: Final = 0.1
_CONTAINERS: Final = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"FORM")


class Start(msgspec.Struct, tag_field="type", tag="start", forbid_unknown_fields=True):
    """The first message of a client."""

    sampling_rate: int
    encoding: Literal["float32", "int16"] = "float32"
    token: str = ""
    partial: bool = True
    speaker: str | None = None
    hop: float = 2.0
    window: float = 4.0
    smoothing: float = 0.0
    coverage: float | None = None
    coverage_by: CoverageBy = "emotion"


class Words(msgspec.Struct, tag_field="type", tag="words", forbid_unknown_fields=True):
    """Words with times."""

    start: float
    end: float
    transcript: str


class End(msgspec.Struct, tag_field="type", tag="end", forbid_unknown_fields=True):
    """The end of the samples."""


class StreamError(Exception):
    """The reason for ending a stream, with a name for programs.

    Args:
        name: In snake case.
        message: One sentence.
        code: Close code of the WebSocket.
    """

    def __init__(self, name: str, message: str, code: int = 1008) -> None:
        super().__init__(message)
        self.name, self.message, self.code = name, message, code


@dataclass
class _Live:
    """State of one stream."""

    stream: Stream
    encoding: str
    wants_partial: bool
    rest: bytes = b""
    partial_at: float = 0.0  # seconds of audio when the last partial result was made
    partial_clock: float = 0.0


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """One live stream."""
    engine: Engine = socket.app.state.engine
    await socket.accept()
    try:
        await _converse(socket, engine, socket.app.state.access)
    except StreamError as error:
        await _refuse(socket, error)
    except Problem as problem:
        await _refuse(socket, StreamError("unusable", problem.detail))
    except WebSocketDisconnect:
        return
    except Exception as error:
        if WebSocketState.DISCONNECTED in (socket.client_state, socket.application_state):
            return  # the client left before the response
        log_mistake(error)
        await _refuse(socket, StreamError("internal", "internal server error; see the server's log", 1011))


async def _refuse(socket: WebSocket, error: StreamError) -> None:
    try:
        await _send(socket, {"type": "error", "error": error.name, "message": error.message})
        await socket.close(error.code, error.name)
    except (WebSocketDisconnect, RuntimeError):
        return


async def _converse(socket: WebSocket, engine: Engine, access: Access) -> None:
    start = await _next(socket, engine)
    if not isinstance(start, Start):
        found = "found a binary message; send it as text" if isinstance(start, bytes) else "found another type"
        raise StreamError("expected_start", f"expected a JSON message of type 'start' first, {found}")
    if not access.knows(start.token):
        raise StreamError("unauthorised", "wrong or missing token; send the server's token in the message 'start'")
    if not 8000 <= start.sampling_rate <= engine.limits.sampling_rate:
        raise StreamError(
            "sampling_rate", f"sampling_rate: expected a number from 8000 to {engine.limits.sampling_rate}"
        )
    if not engine.open_stream():
        raise StreamError("busy", f"{engine.limits.streams} streams are already open; try again later", 1013)
    try:
        await _listen(socket, engine, start)
    finally:
        engine.close_stream()


async def _listen(socket: WebSocket, engine: Engine, start: Start) -> None:
    names = ("hop", "window", "smoothing", "coverage", "coverage_by")
    config = await engine.run(lambda: TimelineConfig(**{name: getattr(start, name) for name in names}))
    opened = await engine.run(
        lambda: engine.recognizer.stream(start.sampling_rate, speaker=start.speaker, config=config)
    )
    live = _Live(stream=opened, encoding=start.encoding, wants_partial=start.partial)
    await _send(socket, {"type": "ready", "model": describe_model(engine)})
    while not isinstance(message := await _next(socket, engine), End):
        if isinstance(message, Start):
            raise StreamError("unexpected_start", "the stream has already started; send 'start' once")
        if isinstance(message, Words):
            words = TimedWords(start=message.start, end=message.end, transcript=message.transcript)
            await engine.run(lambda words=words: live.stream.add_words([words]))  # type: ignore[misc]
            continue
        early = live.stream.duration < _CHECKED_SECONDS
        if early and (told := wrong_samples(live.rest + message, live.encoding)):
            raise StreamError("encoding", told, 1007)
        samples = _samples(live, message)
        if live.stream.duration + len(samples) / start.sampling_rate > engine.limits.stream_seconds:
            raise StreamError("too_long", f"a stream may last {engine.limits.stream_seconds:g} s", 1009)
        await _tell(socket, await engine.run(lambda samples=samples: _hear(live, samples, engine.partial_seconds)))  # type: ignore[misc]
    await _tell(socket, [("final", result) for result in await engine.run(live.stream.finish)])
    engine.measures.audio_seconds.inc(live.stream.duration)
    await _send(socket, {"type": "end", "duration": live.stream.duration})
    await socket.close()


async def _next(socket: WebSocket, engine: Engine) -> Any:
    """The next message: samples as bytes, or one of the records above."""
    try:
        async with asyncio.timeout(engine.limits.silence_seconds):
            message = await socket.receive()
    except TimeoutError as error:
        raise StreamError("silence", f"no message for {engine.limits.silence_seconds:g} s") from error
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    samples: bytes | None = message.get("bytes")
    if samples is not None:
        return samples
    text: str = message.get("text") or ""
    if len(text) > _LARGEST_TEXT:
        raise StreamError("too_large", f"a text message has more than {_LARGEST_TEXT} characters", 1009)
    try:
        return msgspec.json.decode(text, type=Start | Words | End)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise StreamError("unreadable", _why_unreadable(text, error), 1007) from error


def _why_unreadable(text: str, error: Exception) -> str:
    with suppress(msgspec.MsgspecError, RecursionError):
        message = msgspec.json.decode(text)
        if isinstance(message, dict) and (told := renamed_field(message)):
            return told
    return f"the text message is unknown ({error})"


def wrong_samples(message: bytes, encoding: str) -> str:
    """Why a binary message seems to hold something else than samples of an encoding; empty if it seems right.

    Example:
        >>> wrong_samples(b'{"type": "end"}', "int16")
        "a binary message holds JSON; send messages such as 'end' and 'words' as text, samples as binary"
        >>> wrong_samples(np.zeros(400, "<i2").tobytes(), "int16")
        ''
    """
    if message[:1] == b"{" and message[-1:] == b"}" and b'"type"' in message:
        return "a binary message holds JSON; send messages such as 'end' and 'words' as text, samples as binary"
    if message.startswith(_CONTAINERS) or message[4:8] == b"ftyp":
        return "a binary message holds an audio file; send samples without a header, or the file to /v1/recognize"
    values = np.frombuffer(message[: len(message) // 4 * 4], "<f4")
    if len(values) < _FEWEST_CHECKED:
        return ""
    with np.errstate(invalid="ignore"):
        sizes = np.abs(values)
        absurd = np.mean((sizes > _LARGEST_SAMPLE) & np.isfinite(sizes) | (sizes > 0) & (sizes < _ABSURDLY_SMALL))
        floats = bool((sizes <= 1).all() and np.median(sizes) > _SMALLEST_SAMPLE)
    if encoding == "float32" and absurd > _ABSURD_SHARE:
        return "the samples are no float32: many are absurdly large or small; if they are int16, say so in 'encoding'"
    if encoding == "int16" and floats:
        return "the samples seem to be float32, expected int16; say so in 'encoding'"
    return ""


def _samples(live: _Live, message: bytes) -> Signal:
    """Samples of a message in [-1, 1]. A sample that is cut in two is kept until its second half arrives."""
    width = 4 if live.encoding == "float32" else 2
    data = live.rest + message
    whole = len(data) // width * width
    live.rest = data[whole:]
    if live.encoding == "float32":
        return np.frombuffer(data[:whole], "<f4").astype(np.float32)
    return np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768)


def _hear(live: _Live, samples: Signal, partial_seconds: float) -> list[tuple[str, Recognition]]:
    """In a thread: push samples; return new results, and a partial result if it is due."""
    told = [("final", result) for result in live.stream.push(samples)]
    now, position = time.monotonic(), live.stream.duration
    if live.wants_partial and min(now - live.partial_clock, position - live.partial_at) >= partial_seconds:
        live.partial_at, live.partial_clock = position, now
        running = live.stream.partial()
        if running is not None:
            told.append(("partial", running))
    return told


async def _tell(socket: WebSocket, results: Iterable[tuple[str, Recognition]]) -> None:
    for kind, result in results:
        await _send(socket, {"type": kind, "result": result})


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_text(msgspec.json.encode(message).decode())
