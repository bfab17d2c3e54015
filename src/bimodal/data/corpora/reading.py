"""What the modules of published text corpora share: finding, decoding and splitting their files."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError
from bimodal.records import Manifest


def decoded(file: Path, otherwise: str = "cp1252") -> str:
    """Text of a file: UTF-8, else what some mirrors have saved it as.

    Raises:
        ManifestError: If it cannot be read.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ManifestError(f"{file}: cannot be read ({error.strerror})") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode(otherwise, errors="replace")


def lines_of(file: Path) -> list[str]:
    """Lines of a file, split at line feeds alone: a post may hold the other separators of Unicode."""
    lines = decoded(file).replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def table_rows(file: Path, needed: Collection[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Rows of a CSV file with a header, each with the line on which it ends.

    Raises:
        ManifestError: If a needed column is missing.
    """
    reader = csv.DictReader(io.StringIO(decoded(file), newline=""))
    if lacking := set(needed) - set(reader.fieldnames or ()):
        raise ManifestError(f"{file}:1: columns {sorted(lacking)} are missing, found {reader.fieldnames}")
    for row in reader:
        yield reader.line_num, row


def split_files(source: Path, names: Mapping[str, str]) -> Mapping[str, Path] | None:
    """The file of each split, anywhere below a folder and all in one; None if there is no such folder."""
    for first in sorted(source.rglob(next(iter(names.values())))):
        files = {split: first.parent / name for split, name in names.items()}
        if all(file.is_file() for file in files.values()):
            return files
    return None


def made_manifest(source: Path, columns: Collection[str]) -> Manifest | None:
    """A `manifest.csv` that was made of a corpus, recognised by its columns; None if there is none.

    Raises:
        ManifestError: If there is one and it has a problem.
    """
    file = source / "manifest.csv"
    if not file.is_file():
        return None
    manifest = read_manifest(file)
    return manifest if set(columns) <= set(manifest.columns) else None
