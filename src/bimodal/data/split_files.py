"""Files of splits: our own `splits.json`, CSV, and the folds of EmoBox (arXiv 2406.07162)."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from bimodal.data.splits import Fold
from bimodal.errors import SplitError
from bimodal.files import JSON_ERRORS, write_bytes
from bimodal.records import Utterance, shortened

SPLITS_FILE: Final = "splits.json"
PARTS: Final[Mapping[str, str]] = {"train": "train", "dev": "dev", "valid": "dev", "val": "dev", "test": "test"}
"""Names that files use for the parts of a fold."""

_EMOBOX_FILE: Final = re.compile(r".+_(train|valid|test)_fold(_?)(\w+)\.(jsonl?)")
_MOST_NAMED: Final = 3

Named = dict[str, dict[str, list[str]]]
"""Ids by fold and part."""


@dataclass(frozen=True, kw_only=True)
class FoldIds:
    """The utterance ids of one fold.

    Attributes:
        train: To train on.
        test: To test on.
        dev: To choose among models with; None: taken from `train` when a model is trained.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    dev: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Content of `splits.json`.

    Attributes:
        protocol: What stood behind `--folds`.
        seed: Of the folds and the dev parts.
        folds: By name.
        schema: Version of this record.
    """

    protocol: str
    seed: int
    folds: dict[str, FoldIds]
    schema: int = 1


def write_splits(path: Path, folds: Sequence[Fold], ids: Sequence[str], protocol: str, seed: int) -> None:
    """Write `splits.json`: ids of train, dev and test of each fold, one part on a line.

    Args:
        path: File to write.
        folds: Of the utterances.
        ids: Of the utterances.
        protocol: What stood behind `--folds`.
        seed: Of the folds and the dev parts.

    Raises:
        OSError: It cannot be written.
    """
    head = [f'"schema": 1, "protocol": {_json(protocol)}, "seed": {seed}, "folds": {{']
    parts = [f"{_json(fold.name)}: {{\n{_fold_lines(fold, ids)}\n}}" for fold in folds]
    write_bytes(path, ("{" + head[0] + "\n" + ",\n".join(parts) + "\n}}\n").encode())


def _fold_lines(fold: Fold, ids: Sequence[str]) -> str:
    parts = {"train": fold.train, "dev": fold.dev, "test": fold.test}
    known = {name: [ids[row] for row in rows] for name, rows in parts.items() if rows is not None}
    return ",\n".join(f"{_json(name)}: {_json(found)}" for name, found in known.items())


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def read_folds(path: Path, rows: Sequence[Utterance], manifest: Sequence[Utterance]) -> tuple[Fold, ...]:
    """Folds from a file.

    `.json` with `folds` is what `write_splits` writes. `.csv` has the columns `id` and `fold`: the fold in which a row
    is tested; all others train. With a third column `part` (train, dev, test), a row stands once for each fold that
    it is in. EmoBox: a corpus's folder with `fold_1`, ..., one such folder, or a file in it; rows of the manifest that
    it leaves out are in no part.

    Args:
        path: File or folder.
        rows: The labelled utterances that are used; the folds have their row numbers.
        manifest: All utterances of the manifest.

    Raises:
        SplitError: The file cannot be read, or it does not fit the manifest.
    """
    try:
        named = _read_named(path, manifest)
    except OSError as error:
        raise SplitError(f"{path}: the splits cannot be read ({error.strerror})") from error
    except (*JSON_ERRORS, csv.Error, ValueError, TypeError, AttributeError) as error:
        raise SplitError(f"{path}: no splits that can be read ({shortened(str(error))})") from error
    _check_ids(path, named, manifest)
    _check_parts(path, named)
    if not _is_emobox(path):  # which leaves rows out of some corpora; the report counts them
        _check_missing(path, named, rows)
    return tuple(_fold(path, name, parts, rows) for name, parts in named.items())


def _read_named(path: Path, manifest: Sequence[Utterance]) -> Named:
    if _is_emobox(path):
        return _read_emobox(path, manifest)
    if path.suffix.lower() == ".json":
        splits = msgspec.json.decode(path.read_bytes(), type=Splits)
        plain: Named = {name: msgspec.to_builtins(fold) for name, fold in splits.folds.items()}
        return {
            name: {part: list(ids) for part, ids in fold.items() if ids is not None} for name, fold in plain.items()
        }
    if path.suffix.lower() in (".csv", ".tsv", ".jsonl"):
        return _from_table(path, _table(path))
    raise SplitError(f"{path}: a file of splits ends in .json, .jsonl or .csv, this one in {path.suffix!r}")


def _is_emobox(path: Path) -> bool:
    return path.is_dir() or bool(_EMOBOX_FILE.fullmatch(path.name))


def _table(path: Path) -> list[dict[str, Any]]:
    """The lines of a CSV or JSON Lines file."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".jsonl":
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in text.splitlines() if line.strip()]
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    return list(csv.DictReader(text.splitlines(), delimiter=delimiter, strict=True))


