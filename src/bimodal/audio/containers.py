"""Compressed sound and the sound of videos (MP3, Ogg, Opus, m4a, WebM, ...), decoded by FFmpeg through PyAV.

Length is what can be decoded. Time is presentation time: where a container says that sound comes later, silence stands
before it. PyAV is imported only where a file needs it, since its import costs about as much as that of NumPy.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.audio.endings import ends_early
from bimodal.audio.formats import frame_bytes, mpeg_frames_promised
from bimodal.errors import AudioError, tell

Frames = npt.NDArray[np.float32]

EXTENSIONS: Final = frozenset({
    ".3gp", ".aac", ".ac3", ".amr", ".avi", ".flv", ".gsm", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp4",
    ".mpg", ".mts", ".ts", ".tta", ".webm", ".wma", ".wmv", ".wv",
})  # fmt: skip
"""Extensions of files that libsndfile never decodes."""


_TIMED: Final = frozenset({"asf", "avi", "flac", "flv", "matroska", "mov", "mpeg", "mpegts", "ogg"})
_FROM_ZERO: Final = frozenset({"flac", "matroska", "mov"})  # the others begin at any time, which is then zero
_PROMISING: Final = frozenset({"asf", "flac", "matroska", "mov", "ogg", "tta", "wv"})  # their length is no estimate
_TOLERANCE: Final = 0.1  # seconds by which times may be off without a gap
_SHORTFALL: Final = {"flac": 0.01, "ogg": 0.1, "mp3": 0.25}  # seconds that a header may promise too much, else 0.5
_MOST_SILENCE: Final = 6 * 3600.0  # seconds; times that jump further are wrong
_DEFAULT: Final = 1  # FFmpeg's mark of a default track
_SILENT_BLOCK: Final = 1 << 16
_NO_SOUND: Final = (b"Xing", b"Info", b"VBRI", b"ID3", b"TAG")  # headers within an MP3 that was joined from several


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a recording ended.

    Attributes:
        seconds: Length of what there is, with the silence that stands for what is not.
        promised: Length that the header promises, in seconds; 0 where it does not say.
        is_cut: Whether it stops in the middle.
        lost: Seconds before the end that cannot be decoded.
    """

    seconds: float
    promised: float = 0.0
    is_cut: bool = False
    lost: float = 0.0

    def warnings(self) -> tuple[str, ...]:
        """What a result of this recording must say.

        Example:
            >>> Ending(seconds=2.5, promised=4.0, is_cut=True).warnings()
            ('the recording is cut: it ends after 2.50 s, and its header promises 4.00 s',)
        """
        told = []
        if self.is_cut:
            more = self.promised > self.seconds + 0.005
            times = {"end": f"{self.seconds:.2f}", "promised": f"{self.promised:.2f}"}
            told.append(tell("cut-before-end" if more else "cut-in-data", **times))
        if self.lost > 0:
            about = max(self.lost, 0.1)
            told.append(tell("damaged", lost=f"{about:.1f}"))
        return tuple(told)


