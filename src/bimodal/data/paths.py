"""Paths in a manifest: below its folder, or below another folder that is named explicitly."""

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FOREIGN: Final = re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*://")
_ADVICE: Final = "; --root FOLDER allows recordings below another folder"


@dataclass(kw_only=True, slots=True)
class PathFinder:
    """Finds the recordings that a manifest names.

    Attributes:
        folder: The manifest's, resolved.
        root: Folder below which recordings may lie, too, resolved; None for none.
        inside: Whether each folder that was looked at lies within the manifest's.
    """

    folder: Path
    root: Path | None = None
    inside: dict[str, bool] = field(default_factory=dict)

    def find(self, path: str) -> tuple[str, list[str]]:
        """A path as the file system has it, and what speaks against it.

        With a root, a path may be absolute, begin with `~`, or be relative to the root.
        """
        if FOREIGN.match(path) or "\\" in path or "\0" in path:
            return path, [f"path {path!r} must be relative to the manifest, with / between folders"]
        try:
            if self.root is not None:
                return self._below_root(path, self.root)
            complaints = self._complaints(path)
            return (path if complaints else spelled_on_disk(self.folder, path)), complaints
        except (OSError, RuntimeError) as error:  # a name that is too long, a circle of links, an unknown user
            return path, [f"path {path[:80]!r} cannot be followed ({error})"]

    def _complaints(self, path: str) -> list[str]:
        if path.startswith(("/", "~/")):
            return [f"path {path!r} must be relative to the manifest, with / between folders{_ADVICE}"]
        if ".." in path.split("/"):
            return [f"path {path!r} may not leave the manifest's folder with ..{_ADVICE}"]
        parent, file = path.rpartition("/")[0], self.folder / path
        if parent not in self.inside:
            self.inside[parent] = (self.folder / parent).resolve().is_relative_to(self.folder)
        if self.inside[parent] and not (file.is_symlink() and not file.resolve().is_relative_to(self.folder)):
            return []
        return [f"path {path!r} leaves the manifest's folder through a symbolic link{_ADVICE}"]

    def _below_root(self, path: str, root: Path) -> tuple[str, list[str]]:
        expanded = str(Path(path).expanduser())
        for folder in (self.folder, root):
            found = spelled_on_disk(folder, expanded)
            if (folder / found).exists():
                break
        else:
            folder, found = self.folder, expanded
        file = (folder / found).resolve()
        if not (file.is_relative_to(root) or file.is_relative_to(self.folder)):
            return path, [f"path {path!r} is neither below the manifest's folder nor below --root {root}"]
        return (found if folder == self.folder else str(folder / found)), []


def spelled_on_disk(folder: Path, path: str) -> str:
    """A path with each name as the file system spells it.

    `ü` may be one character or two (Unicode NFC or NFD), which look alike. Where a file does not exist, one whose name
    differs by that alone is taken.

    Args:
        folder: Folder that the path is relative to.
        path: As a manifest has it.
    """
    if path.isascii() or (folder / path).exists():
        return path
    place, names = (Path("/") if path.startswith("/") else folder), list[str]()
    for name in path.split("/"):
        if name and not (place / name).exists() and place.is_dir():
            same = unicodedata.normalize("NFC", name)
            found = next((one.name for one in place.iterdir() if unicodedata.normalize("NFC", one.name) == same), name)
        else:
            found = name
        names.append(found)
        place = place / found
    return "/".join(names)
