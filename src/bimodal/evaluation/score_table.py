"""A file with the scores of another model: its rows, the column of each emotion, probabilities."""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from bimodal.arrays import Doubles, softmax
from bimodal.data.labels import SYNONYMS
from bimodal.errors import BimodalError

SUM_TOLERANCE: Final = 0.01  # of the sum of a row's scores: those that were rounded to two or three decimals must pass
LABEL_COLUMNS: Final = (
    "prediction",
    "predicted",
    "pred",
    "y_pred",
    "hypothesis",
    "predicted_emotion",
    "predicted_label",
)
PREFERRED: Final = ("fused:*", "scores.*", "scores:*")
"""Patterns of columns that are taken where a file has several scores of one emotion: ours, the whole answer first."""

_WORDS: Final = "scores?|prob(?:s|ability|abilities)?|proba|posteriors?|logits?|p"
_PATTERNS: Final = (
    re.compile(r"(?P<before>)(?P<name>[^:]+)(?P<after>)"),
    re.compile(r"(?P<before>[^:]+:)(?P<name>[^:]+)(?P<after>)"),
    re.compile(rf"(?P<before>(?:\w*_)?(?:{_WORDS})[ ._-])(?P<name>.+)(?P<after>)", re.IGNORECASE),
    re.compile(rf"(?P<before>)(?P<name>.+)(?P<after>[ ._-](?:{_WORDS}))", re.IGNORECASE),
)
_CANONICAL: Final = {word: emotion for emotion, words in SYNONYMS.items() for word in (emotion, *words)}

Notes = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreTable:
    """Scores as a file gives them.

    Attributes:
        path: The file.
        name: Of the system.
        cells: The cells of each row, (N,), by column.
        lines: Line of each row in the file, (N,).
        scores: (N, E) by the file's own emotions; a row of NaN where there is no answer.
        emotions: (E,) canonical names.
        notes: What a reader should know.
    """

    path: Path
    name: str
    cells: tuple[Mapping[str, str], ...]
    lines: tuple[int, ...]
    scores: Doubles
    emotions: tuple[str, ...]
    notes: Notes


def canonical(label: str) -> str:
    """The usual word for an emotion; a label that we do not know stays, in lower case.

    Example:
        >>> canonical("Angry"), canonical("hap"), canonical("wistful")
        ('anger', 'happiness', 'wistful')
    """
    word = label.strip().casefold()
    return _CANONICAL.get(word, word)


def read_table(path: Path, truth: Collection[str], logits: bool) -> ScoreTable:
    """Read a file of scores.

    Args:
        path: CSV, TSV, JSON Lines or Parquet.
        truth: Emotions that its columns may be named after, beside those of `SYNONYMS`.
        logits: The scores are logits.

    Raises:
        BimodalError: The file cannot be read, or a row's scores are no probabilities.
    """
    header, rows = _read_rows(path)
    lines, cells = tuple(line for line, _ in rows), tuple(one for _, one in rows)
    columns, notes = _score_columns(path, header, {*truth, *_CANONICAL.values()})
    if columns:
        values = _numbers(path, rows, list(columns.values()))
        scores = _probabilities(path, lines, values, logits)
        emotions = tuple(columns)
    else:
        scores, emotions = _from_labels(path, header, rows)
        notes = (*notes, f"{path.name} has labels without scores: metrics of scores are undefined for it.")
    scores[[_is_abstention(row) for row in cells]] = np.nan
    if silent := int(np.isnan(scores[:, 0]).sum()):
        notes = (*notes, f"{path.name} has no answer in {silent} of {len(rows)} rows.")
    return ScoreTable(
        path=path, name=path.stem, cells=cells, lines=lines, scores=scores, emotions=emotions, notes=notes
    )


