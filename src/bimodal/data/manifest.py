"""Manifests: one utterance a line, as CSV or JSON Lines, read strictly and written so that they read back the same.

All problems of a file are collected and reported at once, each with its physical line. Besides our own columns the
names of other programs are understood (`bimodal.data.columns`), and the delimiters `;` and tab. Recordings are not
opened here; `bimodal.data.check` does that.
"""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimodal.data.columns import FIELDS, find_sources, index_columns
from bimodal.data.paths import PathFinder
from bimodal.errors import ManifestError
from bimodal.files import write_bytes
from bimodal.records import Manifest, Problem, Utterance, describe_problems

SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("test", "eval"), "test"),
}
FEATURES = ("pros_*", "feature_*")
_EXCEL = re.compile(r"sep=[,;\t]\r?\n")
MAX_CELL = 131_072  # characters: the limit of the csv module, kept for JSON Lines, too, so that each can hold all
MAX_COLUMNS = 20_000  # the largest usual feature sets have 6373
MAX_CELLS = 50_000_000
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
TIMEDELTA = re.compile(r"(?:(\d+) days?,? ?)?(?:\+?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?))?", re.ASCII)
"""Times as pandas writes them (`0 days 00:00:01.5`), or with hours, minutes and seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestReading:
    """The rows of a manifest, and its problems.

    Attributes:
        manifest: The utterances whose row has the right shape, those with a problem included.
        lines: Physical line on which each utterance begins, from 1.
        problems: In file order; empty for a sound manifest.
    """

    manifest: Manifest
    lines: tuple[int, ...]
    problems: tuple[Problem, ...]


@dataclass(kw_only=True, slots=True)
class _Table:
    """Rows of text while a file is being read."""

    features: Sequence[str]
    columns: tuple[str, ...] = ()
    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)


ManifestSource = str | Path | Manifest
"""A manifest's path, or a manifest that was read already."""


def open_manifest(source: ManifestSource) -> Manifest:
    """The manifest of a path, or the one that was read already.

    Raises:
        ManifestError: As `read_manifest`.
    """
    return source if isinstance(source, Manifest) else read_manifest(Path(source))


def read_manifest(path: Path, features: Sequence[str] = FEATURES, root: Path | None = None) -> Manifest:
    """Read a manifest (`.csv`, `.tsv` or `.jsonl`); all problems of the file are reported at once.

    Args:
        path: The manifest; utterance paths are relative to its folder and may not leave it.
        features: Glob patterns of numeric columns that can replace a recording.
        root: Folder below which recordings may lie, too: by an absolute path, a path from `~`, a path relative to it,
            or a symbolic link.

    Raises:
        ManifestError: If the file is missing or anything in it is wrong; shows the first 20 problems with their lines.
    """
    reading = inspect_manifest(path, features, root)
    if reading.problems:
        raise ManifestError(describe_problems(reading.problems))
    return reading.manifest


def inspect_manifest(path: Path, features: Sequence[str] = FEATURES, root: Path | None = None) -> ManifestReading:
    """Read the valid rows of a manifest, with its problems; `read_manifest` is the strict form.

    Raises:
        ManifestError: If there is no such file, or its name does not end in `.csv`, `.tsv` or `.jsonl`.
    """
    path = Path(path)
    if path.suffix.lower() not in (".csv", ".tsv", ".jsonl"):
        raise ManifestError(f"{path}: a manifest's name ends in .csv, .tsv or .jsonl, this one in {path.suffix!r}")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ManifestError(f"{path}: a pipe or device, expected a file; write the manifest to a file first")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: the manifest cannot be read ({error.strerror})") from error
    return inspect_bytes(content, path, features, root)


