"""Recordings put below another folder, without a copy where the file system allows it."""

import os
import shutil
from pathlib import Path

from bimodal.errors import ManifestError
from bimodal.files import atomic_write


def link_recording(original: Path, target: Path) -> None:
    """A hard link, or a copy on another file system; complete or not there at all. The same file is kept.

    Raises:
        ManifestError: It cannot be written.
    """
    try:
        if target.exists():
            there, here = target.stat(), original.stat()
            if (there.st_size, there.st_mtime) == (here.st_size, here.st_mtime):  # as links and copies both have them
                return
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as temporary:
            try:
                os.link(original, temporary)
            except OSError:  # another file system, or one without hard links
                shutil.copy2(original, temporary)
    except OSError as error:
        raise ManifestError(f"{target}: cannot be written ({error.strerror})") from error
