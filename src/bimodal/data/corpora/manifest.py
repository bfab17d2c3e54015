"""Your own recordings: a manifest in the formats of `bimodal.data.manifest`."""

from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError
from bimodal.records import Utterance

NAMES = ("manifest.csv", "manifest.jsonl", "metadata.csv")


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of your own manifest, unchanged.

    Args:
        source: The manifest, or the folder with `manifest.csv`, `manifest.jsonl` or `metadata.csv`; paths are relative
            to that folder.

    Raises:
        ManifestError: If there is none, more than one, or the manifest has a problem.
    """
    if source.is_file():
        return read_manifest(source).utterances
    found = [name for name in NAMES if (source / name).is_file()]
    if len(found) != 1:
        raise ManifestError(f"{source}: expected exactly one of {', '.join(NAMES)}, found {', '.join(found) or 'none'}")
    return read_manifest(source / found[0]).utterances


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="your own recordings or texts, listed in a manifest",
    languages=(),
    licence="yours",
    citation="none",
    url="none",
    files="a manifest (.csv or .jsonl), or the folder with manifest.csv, manifest.jsonl or metadata.csv",
)