def _is_abstention(row: Mapping[str, str]) -> bool:
    """Whether a row of `bimodal recognize` has no answer; its scores are then those of no recording."""
    return row.get("abstained", "").strip().lower() in ("true", "1")


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and the cells of each row with its line.

    Raises:
        BimodalError: The file is missing, no text, or no table.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BimodalError(
            f"{path}: scores are read from {', '.join(_READERS)}, not {path.suffix!r}; write one of these"
        )
    try:
        header, rows = reader(path)
    except OSError as error:
        raise BimodalError(f"{path}: the scores cannot be read ({error.strerror})") from error
    except (ValueError, csv.Error, RecursionError) as error:
        raise BimodalError(f"{path}: not a table of scores ({error})") from error
    if not rows:
        raise BimodalError(f"{path}: no row of scores, expected a header and a row for each utterance")
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise BimodalError(f"{path}: column {twice[0]!r} stands twice in the header; keep one")
    return header, rows


def _csv_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    text = path.read_text(encoding="utf-8-sig")
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    header = [name.strip() for name in next(reader, [])]
    rows = []
    for cells in reader:
        if cells and len(cells) != len(header):
            raise ValueError(f"line {reader.line_num} has {len(cells)} cells, the header {len(header)}")
        if cells:
            rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    return header, rows


def _json_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    text = path.read_text(encoding="utf-8-sig")
    rows = [(line, _flat(json.loads(part), line)) for line, part in enumerate(text.split("\n"), 1) if part.strip()]
    return _same_cells(rows)


def _parquet_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        import pyarrow.parquet  # large, and needed for this one format
    except ImportError as error:
        raise BimodalError(
            f"{path}: Parquet needs the package pyarrow; install it, or write the scores as CSV"
        ) from error
    with path.open("rb") as file:
        content = pyarrow.parquet.read_table(file).to_pylist()
    return _same_cells([(row, _flat(cells, row)) for row, cells in enumerate(content, 1)])


def _same_cells(rows: list[tuple[int, dict[str, str]]]) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """All columns, and the cells of each row with all of them."""
    header = list(dict.fromkeys(name for _, cells in rows for name in cells))
    return header, [(line, {name: cells.get(name, "") for name in header}) for line, cells in rows]


_READERS: Final = {".csv": _csv_rows, ".tsv": _csv_rows, ".jsonl": _json_rows, ".parquet": _parquet_rows}


def _flat(content: Any, line: int) -> dict[str, str]:
    """The values of an object as text; those of an object within it under `outer.inner`."""
    if not isinstance(content, dict):
        raise ValueError(f"line {line} holds no JSON object")
    inner = {
        f"{name}.{key}": one for name, value in content.items() if isinstance(value, dict) for key, one in value.items()
    }
    plain = {name: value for name, value in content.items() if not isinstance(value, dict)}
    return {name: "" if value is None else str(value) for name, value in {**plain, **inner}.items()}