class Container:
    """An open file that FFmpeg decodes, of which one sound track is read.

    Args:
        stream: The file, which can seek.
        kind: As `container_kind` names it.
        name: For messages.
        track: Number of the sound track, from 1; None for the one that the file marks as default, or else the first.

    Raises:
        AudioError: PyAV is not installed, the file is damaged, or it has no such sound track.
    """

    def __init__(self, stream: IO[bytes], kind: str, name: str, track: int | None = None) -> None:
        av = _library(name)
        self._name, self._kind, self._file, self._av = name, kind, stream, av
        self._errors = (av.error.FFmpegError, OSError, ValueError)
        try:
            self._container = av.open(_Bounded(stream), mode="r", format=kind, metadata_errors="ignore")
        except self._errors as error:
            raise self._refusal(_reason(error)) from error
        try:
            self._stream: Any = _choose(self._container, name, track)
            if self._stream.codec_context is None:
                raise self._refusal("its codec is not known")
            self.sampling_rate, self.channels = int(self._stream.rate), _count_channels(self._stream)
            if self.sampling_rate <= 0 or self.channels <= 0:
                raise self._refusal("no sampling rate or no channels")
        except (*self._errors, AttributeError) as error:  # a track without a known codec has no rate
            self.close()
            raise self._refusal(_reason(error)) from error
        except AudioError:
            self.close()
            raise
        self._lost = self._lost_at_end = 0.0

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refusal(self, reason: str) -> AudioError:
        """The sentence for a file of which nothing can be decoded."""
        self._file.seek(0, 2)
        if ends_early(self._file, self._file.tell(), self._kind):
            return AudioError(tell("not-audio-cut", name=self._name))
        return AudioError(tell("not-audio", name=self._name, reason=reason))

    def close(self) -> None:
        """Close the container; its file stays open."""
        self._container.close()

    @property
    def _is_exact(self) -> bool:
        """Whether each frame tells its place to the sample, so that every gap is damage."""
        return self._kind == "flac"

    @property
    def zero(self) -> float:
        """The container's time, in seconds, at which the recording begins."""
        start = (self._container.start_time or 0) / 1e6
        return 0.0 if self._kind in _FROM_ZERO and start < _MOST_SILENCE else start

    @property
    def promised(self) -> float:
        """Where the header says that the sound ends, in seconds; 0 where it does not say."""
        if self._kind == "mp3":
            return self._promised_by_frames()
        if self._kind not in _PROMISING:
            return 0.0
        if self._stream.duration and self._stream.time_base:
            start = float((self._stream.start_time or 0) * self._stream.time_base) - self.zero
            return max(0.0, start) + float(self._stream.duration * self._stream.time_base)
        whole = self._container.duration if len(self._container.streams) == 1 else None
        return max(0.0, (whole or 0) / 1e6 - (self.zero if self._kind == "matroska" else 0.0))

    def _promised_by_frames(self) -> float:
        at = self._file.tell()
        samples = 1152 if self.sampling_rate >= 32_000 else 576  # of a frame of layer 3, ISO/IEC 11172-3
        seconds = mpeg_frames_promised(self._file) * samples / self.sampling_rate
        self._file.seek(at)
        return seconds

    def measure(self) -> float:
        """Length by the header; where that does not say, by the times of all packets, which uses the container up."""
        if self.promised:
            return self.promised
        end = total = 0.0
        for packet in self._packets():
            scale = float(packet.time_base or 0)
            total += (packet.duration or 0) * scale
            end = max(end, ((packet.pts or 0) + (packet.duration or 0)) * scale)
        return end - self.zero if self._kind in _TIMED else total

    def blocks(self) -> Iterator[Frames | Ending]:
        """All sound as blocks (T, channels) of any size, silence in its gaps; at last how it ended.

        Raises:
            AudioError: Nothing, or next to nothing, can be decoded.
        """
        position = decoded = 0
        for block in self._on_time():
            yield block
            position += len(block)
            decoded += len(block)
        seconds, promised = position / self.sampling_rate, self.promised
        lost = self._lost - self._lost_at_end
        if not decoded or lost > seconds / 2:
            raise AudioError(f"{self._name}: damaged: cannot be decoded; copy or convert the recording again")
        self._file.seek(0, 2)
        early = ends_early(self._file, self._file.tell(), self._kind)
        is_cut = early or self._lost_at_end > 0 or seconds < promised - _SHORTFALL.get(self._kind, 0.5)
        yield Ending(seconds=seconds, promised=promised, is_cut=is_cut, lost=lost)

    def _on_time(self) -> Iterator[Frames]:
        """Sound with silence where the container's times leave gaps. Times that go back begin a joined recording."""
        rate, position, shift, left = self.sampling_rate, 0, 0, round(_MOST_SILENCE * self.sampling_rate)
        tolerance = 0 if self._is_exact else round(_TOLERANCE * rate)
        unsure = 0  # samples whose place FFmpeg does not know, since bytes before them are damaged
        for at, frames in self._decoded():
            gap = 0 if at is None else at + shift - position
            if gap < -tolerance or gap > left:
                shift -= gap
            elif gap > tolerance:
                left -= gap
                position += gap
                yield from self._silence(gap)
            if self._is_exact:
                self._lost += (gap or unsure) / rate if at is not None and gap >= 0 else 0.0
                unsure = unsure + len(frames) if at is None else 0
            if len(frames):
                position += len(frames)
                yield frames

    def _silence(self, length: int) -> Iterator[Frames]:
        for begin in range(0, length, _SILENT_BLOCK):
            yield np.zeros((min(_SILENT_BLOCK, length - begin), self.channels), np.float32)

    def _decoded(self) -> Iterator[tuple[int | None, Frames]]:
        """Samples in order, each piece with the sample at which it should stand, where the container says so."""
        resampler, form, layout = None, None, None
        for packet in self._packets():
            lost = self._lost_at_end
            frames = self._frames(packet)
            if frames and lost and self._kind not in _TIMED:  # nothing else tells where the following sound stands
                yield None, np.zeros((round(lost * self.sampling_rate), self.channels), np.float32)
            for frame in frames:
                if (found := (frame.sample_rate, frame.layout.name, frame.format.name)) != form:  # joined files differ
                    form, layout = found, layout or self._layout(frame)
                    resampler = self._av.AudioResampler(format="flt", layout=layout, rate=self.sampling_rate)
                at = self._sample(frame)
                for piece in self._resampled(resampler, frame):
                    yield at, piece
                    at = None
        yield from ((None, piece) for piece in self._resampled(resampler, None))

    def _layout(self, frame: Any) -> str:
        """Name of the channels that this recording has by its header; the decoder may have found others."""
        if frame.layout.nb_channels == self.channels:
            return str(frame.layout.name)
        return {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")

    def _resampled(self, resampler: Any, frame: Any) -> Iterator[Frames]:
        """Samples (T, channels). PyAV is not asked for planar ones: from eight channels on, it reads beyond them."""
        try:
            pieces = [] if resampler is None else resampler.resample(frame)
        except self._errors as error:
            raise AudioError(f"{self._name}: damaged: its channels change in the middle ({_reason(error)})") from error
        for piece in pieces:
            yield piece.to_ndarray().reshape(-1, self.channels)

    def _sample(self, frame: Any) -> int | None:
        if self._kind not in _TIMED or frame.pts is None or frame.time_base is None:
            return None
        return round((float(frame.pts * frame.time_base) - self.zero) * self.sampling_rate)

    def _packets(self) -> Iterator[Any]:
        """Packets of the track; reading stops where the file cannot be read further."""
        try:
            yield from self._container.demux(self._stream)
        except self._errors:
            self._lost_at_end += 1e-3

    def _frames(self, packet: Any) -> list[Any]:
        """Frames of a packet; none where it is damaged, of which note is taken."""
        seconds = float((packet.duration or 0) * (packet.time_base or 0)) or 1e-3
        try:
            frames = list(packet.decode())
        except self._errors:
            if not any(name in bytes(packet)[:256] for name in _NO_SOUND):
                self._lost, self._lost_at_end = self._lost + seconds, self._lost_at_end + seconds
            return []
        codec = self._stream.codec_context.name
        if packet.size and frame_bytes(codec, bytes(packet)[:8]) > packet.size:  # the last frame is not whole
            self._lost, self._lost_at_end = self._lost + seconds, self._lost_at_end + seconds
        elif frames and packet.size:
            self._lost_at_end = 0.0
        return frames


class _Bounded:
    """A file in which nobody gets beyond the end: an absurd size makes FFmpeg seek to where no file reaches."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        self.read, self.tell, self._stream = stream.read, stream.tell, stream

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Stand elsewhere."""
        start = (0, self._stream.tell(), self._size)[whence]
        return self._stream.seek(max(0, min(start + offset, self._size)))


def _choose(container: Any, name: str, track: int | None) -> Any:
    """The sound track of that number, or the default one."""
    tracks = list(container.streams.audio)
    if not tracks:
        found = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise AudioError(f"{name}: holds no sound, only {found}")
    if track is None:
        return next((one for one in tracks if int(one.disposition) & _DEFAULT), tracks[0])
    if not 1 <= track <= len(tracks):
        languages = [one.language or "unknown language" for one in tracks]
        listed = ", ".join(f"{number} ({language})" for number, language in enumerate(languages, 1))
        raise AudioError(f"{name}: no sound track {track}, expected one of {listed}")
    return tracks[track - 1]


def _count_channels(stream: Any) -> int:
    """Number of channels of a sound track.

    PyAV (18.1) frees the names of channels in an order of their own as often as it is asked for them, which ends the
    process. It is asked once here, and the track then gets channels without names.
    """
    layout = stream.codec_context.layout
    count = int(layout.nb_channels)
    if " channels (" in layout.name:
        stream.codec_context.layout = f"{count} channels"
    return count


def _library(name: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise AudioError(f"{name}: a recording of this kind needs PyAV: pip install av") from error
    return av


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
