"""A small file system that really gets full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system in memory of so many bytes in place of an empty folder; skips the test where that is forbidden."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount(folder, f"size={size}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def enlarge(folder: Path, size: int) -> None:
    """Give the file system at a folder more room."""
    _mount(folder, f"remount,size={size}")


def _mount(folder: Path, options: str) -> None:
    try:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command, so no disk gets full")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a small file system cannot be mounted here, so no disk gets full: {error.stderr.strip()}")
