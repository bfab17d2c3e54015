"""Files: written completely or not at all, what killed processes left, locks, digests, TOML."""

import errno
import hashlib
import io
import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final

import msgspec

from bimodal.errors import ConfigError

JSON_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON of the expected kind."""

TEMPORARY: Final = ".*.tmp"
"""Glob pattern of what a killed process may leave behind."""

_LEFT: Final = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-(?P<host>[0-9a-f]{4})(?P<aside>\.old)?\.tmp")
_DAY: Final = 86_400.0  # no file is written for longer; older leftovers of other machines are deleted
_PIECE: Final = 1 << 16  # bytes
_OURS: Final = "bimodal-"  # how names in the system's folder for temporary files begin
_CLEANED: Final[set[Path]] = set()  # folders whose leftovers this process has deleted
_CLEANING: Final = Lock()

_SHOWN: Final = 300  # characters of a message of another library


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or somebody's share of it, is full.

    Example:
        >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device")), is_disk_full(ValueError())
        (True, False)
    """
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Give the system's errors that name no file, as those of writing do, the name of this one.

    Example:
        >>> try:
        ...     with naming_file(Path("results.csv")):
        ...         raise OSError(28, "No space left on device")
        ... except OSError as error:
        ...     print(error.filename)
        results.csv
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file or a folder under a temporary name, and rename it to `path` when the block ends without an error.

    A reader sees the old content or the new content, never half of it. What stood at `path` is replaced. The first
    call for a folder deletes what killed processes left in it.

    Args:
        path: File or folder to write; its parent folder must exist.

    Yields:
        A path beside it that does not exist yet. Write to it.

    Raises:
        OSError: It cannot be written; nothing is left behind, and `path` is as it was.
    """
    delete_leftovers(path.parent)
    temporary = path.with_name(f".{path.name}.{_process()}.tmp")
    _delete(temporary)
    try:
        with naming_file(path):
            yield temporary
            if temporary.is_dir():
                _replace_folder(temporary, path)
            else:
                with temporary.open("rb") as stream:
                    os.fsync(stream.fileno())
                temporary.replace(path)
    finally:
        _delete(temporary)


def _replace_folder(new: Path, path: Path) -> None:
    """Rename a folder to a path. The old one is moved aside, so that one of both is there after a kill."""
    aside = path.with_name(f".{path.name}.{_process()}.old.tmp")
    while True:
        with suppress(FileNotFoundError):
            path.replace(aside)
        try:
            new.replace(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another process has written it meanwhile
                _delete(aside)
                continue
            with suppress(OSError):
                aside.replace(path)
            raise
        _delete(aside)
        return


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that is deleted at the end of the block; after a kill, by the next call of any process.

    Args:
        parent: Folder to make it in; None for the system's folder for temporary files.

    Yields:
        The empty folder.

    Raises:
        OSError: It cannot be made.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    delete_leftovers(place, _OURS)
    folder = place / f".{_OURS}{secrets.token_hex(4)}.{_process()}.tmp"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        _delete(folder)


def delete_leftovers(folder: Path, start: str = "") -> None:
    """Delete what killed processes left of unfinished files, once a process.

    A folder that was moved aside by a killed process is put back, if nothing is in its place. Files of processes that
    run are left alone.

    Args:
        folder: Where to look; nothing is done where it does not exist.
        start: How the names of the finished files begin.
    """
    place = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve() would cost a look at each folder above)
    with _CLEANING:
        if place in _CLEANED or not place.is_dir():
            return
        with suppress(OSError), os.scandir(place) as entries:
            left = [(Path(entry.path), found) for entry in entries if (found := _LEFT.fullmatch(entry.name))]
            for file, found in sorted(left, key=lambda one: one[0]):
                if found["name"].startswith(start):
                    _clean_up(file, found)
        _CLEANED.add(place)


def _clean_up(file: Path, found: re.Match[str]) -> None:
    if not _is_abandoned(file, found):
        return
    target = file.with_name(found["name"])
    if found["aside"] and not target.exists():
        with suppress(OSError):
            file.replace(target)
    _delete(file)


def _is_abandoned(file: Path, found: re.Match[str]) -> bool:
    """Whether the process that wrote a temporary file has ended."""
    if found["host"] != _host() or sys.platform == "win32":  # there, os.kill would end the process
        with suppress(OSError):
            return file.lstat().st_ctime < time.time() - _DAY
        return False
    if int(found["pid"]) == os.getpid():  # of a process before this one, as this one has written nothing here
        return True
    with suppress(PermissionError):
        try:
            os.kill(int(found["pid"]), 0)
        except (ProcessLookupError, OverflowError):
            return True
    return False


def _process() -> str:
    """A name for this process among those of all machines that may share a disk."""
    return f"{os.getpid()}-{_host()}"


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:4]


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file that several processes may write; it is on the disk when this returns.

    Half a line at the end, which a killed process left, is removed.

    Raises:
        OSError: It cannot be written; the lines before stay.
    """
    with naming_file(path), path.open("ab+", buffering=0) as stream:
        lock(stream, wait=True)
        end = stream.seek(0, os.SEEK_END)
        whole = _end_of_lines(stream, end)
        if whole < end:
            stream.truncate(whole)
        try:
            write_all(stream, line + b"\n")
            os.fsync(stream.fileno())
        except OSError:
            with suppress(OSError):
                stream.truncate(whole)
            raise


def _end_of_lines(stream: io.FileIO, end: int) -> int:
    """Bytes up to the end of the last whole line."""
    while end > 0:
        begin = max(0, end - _PIECE)
        stream.seek(begin)
        found = stream.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def write_all(stream: io.FileIO, content: bytes) -> None:
    """Write to a file without a buffer, so that after an error nothing waits to be written when it is closed.

    Raises:
        OSError: A part cannot be written.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[stream.write(rest) :]


def lock(stream: IO[bytes], *, wait: bool) -> bool:
    """Lock a file until it is closed; False if another process has the lock. The lock of a killed process is gone."""
    try:
        import fcntl  # Windows has none: there, two processes must not share a folder
    except ModuleNotFoundError:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file completely or not at all.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, record: Any) -> None:
    """Write a record as readable JSON, completely or not at all.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    write_bytes(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _delete(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def read_toml(path: Path) -> dict[str, Any]:
    """Content of a TOML file.

    Raises:
        ConfigError: It cannot be read, or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML (brackets are nested too deeply)") from error
    except ValueError as error:  # not UTF-8, no TOML, absurdly long
        raise ConfigError(f"{path}: not valid TOML ({str(error)[:_SHOWN]})") from error


def parse_toml(text: str) -> Any:
    """A value as TOML reads it; the text itself if that is not one valid TOML value.

    Example:
        >>> parse_toml("[1, 2]"), parse_toml(" cpu ")
        ([1, 2], 'cpu')
    """
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return found["value"] if len(found) == 1 else text.strip()
