"""Formats of other programs, one module each: `EXCHANGE` lists them, `convert` goes from one to another."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bimodal.data.exchange import (
    audformat,
    audiofolder,
    emobox,
    kaldi,
    label_studio,
    lhotse,
    manifest,
    parquet,
    saved_dataset,
    speechbrain,
)
from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import find_files
from bimodal.errors import ManifestError
from bimodal.files import atomic_write, temporary_folder

EXCHANGE: dict[str, ExchangeInfo] = {
    "audformat": audformat.FORMAT,
    "audiofolder": audiofolder.FORMAT,
    "dataset": saved_dataset.FORMAT,
    "emobox": emobox.FORMAT,
    "kaldi": kaldi.FORMAT,
    "label_studio": label_studio.FORMAT,
    "lhotse": lhotse.FORMAT,
    "manifest": manifest.FORMAT,
    "parquet": parquet.FORMAT,
    "speechbrain": speechbrain.FORMAT,
    "speechbrain_csv": speechbrain.FORMAT_CSV,
}
"""The formats by name, for `bimodal convert`."""

ORDER: tuple[str, ...] = (
    "audformat",
    "lhotse",
    "kaldi",
    "dataset",
    "emobox",
    "speechbrain",
    "speechbrain_csv",
    "label_studio",
    "manifest",
    "audiofolder",
    "parquet",
)
"""Formats in the order in which they are looked for: those whose names say most come first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """What `convert` did.

    Attributes:
        read_as: Format that was read.
        utterances: How many were read.
        lost: One sentence for each thing that the new format cannot hold.
    """

    read_as: str
    utterances: int
    lost: tuple[str, ...]


def find_format(source: Path) -> str:
    """Name of the format of a folder or file, by the files that are there.

    Raises:
        ManifestError: It has none of `EXCHANGE`.
    """
    found = next((name for name in ORDER if EXCHANGE[name].recognise(source)), None)
    if found is None:
        raise ManifestError(
            f"{source}: no files of a format that is known; expected one of {', '.join(sorted(EXCHANGE))}"
        )
    return found


def convert(
    source: Path,
    out: Path,
    to: str = "manifest",
    *,
    read_as: str = "",
    root: Path | None = None,
    table: str = "",
) -> Converted:
    """Read a manifest or another format, and write it as a new folder of a format, complete or not at all.

    Recordings are hard-linked where the file system allows it, and copied elsewhere.

    Args:
        source: Folder or file.
        out: New folder.
        to: A key of `EXCHANGE`.
        read_as: A key of `EXCHANGE`; empty to find it.
        root: Recordings may lie below it, too, as in `read_manifest`.
        table: Table or part to read, of a format with several.

    Raises:
        ManifestError: A name is wrong, `source` cannot be read, a recording is missing, or `out` is not empty or
            cannot be written.
    """
    source, out = Path(source), Path(out)
    _check_places(source, out)
    name = _checked(read_as, source) if read_as else find_format(source)
    info = _known(to)
    _make_parent(out)
    with temporary_folder(out.resolve().parent) as scratch:
        found = EXCHANGE[name].read(source, ReadOptions(scratch=scratch, root=root, table=table))
        utterances, files = find_files(found, root, source)
        with atomic_write(out.resolve()) as folder:
            folder.mkdir()
            title = re.sub(r"[^\w-]+", "_", out.resolve().name) or "corpus"
            outgoing = Outgoing(utterances=utterances, files=files, name=title, folder=folder)
            lost = tuple(info.write(outgoing))
    return Converted(read_as=name, utterances=len(utterances), lost=lost)


def _check_places(source: Path, out: Path) -> None:
    if not source.exists():
        raise ManifestError(f"{source}: no such file or folder; give a manifest, or a folder of another format")
    base = source if source.is_dir() else source.parent
    if source.is_dir() and out.resolve().is_relative_to(base.resolve()):
        raise ManifestError(f"{out}: lies within the source {base}; choose a folder outside it")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ManifestError(f"{out}: exists and is not empty; choose a new folder, or delete it")


def _make_parent(out: Path) -> None:
    """Make the folder that the new one is to stand in, if it is missing, and see that it takes files."""
    parent = out.resolve().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(parent):
            pass
    except OSError as error:
        raise ManifestError(f"{out}: cannot be written ({error.strerror}); name another folder") from error


def _known(name: str) -> ExchangeInfo:
    if name not in EXCHANGE:
        raise ManifestError(f"unknown format {name!r}, expected one of {', '.join(sorted(EXCHANGE))}")
    return EXCHANGE[name]


def _checked(name: str, source: Path) -> str:
    """The name, unless the source is plainly of another format."""
    recognise: Callable[[Path], bool] = _known(name).recognise
    other = next((one for one in ORDER if EXCHANGE[one].recognise(source)), None)
    if source.is_dir() and not recognise(source) and other is not None:
        raise ManifestError(f"{source}: this is {other}, not {name}; leave --from out, or say --from {other}")
    return name