def _from_table(path: Path, table: Sequence[Mapping[str, Any]]) -> Named:
    columns = set(table[0]) if table else set()
    if not {"id", "fold"} <= columns:
        raise SplitError(f"{path}: the columns are {sorted(columns)}, expected id and fold, and perhaps part")
    cells = [tuple(str(line.get(name) or "").strip() for name in ("id", "fold", "part")) for line in table]
    for number, (one, fold, part) in enumerate(cells, start=1):
        if not one or not fold or ("part" in columns and part.lower() not in PARTS):
            raise SplitError(
                f"{path}: row {number} has id {one!r}, fold {fold!r}, part {part!r}; expected an id, a fold, and as "
                "part one of train, dev, test"
            )
    return _explicit(cells) if "part" in columns else _complementary(path, cells)


def _explicit(cells: Iterable[tuple[str, ...]]) -> Named:
    named: Named = {}
    for one, fold, part in cells:
        named.setdefault(fold, {"train": [], "test": []}).setdefault(PARTS[part.lower()], []).append(one)
    return named


def _complementary(path: Path, cells: Sequence[tuple[str, ...]]) -> Named:
    """Folds of rows that name the one in which they are tested."""
    if twice := _twice([one for one, _, _ in cells]):
        raise SplitError(f"{path}: {twice!r} stands in two rows, expected one fold for each id")
    names = dict.fromkeys(fold for _, fold, _ in cells)
    return {
        name: {
            part: [one for one, fold, _ in cells if (fold == name) == (part == "test")] for part in ("train", "test")
        }
        for name in names
    }


def _twice(ids: Sequence[str]) -> str | None:
    seen = set[str]()
    return next((one for one in ids if one in seen or seen.add(one)), None)  # type: ignore[func-returns-value]


def _read_emobox(path: Path, manifest: Sequence[Utterance]) -> Named:
    """The folds of a corpus of EmoBox: of all `fold_...` folders below a folder, of one of them, or of a file's."""
    folder = path if path.is_dir() else path.parent
    files = _emobox_files(folder) or [file for below in sorted(folder.glob("fold*")) for file in _emobox_files(below)]
    if not files:
        raise SplitError(
            f"{path}: no folds of EmoBox, expected files such as fold_1/NAME_train_fold_1.jsonl and "
            "fold_1/NAME_test_fold_1.jsonl"
        )
    names, named = _EmoBoxNames(manifest), dict[str, dict[str, list[str]]]()
    for file in files:
        part, _, fold, _ = _matched(file)
        found = named.setdefault(fold, {"train": [], "test": []})
        if not found.get(PARTS[part]):
            found[PARTS[part]] = [names.find(file, *entry) for entry in _emobox_entries(file)]
    return named


def _emobox_files(folder: Path) -> list[Path]:
    """The files of a fold folder; of several of one part, the best kept spelling and kind first."""
    files = [file for file in folder.glob("*.json*") if _EMOBOX_FILE.fullmatch(file.name)]
    return sorted(files, key=lambda file: (not _matched(file)[1], file.suffix != ".jsonl", file.name))


def _matched(file: Path) -> tuple[str, ...]:
    found = _EMOBOX_FILE.fullmatch(file.name)
    return found.groups() if found else ()