def write_manifest(
    path: Path,
    utterances: Sequence[Utterance],
    columns: Sequence[str] | None = None,
    features: Sequence[str] = FEATURES,
) -> Manifest:
    """Write a manifest (`.csv` or `.jsonl`) in one step, after a check that it reads back the same.

    Args:
        path: Replaced whole, or left as it was.
        utterances: In the order of the lines.
        columns: Column names in order; by default `column_names(utterances)`.
        features: Glob patterns of numeric columns that can replace a recording.

    Returns:
        The manifest as `read_manifest` reads it.

    Raises:
        ManifestError: If the utterances are not a sound manifest, would be read back otherwise (spaces around a
            speaker, a column that is not among `columns`), or the file cannot be written.
    """
    path, columns = Path(path), column_names(utterances) if columns is None else tuple(columns)
    if path.suffix not in (".csv", ".jsonl"):
        raise ManifestError(f"{path}: manifests are written as .csv or .jsonl, not {path.suffix!r}")
    form = _csv_line if path.suffix == ".csv" else _json_line
    sources = find_sources(columns)
    lines = [_csv_row(columns)] if path.suffix == ".csv" else []
    lines += [form(_cells(utterance, columns, sources)) for utterance in utterances]
    try:
        content = "".join(line + "\n" for line in lines).encode("utf-8")
    except UnicodeEncodeError as error:
        bad = error.object[error.start]
        raise ManifestError(f"{path}: {bad!r} is no valid Unicode and cannot be written") from error
    reading = inspect_bytes(content, path, features)
    if reading.problems:
        raise ManifestError(describe_problems(reading.problems))
    _check_same(utterances, reading)
    _replace_file(path, content)
    return reading.manifest


