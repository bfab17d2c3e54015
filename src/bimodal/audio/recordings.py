"""Recordings that a person names: files, folders, standard input."""

import atexit
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bimodal.audio.containers import EXTENSIONS as CONTAINERS
from bimodal.audio.decode import iterate_audio, read_header
from bimodal.errors import AudioError
from bimodal.files import naming_file

EXTENSIONS: Final = CONTAINERS | {
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".snd", ".w64", ".wav",
}  # fmt: skip
"""Extensions by which recordings are found in a folder; a file that is named itself may have any."""

STDIN: Final = Path("-")
_STDIN_PLACE: Final = Path("stdin")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """A recording to be recognised.

    Attributes:
        path: The file.
        name: As it is shown.
        place: Where its results lie in a folder of results; its path below the folder that was named.
        is_stdin: Whether it came from standard input.
    """

    path: Path
    name: str
    place: Path
    is_stdin: bool = False


def find_recordings(paths: Sequence[Path]) -> list[Recording]:
    """The recordings that files, folders (all below them, by extension) and `-` (standard input) name, each once.

    Raises:
        AudioError: A folder without recordings.
    """
    found: dict[Path, Recording] = {}
    for path in paths:
        for recording in [_from_stdin()] if path == STDIN else _below(path) if path.is_dir() else [_one(path)]:
            found.setdefault(recording.path.resolve(), recording)
    return list(found.values())


def _below(folder: Path) -> Iterator[Recording]:
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in EXTENSIONS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if not files:
        raise AudioError(f"{folder}: no recordings in this folder or below it, by the extensions {sorted(EXTENSIONS)}")
    yield from (_one(file, file.relative_to(folder)) for file in files)


def _one(path: Path, place: Path | None = None) -> Recording:
    return Recording(path=path, name=shown_path(path), place=place or Path(path.name))


def shown_path(path: Path) -> str:
    r"""A path as valid Unicode: bytes that are not UTF-8, as archives from other systems leave them, are escaped.

    Example:
        >>> shown_path(Path("caf\udce9.wav"))
        'caf\\xe9.wav'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _from_stdin() -> Recording:
    """Standard input as a file, as decoders go back and forth in it.

    On Linux the file has no name, so a killed process leaves nothing. Elsewhere it is gone when the program ends.
    """
    import tempfile

    file: IO[bytes] = tempfile.TemporaryFile(prefix="bimodal-")  # noqa: SIM115 (kept open until the end)
    path = Path(f"/proc/self/fd/{file.fileno()}")
    if not path.exists():
        file = tempfile.NamedTemporaryFile(prefix="bimodal-")  # noqa: SIM115 (as above)
        path = Path(file.name)
    atexit.register(file.close)
    with naming_file(Path(tempfile.gettempdir())):
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
    return Recording(path=path, name="stdin", place=_STDIN_PLACE, is_stdin=True)


def header_seconds(recording: Recording) -> float:
    """Length of a recording by its header, for progress bars; 0 where the header cannot be read."""
    try:
        return read_header(recording.path).duration
    except AudioError:
        return 0.0


def decoded_seconds(recording: Recording) -> float:
    """Length of a recording: what can be decoded, whatever its header says.

    Raises:
        AudioError: As in `iterate_audio`.
    """
    return sum(len(block) / rate for block, rate in iterate_audio(recording.path))
