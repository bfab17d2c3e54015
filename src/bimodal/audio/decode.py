"""Recordings as signals: decode, mix to one channel, resample.

A signal is a 1-D float32 array in [-1, 1]. Every function that reads raises `AudioError` with one sentence.
"""

import io
import math
import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.audio.chunks import Layout, Pieces, read_layout
from bimodal.audio.containers import Container, Ending, Frames
from bimodal.audio.endings import promised_by_header
from bimodal.audio.formats import container_kind, fallback_kind, holds_another_flac
from bimodal.audio.mixing import MIXED_AT_ONCE, Mixer
from bimodal.audio.rates import check_rate
from bimodal.audio.source import Encoded, as_source, opened_recording, source_name
from bimodal.errors import AudioError, tell

Signal = npt.NDArray[np.float32]

SAMPLING_RATE: Final = 16_000
"""Sampling rate of every signal that a backbone encodes, in Hz."""

MAX_CHANNELS: Final = 64
"""Most channels that a recording may have."""

_BLOCK_SECONDS: Final = 30.0
_NO_LENGTH: Final = 1 << 40  # frames that no recording has
_UNCLEAR: Final = {
    "RAW": "cannot be decoded as audio (its content is not what its extension says)",
    "XI": "an instrument (.xi) does not say its sampling rate",
}
_SHORTEST_CUT: Final = 0.01  # seconds; some programs count the bytes of the header in


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Decoded:
    """A decoded recording, or a stretch of it.

    Attributes:
        signal: Samples (T,), channels mixed.
        sampling_rate: In Hz.
        warnings: What its results must say: where it is cut, how much of it is damaged.
    """

    signal: Signal
    sampling_rate: int
    warnings: tuple[str, ...] = ()

    def whole(self, name: str) -> Signal:
        """The signal of a recording that is neither cut nor damaged.

        Args:
            name: Name for the error message.

        Raises:
            AudioError: It is cut or damaged.
        """
        if self.warnings:
            raise AudioError(f"{name}: {self.warnings[0]}; copy or convert the recording again")
        return self.signal

    def at_model_rate(self, name: str) -> "Decoded":
        """The same at `SAMPLING_RATE`.

        Args:
            name: Name for the error message.

        Raises:
            AudioError: As in `to_model_rate`.
        """
        signal = to_model_rate(self.signal, self.sampling_rate, name)
        return replace(self, signal=signal, sampling_rate=SAMPLING_RATE)


def read_audio(path: Encoded, *, start: float | None = None, end: float | None = None) -> tuple[Signal, int]:
    """Decode a whole recording, or a stretch of it, and mix its channels to one.

    Args:
        path: A path, bytes, or a binary file object. libsndfile reads WAV, FLAC, AIFF and more; FFmpeg (PyAV) reads
            MP3, OGG, Opus, m4a, WebM, the sound of a video and more.
        start: Where to begin, in seconds; None for the beginning.
        end: Where to stop, in seconds; None for the end. An end beyond the recording is cut to it.

    Returns:
        The signal (T,) at the recording's own sampling rate, and that rate in Hz.

    Raises:
        AudioError: The file is missing, empty, cut, damaged, not audio, or holds samples that are not finite.
    """
    source = as_source(path)
    decoded = decode_audio(source, start=start, end=end)
    return decoded.whole(source_name(source)), decoded.sampling_rate


def decode_audio(
    path: Encoded, *, start: float | None = None, end: float | None = None, track: int | None = None
) -> Decoded:
    """As `read_audio`, but what is cut or damaged is read as far as it can be, with a warning.

    Args:
        path: As in `read_audio`.
        start: As in `read_audio`.
        end: As in `read_audio`.
        track: As in `iterate_audio`.

    Raises:
        AudioError: The file is missing, empty, not audio, or holds samples that are not finite.
    """
    return iterate_audio(path, start=start, end=end, track=track).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioHeader:
    """What a recording's header says. It may be wrong: the length of a recording is what can be decoded.

    Attributes:
        duration: In seconds; 0 where the header does not say.
        sampling_rate: In Hz.
        channels: How many channels it has.
    """

    duration: float
    sampling_rate: int
    channels: int


