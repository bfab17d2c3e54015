"""Recordings as signals: decode, mix to one channel, resample.

A signal is a 1-D float32 array in [-1, 1]. Every function that reads raises `AudioError` with one sentence.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from bimodal.audio.containers import Container, container_kind
from bimodal.audio.source import Encoded, as_source, opened, size_of, source_name
from bimodal.errors import AudioError

Signal = npt.NDArray[np.float32]

SAMPLING_RATE: Final = 16_000
"""Sampling rate of every signal that a backbone encodes, in Hz."""

MAX_CHANNELS: Final = 64
"""Most channels that a recording may have."""

_BLOCK_SECONDS: Final = 30.0
_CHUNKED: Final[dict[bytes, Literal["little", "big"]]] = {b"RIFF": "little", b"FORM": "big"}  # WAV, AIFF
_UNKNOWN_SIZE: Final = 0x7FFF0000  # what programs write that do not know the length yet is at least this
_MAX_CHUNKS: Final = 1000


def read_audio(path: Encoded, *, start: float | None = None, end: float | None = None) -> tuple[Signal, int]:
    """Decode a recording, or a stretch of it, and mix its channels to one.

    Args:
        path: A path, bytes, or a binary file object. libsndfile reads WAV, FLAC, OGG, MP3, AIFF and more; PyAV (extra
            `containers`) reads m4a, WebM, the sound of a video and more.
        start: Where to begin, in seconds; None for the beginning.
        end: Where to stop, in seconds; None for the end. An end beyond the recording is cut to it.

    Returns:
        The signal (T,) at the recording's own sampling rate, and that rate in Hz.

    Raises:
        AudioError: The file is missing, empty, truncated, not audio, or holds samples that are not finite.
    """
    blocks = list(iterate_audio(path, start=start, end=end))
    rate = blocks[0][1]
    return np.concatenate([block for block, _ in blocks]), rate


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioHeader:
    """What a recording's header says.

    Attributes:
        duration: In seconds.
        sampling_rate: In Hz.
        channels: How many channels it has.
    """

    duration: float
    sampling_rate: int
    channels: int


def read_header(path: Encoded) -> AudioHeader:
    """Length, rate and channels of a recording, without decoding it.

    Args:
        path: As in `read_audio`.

    Raises:
        AudioError: The file is missing, empty, truncated or not audio.
    """
    source = as_source(path)
    _check_file(source)
    if kind := container_kind(source):
        with Container(source, kind) as box:
            return AudioHeader(duration=box.measure(), sampling_rate=box.samplerate, channels=box.channels)
    with _open(source) as file:
        return AudioHeader(
            duration=file.frames / file.samplerate, sampling_rate=file.samplerate, channels=file.channels
        )


def iterate_audio(
    path: Encoded,
    *,
    start: float | None = None,
    end: float | None = None,
    block_seconds: float = _BLOCK_SECONDS,
    channel: int | None = None,
) -> Iterator[tuple[Signal, int]]:
    """Decode as `read_audio` does, a block at a time, so that memory stays flat.

    Args:
        path: As in `read_audio`.
        start: As in `read_audio`.
        end: As in `read_audio`.
        block_seconds: Length of a block, in seconds; the last one may be shorter.
        channel: Number of the channel to hear, from 0; None for the mean of all.

    Yields:
        Signal (T,) and sampling rate in Hz.

    Raises:
        AudioError: As in `read_audio`; a damaged file may raise it after blocks that were still whole.
    """
    source = as_source(path)
    _check_file(source)
    name, kind = source_name(source), container_kind(source)
    decoded = _unpack(source, kind, start, end, block_seconds) if kind else _decode(source, start, end, block_seconds)
    for block, first, rate in decoded:
        channels = block.shape[1]
        if channels > MAX_CHANNELS:
            raise AudioError(f"{name}: {channels} channels, expected at most {MAX_CHANNELS}")
        if channel is not None and not 0 <= channel < channels:
            raise AudioError(f"{name}: no channel {channel}, expected 0 to {channels - 1}")
        yield _mix(name, block if channel is None else block[:, channel : channel + 1], first), rate


def _decode(
    source: Path | IO[bytes], start: float | None, end: float | None, block_seconds: float
) -> Iterator[tuple[npt.NDArray[np.float32], int, int]]:
    """Blocks (T, channels) by libsndfile, the number of their first sample, and the sampling rate."""
    import soundfile as sf

    name = source_name(source)
    try:
        with _open(source) as file:
            first, last = _stretch(name, file.frames, file.samplerate, start, end)
            file.seek(first)
            remaining = last - first
            size = max(1, int(block_seconds * file.samplerate))
            while remaining > 0:
                block = file.read(min(remaining, size), dtype="float32", always_2d=True)
                if len(block) == 0:
                    raise AudioError(
                        f"{name}: truncated: the header promises {file.frames} frames and {remaining} of them "
                        "are missing; copy or convert the recording again"
                    )
                yield block, last - remaining, file.samplerate
                remaining -= len(block)
    except sf.LibsndfileError as error:
        raise AudioError(
            f"{name}: damaged or truncated ({error.error_string.strip('. ')}); copy or convert the recording again"
        ) from error


def _unpack(
    source: Path | IO[bytes], kind: str, start: float | None, end: float | None, block_seconds: float
) -> Iterator[tuple[npt.NDArray[np.float32], int, int]]:
    """The same by PyAV, which has to decode what lies before `start`; the length is known at the end alone."""
    with Container(source, kind) as box:
        rate, position, found = box.samplerate, 0, False
        first, last = _borders(start, end, rate)
        for block in box.blocks(max(1, int(block_seconds * rate))):
            begin, stop = max(0, first - position), min(len(block), last - position)
            if begin < stop:
                found = True
                yield block[begin:stop], position + begin, rate
            position += len(block)
            if position >= last:
                return
        if not found:
            _stretch(source_name(source), position, rate, start, end)


def _open(source: Path | IO[bytes]) -> Any:
    """The recording as an open `soundfile.SoundFile`."""
    import soundfile as sf

    name = source_name(source)
    if not isinstance(source, Path):
        source.seek(0)
    try:
        return sf.SoundFile(source)
    except sf.LibsndfileError as error:
        raise AudioError(f"{name}: cannot be decoded as audio ({error.error_string.strip('. ')})") from error
    except TypeError as error:  # soundfile takes the extension .raw for samples without a header
        raise AudioError(f"{name}: samples without a header (.raw) are not read; convert them to WAV") from error


def _check_file(source: Path | IO[bytes]) -> None:
    name = source_name(source)
    if isinstance(source, Path) and not source.exists():
        raise AudioError(f"{name}: no such file")
    if isinstance(source, Path) and source.is_dir():
        raise AudioError(f"{name}: is a folder, expected a recording")
    if (size := size_of(source)) == 0:
        raise AudioError(f"{name}: the file is empty (0 bytes)")
    if missing := _missing_bytes(source, size):
        raise AudioError(
            f"{name}: truncated: {missing} bytes that the header promises are missing; copy or convert the recording "
            "again"
        )


def _missing_bytes(source: Path | IO[bytes], available: int) -> int:
    """Bytes of samples that a WAV or AIFF header promises beyond the end of the file; libsndfile keeps silent."""
    with opened(source) as stream:
        order = _CHUNKED.get(stream.read(4))
        stream.seek(12)
        for _ in range(_MAX_CHUNKS if order else 0):
            name, length = stream.read(4), stream.read(4)
            size = int.from_bytes(length, order or "little")
            if name in (b"data", b"SSND"):
                return max(0, stream.tell() + size - available) if size < _UNKNOWN_SIZE else 0
            if len(length) < 4:
                break
            stream.seek(size + size % 2, 1)
    return 0


def _stretch(name: str, frames: int, rate: int, start: float | None, end: float | None) -> tuple[int, int]:
    """First and last frame of a stretch given in seconds."""
    if frames == 0:
        raise AudioError(f"{name}: the recording holds no samples")
    first, last = _borders(start, end, rate)
    last = min(frames, last)
    if not first < last:
        raise AudioError(
            f"{name}: no samples between {start or 0.0:g} s and {'its end' if end is None else f'{end:g} s'}; "
            f"the recording lasts {frames / rate:.2f} s"
        )
    return first, last


def _borders(start: float | None, end: float | None, rate: int) -> tuple[int, int]:
    """First sample of a stretch and the one after its last; nothing where a time is none."""
    begin, finish = (start or 0.0) * rate, math.inf if end is None else end * rate
    if not (0 <= begin < math.inf and finish > 0):  # one may be NaN
        return 0, 0
    return round(begin), sys.maxsize if finish == math.inf else round(finish)


def _mix(name: str, block: npt.NDArray[np.float32], first: int) -> Signal:
    """Mean over the channels of a block (T, channels) from sample `first`; refuses samples that are not finite."""
    mixed: Signal = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
    return check_signal(mixed, name, first=first)


def check_signal(signal: npt.ArrayLike, where: str = "signal", *, first: int = 0) -> Signal:
    """A signal as 1-D float32, or an error that says why it is none.

    Args:
        signal: Samples (T,), floating point in [-1, 1].
        where: Name for the error message.
        first: Number that the error message gives the first sample.

    Raises:
        AudioError: Not one-dimensional, integer samples, empty, or not finite.

    Example:
        >>> check_signal([0.0, 0.5]).dtype
        dtype('float32')
    """
    array = np.asarray(signal)
    if array.ndim != 1:
        raise AudioError(f"{where}: shape {array.shape}, expected one dimension (mix or choose a channel first)")
    if array.dtype.kind not in "f":
        raise AudioError(f"{where}: samples are {array.dtype}, expected floating point in [-1, 1]")
    if len(array) == 0:
        raise AudioError(f"{where}: holds no samples")
    finite = np.isfinite(array)
    if not finite.all():
        raise AudioError(
            f"{where}: {int((~finite).sum())} samples are NaN or infinite, "
            f"the first at sample {first + int(finite.argmin())}"
        )
    return array.astype(np.float32, copy=False)


def resample(signal: Signal, sampling_rate: int, target: int = SAMPLING_RATE) -> Signal:
    """The signal (T,) at another sampling rate (Hz), by libsoxr at high quality.

    Raises:
        AudioError: A sampling rate that is not positive.

    Example:
        >>> resample(np.zeros(8000, np.float32), 8000).shape
        (16000,)
    """
    if sampling_rate <= 0:
        raise AudioError(f"sampling rate {sampling_rate} Hz, expected a positive number")
    if sampling_rate == target:
        return signal
    import soxr

    resampled: Signal = soxr.resample(signal, sampling_rate, target).astype(np.float32, copy=False)
    return resampled


def load_signal(path: Encoded, *, start: float | None = None, end: float | None = None) -> Signal:
    """A recording, or a stretch of it, as the backbones take it: one channel, 16 kHz; level unchanged.

    Args:
        path: As in `read_audio`.
        start: As in `read_audio`.
        end: As in `read_audio`.

    Raises:
        AudioError: As in `read_audio`.
    """
    source = as_source(path)
    signal, rate = read_audio(source, start=start, end=end)
    return to_model_rate(signal, rate, source_name(source))


def to_model_rate(signal: Signal, sampling_rate: int, where: str = "signal") -> Signal:
    """A checked signal (T,) at `SAMPLING_RATE`.

    Raises:
        AudioError: A sampling rate that is not positive, or samples so large that resampling makes them infinite.

    Example:
        >>> to_model_rate(np.zeros(8000, np.float32), 8000).shape
        (16000,)
    """
    if sampling_rate == SAMPLING_RATE:
        return signal
    return check_signal(resample(signal, sampling_rate), where)
