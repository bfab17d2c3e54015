"""Fit the table of prediction sets to rows whose scores come from networks that did not train on them. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Doubles
from bimodal.data.text import normalise_transcript
from bimodal.evaluation.metrics.conformal import cluster_quantiles, label_sets
from bimodal.inference.prediction_sets import COVERAGES, Kind, KindSets, PredictionSets, Thresholds, thresholds_of
from bimodal.records import CoverageBy, Utterance

LEAST_CLUSTERS: Final = 10
"""An emotion with rows of fewer speakers has no thresholds of its own."""

LEAST_ROWS: Final = 30
"""An emotion with fewer rows has no thresholds of its own."""


@dataclass(frozen=True, kw_only=True)
class CalibrationRows:
    """Held-out rows of one kind of input.

    Attributes:
        scores: As recognition gives them, (n, C).
        shares: How much of the label each emotion is, (n, C); 1 and 0 where a row has one label.
        clusters: Speaker, dialogue or text of each row, (n,).
        unit: What the clusters are, in the plural.
        matched: Whether speech and words of a row are of two rows, paired by their label.
    """

    scores: Doubles
    shares: Doubles
    clusters: tuple[str, ...]
    unit: str
    matched: bool = False


def fit_prediction_sets(
    kinds: Mapping[Kind, CalibrationRows], emotions: Sequence[str], coverages: Sequence[float] = COVERAGES
) -> PredictionSets:
    """Thresholds of each kind of input, over all emotions and of each emotion that has enough rows.

    A row with several labels, such as listeners' votes, counts for each emotion by its share: the emotion covered is
    then that of a vote drawn at random.

    Args:
        kinds: Rows by kind of input; a kind without rows is left out.
        emotions: The C emotions.
        coverages: In ascending order.
    """
    found: dict[Kind, KindSets] = {}
    for kind, rows in kinds.items():
        if not len(rows.scores):
            continue
        own = {name: _of_emotion(rows, [place], coverages) for place, name in enumerate(emotions)}
        found[kind] = KindSets(
            unit=rows.unit,
            matched=rows.matched,
            marginal=_of_emotion(rows, range(len(emotions)), coverages),
            emotions={
                name: one for name, one in own.items() if one.clusters >= LEAST_CLUSTERS and one.rows >= LEAST_ROWS
            },
        )
    return PredictionSets(coverages=tuple(coverages), kinds=found)


def _of_emotion(rows: CalibrationRows, places: Sequence[int], coverages: Sequence[float]) -> Thresholds:
    """Thresholds over the rows of some emotions."""
    shares = rows.shares[:, list(places)]
    row, place = np.nonzero(shares)
    clusters = [rows.clusters[number] for number in row]
    strange = 1 - rows.scores[:, list(places)][row, place]
    limits = cluster_quantiles(np.clip(strange, 0.0, 1.0), clusters, coverages, shares[row, place])
    return Thresholds(
        clusters=len(set(clusters)),
        rows=round(float(shares.sum()), 2),
        thresholds=tuple(float(limit) if np.isfinite(limit) else None for limit in limits),
    )


def sets_of_scores(
    table: PredictionSets,
    scores: npt.NDArray[Any],
    kinds: Sequence[Sequence[Kind]],
    emotions: Sequence[str],
    coverage: float,
    by: CoverageBy = "emotion",
) -> npt.NDArray[np.bool_]:
    """The prediction sets of many rows, (N, C); `choose_set` gives those of one result.

    Args:
        table: Of the model.
        scores: (N, C); the set of a row of NaN means nothing.
        kinds: As `kinds_of` gives them, of each row.
        emotions: The C emotions.
        coverage: Asked for.
        by: As in `choose_set`.
    """
    limits: dict[tuple[Kind, ...], list[float]] = {}
    for key in {tuple(one) for one in kinds}:
        known = [thresholds_of(table, kind, emotions, coverage, by) for kind in key if kind in table.kinds]
        limits[key] = [max((one[name] for one in known), default=np.inf) for name in emotions]
    return label_sets(scores, [limits[tuple(one)] for one in kinds])


def cluster_rows(utterances: Sequence[Utterance], kind: Kind) -> tuple[tuple[str, ...], str]:
    """Cluster of each row, and what the clusters are: speakers, for words alone dialogues; else rows with equal words.

    Example:
        >>> rows = [Utterance(id="a", transcript="Yes."), Utterance(id="b", transcript="yes"), Utterance(id="c")]
        >>> cluster_rows(rows, "text")
        (('text yes', 'text yes', 'row c'), 'texts and rows')
    """
    names = [_cluster(utterance, kind) for utterance in utterances]
    units = {name.split(" ", 1)[0]: None for name in names}
    return tuple(names), " and ".join(f"{unit}s" for unit in sorted(units, key=_UNITS.index)) or "rows"


_UNITS: Final = ("speaker", "dialogue", "text", "row")


def _cluster(utterance: Utterance, kind: Kind) -> str:
    if utterance.speaker is not None and kind != "text":
        return f"speaker {utterance.speaker}"
    if utterance.dialogue is not None:
        return f"dialogue {utterance.dialogue}"
    words = normalise_transcript(utterance.transcript) if kind == "text" else None
    told = "".join(sign for sign in (words or "").casefold() if sign.isalnum() or sign.isspace()).strip()
    return f"text {told}" if told else f"row {utterance.id}"


def label_shares(targets: npt.NDArray[Any], count: int) -> Doubles:
    """Targets (n,) or (n, C) as shares (n, C).

    Example:
        >>> label_shares(np.array([1, 0]), 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    shares: Doubles = targets.astype(np.float64) if targets.ndim == 2 else np.eye(count)[targets]
    return shares
