"""Predictions of all systems, in memory and as CSV, and late fusion."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bimodal.arrays import Doubles
from bimodal.errors import BimodalError
from bimodal.files import atomic_write

ClusterName = Literal["speaker", "dialogue", "utterance"]

SYSTEMS = ("speech", "text", "late", "fused")  # ours, in the order of all tables; systems of others follow
RESERVED = ("id", "truth", *SYSTEMS)  # columns of a file of predictions
TOLERANCE = 1e-3  # of the sum of an utterance's scores; single precision must pass
SET_COVERAGE = 0.9  # of the prediction sets that an evaluation counts
LEAST_SCORE = 1e-30  # keeps the logarithm of a score of 0 finite
UNKNOWN_SCORE = 1e-9  # a modality does not know an emotion if all its scores are at most this


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Predictions:
    """Scores of systems on the same N utterances, C emotions: ours (`SYSTEMS`), and any others by their own names.

    Raises ValueError if the fields do not fit together.

    Attributes:
        ids: (N,) unique names.
        targets: (N,) positions of the true emotions.
        emotions: (C,) names.
        clusters: (N,) speaker or dialogue of each utterance, the unit of resampling for the intervals.
        cluster_name: Kind of the clusters; `utterance` if neither is known.
        scores: (N, C) probabilities by system; a row of NaN if the system had no input.
        extra: Other columns by name, each (N,), such as speaker, split, fold, transcript; None if missing.
        sets: Prediction sets (N, C) of a coverage of `SET_COVERAGE`, by system; of those that were calibrated for them.
            Files of predictions do not hold them.
    """

    ids: tuple[str, ...]
    targets: NDArray[np.integer[Any]]
    emotions: tuple[str, ...]
    clusters: tuple[str, ...]
    cluster_name: ClusterName
    scores: Mapping[str, NDArray[np.floating[Any]]]
    extra: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    sets: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_rows(self)
        _check_names(self)
        for system, scores in self.scores.items():
            _check_scores(system, scores, self)

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that have scores: ours in their fixed order, then the others as they were given."""
        return _ordered(self.scores)

    def answered(self, system: str) -> NDArray[np.bool_]:
        """Which utterances the system had input for, (N,)."""
        present: NDArray[np.bool_] = ~np.isnan(self.scores[system][:, 0])
        return present

    def labels_only(self, system: str) -> bool:
        """Whether a system gives labels without scores: each of its scores is exactly 0 or 1."""
        scores = self.scores[system][self.answered(system)]
        return bool(len(scores) and np.isin(scores, (0.0, 1.0)).all())


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    given = list(dict.fromkeys(names))
    return (*(system for system in SYSTEMS if system in given), *(name for name in given if name not in SYSTEMS))


def _check_rows(predictions: Predictions) -> None:
    """Refuse empty predictions, columns of different length, targets out of range and repeated ids."""
    count, targets = len(predictions.ids), predictions.targets
    columns = {"clusters": predictions.clusters, **predictions.extra}
    lengths = {name: len(column) for name, column in columns.items()} | {"targets": len(targets)}
    wrong = {name: length for name, length in lengths.items() if length != count}
    if wrong or not count:
        raise ValueError(f"{count} ids but {wrong or lengths}; expected the same number of each, at least one")
    if targets.dtype.kind not in "iu" or targets.min() < 0 or targets.max() >= len(predictions.emotions):
        found = f"{targets.dtype} {targets.min()} to {targets.max()}"
        raise ValueError(f"targets are {found}, expected integers 0 to {len(predictions.emotions) - 1}")
    twice = [name for name, times in Counter(predictions.ids).items() if times > 1]
    if twice:
        raise ValueError(f"{len(twice)} ids occur more than once, the first is {twice[0]!r}")


def _check_names(predictions: Predictions) -> None:
    """Refuse unusable names of systems, unknown kinds of cluster, repeated emotions, and reserved columns."""
    unusable = [name for name in predictions.scores if not name.strip() or ":" in name or name in ("id", "truth")]
    if unusable or not predictions.scores:
        raise ValueError(f"systems {list(predictions.scores)}, expected at least one, without ':', not 'id' or 'truth'")
    if predictions.cluster_name not in get_args(ClusterName):
        raise ValueError(f"cluster_name {predictions.cluster_name!r}, expected one of {get_args(ClusterName)}")
    if len(set(predictions.emotions)) != len(predictions.emotions):
        raise ValueError(f"emotions {list(predictions.emotions)}: expected each once")
    names = (*RESERVED, *predictions.scores)
    taken = [name for name in predictions.extra if name in names or ":" in name]
    if taken:
        raise ValueError(
            f"extra columns {taken}: {list(dict.fromkeys(names))} and names with ':' are reserved; rename them"
        )


