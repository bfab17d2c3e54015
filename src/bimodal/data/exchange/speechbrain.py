"""SpeechBrain: one manifest for each part, `train.json`, `valid.json` and `test.json`, or the same as `.csv`.

JSON has an object of rows by their id; CSV begins with the columns `ID` and `duration`. Recordings are `wav`,
`{data_root}` stands for their folder, and a stretch is an object with `file`, `start` and `stop` in samples. Words are
`wrd` or `words`, speakers `spk_id`, emotions `emo`. Source: https://speechbrain.readthedocs.io (data loading;
read_audio), and the recipe for IEMOCAP.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from bimodal.audio.decode import AudioHeader, read_header
from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import header_reader, link_below, splits_of
from bimodal.data.exchange.rows import cell_text, read_json, row_cells, rows_as_manifest, write_json_file, write_text
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

PARTS: Final = {"train": "train", "valid": "dev", "dev": "dev", "test": "test", "all": ""}
THEIRS: Final = {"train": "train", "dev": "valid", "test": "test", "": "all"}
FIELDS: Final = {"wrd": "transcript", "words": "transcript", "spk_id": "speaker", "emo": "emotion"}
ROOT = "{data_root}/"
DERIVED = ("ID", "duration", "length", "wav", "start_sample", "stop_sample")


def read(source: Path, options: ReadOptions, *, suffix: str = ".json") -> Manifest:
    """Utterances of all parts in a folder, or of one file.

    Raises:
        ManifestError: There is none, or a row is no object.
    """
    files = [source] if source.is_file() else [file for part in PARTS if (file := source / f"{part}{suffix}").is_file()]
    if not files:
        expected = ", ".join(f"{part}{suffix}" for part in PARTS)
        raise ManifestError(f"{source}: none of {expected} in this folder, expected manifests of SpeechBrain")
    folder = source.parent if source.is_file() else source
    reader = _json_rows if suffix == ".json" else _csv_rows
    rows = [
        _cells(item, name, PARTS.get(file.stem, ""), folder) for file in files for name, item in reader(file).items()
    ]
    return rows_as_manifest(rows, folder, source, options.root)


def _json_rows(file: Path) -> Mapping[str, Mapping[str, Any]]:
    content = read_json(file)
    if not isinstance(content, dict) or not all(isinstance(item, dict) for item in content.values()):
        raise ManifestError(f"{file}: expected an object with an object for each utterance, as SpeechBrain reads it")
    return content


def _csv_rows(file: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        reader = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline=""), skipinitialspace=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{file}: not a CSV file in UTF-8 ({str(error)[:100]})") from error
    if "ID" not in (reader.fieldnames or ()):
        raise ManifestError(f"{file}:1: no column ID, found {reader.fieldnames}; expected a manifest of SpeechBrain")
    return {str(row["ID"]): {name: value for name, value in row.items() if name and value} for row in rows}


def _cells(item: Mapping[str, Any], name: str, split: str, folder: Path) -> dict[str, str | float]:
    wav = item.get("wav") or {}
    stretch = wav if isinstance(wav, dict) else {"file": wav}
    path = cell_text(stretch.get("file")).removeprefix(ROOT).removeprefix(ROOT.replace("{data_root}", "$data_root"))
    named = {FIELDS.get(key, key): cell_text(value) for key, value in item.items() if key not in DERIVED}
    times: dict[str, float] = {}
    for field, place in (("start", stretch.get("start")), ("end", stretch.get("stop"))):
        if field not in named and isinstance(place, int) and place >= 0 and (folder / path).is_file():
            times[field] = place / read_header(folder / path).sampling_rate
    return {**times, **named, "id": name, "path": path, "split": split or named.get("split", "")}


def write(outgoing: Outgoing, *, suffix: str = ".json") -> Iterator[str]:
    """Write a manifest for each split, `all` for rows without one. Seconds stand beside the samples of a stretch.

    Raises:
        ManifestError: As `link_below`.
        AudioError: The header of a recording cannot be read.
    """
    header_of = header_reader(outgoing)
    linked = link_below(outgoing, outgoing.utterances)
    new = {row.id: place for row, place in zip(outgoing.utterances, linked, strict=True)}
    for split, rows in splits_of(outgoing.utterances):
        file = outgoing.folder / f"{THEIRS[split]}{suffix}"
        items = {row.id: _item(row, new[row.id].path, header_of) for row in rows}
        if suffix == ".json":
            write_json_file(file, items)
        else:
            _write_csv(file, items)
    if suffix == ".csv" and any(row.path is None for row in outgoing.utterances):
        yield "rows without a recording have the duration 0"


def _item(row: Utterance, path: str | None, header_of: Callable[[str], AudioHeader]) -> dict[str, Any]:
    theirs = {"transcript": "wrd", "speaker": "spk_id", "emotion": "emo"}
    cells = {
        theirs.get(name, name): value for name, value in row_cells(row).items() if name not in ("id", "path", "split")
    }
    if row.path is None:
        return cells
    header = header_of(row.path)
    start, end = row.start or 0.0, header.duration if row.end is None else row.end
    wav: Any = f"{ROOT}{path}"
    if row.start is not None or row.end is not None:
        wav = {"file": wav, "start": round(start * header.sampling_rate), "stop": round(end * header.sampling_rate)}
    return {"wav": wav, "length": end - start, **cells}


def _write_csv(file: Path, items: Mapping[str, Mapping[str, Any]]) -> None:
    rows = [_csv_cells(name, item) for name, item in items.items()]
    columns = list(dict.fromkeys(["ID", "duration", *(column for row in rows for column in row)]))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, out.getvalue())


def _csv_cells(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    wav = item.get("wav", "")
    stretch = wav if isinstance(wav, dict) else {"file": wav}
    samples = {f"{key}_sample": stretch[key] for key in ("start", "stop") if key in stretch}
    cells = {key: value for key, value in item.items() if key not in ("wav", "length")}
    return {"ID": name, "duration": item.get("length", 0.0), "wav": stretch["file"], **samples, **cells}


def recognise(source: Path, *, suffix: str = ".json") -> bool:
    """Whether a folder has a manifest of SpeechBrain with this ending."""
    files = [source / f"{part}{suffix}" for part in PARTS]
    return source.is_dir() and any(file.is_file() and _begins_as_ours(file, suffix) for file in files)


def _begins_as_ours(file: Path, suffix: str) -> bool:
    with file.open("rb") as stream:
        head = stream.read(4096)
    return head.lstrip().startswith(b"{") if suffix == ".json" else head.startswith(b"ID,")


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="SpeechBrain: JSON manifests",
    files="train.json, valid.json, test.json (all.json without splits), audio/",
)
FORMAT_CSV: Final = ExchangeInfo(
    read=partial(read, suffix=".csv"),
    write=partial(write, suffix=".csv"),
    recognise=partial(recognise, suffix=".csv"),
    title="SpeechBrain: CSV manifests",
    files="train.csv, valid.csv, test.csv (all.csv without splits), audio/",
)
