"""A manifest and its recordings as a folder: what `bimodal prepare manifest` makes, too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bimodal.data.corpora.manifest import NAMES
from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import link_below
from bimodal.data.manifest import read_manifest, write_manifest
from bimodal.errors import ManifestError
from bimodal.records import Manifest

SUFFIXES = (".csv", ".tsv", ".jsonl")


def read(source: Path, options: ReadOptions) -> Manifest:
    """The utterances of a manifest, or of the manifest of a folder.

    Raises:
        ManifestError: There is none, or it has a problem.
    """
    if source.is_dir():
        found = [source / name for name in NAMES if (source / name).is_file()]
        if not found:
            raise ManifestError(f"{source}: no {' or '.join(NAMES)} in this folder")
        source = found[0]
    return read_manifest(source, root=options.root)


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write `manifest.csv` and the recordings; nothing is lost.

    Raises:
        ManifestError: As `write_manifest`.
    """
    write_manifest(outgoing.folder / "manifest.csv", link_below(outgoing, outgoing.utterances))
    yield from ()


def recognise(source: Path) -> bool:
    """Whether this is a manifest, or a folder with one."""
    if source.is_dir():
        return any((source / name).is_file() for name in ("manifest.csv", "manifest.jsonl"))
    return source.suffix.lower() in SUFFIXES


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="manifest: read by every command of bimodal",
    files="manifest.csv, audio/",
)