def _check_scores(system: str, scores: NDArray[np.floating[Any]], predictions: Predictions) -> None:
    """Refuse scores of another shape, and rows that are neither probabilities nor all NaN."""
    shape = (len(predictions.ids), len(predictions.emotions))
    if scores.shape != shape:
        raise ValueError(f"{system} scores have shape {scores.shape}, expected {shape}")
    absent = np.isnan(scores).all(axis=1)
    sound = (scores >= 0).all(axis=1) & (np.abs(scores.sum(axis=1) - 1.0) <= TOLERANCE)
    if not (absent | sound).all():
        row = int(np.argmin(absent | sound))
        found = f"{system} scores of {predictions.ids[row]!r} are {scores[row].tolist()}"
        raise ValueError(f"{found}, expected probabilities that sum to 1, or all NaN if there was no input")


def late_fusion(speech: ArrayLike, text: ArrayLike, priors: ArrayLike) -> Doubles:
    """Late fusion: the product of the speech and text scores divided by the prior, scaled to sum 1.

    p(c | s, t) ~ p(c | s) p(c | t) / p(c). It is exact if speech and text are independent given the emotion and both
    are calibrated (the product rule of Kittler et al. 1998, doi 10.1109/34.667881). Nothing is trained, so it is the
    reference for a trained fusion. An emotion that a modality never scores is unknown to it and gets its prior.

    Args:
        speech: (N, C) probabilities; a row of NaN if there is no speech.
        text: (N, C) probabilities; a row of NaN if there is no text.
        priors: (C,) shares of the emotions in the training data, above 0, sum 1.

    Returns:
        (N, C) scores. With one modality its scores, with none NaN.

    Raises:
        ValueError: Shapes or priors do not fit.

    Example:
        >>> late_fusion([[0.5, 0.5], [0.6, 0.4]], [[0.8, 0.2], [np.nan, np.nan]], [0.8, 0.2]).round(4).tolist()
        [[0.5, 0.5], [0.6, 0.4]]
    """
    first, second, prior = (np.asarray(values, dtype=np.float64) for values in (speech, text, priors))
    if first.ndim != 2 or first.shape != second.shape or prior.shape != first.shape[1:]:
        raise ValueError(f"shapes {first.shape}, {second.shape}, {prior.shape}, expected (N, C) twice and (C,)")
    if not (prior > 0).all() or abs(prior.sum() - 1.0) > TOLERANCE:
        raise ValueError(f"priors are {prior.tolist()}, expected shares above 0 that sum to 1")
    first_told, second_told = (_with_unknown(scores, prior) for scores in (first, second))
    logs = np.log(np.maximum(first_told, LEAST_SCORE)) + np.log(np.maximum(second_told, LEAST_SCORE)) - np.log(prior)
    product = np.exp(logs - logs.max(axis=1, keepdims=True))
    both: Doubles = product / product.sum(axis=1, keepdims=True)
    return np.where(np.isnan(first), second, np.where(np.isnan(second), first, both))


def _with_unknown(scores: Doubles, prior: Doubles) -> Doubles:
    """Scores (N, C) in which unknown emotions get their prior and the others share the rest."""
    unknown = ~(np.nan_to_num(scores) > UNKNOWN_SCORE).any(axis=0)
    return scores if unknown.all() else np.where(unknown, prior, scores * (1 - prior[unknown].sum()))


def concatenate(*predictions: Predictions) -> Predictions:
    """Pool predictions, such as those of all folds. Systems and columns that a part lacks are missing there.

    Raises:
        ValueError: No predictions, different emotions or kinds of cluster, or a repeated id.
    """
    kinds = {(part.emotions, part.cluster_name) for part in predictions}
    if len(kinds) != 1:
        raise ValueError(f"emotions and clusters are {sorted(kinds)}, expected the same in every part and at least one")
    emotions, cluster_name = kinds.pop()
    columns = dict.fromkeys(name for part in predictions for name in part.extra)
    return Predictions(
        ids=tuple(name for part in predictions for name in part.ids),
        targets=np.concatenate([part.targets for part in predictions]),
        emotions=emotions,
        clusters=tuple(name for part in predictions for name in part.clusters),
        cluster_name=cluster_name,
        scores={system: _pooled_scores(system, predictions) for system in _all_systems(predictions)},
        extra={name: tuple(cell for part in predictions for cell in _column(part, name)) for name in columns},
        sets={
            system: np.concatenate([part.sets[system] for part in predictions])
            for system in predictions[0].sets
            if all(system in part.sets for part in predictions)
        },
    )


def _all_systems(predictions: Sequence[Predictions]) -> tuple[str, ...]:
    return _ordered(name for part in predictions for name in part.scores)


def _pooled_scores(system: str, predictions: Sequence[Predictions]) -> Doubles:
    absent = [np.full((len(part.ids), len(part.emotions)), np.nan) for part in predictions]
    return np.concatenate([part.scores.get(system, none) for part, none in zip(predictions, absent, strict=True)])