def read_header(path: Encoded, *, track: int | None = None) -> AudioHeader:
    """Length, rate and channels of a recording by its header, without decoding it.

    Args:
        path: As in `read_audio`.
        track: As in `iterate_audio`.

    Raises:
        AudioError: The file is missing, empty or not audio.
    """
    with opened_recording(path) as (stream, name):
        file = _open(stream, name, track)
        with file:
            if isinstance(file, Container):
                return AudioHeader(duration=file.measure(), sampling_rate=file.sampling_rate, channels=file.channels)
            return AudioHeader(
                duration=file.frames / file.samplerate, sampling_rate=file.samplerate, channels=file.channels
            )


class AudioBlocks:
    """A recording, block by block; what `iterate_audio` gives. Each block is a signal (T,) and its rate in Hz.

    Attributes:
        warnings: What results of this recording must say. Complete when the last block was taken.
    """

    def __init__(self, blocks: Iterator[tuple[Signal, int] | Ending]) -> None:
        self.warnings: tuple[str, ...] = ()
        self._blocks, self._ahead = blocks, deque[tuple[Signal, int]]()

    def __iter__(self) -> "AudioBlocks":
        return self

    def __next__(self) -> tuple[Signal, int]:
        return self._ahead.popleft() if self._ahead else self._take()

    def read_ahead(self, count: int) -> int:
        """Decode up to `count` blocks before they are asked for; gives how many there are."""
        while len(self._ahead) < count:
            try:
                self._ahead.append(self._take())
            except StopIteration:
                break
        return len(self._ahead)

    def decode(self) -> Decoded:
        """All blocks together, those read ahead among them."""
        read = list(self)
        signal = np.concatenate([block for block, _ in read])
        return Decoded(signal=signal, sampling_rate=read[0][1], warnings=self.warnings)

    def _take(self) -> tuple[Signal, int]:
        for block in self._blocks:
            if not isinstance(block, Ending):
                return block
            self.warnings += block.warnings()
        raise StopIteration


def iterate_audio(
    path: Encoded,
    *,
    start: float | None = None,
    end: float | None = None,
    block_seconds: float = _BLOCK_SECONDS,
    channel: int | None = None,
    track: int | None = None,
) -> AudioBlocks:
    """Decode a block at a time, so that memory stays flat. What is cut or damaged is read as far as it can be.

    Args:
        path: As in `read_audio`.
        start: As in `read_audio`.
        end: As in `read_audio`.
        block_seconds: Length of a block, in seconds; the last one may be shorter.
        channel: Number of the channel to read, from 0; None for the mean of all. Channels in opposite phase, whose mean
            would be silent, are turned round first.
        track: Number of the sound track, from 1, where a file has several; None for the default one.

    Returns:
        Blocks of a signal (T,) and sampling rate in Hz, and the warnings.

    Raises:
        AudioError: While blocks are taken, as in `decode_audio`; of a damaged file it may come after blocks that were
            whole.
    """
    return AudioBlocks(_iterate(path, start, end, block_seconds, channel, track))


def _iterate(
    path: Encoded, start: float | None, end: float | None, block_seconds: float, channel: int | None, track: int | None
) -> Iterator[tuple[Signal, int] | Ending]:
    with opened_recording(path) as (stream, name):
        uncompressed = not container_kind(stream) and fallback_kind(stream) != "flac"
        file = _open(stream, name, track)
        with file:
            rate = check_rate(file.sampling_rate if isinstance(file, Container) else file.samplerate, name)
            _check_channels(name, file.channels, channel)
            is_container = isinstance(file, Container)
            blocks = file.blocks() if is_container else _read_plain(stream, name, file)
            blocks = _told_by_header(stream, blocks, "" if is_container else file.format) if uncompressed else blocks
            first, last = _borders(start, end, rate)
            cut = _cut_out(blocks, name, rate, (first, last), (start, end))
            mixed = _mixed(cut, channel, name, first)
            for block in _regrouped(mixed, max(1, int(block_seconds * rate))):
                yield block if isinstance(block, Ending) else (block, rate)


