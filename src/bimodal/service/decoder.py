"""Decode uploads in a separate process with little memory and time, no files and no secrets.

libsndfile and its codecs have had memory bugs, so the server never opens an upload itself. This process gets requests
on a Unix socket (its standard input): a line of JSON with two open files, the upload and where to write. It answers
with a line of JSON.
"""

import json
import math
import os
import resource
import socket
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, AudioHeader, Signal, iterate_audio, load_signal, read_header
from bimodal.audio.segmentation import Resampler
from bimodal.errors import AudioError

PEAKS: Final = 4000
"""Most peaks of a recording."""

_BLOCK_SECONDS: Final = 10.0
_LONGEST_LINE: Final = 1 << 16


class TooMuch(Exception):  # noqa: N818
    """The recording exceeds a limit."""


def serve(connection: socket.socket) -> None:
    """Answer requests until the server closes the connection."""
    while True:
        line, files, _, _ = socket.recv_fds(connection, _LONGEST_LINE, 2)
        if not line:
            return
        try:
            answer = _answer(json.loads(line), *files)
        finally:
            for file in files:
                os.close(file)
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _answer(options: dict[str, Any], upload: int, out: int) -> dict[str, Any]:
    _limit_time(options["cpu_seconds"])
    path = f"/dev/fd/{upload}"
    try:
        header = _check_header(path, options)
        if options["whole"]:
            signal = load_signal(path, start=options["start"], end=options["end"])
            _write(out, signal)
            return {"duration": len(signal) / SAMPLING_RATE}
        return _decode_long(path, header, out, options)
    except AudioError as error:
        return {"error": str(error).replace(path, "the recording"), "kind": "unusable"}
    except TooMuch as error:
        return {"error": str(error), "kind": "too-large"}
    except MemoryError:
        return {"error": "the recording needs too much memory to decode", "kind": "too-large"}


def _limit_time(seconds: float) -> None:
    """Let the kernel end this process after so many more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _check_header(path: str, options: dict[str, Any]) -> AudioHeader:
    header = read_header(path)
    if header.channels > options["max_channels"]:
        raise TooMuch(f"the recording has {header.channels} channels, expected at most {options['max_channels']}")
    if header.sampling_rate > options["max_rate"]:
        raise TooMuch(f"the recording has {header.sampling_rate} Hz, expected at most {options['max_rate']} Hz")
    _check_seconds(min(header.duration, options["end"] or math.inf) - (options["start"] or 0.0), options)
    return header


def _check_seconds(seconds: float, options: dict[str, Any]) -> None:
    if seconds > options["max_seconds"]:
        raise TooMuch(
            f"the recording lasts {seconds:.0f} s, expected at most {options['max_seconds']:g} s"
            + ("; send long recordings to /v1/jobs" if options["whole"] else "")
        )


def _write(out: int, signal: Signal) -> None:
    left = memoryview(signal.tobytes())
    while left:
        left = left[os.write(out, left) :]


def _decode_long(path: str, header: AudioHeader, out: int, options: dict[str, Any]) -> dict[str, Any]:
    """Write 16 kHz WAV block by block, one channel or all; return duration and peaks."""
    import soundfile as sf

    channels: list[int | None] = [None] if options["mix"] else list(range(header.channels))
    signals = [_resampled(path, channel, header.sampling_rate) for channel in channels]
    per_peak = max(1, math.ceil(header.duration * SAMPLING_RATE / PEAKS))
    outline = _Outline(per_peak)
    with sf.SoundFile(out, "w", SAMPLING_RATE, len(channels), "FLOAT", format="WAV", closefd=False) as file:
        for block in _side_by_side(signals):
            file.write(block)
            outline.add(block)
            _check_seconds(outline.samples / SAMPLING_RATE, options)
    return {"duration": outline.samples / SAMPLING_RATE, "peaks": outline.finish()}


def _resampled(path: str, channel: int | None, rate: int) -> Iterator[Signal]:
    """One channel, or the mean of all, at 16 kHz."""
    resampler = Resampler(rate)
    for signal, _ in iterate_audio(path, channel=channel, block_seconds=_BLOCK_SECONDS):
        yield resampler.push(signal)
    yield resampler.finish()


def _side_by_side(signals: list[Iterator[Signal]]) -> Iterator[np.ndarray[Any, Any]]:
    """Blocks (T, channels) from signals in blocks of equal length."""
    for blocks in zip(*signals, strict=True):
        yield np.stack(blocks, axis=1)


class _Outline:
    """Largest absolute sample of each interval of equal length."""

    def __init__(self, length: int) -> None:
        self.samples = 0
        self._length = length
        self._peaks: list[float] = []
        self._rest = np.zeros(0, np.float32)

    def add(self, block: np.ndarray[Any, Any]) -> None:
        """Add the next block (T, channels)."""
        self.samples += len(block)
        loud = np.concatenate([self._rest, np.abs(block).max(axis=1)])
        whole = len(loud) // self._length * self._length
        self._peaks += loud[:whole].reshape(-1, self._length).max(axis=1).tolist()
        self._rest = loud[whole:]

    def finish(self) -> list[float]:
        """All peaks, including the last, shorter interval."""
        last = [float(self._rest.max())] if len(self._rest) else []
        return [round(peak, 4) for peak in chain(self._peaks, last)]


def main() -> None:
    """Load the codecs, set the limits, serve."""
    import soundfile  # noqa: F401  # import before the limits are set
    import soxr  # noqa: F401

    memory, file_size = int(os.environ["BIMODAL_DECODER_BYTES"]), int(os.environ["BIMODAL_DECODER_FILE_BYTES"])
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    serve(socket.socket(fileno=0))


if __name__ == "__main__":
    main()