def _column(part: Predictions, name: str) -> tuple[str | None, ...]:
    return part.extra.get(name, (None,) * len(part.ids))


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write one utterance per line: id, `cluster:speaker`, truth, predictions, scores, extra columns.

    A system without input has empty cells. Scores are written without loss.
    """
    extra = predictions.extra
    with atomic_write(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*_base_header(predictions.cluster_name), *_score_header(predictions), *extra])
        for row in range(len(predictions.ids)):
            table.writerow([*_cells(predictions, row), *(extra[name][row] or "" for name in extra)])


def _base_header(cluster_name: str) -> list[str]:
    return ["id", f"cluster:{cluster_name}", "truth"]


def _score_header(predictions: Predictions) -> list[str]:
    systems = predictions.systems
    return [*systems, *(f"{system}:{emotion}" for system in systems for emotion in predictions.emotions)]


def _cells(predictions: Predictions, row: int) -> Iterator[str]:
    """One line of the table, without the extra columns."""
    emotions = predictions.emotions
    yield from (predictions.ids[row], predictions.clusters[row], emotions[predictions.targets[row]])
    scores = [predictions.scores[system][row] for system in predictions.systems]
    for values in scores:
        yield "" if math.isnan(values[0]) else emotions[int(values.argmax())]
    for values in scores:
        yield from ("" if math.isnan(value) else repr(float(value)) for value in values)


def read_predictions(path: Path) -> Predictions:
    """Read a file of `write_predictions`. Predictions are computed from the scores, so their columns are not read.

    Raises:
        BimodalError: The file is missing or invalid; the message gives the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, restkey="", strict=True)
            header = list(table.fieldnames or [])
            lines = [(table.line_num, cells) for cells in table]
        return _parsed(path, header, lines)
    except OSError as error:
        raise BimodalError(f"{path}: the predictions cannot be read ({error.strerror})") from error
    except (ValueError, csv.Error) as error:
        raise BimodalError(f"{path}: {error}") from error


def _parsed(path: Path, header: Sequence[str], lines: Sequence[tuple[int, dict[str, str]]]) -> Predictions:
    """Predictions from the cells of a table."""
    cluster_name, systems, emotions = _layout(header)
    for line, cells in lines:
        if len(cells) != len(header) or None in cells.values():
            raise BimodalError(f"{path}:{line}: expected {len(header)} cells as in the header, found fewer or more")
    extra = [name for name in header if name not in ("id", "truth", *systems) and ":" not in name]
    return Predictions(
        ids=tuple(cells["id"] for _, cells in lines),
        targets=np.array([_position(cells["truth"], emotions, f"{path}:{line}") for line, cells in lines], np.int64),
        emotions=emotions,
        clusters=tuple(cells[f"cluster:{cluster_name}"] for _, cells in lines),
        cluster_name=cluster_name,
        scores={system: _read_scores(path, lines, [f"{system}:{name}" for name in emotions]) for system in systems},
        extra={name: tuple(cells[name] or None for _, cells in lines) for name in extra},
    )


def _layout(header: Sequence[str]) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Kind of the clusters, systems and emotions in a header."""
    cluster_name = next((name.split(":", 1)[1] for name in header if name.startswith("cluster:")), "speaker")
    pairs = [name.split(":", 1) for name in header if ":" in name and not name.startswith("cluster:")]
    systems = _ordered(system for system, _ in pairs)
    emotions = tuple(emotion for system, emotion in pairs if system == pairs[0][0])
    scores = [f"{system}:{emotion}" for system in systems for emotion in emotions]
    needed = ["id", f"cluster:{cluster_name}", "truth", *systems, *scores]
    foreign = [name for name in header if ":" in name and name not in needed]
    if not set(needed) <= set(header) or not scores or foreign or len(set(header)) != len(header):
        systems_wanted = "for one or more systems a column and its scores (speech, speech:anger, ...)"
        raise ValueError(f"columns are {list(header)}, expected each once: {needed[:3]}, and {systems_wanted}")
    return cluster_name, systems, emotions


def _position(truth: str, emotions: Sequence[str], where: str) -> int:
    if truth not in emotions:
        raise BimodalError(f"{where}: unknown emotion {truth!r}, expected one of {list(emotions)}")
    return emotions.index(truth)


def _read_scores(path: Path, lines: Sequence[tuple[int, dict[str, str]]], columns: Sequence[str]) -> Doubles:
    """Scores (N, C) of some columns; an empty cell is NaN."""
    values = np.full((len(lines), len(columns)), np.nan)
    for row, (line, cells) in enumerate(lines):
        for place, column in enumerate(columns):
            try:
                values[row, place] = float(cells[column] or "nan")
            except ValueError as error:
                raise BimodalError(f"{path}:{line}: {column} is {cells[column]!r}, expected a number") from error
    return values