def _emobox_entries(file: Path) -> list[tuple[str, str, str]]:
    """Key, corpus and recording of each entry."""
    if file.suffix == ".jsonl":
        lines = [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        entries = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines]
    else:
        whole = msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, Any]])
        entries = [{"key": key, **entry} for key, entry in whole.items()]
    return [(str(one["key"]), str(one.get("dataset", "")), str(one.get("wav", ""))) for one in entries]


class _EmoBoxNames:
    """Finds the utterance of an EmoBox entry: by its key with or without the corpus, by its file's name."""

    def __init__(self, manifest: Sequence[Utterance]) -> None:
        self.ids = {utterance.id for utterance in manifest}
        self.paths: dict[str, list[Utterance]] = {}
        for utterance in manifest:
            if utterance.path:
                self.paths.setdefault(PurePosixPath(utterance.path).stem, []).append(utterance)

    def find(self, file: Path, key: str, corpus: str, wav: str) -> str:
        """The id; the key itself if there is none, which is told later."""
        short = key.removeprefix(f"{corpus}-")
        stem = PurePosixPath(wav).stem
        first, _, part = short.rpartition("-")  # MELD: dia0_utt0-train, here train_dia0_utt0
        for name in (key, short, stem, f"{part}_{first}"):
            if name in self.ids:
                return name
        found = self.paths.get(stem) or self.paths.get(short) or []
        if len(found) > 1:  # such as MELD, whose parts use the same names in folders of their own
            parent = PurePosixPath(wav).parent.name
            found = [one for one in found if PurePosixPath(one.path or "").parent.name == parent] or found
        if len(found) > 1:
            raise SplitError(
                f"{file}: {key!r} may be {found[0].id!r} or {found[1].id!r}; give the manifest ids of EmoBox"
            )
        return found[0].id if found else key


def _check_ids(path: Path, named: Named, manifest: Sequence[Utterance]) -> None:
    listed = dict.fromkeys(one for parts in named.values() for ids in parts.values() for one in ids)
    known = {utterance.id for utterance in manifest}
    unknown = [one for one in listed if one not in known]
    if unknown:
        raise SplitError(
            f"{path}: {len(unknown)} of {len(listed)} ids are not in the manifest ({_some(unknown)}); these are splits "
            "of another manifest, or its ids have changed"
        )
    if not listed:
        raise SplitError(f"{path}: there are no ids in it, expected at least one fold")


def _check_parts(path: Path, named: Named) -> None:
    tested: dict[str, str] = {}
    for name, parts in named.items():
        if twice := _twice([one for ids in parts.values() for one in ids]):
            raise SplitError(f"{path}: {twice!r} stands twice in fold {name!r}, expected once, in train, dev or test")
        for one in parts.get("test", []):
            if one in tested:
                raise SplitError(f"{path}: {one!r} is tested in the folds {tested[one]!r} and {name!r}, expected one")
            tested[one] = name


def _check_missing(path: Path, named: Named, rows: Sequence[Utterance]) -> None:
    listed = {one for parts in named.values() for ids in parts.values() for one in ids}
    missing = [row.id for row in rows if row.id not in listed]
    if missing:
        raise SplitError(
            f"{path}: {len(missing)} of {len(rows)} labelled rows of the manifest are in no fold ({_some(missing)}); "
            "add them to the splits, or take them out of the manifest"
        )


def _fold(path: Path, name: str, parts: Mapping[str, Sequence[str]], rows: Sequence[Utterance]) -> Fold:
    place = {row.id: number for number, row in enumerate(rows)}
    found = {part: tuple(sorted(place[one] for one in ids if one in place)) for part, ids in parts.items()}
    for part in ("train", "test"):
        if not found.get(part):
            raise SplitError(f"{path}: fold {name!r} has no labelled row to {part} {'on' if part == 'train' else ''}")
    return Fold(name=name, train=found["train"], test=found["test"], dev=found.get("dev"))


def _some(names: Sequence[str]) -> str:
    rest = ", ..." if len(names) > _MOST_NAMED else ""
    return ", ".join(map(repr, names[:_MOST_NAMED])) + rest
