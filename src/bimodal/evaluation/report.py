"""The report: all systems on the same utterances, with confidence intervals and paired differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bimodal.evaluation import metrics
from bimodal.evaluation.dimensions import RATINGS_NOTE, dimension_agreement, ratings_problems
from bimodal.evaluation.predictions import SET_COVERAGE, Predictions

CONFIDENCE = 0.95
COMPARED = (("fused", "speech"), ("fused", "text"), ("fused", "late"))
SETS_NOTE = (
    "The coverage of prediction sets is promised for speakers like those of the model's calibration, not for other "
    "corpora."
)
FEW_CLUSTERS = 20  # with fewer, a percentile interval over clusters is too narrow
FEW_UTTERANCES = 10  # of an emotion; with fewer, one utterance changes its recall by 10 points or more

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A metric with its interval.

    Attributes:
        value: On all utterances; None if the metric is undefined.
        low: Lower end of the interval; None if there is no interval.
        high: Upper end of the interval; None if undefined.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """Difference between two systems.

    Attributes:
        value: First minus second, -1 to 1.
        low: Lower end of the interval; None if undefined.
        high: Upper end of the interval; None if undefined.
        p: Two-sided bootstrap p of "no difference"; None if undefined.
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SetReport:
    """How often the prediction sets of a system hold the true emotion, and how large they are.

    Attributes:
        asked: The coverage asked for, 0 to 1.
        coverage: Share of the utterances whose set holds the true emotion.
        worst: The emotion whose utterances are covered least.
        worst_coverage: Share of its utterances.
        mean_size: Mean number of emotions in a set.
    """

    asked: float
    coverage: float
    worst: str
    worst_coverage: float
    mean_size: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemReport:
    """Results of one system on the utterances that it had input for.

    Attributes:
        system: One of `SYSTEMS`.
        rows: Utterances that it had input for.
        clusters: Speakers or dialogues among them.
        metrics: Each of `METRICS`; report.json has them as fields of the system.
        recalls: Recall of each emotion, 0 to 1; None if it does not occur.
        confusion: (C, C) counts, rows truth, columns prediction.
        sets: How good its prediction sets are; None if it has none.
        dimensions: Concordance correlation (CCC, -1 to 1) of derived arousal and valence with the ratings of the
            manifest; without those that it has no ratings of. None: undefined.
    """

    system: str
    rows: int
    clusters: int
    metrics: Mapping[str, Estimate]
    recalls: Mapping[str, float | None]
    confusion: tuple[tuple[int, ...], ...]
    sets: SetReport | None = None
    dimensions: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two systems on the utterances that both had input for.

    Attributes:
        system: The first.
        other: The second.
        rows: Utterances compared.
        uar: Difference in unweighted average recall, first minus second.
        weighted_f1: Difference in weighted F1.
    """

    system: str
    other: str
    rows: int
    uar: Gain
    weighted_f1: Gain


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Results of an evaluation; written as report.json.

    Attributes:
        title: Title of the report.
        emotions: (C,) names.
        counts: Utterances of each emotion.
        rows: Utterances.
        clusters: Number of speakers or dialogues.
        cluster_name: Unit of resampling: speaker, dialogue or utterance.
        systems: In their fixed order.
        comparisons: Fusion compared with each other system.
        warnings: Sentences that help to read the results.
        notes: Sentences of the caller, such as the overlap of an official split.
        caveat: Sentence that stands before everything else: why the figures are no evidence; empty if they are.
        confidence: Confidence level of the intervals, 0 to 1.
        replicates: Number of bootstrap resamples.
        seed: Random seed of the resampling.
        schema: Version of this record.
    """

    title: str
    emotions: tuple[str, ...]
    counts: Mapping[str, int]
    rows: int
    clusters: int
    cluster_name: str
    systems: tuple[SystemReport, ...]
    comparisons: tuple[Comparison, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    confidence: float
    replicates: int
    seed: int
    caveat: str = ""
    schema: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Resampling:
    replicates: int
    seed: int


def evaluate(
    predictions: Predictions, *, replicates: int = 2000, seed: int = 0, title: str = "", notes: Sequence[str] = ()
) -> Report:
    """Metrics of every system with intervals, and paired differences of fusion.

    Args:
        predictions: Predictions of one protocol. Pool folds with `concatenate` first.
        replicates: Bootstrap resamples of the clusters.
        seed: Random seed of the resampling; the same seed gives the same report.
        title: Title of the report.
        notes: Sentences to print with the results, such as the overlap of an official split.

    Raises:
        ValueError: If no system has input for any utterance.

    Example:
        >>> predictions = Predictions(
        ...     ids=("1", "2", "3"), targets=np.array([0, 1, 1]), emotions=("anger", "joy"),
        ...     clusters=("Ann", "Ann", "Bob"), cluster_name="speaker",
        ...     scores={"speech": np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])})
        >>> report = evaluate(predictions, replicates=100)
        >>> report.systems[0].metrics["uar"].value, report.systems[0].recalls["joy"]
        (0.75, 0.5)
    """
    systems = [system for system in predictions.systems if predictions.answered(system).any()]
    if not systems:
        raise ValueError(f"no system of {list(predictions.systems)} has input for any utterance")
    resampling = _Resampling(replicates=replicates, seed=seed)
    reports = tuple(_system_report(predictions, system, resampling) for system in systems)
    comparisons = _comparisons(predictions, resampling)
    counts = np.bincount(predictions.targets, minlength=len(predictions.emotions)).tolist()
    return Report(
        title=title,
        emotions=predictions.emotions,
        counts=dict(zip(predictions.emotions, counts, strict=True)),
        rows=len(predictions.ids),
        clusters=len(set(predictions.clusters)),
        cluster_name=predictions.cluster_name,
        systems=reports,
        comparisons=comparisons,
        warnings=(*_fusion_warnings(comparisons), *_data_warnings(predictions)),
        notes=(*notes, *_further_notes(predictions, reports)),
        confidence=CONFIDENCE,
        replicates=replicates,
        seed=seed,
    )


def _further_notes(predictions: Predictions, reports: Sequence[SystemReport]) -> list[str]:
    """What to know of prediction sets and of dimensions, where the report has any."""
    sets = [SETS_NOTE] if any(one.sets for one in reports) else []
    rated = [RATINGS_NOTE] if any(one.dimensions for one in reports) else []
    return [*sets, *rated, *ratings_problems(predictions)]


def _confusions(predictions: Predictions, system: str, rows: Mask) -> Integers:
    """One confusion matrix per cluster, (G, C, C), over chosen rows (N,)."""
    chosen, names = np.flatnonzero(rows).tolist(), predictions.emotions
    guesses = predictions.scores[system][rows].argmax(axis=1)
    return metrics.cluster_confusions(
        [names[predictions.targets[row]] for row in chosen],
        [names[guess] for guess in guesses],
        [predictions.clusters[row] for row in chosen],
        names,
    )


def _system_report(predictions: Predictions, system: str, resampling: _Resampling) -> SystemReport:
    rows = predictions.answered(system)
    scores, targets = predictions.scores[system][rows], predictions.targets[rows]
    confusions = _confusions(predictions, system, rows)
    matrix = confusions.sum(axis=0)
    recalls = [_known(recall) for recall in metrics.recall_per_class(matrix).tolist()]
    return SystemReport(
        system=system,
        rows=int(rows.sum()),
        clusters=len(confusions),
        metrics={
            name: _measure(metric, confusions, scores, targets, resampling) for name, metric in metrics.METRICS.items()
        },
        recalls=dict(zip(predictions.emotions, recalls, strict=True)),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        sets=_set_report(predictions, system, rows),
        dimensions=dimension_agreement(predictions, system),
    )


def _set_report(predictions: Predictions, system: str, rows: Mask) -> SetReport | None:
    if system not in predictions.sets:
        return None
    sets, targets = predictions.sets[system][rows], predictions.targets[rows]
    each = metrics.coverage_per_class(sets, targets)
    worst = int(np.nanargmin(each))
    return SetReport(
        asked=SET_COVERAGE,
        coverage=float(sets[np.arange(len(targets)), targets].mean()),
        worst=predictions.emotions[worst],
        worst_coverage=float(each[worst]),
        mean_size=float(sets.sum(axis=1).mean()),
    )


def _measure(
    metric: metrics.MetricInfo, confusions: Integers, scores: ArrayLike, targets: ArrayLike, resampling: _Resampling
) -> Estimate:
    if metric.of_confusions is not None:
        return _estimate(confusions, metric.of_confusions, resampling)
    return Estimate(value=None if metric.of_scores is None else _known(metric.of_scores(scores, targets)))


def _known(value: float) -> float | None:
    """None for NaN, which JSON does not know."""
    return None if math.isnan(value) else float(value)


def _estimate(confusions: Integers, metric: metrics.Metric, resampling: _Resampling) -> Estimate:
    found = metrics.bootstrap_interval(
        confusions, metric, replicates=resampling.replicates, confidence=CONFIDENCE, seed=resampling.seed
    )
    return Estimate(value=_known(found.value), low=_known(found.low), high=_known(found.high))


def _comparisons(predictions: Predictions, resampling: _Resampling) -> tuple[Comparison, ...]:
    """Comparisons of all pairs in `COMPARED` with common utterances."""
    pairs = [pair for pair in COMPARED if set(pair) <= set(predictions.systems)]
    shared = [predictions.answered(system) & predictions.answered(other) for system, other in pairs]
    return tuple(
        _comparison(predictions, pair, rows, resampling) for pair, rows in zip(pairs, shared, strict=True) if rows.any()
    )


def _comparison(predictions: Predictions, pair: tuple[str, str], rows: Mask, resampling: _Resampling) -> Comparison:
    first, second = (_confusions(predictions, system, rows) for system in pair)
    gain = partial(_gain, first, second, resampling=resampling)
    return Comparison(
        system=pair[0],
        other=pair[1],
        rows=int(rows.sum()),
        uar=gain(metrics.unweighted_average_recall),
        weighted_f1=gain(metrics.weighted_f1),
    )


def _gain(first: Integers, second: Integers, metric: metrics.Metric, resampling: _Resampling) -> Gain:
    options: dict[str, Any] = {"replicates": resampling.replicates, "confidence": CONFIDENCE, "seed": resampling.seed}
    found = metrics.paired_bootstrap(first, second, metric, **options)
    return Gain(value=_known(found.value), low=_known(found.low), high=_known(found.high), p=_known(found.p))


def _fusion_warnings(comparisons: Sequence[Comparison]) -> list[str]:
    """A warning where fusion is worse than one modality alone."""
    return [
        f"Fusion does not help here: its UAR is {-100 * comparison.uar.value:.1f} points below {comparison.other} "
        f"alone, on the {comparison.rows} utterances with input for both."
        for comparison in comparisons
        if comparison.other in ("speech", "text") and comparison.uar.value is not None and comparison.uar.value < 0
    ]


def _data_warnings(predictions: Predictions) -> list[str]:
    return [*_cluster_warnings(predictions), *_emotion_warnings(predictions), *_system_warnings(predictions)]


def _cluster_warnings(predictions: Predictions) -> list[str]:
    count, name = len(set(predictions.clusters)), predictions.cluster_name
    if count == 1:
        return [f"There is only one {name}, so there are no intervals."]
    few = f"The intervals are too narrow: there are {count} {name}s, fewer than {FEW_CLUSTERS}."
    alone = (
        "The intervals treat utterances as independent and are too narrow: name speakers or dialogues in the manifest."
    )
    return ([few] if count < FEW_CLUSTERS else []) + ([alone] if name == "utterance" else [])


def _emotion_warnings(predictions: Predictions) -> list[str]:
    counts = np.bincount(predictions.targets, minlength=len(predictions.emotions)).tolist()
    named = list(zip(predictions.emotions, counts, strict=True))
    absent = ", ".join(name for name, count in named if not count)
    few = ", ".join(f"{name} ({count})" for name, count in named if 0 < count < FEW_UTTERANCES)
    return ([f"No utterance is labelled {absent}: UAR is the mean over the other emotions."] if absent else []) + (
        [f"Recalls from fewer than {FEW_UTTERANCES} utterances: {few}."] if few else []
    )


def _system_warnings(predictions: Predictions) -> list[str]:
    answered = {system: predictions.answered(system) for system in predictions.systems}
    silent = [system for system, rows in answered.items() if not rows.any()]
    some = [rows for rows in answered.values() if rows.any()]
    differ = any(not np.array_equal(some[0], rows) for rows in some)
    unequal = (
        "The systems had input for different utterances: compare them by the paired differences, not by the table."
    )
    return [f"{system} is left out: it had no input for any utterance." for system in silent] + (
        [unequal] if differ else []
    )
