"""Results by a column of the manifest, such as sex, age or accent, and the gap between its groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from bimodal.arrays import Doubles
from bimodal.errors import BimodalError
from bimodal.evaluation import metrics
from bimodal.evaluation.figures import (
    CONFIDENCE,
    Estimate,
    Mask,
    Resampling,
    confusions_of,
    estimate,
    known,
    mean_estimate,
)
from bimodal.evaluation.predictions import Predictions
from bimodal.records import Manifest

FEW_ROWS = 20  # of a group; a smaller one is shown, but takes no part in the gap
MOST_GROUPS = 50  # a column with more, such as an age in days, is no grouping


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Results of one system on the utterances of one group.

    Attributes:
        name: Cell of the column.
        rows: Utterances that the system answered.
        clusters: Speakers or dialogues among them.
        uar: Unweighted average recall over the emotions that the group has.
        recalls: Of each emotion; undefined where the group has none of it.
        set_coverage: Share of the utterances whose prediction set holds the true emotion; None if there are no sets.
    """

    name: str
    rows: int
    clusters: int
    uar: Estimate
    recalls: Mapping[str, Estimate]
    set_coverage: Estimate | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Subgroups:
    """Results of one system by a column of the manifest.

    Attributes:
        column: Of the manifest.
        system: Whose results these are.
        groups: Those with utterances, by name.
        gap: Greatest minus least UAR of the groups with at least `FEW_ROWS` utterances, over the emotions that all of
            them have; undefined with fewer than two such groups. The greatest of many differences is above 0 by chance:
            read its interval.
        best: Group of the greatest UAR; empty if there is no gap.
        worst: Group of the least UAR; empty if there is no gap.
        unknown: Utterances without a cell.
    """

    column: str
    system: str
    groups: tuple[Group, ...]
    gap: Estimate
    best: str = ""
    worst: str = ""
    unknown: int = 0


def check_columns(columns: Sequence[str], manifest: Manifest) -> None:
    """Refuse columns that a manifest does not have, before anything is computed.

    Raises:
        BimodalError: It has no such column.
    """
    known = sorted({*manifest.columns, "speaker"} - {"emotion", "id", "path"})
    for column in columns:
        if column not in known:
            raise BimodalError(f"--by {column}: {manifest.path} has no such column, expected one of {known}")


def subgroups_of(predictions: Predictions, column: str, resampling: Resampling) -> tuple[Subgroups, ...]:
    """Results of each system by a column.

    Raises:
        BimodalError: There is no such column, it is empty, or it has more than `MOST_GROUPS` values.
    """
    cells = _cells(predictions, column)
    names = sorted({cell for cell in cells if cell})
    if not names:
        raise BimodalError(f"--by {column}: the column is empty in all {len(cells)} rows that are evaluated")
    if len(names) > MOST_GROUPS:
        raise BimodalError(f"--by {column}: {len(names)} values, expected at most {MOST_GROUPS}; make groups of them")
    groups = {name: np.array([cell == name for cell in cells]) for name in names}
    systems = [system for system in predictions.systems if predictions.answered(system).any()]
    return tuple(_of_system(predictions, system, column, groups, resampling) for system in systems)


def _cells(predictions: Predictions, column: str) -> Sequence[str | None]:
    found = {"speaker": predictions.clusters} if predictions.cluster_name == "speaker" else {}
    columns = {**found, **predictions.extra}
    if column not in columns:
        raise BimodalError(f"--by {column}: no such column, expected one of {sorted(columns)}")
    return [cell.strip() if cell else None for cell in columns[column]]


def _of_system(
    predictions: Predictions, system: str, column: str, groups: Mapping[str, Mask], resampling: Resampling
) -> Subgroups:
    answered = predictions.answered(system)
    rows = {name: group & answered for name, group in groups.items()}
    rows = {name: group for name, group in rows.items() if group.any()}
    best, worst, gap = _gap(predictions, system, rows, resampling)
    return Subgroups(
        column=column,
        system=system,
        groups=tuple(_group(predictions, system, name, group, resampling) for name, group in rows.items()),
        gap=gap,
        best=best,
        worst=worst,
        unknown=int(answered.sum()) - sum(int(group.sum()) for group in rows.values()),
    )