def column_names(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Columns that these utterances need: `id`, the fields that any of them has, then their other columns.

    Example:
        >>> column_names([Utterance(id="a", transcript="Hello.", extra={"gender": "female"})])
        ('id', 'transcript', 'gender')
    """
    used = [name for name in FIELDS if any(getattr(utterance, name) is not None for utterance in utterances)]
    return (*used, *dict.fromkeys(name for utterance in utterances for name in utterance.extra))


def feature_columns(utterances: Sequence[Utterance], patterns: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns that match any of the glob patterns, in the manifest's order.

    Raises:
        ManifestError: If a pattern matches no column; names the columns there are.

    Example:
        >>> feature_columns([Utterance(id="a", extra={"gender": "f", "pros_pitch": "120"})], ["pros_*"])
        ('pros_pitch',)
    """
    names = list(dict.fromkeys(name for utterance in utterances for name in utterance.extra))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ManifestError(f"no column matches {pattern!r}; the columns are {names}")
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def feature_matrix(utterances: Sequence[Utterance], patterns: Sequence[str]) -> NDArray[np.float32]:
    """Precomputed features of each utterance, from the numeric columns that match the patterns.

    Args:
        utterances: N of them.
        patterns: Glob patterns or plain names, such as `pros_*`.

    Returns:
        (N, F) float32, columns as in `feature_columns`; NaN where a cell is empty or says `nan`.

    Raises:
        ManifestError: If a pattern matches no column, or a cell is neither empty nor a finite float32 number.

    Example:
        >>> rows = [Utterance(id="a", extra={"pros_pitch": "120"}), Utterance(id="b", extra={"pros_pitch": ""})]
        >>> feature_matrix(rows, ["pros_*"]).tolist()
        [[120.0], [nan]]
    """
    names = feature_columns(utterances, patterns)
    matrix = np.empty((len(utterances), len(names)), dtype=np.float32)
    for row, utterance in enumerate(utterances):
        for column, name in enumerate(names):
            cell = utterance.extra.get(name, "").strip()
            value = math.nan if cell.lower() in ("", "nan") else _number(cell)
            if value is None or abs(value) > float(np.finfo(np.float32).max):
                raise ManifestError(
                    f"utterance {utterance.id!r}: {name} is {cell!r}, expected a number or an empty cell"
                )
            matrix[row, column] = value
    return matrix


def has_features(utterance: Utterance, patterns: Sequence[str] = FEATURES) -> bool:
    """Whether any column that matches the patterns holds a number, so that the row needs no recording.

    Example:
        >>> has_features(Utterance(id="a", extra={"pros_pitch": "120"}))
        True
    """
    return any(
        _number(cell.strip()) is not None and any(fnmatchcase(name, pattern) for pattern in patterns)
        for name, cell in utterance.extra.items()
    )


def inspect_bytes(content: bytes, path: Path, features: Sequence[str], root: Path | None = None) -> ManifestReading:
    """Read the content of a manifest; `path` need not exist: its ending is the format, its folder that of the paths."""
    table = _Table(features=features)
    text = _decode(content, table)
    if text and not table.problems:
        (_read_json_lines if path.suffix.lower() == ".jsonl" else _read_csv)(text, table)
    utterances = _utterances(table, PathFinder(folder=path.parent.resolve(), root=root.resolve() if root else None))
    problems = sorted(table.problems, key=lambda problem: problem[0])
    return ManifestReading(
        manifest=Manifest(path=path, utterances=utterances, columns=table.columns),
        lines=tuple(line for line, _ in table.rows),
        problems=tuple(Problem(where=f"{path}:{line}", message=message) for line, message in problems),
    )


def _decode(content: bytes, table: _Table) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content.partition(b"\n")[0]:
        table.problems.append((1, "this is UTF-16, or no text, expected UTF-8; save it again as UTF-8"))
        return ""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        for line, part in enumerate(content.split(b"\n"), start=1):
            try:
                part.decode("utf-8")
            except UnicodeDecodeError as error:
                found = f"byte 0x{part[error.start]:02x} at position {error.start + 1} of the line"
                table.problems.append((line, f"{found} is not UTF-8; save the file again as UTF-8"))
        return ""
    text = text.lstrip("\ufeff")  # a program that adds a byte order mark to a file that has one
    if not text.strip():
        table.problems.append((1, "the file is empty, expected a manifest with at least one utterance"))
        return ""
    return text


def _read_csv(text: str, table: _Table) -> None:
    delimiter = text[4] if _EXCEL.match(text) else find_delimiter(text)
    records = _records(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), table)
    line, header = next(records, (1, []))
    if _EXCEL.match(text):  # its first line tells the delimiter
        line, header = next(records, (2, []))
    names = [name.strip() for name in header]
    whole = []
    for number, record in records:
        if len(record) == len(names):
            whole.append((number, record))
        else:
            cells = f"{len(record)} cells, the header has {len(names)}"
            table.problems.append((number, f"{cells}; text with a comma needs quotation marks around it"))
    index = index_columns(names, [record for _, record in whole])
    table.columns = tuple(name for place, name in enumerate(names) if place not in index)
    if not _check_columns(line, table):
        table.problems = [problem for problem in table.problems if problem[0] <= line]
        return
    kept = [place for place in range(len(names)) if place not in index]
    table.rows = [(number, {names[place]: record[place] for place in kept}) for number, record in whole]


def find_delimiter(text: str) -> str:
    """The delimiter under which the header has most names that we know; a comma where nothing speaks against it."""
    header = text.lstrip().splitlines()[0]
    known = {name: len(find_sources([cell.strip(' "') for cell in header.split(name)])) for name in ",;\t"}
    return max(known, key=lambda name: known[name])