def _open(stream: IO[bytes], name: str, track: int | None) -> Any:
    """The recording as an open `Container` or `soundfile.SoundFile`."""
    import soundfile as sf

    if kind := container_kind(stream):
        return Container(stream, kind, name, track)
    if track not in (None, 1):
        raise AudioError(f"{name}: no sound track {track}, this file has one")
    layout = read_layout(stream, _size(stream))
    file: Any = Pieces(stream, layout) if layout.head else stream
    whole = Pieces(stream, Layout(regions=((0, _size(stream)),)))  # libsndfile seeks before 0 in damaged files
    kind = fallback_kind(stream)
    stream.seek(0)
    try:
        sound = sf.SoundFile((_path(stream) or whole) if file is stream else file)
    except (sf.LibsndfileError, TypeError) as error:
        if kind and not (kind == "wav" and layout.regions and not layout.present):
            return Container(file, kind, name)
        if isinstance(error, TypeError):  # soundfile takes the extension .raw for samples without a header
            raise AudioError(f"{name}: samples without a header (.raw) are not read; convert them to WAV") from error
        raise AudioError(f"{name}: cannot be decoded as audio ({error.error_string.strip('. ')})") from error
    if sound.format in _UNCLEAR:
        sound.close()
        raise AudioError(f"{name}: {_UNCLEAR[sound.format]}; convert the recording to WAV")
    if kind == "flac" and (sound.frames >= _NO_LENGTH or holds_another_flac(stream)):
        sound.close()
        return Container(stream, kind, name)
    return sound


def _path(stream: IO[bytes]) -> str:
    """Where a file that was opened by its path lies; libsndfile reads it faster by itself. Empty for others."""
    path = stream.name if isinstance(stream, io.BufferedReader) else ""
    plain = isinstance(path, str) and not any("\ud800" <= character <= "\udfff" for character in path)
    return path if plain else ""  # soundfile cannot encode a name that is not UTF-8


def _size(stream: IO[bytes]) -> int:
    return stream.seek(0, os.SEEK_END)


def _read_plain(stream: IO[bytes], name: str, file: Any) -> Iterator[Frames | Ending]:
    """Blocks (T, channels) by libsndfile, at last how the recording ended. FFmpeg goes on where libsndfile cannot."""
    import soundfile as sf

    position, rate = 0, file.samplerate
    size = int(_BLOCK_SECONDS * rate)  # large, since soundfile seeks after each block
    try:
        while len(block := file.read(size, dtype="float32", always_2d=True)):
            yield block
            position += len(block)
    except sf.LibsndfileError as error:
        if not (kind := fallback_kind(stream)):
            reason = error.error_string.strip(". ")
            raise AudioError(tell("damaged-file", name=name, reason=reason)) from error
        with Container(stream, kind, name) as box:
            yield from _after(position, box.blocks())
        return
    estimated = not file.seekable() or file.subtype.startswith("MPEG")
    yield Ending(seconds=position / rate, promised=0.0 if estimated else file.frames / rate)


def _told_by_header(stream: IO[bytes], blocks: Iterator[Frames | Ending], form: str) -> Iterator[Frames | Ending]:
    """The same, cut where the header of an uncompressed file promises more samples than there are."""
    for block in blocks:
        if isinstance(block, Ending):
            size, (first, length) = _size(stream), promised_by_header(stream, form)
            missing = max(0.0, 1 - (size - first) / length) if length else read_layout(stream, size).missing
            promised = max(block.promised, block.seconds / (1 - missing) if missing < 1 else 0.0)
            is_cut = block.is_cut or promised > block.seconds + _SHORTEST_CUT
            yield replace(block, promised=promised, is_cut=is_cut)
        else:
            yield block


