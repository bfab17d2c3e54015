"""Scores of any other model for the rows of a manifest, read from CSV, TSV or JSON Lines."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from bimodal.arrays import Doubles
from bimodal.data.columns import find_sources
from bimodal.data.labels import join_labels, split_labels
from bimodal.errors import BimodalError
from bimodal.evaluation.predict import with_columns
from bimodal.evaluation.predictions import RESERVED, Predictions
from bimodal.evaluation.rows import choose_rows
from bimodal.evaluation.score_table import Notes, ScoreTable, canonical, read_table
from bimodal.records import Manifest, Utterance
from bimodal.training.rows import LabelledRows, label_rows

_Key = Callable[[Utterance], str | None]


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
    table = read_table(path, truth, logits)
    unlabelled = len(chosen) - len(labelled)
    labelled, outside = _without_unscored(table, labelled, manifest)
    emotions = (*table.emotions, *(name for name in truth if name not in (*table.emotions, *outside)))
    rows = _labelled(labelled, emotions, unlabelled)
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
    table = read_table(path, [canonical(name) for name in predictions.emotions], logits)
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


def _labelled(labelled: Sequence[Utterance], emotions: Sequence[str], unlabelled: int) -> LabelledRows:
    """Rows of one emotion; those without, or with several, are counted."""
    rows = label_rows(labelled, "native", emotions, multiple_labels="drop")
    return replace(rows, dropped={**rows.dropped, **({"no emotion": unlabelled} if unlabelled else {})})


def _without_unscored(
    table: ScoreTable, labelled: Sequence[Utterance], manifest: Manifest
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


def _placed(
    table: ScoreTable, utterances: Sequence[Utterance], manifest: Manifest, emotions: Sequence[str]
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
    table: ScoreTable, utterances: Sequence[Utterance], manifest: Manifest
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
