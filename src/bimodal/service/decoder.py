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
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, AudioHeader, Decoded, Signal, iterate_audio, read_header
from bimodal.audio.outline import Outline
from bimodal.audio.segmentation import Resampler
from bimodal.errors import AudioError, tell
from bimodal.files import is_disk_full
from bimodal.service.limits import DISK_FULL

PEAKS: Final = 4000
"""Most peaks of a recording."""

_BLOCK_SECONDS: Final = 10.0
_BLOCK: Final = 4096
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
            decoded = _decode_whole(path, options)
            _write(out, decoded.signal)
            return {"duration": len(decoded.signal) / SAMPLING_RATE, "warnings": decoded.warnings}
        return _decode_long(path, header, out, options)
    except AudioError as error:
        return {"error": str(error).replace(path, "the recording"), "kind": "unusable"}
    except TooMuch as error:
        return {"error": str(error), "kind": "too-large"}
    except MemoryError:
        return {"error": "the recording needs too much memory to decode", "kind": "too-large"}
    except OSError as error:
        if not is_disk_full(error):
            raise
        return {"error": DISK_FULL, "kind": "full"}


def _limit_time(seconds: float) -> None:
    """Let the kernel end this process after so many more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _check_header(path: str, options: dict[str, Any]) -> AudioHeader:
    header = read_header(path)
    if header.channels > options["max_channels"]:
        raise TooMuch(tell("too-many-channels", count=header.channels, most=options["max_channels"]))
    if header.sampling_rate > options["max_rate"]:
        raise TooMuch(f"the recording has {header.sampling_rate} Hz, expected at most {options['max_rate']} Hz")
    return header


def _decode_whole(path: str, options: dict[str, Any]) -> Decoded:
    """A recording, or a stretch of it, at 16 kHz. What its header says about its length does not count."""
    blocks = iterate_audio(path, start=options["start"], end=options["end"], block_seconds=_BLOCK_SECONDS)
    read, seconds = [], 0.0
    for block, rate in blocks:
        read.append(block)
        seconds += len(block) / rate
        _check_seconds(seconds, options)
    signal = np.concatenate(read)
    return Decoded(signal=signal, sampling_rate=rate, warnings=blocks.warnings).at_model_rate(path)


def _check_seconds(seconds: float, options: dict[str, Any]) -> None:
    if seconds > options["max_seconds"]:
        raise TooMuch(
            tell("too-long", most=f"{options['max_seconds']:g}")
            + ("; send long recordings to /v1/jobs" if options["hint"] else "")
        )


def _write(out: int, signal: Signal) -> None:
    left = memoryview(signal.tobytes())
    while left:
        left = left[os.write(out, left) :]


def _write_block(file: Any, block: Signal, out: int) -> None:
    """Write to a sound file, or raise the system's error: libsndfile does not say why it cannot write."""
    import soundfile as sf

    try:
        file.write(block)
    except sf.LibsndfileError:
        _write(out, np.zeros(_BLOCK, np.float32))
        raise


def _decode_long(path: str, header: AudioHeader, out: int, options: dict[str, Any]) -> dict[str, Any]:
    """Write 16 kHz WAV block by block, one channel or all; return duration and peaks."""
    import soundfile as sf

    channels: list[int | None] = [None] if options["mix"] else list(range(header.channels))
    read = [iterate_audio(path, channel=channel, block_seconds=_BLOCK_SECONDS) for channel in channels]
    outline = Outline(header.duration * SAMPLING_RATE, PEAKS)
    with sf.SoundFile(out, "w", SAMPLING_RATE, len(channels), "FLOAT", format="WAV", closefd=False) as file:
        for block in _side_by_side([_resampled(blocks, header.sampling_rate) for blocks in read]):
            _write_block(file, block, out)
            outline.add(block)
            _check_seconds(outline.samples / SAMPLING_RATE, options)
    peaks = [round(peak, 4) for peak in outline.peaks().tolist()]
    return {"duration": outline.samples / SAMPLING_RATE, "peaks": peaks, "warnings": read[0].warnings}


def _resampled(blocks: Iterable[tuple[Signal, int]], rate: int) -> Iterator[Signal]:
    """Blocks of a signal at 16 kHz."""
    resampler = Resampler(rate)
    for signal, _ in blocks:
        yield resampler.push(signal)
    yield resampler.finish()


def _side_by_side(signals: list[Iterator[Signal]]) -> Iterator[np.ndarray[Any, Any]]:
    """Blocks (T, channels) from signals in blocks of equal length."""
    for blocks in zip(*signals, strict=True):
        yield np.stack(blocks, axis=1)


def main() -> None:
    """Load the codecs, set the limits, serve."""
    import av  # noqa: F401  # import before the limits are set
    import soundfile  # noqa: F401
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