def _after(position: int, blocks: Iterator[Frames | Ending]) -> Iterator[Frames | Ending]:
    """Blocks without their first samples."""
    for block in blocks:
        if isinstance(block, Ending):
            yield block
        elif position < len(block):
            yield block[position:]
            position = 0
        else:
            position -= len(block)


def _check_channels(name: str, channels: int, channel: int | None) -> None:
    if channels > MAX_CHANNELS:
        raise AudioError(f"{name}: {channels} channels, expected at most {MAX_CHANNELS}")
    if channel is not None and not 0 <= channel < channels:
        raise AudioError(f"{name}: no channel {channel}, expected 0 to {channels - 1}")


def _cut_out(
    blocks: Iterator[Frames | Ending],
    name: str,
    rate: int,
    borders: tuple[int, int],
    seconds: tuple[float | None, float | None],
) -> Iterator[Frames | Ending]:
    """The samples between two borders; refuses a stretch that holds none."""
    first, last = borders
    position, found = 0, False
    for block in blocks:
        if isinstance(block, Ending):
            if not found:
                break
            yield block
            continue
        begin, stop = max(0, first - position), min(len(block), last - position)
        position += len(block)
        if begin < stop:
            found = True
            yield block[begin:stop]
        if position >= last and found:
            return
    if not found:
        raise AudioError(_no_samples(name, position / rate, *seconds))


def _no_samples(name: str, duration: float, start: float | None, end: float | None) -> str:
    if duration == 0:
        return tell("no-samples", name=name)
    until = "its end" if end is None else f"{end:g} s"
    return f"{name}: no samples between {start or 0.0:g} s and {until}; the recording lasts {duration:.2f} s"


def _borders(start: float | None, end: float | None, rate: int) -> tuple[int, int]:
    """First sample of a stretch and the one after its last; nothing where a time is none."""
    begin, finish = (start or 0.0) * rate, math.inf if end is None else end * rate
    if not (0 <= begin < math.inf and finish > 0):  # one may be NaN
        return 0, 0
    return round(begin), sys.maxsize if finish == math.inf else round(finish)


def _mixed(blocks: Iterator[Frames | Ending], channel: int | None, name: str, first: int) -> Iterator[Signal | Ending]:
    """Checked samples of one channel, or of all mixed, in steps that do not depend on how a decoder cuts them."""
    mixer = Mixer()
    for block in _regrouped(blocks, MIXED_AT_ONCE):
        if isinstance(block, Ending):
            yield block
        else:
            yield check_signal(mixer.mix(block) if channel is None else block[:, channel], name, first=first)
            first += len(block)


def _regrouped(blocks: Iterator[Any], size: int) -> Iterator[Any]:
    """The same samples in blocks of one size, the last one shorter, then how they end."""
    held: list[Any] = []
    length = 0
    for block in blocks:
        if isinstance(block, Ending):
            if length:
                yield np.concatenate(held)
                held, length = [], 0
            yield block
            continue
        held.append(block)
        length += len(block)
        if length >= size:
            whole = np.concatenate(held) if len(held) > 1 else block
            yield from (whole[at : at + size] for at in range(0, length - size + 1, size))
            rest = length % size
            held, length = ([whole[length - rest :]], rest) if rest else ([], 0)
    if length:
        yield np.concatenate(held)


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
        AudioError: As in `check_rate`.

    Example:
        >>> resample(np.zeros(8000, np.float32), 8000).shape
        (16000,)
    """
    rates = check_rate(sampling_rate), check_rate(target)
    if rates[0] == rates[1]:
        return signal
    import soxr

    resampled: Signal = soxr.resample(signal, *rates).astype(np.float32, copy=False)
    return resampled


def load_signal(path: Encoded, *, start: float | None = None, end: float | None = None) -> Signal:
    """A whole recording, or a stretch of it, as the backbones take it: one channel, 16 kHz; level unchanged.

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
