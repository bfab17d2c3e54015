"""EmoBox: `NAME.jsonl`, `label_map.json`, and parts of folds, `fold_1/NAME_train_fold_1.jsonl` (Ma et al., 2024).

An object has `key`, `dataset`, `wav`, `type`, `sample_rate`, `num_frame`, `task`, `length`, `emo` and `channel`; times
are `start_time` and `end_time`. EmoBox reads one emotion a row, so `emo` has the most frequent one; `emotions` has all,
and further columns stand beside it, which EmoBox passes over. Source: https://github.com/emo-box/EmoBox (README,
EmoDataset.py).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bimodal.audio.decode import AudioHeader
from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import header_reader, link_below, splits_of, spoken
from bimodal.data.exchange.rows import (
    cell_text,
    json_lines,
    many,
    most_frequent,
    read_json,
    row_cells,
    rows_as_manifest,
    with_several_labels,
    write_json_file,
    write_text,
)
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

PARTS: Final = {"train": "train", "valid": "dev", "test": "test"}
OWN: tuple[str, ...] = ("key", "dataset", "wav", "type", "sample_rate", "num_frame", "task", "length", "emo", "channel")
OWN += ("start_time", "end_time", "emotions")
LABELS = "label_map.json"


def read(source: Path, options: ReadOptions) -> Manifest:
    """Utterances of a folder of EmoBox's `data/`, or of one of its files.

    With one fold its parts are the splits; with several, the column `fold` has the fold in whose test part a row is.
    Paths such as `downloads/ased/...` are relative to the folder above in which they exist, else to `source`.

    Raises:
        ManifestError: There is no such file, or a row lacks `wav`.
    """
    folder = source if source.is_dir() else source.parent
    items, folds = _items(source), sorted(folder.glob("fold_*"))
    names = read_json(folder / LABELS) if (folder / LABELS).is_file() else {}
    if not isinstance(names, dict):
        raise ManifestError(f"{folder / LABELS}: found a {type(names).__name__}, expected an object of labels")
    parts = _parts(folds)
    rows = [_cells(item, key, names, source) | parts.get(key, {}) for key, item in items.items()]
    return rows_as_manifest(rows, _base(folder, rows), source, options.root)


def _items(source: Path) -> dict[str, Mapping[str, Any]]:
    """The objects by their key; those of the folds where there is no list of all."""
    if source.is_file():
        return _objects(source)
    whole = sorted([*source.glob("*.jsonl"), *(file for file in source.glob("*.json") if file.name != LABELS)])
    listed = whole[-1:] or sorted([*source.glob("fold_*/*.jsonl")]) or sorted(source.glob("fold_*/*.json"))
    if not listed:
        raise ManifestError(f"{source}: no .jsonl and no fold_1 in this folder, expected a folder of EmoBox's data")
    found: dict[str, Mapping[str, Any]] = {}
    for file in listed:
        found |= _objects(file)
    return found


def _objects(file: Path) -> dict[str, Mapping[str, Any]]:
    if file.suffix == ".jsonl":
        return {cell_text(item.get("key")): item for item in json_lines(file)}
    content = read_json(file)
    if not isinstance(content, dict) or not all(isinstance(item, dict) for item in content.values()):
        raise ManifestError(f"{file}: expected an object of objects, as EmoBox writes it")
    return content


def _parts(folds: Sequence[Path]) -> Mapping[str, dict[str, str]]:
    """The split of each key, or its fold where there are several."""
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for fold in folds:
        number = fold.name.removeprefix("fold_")
        for theirs, ours in PARTS.items():
            files = sorted(fold.glob(f"*_{theirs}_fold_{number}.json*"), reverse=True)  # .jsonl first
            for key in _objects(files[0]) if files else ():
                if len(folds) == 1:
                    parts[key]["split"] = ours
                elif ours == "test":
                    parts[key]["fold"] = number
    return parts


def _cells(item: Mapping[str, Any], key: str, names: Mapping[str, str], source: Path) -> dict[str, str]:
    if not isinstance(item.get("wav"), str):
        raise ManifestError(f"{source}: {key!r} has no wav, expected rows of EmoBox with key, wav and emo")
    emotion = cell_text(item.get("emotions") or names.get(cell_text(item.get("emo")), item.get("emo")))
    further = {name: cell_text(value) for name, value in item.items() if name not in OWN}
    times = {"start": cell_text(item.get("start_time")), "end": cell_text(item.get("end_time"))}
    speaker = {"speaker": further.pop("spk")} if "spk" in further else {}
    return {**further, **speaker, **times, "id": key, "path": item["wav"], "emotion": emotion}


def _base(folder: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """The folder to which the paths are relative: this one, or one of the three above."""
    first = rows[0]["path"] if rows else ""
    return next((place for place in (folder, *folder.resolve().parents[:3]) if (place / first).is_file()), folder)


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write all rows, the label map, and one fold with the parts where there are splits.

    Raises:
        ManifestError: No row has a recording.
        AudioError: The header of a recording cannot be read.
    """
    lost: list[str] = []
    rows = spoken(outgoing, "EmoBox", lost)
    unlabelled = sum(row.emotion is None for row in rows)
    if unlabelled:
        lost.append(f"left out: {many(unlabelled)} without an emotion, as EmoBox needs one for each row")
        rows = tuple(row for row in rows if row.emotion is not None)
    if several := with_several_labels(rows):
        lost.append(f"{many(several)} with several emotions: EmoBox sees the most frequent one, 'emotions' has all")
    header_of = header_reader(outgoing)
    linked = link_below(outgoing, rows)
    items = {row.id: _item(row, place, outgoing.name, header_of) for row, place in zip(rows, linked, strict=True)}
    folder, name = outgoing.folder, outgoing.name
    _write_lines(folder / f"{name}.jsonl", items.values())
    write_json_file(folder / LABELS, {item["emo"]: item["emo"] for item in items.values()})
    theirs = {ours: part for part, ours in PARTS.items()}
    for split, part in splits_of(rows):
        if split:
            _write_lines(folder / "fold_1" / f"{name}_{theirs[split]}_fold_1.jsonl", [items[row.id] for row in part])
    yield from lost


def _item(row: Utterance, place: Utterance, name: str, header_of: Callable[[str], AudioHeader]) -> dict[str, Any]:
    header = header_of(str(row.path))
    start, end = row.start or 0.0, header.duration if row.end is None else row.end
    times = {} if row.start is None and row.end is None else {"start_time": start, "end_time": end}
    cells = row_cells(row)
    left = ("id", "path", "start", "end", "emotion", "split", "speaker")
    several = {"emotions": row.emotion} if row.emotion != most_frequent(str(row.emotion)) else {}
    return {
        "key": row.id,
        "dataset": name,
        "wav": place.path,
        "type": "raw",
        "sample_rate": header.sampling_rate,
        "num_frame": (end - start) * header.sampling_rate,
        "task": "category",
        "length": end - start,
        "emo": most_frequent(str(row.emotion)),
        "channel": 1,
        **times,
        **several,
        **({"spk": row.speaker} if row.speaker else {}),
        **{key: value for key, value in cells.items() if key not in (*left, *OWN)},
    }


def _write_lines(file: Path, items: Any) -> None:
    write_text(file, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items))


def recognise(source: Path) -> bool:
    """Whether a folder has a label map or folds of EmoBox."""
    return source.is_dir() and ((source / LABELS).is_file() or any(source.glob("fold_*/*_fold_*.json*")))


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="EmoBox: rows, label map and folds",
    files="NAME.jsonl, label_map.json, fold_1/NAME_train_fold_1.jsonl, audio/",
)
