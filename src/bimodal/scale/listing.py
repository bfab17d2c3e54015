"""The recordings that sources name, in an order that does not change: files, folders, patterns, manifests, archives."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bimodal.audio.recordings import EXTENSIONS, shown_path
from bimodal.errors import AudioError, BimodalError
from bimodal.scale.archives import archive_items
from bimodal.scale.manifests import SUFFIXES, manifest_items
from bimodal.scale.records import Item
from bimodal.scale.stores import asking, is_url, open_store

ARCHIVE: Final = ".tar"
PACKED: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_NOT_FOUND: Final = "not found; check the address, and that its server answers"
_PATTERN: Final = frozenset("*?[")


def list_items(sources: Sequence[str], root: str | None = None) -> Iterator[Item]:
    """The recordings of all sources, in order.

    Args:
        sources: Each a recording, a folder (all recordings below it, by extension), a manifest (`.csv`, `.tsv`,
            `.jsonl`, `.parquet`), a WebDataset archive (`.tar`), or a pattern of them (`*`); a path or a URL.
        root: Folder or URL below which recordings of a manifest may lie beside the manifest's own folder.

    Raises:
        BimodalError: A source does not exist or cannot be read, or it names no recording.
    """
    for source in sources:
        store, path = open_store(source)
        with asking(source):
            found = store.info(path) if store.exists(path) else None
        if found is None and _PATTERN & set(source):
            with asking(source):
                names = [one for one in sorted(store.glob(path)) if not one.rpartition("/")[2].startswith(".")]
            if not names:
                raise BimodalError(f"{source}: no file fits this pattern")
            for name in names:
                with asking(source):
                    matched = store.info(name)
                yield from _one(_spelled(store, name, source), matched, root)
        elif found is None:
            raise BimodalError(f"{source}: {_NOT_FOUND if is_url(source) else 'no such file or folder'}")
        else:
            yield from _one(source, found, root)


def _spelled(store: Any, name: str, source: str) -> str:
    """A file that a pattern found, as a person would have written it."""
    if is_url(source):
        return str(store.unstrip_protocol(name))
    return name if os.path.isabs(source) else os.path.relpath(name)  # noqa: PTH117 (the text of a person, not a path)


def _one(source: str, found: dict[str, Any], root: str | None) -> Iterator[Item]:
    """The recordings of a source that exists."""
    lower = source.lower()
    if found["type"] == "directory":
        yield from _folder(source)
    elif lower.endswith(PACKED):
        raise BimodalError(
            f"{source}: a compressed archive cannot be read from the middle; unpack it, or pack it as {ARCHIVE}"
        )
    elif lower.endswith(ARCHIVE):
        yield from archive_items(source, located(source), found["size"])
    elif lower.endswith(SUFFIXES):
        yield from manifest_items(source, located(source), found["size"], root)
    else:
        yield Item(name=_shown(source), url=located(source), size=found["size"] or 0)


def _shown(source: str) -> str:
    return source if is_url(source) else shown_path(Path(source))


def located(source: str) -> str:
    """A source as every worker can open it: a URL as it is, an absolute path for a file of this machine.

    Example:
        >>> located("s3://calls/a.wav"), located("/data/../a.wav")
        ('s3://calls/a.wav', '/a.wav')
    """
    return source if is_url(source) else os.path.abspath(source)  # noqa: PTH100 (resolve() would follow links)


def _folder(source: str) -> Iterator[Item]:
    """All recordings below a folder by extension, in order of their paths; hidden files and folders are left out."""
    store, top = open_store(source)
    count, others = 0, set[str]()
    with asking(source):
        for folder, folders, files in store.walk(top, detail=True, topdown=True):
            for name in [name for name in folders if name.startswith(".")]:
                del folders[name]
            for name in sorted(files):
                suffix = Path(name).suffix.lower()
                others.add(suffix)
                if suffix not in EXTENSIONS or name.startswith("."):
                    continue
                count += 1
                below = f"{folder}/{name}"[len(top) :].lstrip("/")
                yield _file(source, below, files[name])
    if not count:
        packed = sorted(others & {ARCHIVE, *SUFFIXES})
        advice = f"; for those in it use the pattern '{source.rstrip('/')}/*{packed[0]}'" if packed else ""
        raise AudioError(f"{source}: no recordings in this folder or below it{advice}")


def _file(source: str, below: str, found: dict[str, Any]) -> Item:
    name = f"{source.rstrip('/')}/{below}"
    return Item(name=_shown(name), url=located(name), size=found.get("size") or 0)