def _group(predictions: Predictions, system: str, name: str, rows: Mask, resampling: Resampling) -> Group:
    confusions = confusions_of(predictions, system, rows)
    each = {
        emotion: estimate(confusions, partial(_recall, place=place), resampling)
        for place, emotion in enumerate(predictions.emotions)
    }
    return Group(
        name=name,
        rows=int(rows.sum()),
        clusters=len(confusions),
        uar=estimate(confusions, metrics.unweighted_average_recall, resampling),
        recalls=each,
        set_coverage=_set_coverage(predictions, system, rows, resampling),
    )


def _recall(stack: Doubles, place: int) -> Doubles:
    recall: Doubles = metrics.recall_per_class(stack)[..., place]
    return recall


def _set_coverage(predictions: Predictions, system: str, rows: Mask, resampling: Resampling) -> Estimate | None:
    if system not in predictions.sets:
        return None
    chosen = np.flatnonzero(rows)
    held = predictions.sets[system][chosen, predictions.targets[chosen]].astype(np.float64)
    return mean_estimate(held, [predictions.clusters[row] for row in chosen], resampling)


def _gap(
    predictions: Predictions, system: str, groups: Mapping[str, Mask], resampling: Resampling
) -> tuple[str, str, Estimate]:
    """The groups of greatest and least UAR, and their distance, clusters resampled for all groups at once."""
    large = {name: rows for name, rows in groups.items() if rows.sum() >= FEW_ROWS}
    shared = [
        emotion
        for emotion in range(len(predictions.emotions))
        if all((predictions.targets[rows] == emotion).any() for rows in large.values())
    ]
    if len(large) < 2 or not shared:
        return "", "", Estimate(value=None)
    names, stacked = list(large), _stacked(predictions, system, list(large.values()))
    values = _shared_recall(stacked.sum(axis=0), shared)
    best, worst = int(values.argmax()), len(values) - 1 - int(values[::-1].argmin())  # two groups, if all are equal
    ends = _gap_ends(stacked[:, [best, worst]], shared, resampling)
    return names[best], names[worst], Estimate(value=float(values[best] - values[worst]), low=ends[0], high=ends[1])


def _stacked(predictions: Predictions, system: str, groups: Sequence[Mask]) -> Doubles:
    """Confusion matrices of each cluster and group, (G, K, C, C)."""
    clusters = {name: place for place, name in enumerate(dict.fromkeys(predictions.clusters))}
    place = np.array([clusters[name] for name in predictions.clusters])
    guesses = np.nan_to_num(predictions.scores[system]).argmax(axis=1)
    emotions = len(predictions.emotions)
    matrices = np.zeros((len(clusters), len(groups), emotions, emotions))
    for number, rows in enumerate(groups):
        np.add.at(matrices[:, number], (place[rows], predictions.targets[rows], guesses[rows]), 1)
    return matrices


def _shared_recall(matrices: Doubles, shared: Sequence[int]) -> Doubles:
    """Mean recall of some emotions, NaN where one of them does not occur."""
    recalls: Doubles = metrics.recall_per_class(matrices)[..., list(shared)].mean(axis=-1)
    return recalls


def _gap_ends(pair: Doubles, shared: Sequence[int], resampling: Resampling) -> tuple[float | None, float | None]:
    """Interval of the first group's mean recall minus the second's; None where one has a single cluster.

    Args:
        pair: Confusion matrices (G, 2, C, C).
        shared: Emotions of the mean.
        resampling: Of the clusters.
    """
    if (pair.any(axis=(2, 3)).sum(axis=0) < 2).any():
        return None, None
    clusters = len(pair)
    rng = np.random.default_rng(resampling.seed)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resampling.replicates)
    values = _shared_recall((drawn @ pair.reshape(clusters, -1)).reshape(-1, *pair.shape[1:]), shared)
    low, high = metrics.interval_ends(values[:, 0] - values[:, 1], CONFIDENCE)
    return known(low), known(high)