def _score_columns(path: Path, header: Sequence[str], known: Collection[str]) -> tuple[dict[str, str], Notes]:
    """The column of each emotion, and a note where others are not read.

    Raises:
        BimodalError: Two columns score one emotion.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for column in header:
        if (match := _emotion_column(column, known)) is not None:
            found.setdefault(match[0], []).append((match[1], column))
    sets = {pattern: pairs for pattern, pairs in found.items() if len(pairs) > 1}
    if not sets:
        return {}, ()
    pattern = next((name for name in PREFERRED if name in sets), next(iter(sets)))
    if len(sets) > 1 and pattern not in PREFERRED:
        raise BimodalError(f"{path}: several columns for one emotion ({', '.join(sets)}); keep one of these groups")
    for emotion, count in Counter(emotion for emotion, _ in sets[pattern]).items():
        if count > 1:
            names = [column for one, column in sets[pattern] if one == emotion]
            raise BimodalError(f"{path}: the columns {names} all mean {emotion}; keep one, or add them up")
    others = [name for name in sets if name != pattern]
    return dict(sets[pattern]), ((f"{path.name}: {pattern} is read, not {', '.join(others)}.",) if others else ())


def _emotion_column(column: str, known: Collection[str]) -> tuple[str, str] | None:
    """The pattern of a column of scores and its emotion; None for another column.

    Example:
        >>> _emotion_column("prob_angry", {"anger"}), _emotion_column("speaker", {"anger"})
        (('prob_*', 'anger'), None)
    """
    for pattern in _PATTERNS:
        match = pattern.fullmatch(column.strip())
        if match is not None and canonical(match["name"]) in known:
            return f"{match['before']}*{match['after']}", canonical(match["name"])
    return None


def _numbers(path: Path, rows: Sequence[tuple[int, Mapping[str, str]]], columns: Sequence[str]) -> Doubles:
    """The numbers (N, E) of some columns; NaN for an empty cell."""
    values = np.empty((len(rows), len(columns)))
    for row, (line, cells) in enumerate(rows):
        for place, column in enumerate(columns):
            cell = cells[column].strip()
            try:
                values[row, place] = math.nan if cell.casefold() in ("", "na", "none", "null") else _number(cell)
            except ValueError as error:
                raise BimodalError(f"{path}:{line}: {column} is {cell[:40]!r}, expected a number") from error
    return values


def _number(cell: str) -> float:
    if "_" in cell:  # Python reads 1_0 as 10
        raise ValueError(cell)
    return float(cell)


def _probabilities(path: Path, lines: Sequence[int], values: Doubles, logits: bool) -> Doubles:
    """Scores that sum to 1 exactly, or all NaN.

    Raises:
        BimodalError: A row holds some numbers but not all, one that is infinite, or no probabilities.
    """
    absent, partly = np.asarray(np.isnan(values).all(axis=1)), np.isnan(values).any(axis=1)
    _refuse_row(path, lines, values, partly & ~absent, "some scores but not all; give all or none")
    _refuse_row(path, lines, values, np.isinf(values).any(axis=1), "an infinite number; give finite ones")
    if logits:
        return np.where(absent[:, None], np.nan, softmax(np.where(absent[:, None], 0.0, values)))
    advice = "scores from 0 to 1 were expected; for logits, add --logits"
    _refuse_row(path, lines, values, (values < 0).any(axis=1), f"a negative number; {advice}")
    sums = np.asarray(values.sum(axis=1))
    wrong = np.asarray(~absent & ~(np.abs(sums - 1.0) <= SUM_TOLERANCE))
    found = float(sums[np.argmax(wrong)])
    _refuse_row(path, lines, values, wrong, f"a sum of {found:.4g}, expected 1; for logits, add --logits")
    return np.asarray(values / sums[:, None], np.float64)


def _refuse_row(path: Path, lines: Sequence[int], values: Doubles, rows: ArrayLike, what: str) -> None:
    wrong = np.asarray(rows, np.bool_)
    if wrong.any():
        row = int(np.argmax(wrong))
        shown = ", ".join(f"{value:.4g}" for value in values[row][:10])
        more = f" (and {int(wrong.sum()) - 1} more rows)" if wrong.sum() > 1 else ""
        raise BimodalError(f"{path}:{lines[row]}: the scores {shown} have {what}{more}")


def _from_labels(
    path: Path, header: Sequence[str], rows: Sequence[tuple[int, Mapping[str, str]]]
) -> tuple[Doubles, tuple[str, ...]]:
    """Scores of 0 and 1 from a column of labels.

    Raises:
        BimodalError: There is none, or no cell of it holds a label.
    """
    column = next((name for name in header if name.casefold() in LABEL_COLUMNS), None)
    if column is None:
        raise BimodalError(
            f"{path}: neither a column of scores for two emotions or more (anger, happiness, ...) nor a column "
            f"'prediction', found {list(header)[:20]}; rename the columns"
        )
    labels = [canonical(cells[column]) for _, cells in rows]
    labels = ["" if label in ("nan", "na", "none", "null") else label for label in labels]
    emotions = tuple(sorted(set(labels) - {""}))
    if not emotions:
        raise BimodalError(f"{path}: the column {column!r} is empty, expected an emotion in each row")
    scores = np.array([[float(label == name) for name in emotions] for label in labels])
    return np.where(np.array(labels)[:, None] == "", np.nan, scores), emotions
