"""Hugging Face's audiofolder: recordings with a `metadata.csv` or `metadata.jsonl`, in a folder for each part.

`file_name` names a recording, relative to the file; further columns are free. The parts are `train`, `validation` and
`test`. Source: https://huggingface.co/docs/datasets/audio_dataset (AudioFolder).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bimodal.audio.decode import AudioHeader
from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import header_reader, link_below, splits_of, spoken
from bimodal.data.exchange.rows import many, row_cells, rows_as_manifest, write_text
from bimodal.data.manifest import SPLITS, read_manifest
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

NAMES = ("metadata.csv", "metadata.jsonl")
PARTS: Final = {"train": "train", "dev": "validation", "test": "test"}


def read(source: Path, options: ReadOptions) -> Manifest:
    """Utterances of all metadata files below a folder.

    A folder called `train`, `validation` or `test` is the split of what lies in it, unless the file has a column
    `split`.

    Raises:
        ManifestError: There is no such file, or one has a problem.
    """
    files = _files(source)
    if not files:
        raise ManifestError(f"{source}: no {' and no '.join(NAMES)} below, expected an audiofolder")
    rows = [row for file in files for row in _rows(file, source, options.root)]
    return rows_as_manifest([row_cells(row) for row in rows], source, source, options.root)


def _files(source: Path) -> list[Path]:
    return sorted(file for name in NAMES for file in source.rglob(name))


def _rows(file: Path, source: Path, root: Path | None) -> Iterator[Utterance]:
    manifest, folder = read_manifest(file, root=root), file.parent.relative_to(source)
    split = next((SPLITS[part.lower()] for part in folder.parts if part.lower() in SPLITS), None)
    named = "id" in manifest.columns
    for row in manifest.utterances:
        inside = row.path is None or Path(row.path).is_absolute()
        path = row.path if inside else (folder / str(row.path)).as_posix()
        name = row.id if named or folder == Path() else (folder / row.id).as_posix()
        yield replace(row, id=name, path=path, split=row.split or split)


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write a folder for each split, with `metadata.jsonl` and the recordings; no folders if no row has a split.

    If any row has times, all have them: those of a whole recording are 0 and its length.

    Raises:
        ManifestError: No row has a recording.
    """
    lost: list[str] = []
    rows = spoken(outgoing, "an audiofolder", lost)
    parts = dict(splits_of(rows))
    if len(parts) > 1 and "" in parts:
        lost.append(f"{many(len(parts['']))} without a split: in the folder 'unsplit', which 'datasets' does not load")
    cells = _same_columns(rows, header_reader(outgoing))
    for split, part in parts.items():
        below = f"{PARTS[split]}/" if split else "unsplit/" if len(parts) > 1 else ""
        linked = link_below(outgoing, part, below)
        lines = [json.dumps({"file_name": row.path, **cells[row.id]}, ensure_ascii=False) + "\n" for row in linked]
        write_text(outgoing.folder / below / "metadata.jsonl", "".join(lines))
    yield from lost


def _same_columns(
    rows: Sequence[Utterance], header_of: Callable[[str], AudioHeader]
) -> dict[str, dict[str, str | float]]:
    """Cells of each row, by id, with the same columns and types in all parts: 'datasets' loads no others."""
    cells = {row.id: row_cells(row) for row in rows}
    columns = list(dict.fromkeys(name for told in cells.values() for name in told if name not in ("path", "split")))
    if times := {"start", "end"} & set(columns):
        for row in rows:
            whole = {"start": 0.0, "end": header_of(str(row.path)).duration if row.end is None else row.end}
            cells[row.id] = {**whole, **cells[row.id]}
        columns = [*("start", "end"), *(name for name in columns if name not in times)]
    return {name: {column: told.get(column, "") for column in columns} for name, told in cells.items()}


def recognise(source: Path) -> bool:
    """Whether a folder has metadata of an audiofolder in it, or in folders of its parts."""
    return source.is_dir() and any((place / name).is_file() for place in _places(source) for name in NAMES)


def _places(source: Path) -> list[Path]:
    return [source, *(place for place in sorted(source.iterdir()) if place.is_dir())]


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="audiofolder: a folder that Hugging Face's 'datasets' loads",
    files="train/metadata.jsonl, train/audio/, validation/..., test/...",
)
