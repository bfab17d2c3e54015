"""Scores of any other model for the rows of a manifest, read from CSV, TSV or JSON Lines."""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from bimodal.arrays import Doubles, softmax
from bimodal.data.columns import find_sources
from bimodal.data.labels import SYNONYMS, join_labels, split_labels
from bimodal.errors import BimodalError
from bimodal.evaluation.predict import with_columns
from bimodal.evaluation.predictions import RESERVED, Predictions
from bimodal.evaluation.rows import choose_rows
from bimodal.records import Manifest, Utterance
from bimodal.training.rows import LabelledRows, label_rows

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
_Key = Callable[[Utterance], str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
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


def read_scores(
    path: Path, manifest: Manifest, *, split: str = "", cluster: str = "speaker", logits: bool = False
) -> tuple[Predictions, Notes]:
    """Scores of another model as predictions for the labelled rows of a manifest.

    The file has one row for each row of the manifest, found by a column `id` or `path` (or `file`, ...). It has a
    column of scores for each emotion: `anger`, `angry`, `score:anger`, `anger_score`, `prob_anger` and the like. With
    a column `prediction` alone it has labels without scores. A row whose scores are empty or NaN is no answer.

    Args:
        path: CSV, TSV or JSON Lines.
        manifest: With labels. Its labels and the names of the columns meet by the words of `SYNONYMS`.
        split: As in `evaluate_model`.
        cluster: As in `evaluate_model`.
        logits: The scores are logits; a softmax makes them probabilities.

    Returns:
        Predictions of one system, which has the file's name; sentences on what is left out or never predicted.

    Raises:
        BimodalError: The file cannot be read or lacks rows, a row's scores are no probabilities, or the manifest has
            no labels.
    """
    chosen, notes = choose_rows(manifest, split)
    labelled = [_canonical_row(one) for one in chosen if one.emotion is not None]
    truth = sorted({label for one in labelled for label in split_labels(one.emotion or "")})
    if not truth:
        raise BimodalError(f"{manifest.path}: no row has an emotion, so there is nothing to compare scores with")
    table = _read_table(path, truth, logits)
    labelled, outside = _without_unscored(table, labelled, manifest)
    emotions = (*table.emotions, *(name for name in truth if name not in (*table.emotions, *outside)))
    rows = _labelled(
        [one for one in chosen if one.emotion is None or one.id in {row.id for row in labelled}], labelled, emotions
    )
    notes += [
        f"{count} rows left out: {table.path.name} has neither a score nor a row for '{name}'"
        for name, count in outside.items()
    ]
    scores, missing = _placed(table, rows.utterances, manifest, emotions)
    name = system_name(path, {*RESERVED, *manifest.columns, "speaker", "transcript"})
    notes += [f"{count} rows left out: {reason}" for reason, count in rows.dropped.items()]
    found = with_columns(rows, {name: scores}, cluster)
    return found, (*notes, *table.notes, *missing, *_unpredicted(name, found, table.emotions))


def add_scores(
    predictions: Predictions, path: Path, manifest: Manifest, *, logits: bool = False
) -> tuple[Predictions, Notes]:
    """Predictions with another model's scores as a further system, on the same utterances.

    An emotion that only the other model knows becomes an emotion of all; the systems that lack it score it 0.

    Args:
        predictions: For rows of the manifest.
        path: As in `read_scores`.
        manifest: As in `read_scores`.
        logits: As in `read_scores`.

    Raises:
        BimodalError: As in `read_scores`.
    """
    table = _read_table(path, [canonical(name) for name in predictions.emotions], logits)
    own = {canonical(name): name for name in predictions.emotions}
    known = tuple(own.get(name, name) for name in table.emotions)
    emotions = (*predictions.emotions, *(name for name in known if name not in predictions.emotions))
    by_id = {one.id: one for one in manifest.utterances}
    scores, missing = _placed(
        replace(table, emotions=known), [by_id[name] for name in predictions.ids], manifest, emotions
    )
    name = system_name(path, {*RESERVED, *predictions.scores, *predictions.extra})
    wide = widened(predictions, emotions)
    found = replace(wide, scores={**wide.scores, name: scores})
    return found, (*table.notes, *missing, *_unpredicted(name, found, known))


def widened(predictions: Predictions, emotions: Sequence[str]) -> Predictions:
    """Predictions over more emotions, the first of which are its own; the further ones are scored 0."""
    more = len(emotions) - len(predictions.emotions)
    if not more:
        return predictions
    return replace(
        predictions,
        emotions=tuple(emotions),
        scores={
            name: np.where(np.isnan(one[:, :1]), np.nan, np.pad(one, ((0, 0), (0, more))))
            for name, one in predictions.scores.items()
        },
        sets={name: np.pad(one, ((0, 0), (0, more))) for name, one in predictions.sets.items()},
    )


def canonical(label: str) -> str:
    """The usual word for an emotion; a label that we do not know stays, in lower case.

    Example:
        >>> canonical("Angry"), canonical("hap"), canonical("wistful")
        ('anger', 'happiness', 'wistful')
    """
    word = label.strip().casefold()
    return _CANONICAL.get(word, word)


def system_name(path: Path, taken: Collection[str]) -> str:
    """A name for the system of a file: that of the file, or of its folder for a `predictions.csv`.

    Example:
        >>> system_name(Path("runs/wavlm/predictions.csv"), ()), system_name(Path("fused.csv"), ["fused"])
        ('wavlm', 'fused-2')
    """
    general = path.stem in ("predictions", "scores") and path.absolute().parent.name
    name = (general or path.stem).replace(":", "-").strip() or "scores"
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    return unique


def _canonical_row(utterance: Utterance) -> Utterance:
    labels = [canonical(label) for label in split_labels(utterance.emotion or "")]
    return replace(utterance, emotion=join_labels(labels))


def _labelled(chosen: Sequence[Utterance], labelled: Sequence[Utterance], emotions: Sequence[str]) -> LabelledRows:
    """Rows of one emotion; those without, or with several, are counted."""
    rows = label_rows(labelled, "native", emotions, multiple_labels="drop")
    without = len(chosen) - len(labelled)
    return replace(rows, dropped={**rows.dropped, **({"no emotion": without} if without else {})})


def _without_unscored(
    table: _Table, labelled: Sequence[Utterance], manifest: Manifest
) -> tuple[list[Utterance], dict[str, int]]:
    """The rows without those of emotions that a file has neither a column nor any row for, and their number by emotion.

    A report of ours leaves such rows out of its `predictions.csv`.
    """
    keys, key = _matching(table, labelled, manifest)
    there = {name for name in keys if name is not None}
    groups: dict[str, list[Utterance]] = {}
    for one in labelled:
        groups.setdefault(one.emotion or "", []).append(one)
    outside = {
        name: len(rows)
        for name, rows in groups.items()
        if name not in table.emotions and not any(key(one) in there for one in rows)
    }
    kept = [one for one in labelled if (one.emotion or "") not in outside]
    return (kept, outside) if kept else (list(labelled), {})


def _unpredicted(name: str, predictions: Predictions, known: Collection[str]) -> Notes:
    """A sentence that names the true emotions that a system has no scores for."""
    true = {predictions.emotions[target] for target in predictions.targets.tolist()}
    lacking = [one for one in predictions.emotions if one in true and one not in known]
    if not lacking:
        return ()
    return (f"{name} has no scores for {', '.join(lacking)}: it never predicts them, and their recall is 0.",)


def _read_table(path: Path, truth: Collection[str], logits: bool) -> _Table:
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
    return _Table(path=path, name=path.stem, cells=cells, lines=lines, scores=scores, emotions=emotions, notes=notes)


def _is_abstention(row: Mapping[str, str]) -> bool:
    """Whether a row of `bimodal recognize` has no answer; its scores are then those of no recording."""
    return row.get("abstained", "").strip().lower() in ("true", "1")


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and the cells of each row with its line.

    Raises:
        BimodalError: The file is missing, no text, or no table.
    """
    if path.suffix.lower() not in (".csv", ".tsv", ".jsonl"):
        raise BimodalError(
            f"{path}: scores are read from .csv, .tsv or .jsonl, not {path.suffix!r}; write one of these"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        header, rows = (_json_rows if path.suffix.lower() == ".jsonl" else _csv_rows)(text)
    except OSError as error:
        raise BimodalError(f"{path}: the scores cannot be read ({error.strerror})") from error
    except (ValueError, csv.Error, RecursionError) as error:
        raise BimodalError(f"{path}: not a table of scores ({error})") from error
    if not rows:
        raise BimodalError(f"{path}: no row of scores, expected a header and a row for each utterance")
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise BimodalError(f"{path}: column {twice[0]!r} stands twice in the header; keep one")
    return header, rows


def _csv_rows(text: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
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


def _json_rows(text: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    rows = [(line, _flat(json.loads(part), line)) for line, part in enumerate(text.split("\n"), 1) if part.strip()]
    header = list(dict.fromkeys(name for _, cells in rows for name in cells))
    return header, [(line, {name: cells.get(name, "") for name in header}) for line, cells in rows]


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


def _placed(
    table: _Table, utterances: Sequence[Utterance], manifest: Manifest, emotions: Sequence[str]
) -> tuple[Doubles, Notes]:
    """The scores of some rows of a manifest, (N, C), and a note on rows of the file that it lacks.

    Raises:
        BimodalError: A row has no scores, or has them twice.
    """
    keys, key = _matching(table, utterances, manifest)
    wanted = [key(one) for one in utterances]
    places: dict[str, int] = {name: row for row, name in enumerate(keys) if name is not None}
    known = {key(one) for one in manifest.utterances}
    lacking = [one.id for one, name in zip(utterances, wanted, strict=True) if name not in places]
    counts = Counter(name for name in keys if name is not None)
    twice = [name for name in dict.fromkeys(wanted) if name is not None and counts[name] > 1]
    extra = sum(name not in known for name in keys)
    if lacking or twice:
        raise BimodalError(_mismatch(table.path, len(utterances), lacking, twice, extra))
    scores = np.zeros((len(utterances), len(emotions)))
    order = [places[name] for name in wanted if name is not None]
    scores[:, [list(emotions).index(name) for name in table.emotions]] = table.scores[order]
    scores[np.isnan(table.scores[order, 0])] = np.nan
    return scores, ((f"{table.path.name} has {extra} rows that the manifest does not have.",) if extra else ())


def _mismatch(path: Path, rows: int, lacking: Sequence[str], twice: Sequence[str], extra: int) -> str:
    parts = [f"{len(lacking)} of {rows} rows of the manifest are missing, such as {lacking[0]!r}"] if lacking else []
    parts += [f"{len(twice)} are there more than once, such as {twice[0]!r}"] if twice else []
    parts += [f"{extra} rows are not in the manifest"] if extra else []
    advice = "give one row for each, with empty scores where the model gave no answer"
    return f"{path}: {'; '.join(parts)}; {advice}"


def _matching(
    table: _Table, utterances: Sequence[Utterance], manifest: Manifest
) -> tuple[tuple[str | None, ...], _Key]:
    """How rows of the file and of the manifest meet: the names of the former, and what gives those of the latter.

    Raises:
        BimodalError: The file has neither ids nor paths.
    """
    sources = find_sources(list(table.cells[0]))
    if not {"id", "path"} & set(sources):
        raise BimodalError(
            f"{table.path}: no column 'id' or 'path' to find the rows of the manifest by, found "
            f"{list(table.cells[0])[:20]}"
        )
    best: tuple[int, tuple[str | None, ...], _Key] | None = None
    for field, ours, theirs in _ways(manifest):
        if field in sources:
            names = tuple(theirs(cells[sources[field]].strip()) for cells in table.cells)
            hits = len({ours(one) for one in utterances} & set(names) - {None})
            if best is None or hits > best[0]:
                best = (hits, names, ours)
    assert best is not None  # noqa: S101 (one of the two columns is there)
    return best[1], best[2]


def _ways(manifest: Manifest) -> Iterable[tuple[str, _Key, Callable[[str], str | None]]]:
    """Ways to find a row, the strictest first; a name that several rows have finds none of them."""
    folder = manifest.folder.absolute().as_posix() + "/"

    def whole(name: str) -> str:
        return PurePosixPath(name.replace("\\", "/")).as_posix().removeprefix(folder)

    def last(name: str) -> str:
        return PurePosixPath(whole(name)).name

    def stem(name: str) -> str:
        return PurePosixPath(whole(name)).stem

    yield "id", lambda one: one.id, lambda name: name
    for form in (whole, last, stem):
        counts = Counter(form(one.path) for one in manifest.utterances if one.path is not None)
        single = {name for name, count in counts.items() if count == 1}

        def ours(one: Utterance, form: Callable[[str], str] = form, single: Collection[str] = single) -> str | None:
            name = None if one.path is None else form(one.path)
            return name if name in single else None

        yield "path", ours, form
        yield "id", ours, form