def _records(reader: Any, table: _Table) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the physical line on which it begins."""
    line = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            advice = "a quotation mark is not closed, or is inside a cell and not doubled"
            if "limit" in str(error):
                advice = f"a cell has more than {MAX_CELL} characters; is a quotation mark missing?"
            table.problems.append((line, f"cannot be split into cells ({error}): {advice}"))
        else:
            if record:
                yield line, record
        line = reader.line_num + 1


def _check_columns(line: int, table: _Table) -> bool:
    """Note problems of the column names; True if rows can be read with them."""
    before = len(table.problems)
    if len(table.columns) > MAX_COLUMNS:
        table.problems.append((line, f"{len(table.columns)} columns, expected at most {MAX_COLUMNS}"))
        return False
    for name, count in Counter(table.columns).items():
        if not name:
            table.problems.append((line, "a column has no name"))
        elif count > 1:
            table.problems.append((line, f"column {name!r} stands {count} times in the header"))
    usable = any(fnmatchcase(name, pattern) for name in table.columns for pattern in table.features)
    if not usable and not {"path", "transcript"} & set(find_sources(table.columns)):
        known = "path, transcript or feature columns"
        advice = "rename the column of the recordings to path, or that of the words to transcript"
        found = list(table.columns)[:20]
        table.problems.append((line, f"none of {known} among the columns, found {found}; {advice}"))
    return len(table.problems) == before


def _read_json_lines(text: str, table: _Table) -> None:
    for line, part in enumerate(text.split("\n"), start=1):
        if part.strip():
            try:
                content = json.loads(part, object_pairs_hook=_unique, parse_constant=_refuse)
                table.rows.append((line, _json_cells(content)))
            except json.JSONDecodeError as error:
                table.problems.append((line, f"not JSON: {error.msg} at position {error.colno}"))
            except (ValueError, RecursionError) as error:
                table.problems.append((line, f"not usable JSON: {str(error)[:200]}"))
    table.columns = tuple(dict.fromkeys(name for _, cells in table.rows for name in cells))
    if (count := len(table.columns) * len(table.rows)) > MAX_CELLS:
        found = f"{len(table.rows)} rows with {len(table.columns)} names in all"
        table.problems.append((1, f"{found} make {count} cells, expected at most {MAX_CELLS}"))
        table.rows = []
    if table.rows and not _check_columns(table.rows[0][0], table):
        table.rows = []
    table.rows = [(line, {name: cells.get(name, "") for name in table.columns}) for line, cells in table.rows]


def _json_cells(content: object) -> dict[str, str]:
    if not isinstance(content, dict):
        raise ValueError(f"found a {type(content).__name__}, expected an object with one utterance")
    cells = {}
    for name, value in content.items():
        if isinstance(value, dict | list):
            raise ValueError(f"{name!r} holds a {type(value).__name__}, expected text or a number")
        text = json.dumps(value) if isinstance(value, bool) else "" if value is None else str(value)
        if any("\ud800" <= character <= "\udfff" for character in name + text):
            raise ValueError(f"{name!r} is no valid Unicode (half of a surrogate pair)")
        cells[name.strip()] = text
    return cells


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_COLUMNS:
        raise ValueError(f"{len(pairs)} values in one object, expected at most {MAX_COLUMNS}")
    if twice := [name for name, count in Counter(name.strip() for name, _ in pairs).items() if count > 1]:
        raise ValueError(f"{twice[0]!r} stands twice in one object")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number in JSON, leave the value out")


def _utterances(table: _Table, paths: PathFinder) -> tuple[Utterance, ...]:
    sources = find_sources(table.columns)
    utterances, lines = [], dict[str, int]()
    for number, (line, cells) in enumerate(table.rows, start=1):
        utterance, complaints = read_utterance(cells, sources, number)
        if utterance.path is not None:
            found, against = paths.find(utterance.path)
            utterance = utterance if found == utterance.path else replace(utterance, path=found)
            complaints += against
        elif utterance.transcript is None and not has_features(utterance, table.features):
            complaints.append("neither a path nor a transcript nor features; one of them is needed")
        if (first := lines.setdefault(utterance.id, line)) != line:
            complaints.append(
                f"id {utterance.id!r} again, first in line {first}; give every utterance an id of its own"
            )
        table.problems += [(line, complaint) for complaint in complaints]
        utterances.append(utterance)
    if not table.rows and not table.problems:
        table.problems.append((1, "there is a header but no utterance below it"))
    return tuple(utterances)


def read_utterance(cells: Mapping[str, str], sources: Mapping[str, str], number: int) -> tuple[Utterance, list[str]]:
    """One row as a record, with what is wrong in it; a wrong cell is left out of the record."""
    complaints = [f"{name} holds a NUL character" for name, cell in cells.items() if "\0" in cell]
    complaints += [
        f"{name} is longer than {MAX_CELL} characters" for name, cell in cells.items() if len(cell) > MAX_CELL
    ]
    texts = {name: cells[column].strip() or None for name, column in sources.items()}
    if texts.get("transcript") is not None:
        texts["transcript"] = cells[sources["transcript"]]  # the words as they stand, spaces around them too
    start, end = (_seconds(name, texts.pop(name, None), complaints) for name in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        complaints.append(f"end {end} is not after start {start or 0.0}")
    split = texts.pop("split", None)
    if split is not None and split.lower() not in SPLITS:
        complaints.append(f"unknown split {split!r}, expected train, dev or test")
    texts["id"] = texts.get("id") or _identity(texts.get("path"), start, end, number)
    utterance = Utterance(
        **texts,  # type: ignore[arg-type]  # start, end and split are taken out above, the rest is text
        start=start,
        end=end,
        split=SPLITS.get((split or "").lower()),
        extra={name: cell for name, cell in cells.items() if name not in sources.values()},
    )
    return utterance, complaints


def _identity(path: str | None, start: float | None, end: float | None, number: int) -> str:
    if path is None:
        return f"row-{number}"
    return path if start is None and end is None else f"{path}#{start or 0.0}-{'' if end is None else end}"


def _seconds(name: str, cell: str | None, complaints: list[str]) -> float | None:
    cell = None if cell == "NaT" else cell  # pandas' empty time
    value = None if cell is None else _timedelta(cell)
    if cell is not None and (value is None or value < 0):
        complaints.append(f"{name} is {cell[:40]!r}, expected seconds from 0, with a point before the decimals")
        return None
    return value


def _timedelta(cell: str) -> float | None:
    """Seconds of a number, or of a time as pandas writes it; None for anything else."""
    found = TIMEDELTA.fullmatch(cell)
    if not cell or found is None or not any(found.groups()):
        return _number(cell)
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 86_400 * days + 3600 * hours + 60 * minutes + seconds


def _number(cell: str) -> float | None:
    """The finite number that a cell says; None for anything else, `nan`, `1_000` and `1,5` too."""
    value = float(cell) if NUMBER.fullmatch(cell) else math.inf
    return value if math.isfinite(value) else None


def _cells(utterance: Utterance, columns: Sequence[str], sources: Mapping[str, str]) -> dict[str, str | float | None]:
    fields = {column: name for name, column in sources.items()}
    return {name: getattr(utterance, fields[name]) if name in fields else utterance.extra.get(name) for name in columns}


def _csv_line(cells: Mapping[str, str | float | None]) -> str:
    return _csv_row(["" if value is None else str(value) for value in cells.values()])


def _csv_row(cells: Sequence[str]) -> str:
    # not csv.writer: before Python 3.13 it leaves a lone carriage return without quotation marks
    return ",".join(_quoted(cell) if set(cell) & set(',"\r\n') else cell for cell in cells)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _json_line(cells: Mapping[str, str | float | None]) -> str:
    return json.dumps({name: None if value == "" else value for name, value in cells.items()}, ensure_ascii=False)


def _check_same(utterances: Sequence[Utterance], reading: ManifestReading) -> None:
    """Raises ManifestError at the first utterance that would be read back otherwise."""
    others = [name for name in reading.manifest.columns if name not in find_sources(reading.manifest.columns).values()]
    for line, before, after in zip(reading.lines, utterances, reading.manifest.utterances, strict=True):
        given_whole = replace(before, extra={**dict.fromkeys(others, ""), **before.extra})
        for name in () if given_whole == after else (*FIELDS, "extra"):
            given, read = getattr(given_whole, name), getattr(after, name)
            if given != read:
                where = f"{reading.manifest.path}:{line}: utterance {before.id!r}"
                raise ManifestError(f"{where} has {name} {given!r}, which would be read back as {read!r}")


def _replace_file(path: Path, content: bytes) -> None:
    try:
        write_bytes(path, content)
    except OSError as error:
        raise ManifestError(f"{path}: the manifest cannot be written ({error.strerror})") from error
