"""Where encoded audio comes from: a file on the disk, bytes in memory, or an open file object."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from bimodal.errors import AudioError
from bimodal.records import shortened

Encoded = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
"""Encoded audio: a path, the content of a file as bytes, or a file object opened in binary mode."""

IN_MEMORY: Final = "audio in memory"
"""Name of a recording without a file name, for error messages."""


def is_encoded(audio: Any) -> bool:
    """True for a path, for bytes, and for a file object; false for samples.

    Example:
        >>> is_encoded("clip.wav"), is_encoded(b"RIFF"), is_encoded([0.1, 0.2])
        (True, True, False)
    """
    return isinstance(audio, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(audio, "read")


def as_source(audio: Encoded) -> Path | IO[bytes]:
    """A path, or a binary file object that can seek.

    Args:
        audio: A path, bytes, or a file object. A file object is read from its beginning, wherever it stands.

    Raises:
        AudioError: A file object that is closed or opened in text mode.

    Example:
        >>> as_source(b"RIFF").read()
        b'RIFF'
    """
    if isinstance(audio, str | os.PathLike):
        return Path(audio)
    if isinstance(audio, bytes | bytearray | memoryview):
        return io.BytesIO(audio)
    if getattr(audio, "closed", False):
        raise AudioError(f"{source_name(audio)}: the file object is closed; pass an open one, its bytes, or its path")
    if isinstance(audio, io.TextIOBase):
        raise AudioError(f"{source_name(audio)}: the file object is in text mode; open it with open(path, 'rb')")
    seekable = getattr(audio, "seekable", None)
    return audio if seekable is not None and seekable() else io.BytesIO(audio.read())


def source_name(source: Path | IO[bytes]) -> str:
    """What error messages call a source: its path, or `audio in memory`.

    Example:
        >>> source_name(Path("clip.wav")), source_name(io.BytesIO())
        ('clip.wav', 'audio in memory')
    """
    if isinstance(source, Path):
        return str(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else IN_MEMORY


@contextmanager
def opened_recording(audio: Encoded) -> Iterator[tuple[IO[bytes], str]]:
    """Audio as a binary file object that is not empty, and its name.

    Args:
        audio: As in `as_source`.

    Raises:
        AudioError: No such file, a folder, a pipe, an empty file, or one that cannot be opened.
    """
    source = as_source(audio)
    name = source_name(source)
    if isinstance(source, Path):
        _check_file(source, name)
    if size_of(source) == 0:
        raise AudioError(f"{name}: the file is empty (0 bytes)")
    with opened(source) as stream:
        yield stream, name


def _check_file(path: Path, name: str) -> None:
    try:
        if not path.exists():
            raise AudioError(f"{name}: no such file")
        if path.is_dir():
            raise AudioError(f"{name}: is a folder, expected a recording")
        if not path.is_file():
            raise AudioError(f"{name}: a pipe or device, expected a file; write the recording to a file first")
        path.open("rb").close()
    except OSError as error:  # a name that is too long, no permission
        raise AudioError(f"{shortened(name)}: cannot be opened ({error.strerror})") from error


@contextmanager
def opened(source: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """The source as a binary file object at its beginning; a path is closed again, a file object stays open."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
    else:
        source.seek(0)
        yield source


def size_of(source: Path | IO[bytes]) -> int:
    """Size in bytes."""
    if isinstance(source, Path):
        return source.stat().st_size
    return source.seek(0, os.SEEK_END)
