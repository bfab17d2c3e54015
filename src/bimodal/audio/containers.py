"""Sound in containers that libsndfile does not read (m4a, AAC, WebM, video), through PyAV (extra `containers`).

A container is told by its first bytes and opened as that format alone: left to guess, FFmpeg takes a text file for a
playlist and follows it to other files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.audio.source import opened, source_name
from bimodal.errors import AudioError

Frames = npt.NDArray[np.float32]

EXTENSIONS: Final = frozenset(
    {".3gp", ".aac", ".amr", ".avi", ".flv", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4", ".webm", ".wma", ".wmv"}
)
"""Extensions of such files."""

_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (4, b"ftyp", "mov"),
    (4, b"moov", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (0, b"FLV\x01", "flv"),
    (8, b"AVI ", "avi"),
    (0, b"#!AMR", "amr"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
)
_HEADLESS: Final = ("aac", "amr")  # FFmpeg guesses their length from the bit rate
_SHORTFALL: Final = 1.0  # seconds by which a header may promise more sound than there is


def container_kind(source: Path | IO[bytes]) -> str:
    """FFmpeg's name of the container, by its first bytes; empty for anything else."""
    with opened(source) as stream:
        head = stream.read(16)
    return next((kind for offset, magic, kind in _SIGNATURES if head[offset:].startswith(magic)), "")


class Container:
    """An open container, of which the first sound track is heard.

    Args:
        source: A path, or a binary file object that can seek.
        kind: As `container_kind` names it.

    Raises:
        AudioError: PyAV is not installed, or the file is damaged or has no sound.
    """

    def __init__(self, source: Path | IO[bytes], kind: str) -> None:
        self._name, self._kind, self._opened = source_name(source), kind, opened(source)
        av = _library(self._name)
        self._errors = av.error.FFmpegError
        self._file = self._opened.__enter__()
        try:
            self._container = av.open(self._file, mode="r", format=kind, metadata_errors="ignore")
            self._stream: Any = next(iter(self._container.streams.audio), None)
            if self._stream is None:
                raise AudioError(f"{self._name}: holds no sound, only {_tracks(self._container)}")
            self.samplerate, self.channels = int(self._stream.rate), int(self._stream.channels)
            self._resampler = av.AudioResampler(format="fltp", layout=self._stream.layout, rate=self.samplerate)
        except (self._errors, ValueError) as error:
            self.close()
            raise AudioError(f"{self._name}: cannot be decoded as audio ({_reason(error)})") from error
        except AudioError:
            self.close()
            raise

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "_container"):
            self._container.close()
        self._opened.__exit__(None, None, None)

    @property
    def promised(self) -> float:
        """Seconds of sound that the header promises; 0 where it does not say."""
        if self._kind in _HEADLESS:
            return 0.0
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        whole = self._container.duration if len(self._container.streams) == 1 else None
        return (whole or 0) / 1e6

    def measure(self) -> float:
        """Seconds of sound; where the header does not say, all packets are counted, which uses the container up."""
        if self.promised:
            return self.promised
        ends = [0.0]
        for packet in self._container.demux(self._stream):
            if packet.pts is not None and packet.time_base is not None:
                ends.append(float((packet.pts + (packet.duration or 0)) * packet.time_base))
        return max(ends)

    def blocks(self, size: int) -> Iterator[Frames]:
        """All sound as blocks (T, channels) of at least `size` samples but for the last one.

        Raises:
            AudioError: The file is damaged or ends too early.
        """
        decoded, held = 0, list[Frames]()
        try:
            for frame in self._container.decode(self._stream):
                held += self._planar(frame)
                if sum(map(len, held)) >= size:
                    yield np.concatenate(held)
                    decoded, held = decoded + sum(map(len, held)), []
            held += self._planar(None)
        except self._errors as error:
            raise AudioError(
                f"{self._name}: damaged or truncated ({_reason(error)}); copy or convert the recording again"
            ) from error
        if sum(map(len, held)):
            yield np.concatenate(held)
        seconds = (decoded + sum(map(len, held))) / self.samplerate
        if seconds < self.promised - _SHORTFALL:
            raise AudioError(
                f"{self._name}: truncated: the header promises {self.promised:.1f} s, there are {seconds:.1f} s; copy "
                "or convert the recording again"
            )

    def _planar(self, frame: Any) -> list[Frames]:
        return [piece.to_ndarray().T for piece in self._resampler.resample(frame)]


def _library(name: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise AudioError(
            f"{name}: a recording of this kind needs PyAV: pip install 'bimodal-emotion[containers]'"
        ) from error
    return av


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def _tracks(container: Any) -> str:
    return " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
