"""Files: written completely or not at all, digests, TOML."""

import hashlib
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from bimodal.errors import ConfigError

TEMPORARY: Final = ".*.tmp"
"""Glob pattern of what a killed process may leave behind."""

_SHOWN: Final = 300  # characters of a message of another library


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file or a folder under a temporary name, and rename it to `path` when the block ends without an error.

    A reader sees the old content or the new content, never half of it. What stood at `path` is replaced.

    Args:
        path: File or folder to write; its parent folder must exist.

    Yields:
        A path beside it that does not exist yet. Write to it.

    Raises:
        OSError: It cannot be written; nothing is left behind, and `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    _delete(temporary)
    try:
        yield temporary
        if temporary.is_dir():
            _delete(path)
        else:
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        _delete(temporary)


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML ({str(error)[:_SHOWN]})") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML (brackets are nested too deeply)") from error


def parse_toml(text: str) -> Any:
    """A value as TOML reads it; the text itself if that is not one valid TOML value.

    Example:
        >>> parse_toml("[1, 2]"), parse_toml(" cpu ")
        ([1, 2], 'cpu')
    """
    try:
        found = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text.strip()
    return found["value"] if len(found) == 1 else text.strip()
