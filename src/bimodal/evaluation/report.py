"""The report: all systems on the same utterances, with confidence intervals and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bimodal.evaluation import metrics
from bimodal.evaluation.abstention import Abstention, Rule, abstain
from bimodal.evaluation.compare import COMPARED, Comparison, McNemar, compare_systems
from bimodal.evaluation.dimensions import RATINGS_NOTE, dimension_agreement, ratings_problems
from bimodal.evaluation.figures import CONFIDENCE, Estimate, Gain, Mask, Resampling, confusions_of, known, measure
from bimodal.evaluation.predictions import SET_COVERAGE, Predictions
from bimodal.evaluation.soft_truth import VOTES, SoftTruth, soft_truth_of
from bimodal.evaluation.subgroups import FEW_ROWS, Subgroups, subgroups_of

__all__ = [
    "COMPARED",
    "Comparison",
    "Estimate",
    "Gain",
    "McNemar",
    "Options",
    "ReliabilityBin",
    "Report",
    "SetReport",
    "SystemReport",
    "evaluate",
    "evaluate_further",
]

SETS_NOTE = (
    "The coverage of prediction sets is promised for speakers like those of the model's calibration, not for other "
    "corpora."
)
FEW_CLUSTERS = 20  # with fewer, a percentile interval over clusters is too narrow
FEW_UTTERANCES = 10  # of an emotion; with fewer, one utterance changes its recall by 10 points or more


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """Utterances of about the same confidence, and how many of them are right.

    Attributes:
        low: Lower edge of the confidence, itself not in the bin.
        high: Upper edge, in the bin.
        rows: Utterances.
        confidence: Their mean confidence; None if there are none.
        accuracy: Share of right ones; None if there are none.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None


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
        system: One of `SYSTEMS`, or the name of another.
        rows: Utterances that it had input for.
        clusters: Speakers or dialogues among them.
        metrics: Each of `METRICS`; report.json has them as fields of the system.
        recalls: Recall of each emotion, 0 to 1; None if it does not occur.
        confusion: (C, C) counts, rows truth, columns prediction.
        sets: How good its prediction sets are; None if it has none.
        dimensions: Concordance correlation (CCC, -1 to 1) of derived arousal and valence with the ratings of the
            manifest; without those that it has no ratings of. None: undefined.
        reliability: Bins of confidence of equal width, those of the ECE; empty for a system of labels alone.
    """

    system: str
    rows: int
    clusters: int
    metrics: Mapping[str, Estimate]
    recalls: Mapping[str, float | None]
    confusion: tuple[tuple[int, ...], ...]
    sets: SetReport | None = None
    dimensions: Mapping[str, float | None] = field(default_factory=dict)
    reliability: tuple[ReliabilityBin, ...] = ()


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
        comparisons: Pairs of systems, see `compare_systems`.
        warnings: Sentences that help to read the results.
        notes: Sentences of the caller, such as the overlap of an official split.
        caveat: Sentence that stands before everything else: why the figures are no evidence; empty if they are.
        confidence: Confidence level of the intervals, 0 to 1.
        replicates: Number of bootstrap resamples.
        seed: Random seed of the resampling.
        schema: Version of this record. Version 1 has no intervals of metrics of scores and none of the fields below.
        score_replicates: Bootstrap resamples for metrics of scores.
        subgroups: Results by columns of the manifest.
        abstention: What abstaining below a threshold buys, of each system.
        soft_truth: Results against the votes of several annotators; None if there are none.
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
    schema: int = 2
    score_replicates: int = 0
    subgroups: tuple[Subgroups, ...] = ()
    abstention: tuple[Abstention, ...] = ()
    soft_truth: SoftTruth | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a report has beside its main figures.

    Attributes:
        by: Columns of the manifest, for results by subgroup.
        rule: When to abstain; None: nothing on abstention.
        held_out: Rows to choose the thresholds of the rule on, see `abstain`.
        held_out_told: What these rows are.
        votes: Column with the votes of several annotators; where the manifest has none, nothing on votes.
    """

    by: tuple[str, ...] = ()
    rule: Rule | None = None
    held_out: Predictions | None = None
    held_out_told: str = ""
    votes: str = VOTES


def evaluate(
    predictions: Predictions,
    *,
    replicates: int = 2000,
    seed: int = 0,
    title: str = "",
    notes: Sequence[str] = (),
    options: Options | None = None,
) -> Report:
    """Metrics of every system with intervals, and paired differences.

    Args:
        predictions: Predictions of one protocol. Pool folds with `concatenate` first.
        replicates: Bootstrap resamples of the clusters.
        seed: Random seed of the resampling; the same seed gives the same report.
        title: Title of the report.
        notes: Sentences to print with the results, such as the overlap of an official split.
        options: Further parts of the report.

    Raises:
        ValueError: If no system has input for any utterance.
        BimodalError: A column is missing, or no threshold can be chosen.

    Example:
        >>> predictions = Predictions(
        ...     ids=("1", "2", "3"), targets=np.array([0, 1, 1]), emotions=("anger", "joy"),
        ...     clusters=("Ann", "Ann", "Bob"), cluster_name="speaker",
        ...     scores={"speech": np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])})
        >>> report = evaluate(predictions, replicates=100)
        >>> report.systems[0].metrics["uar"].value, report.systems[0].recalls["joy"]
        (0.75, 0.5)
    """
    return evaluate_further(predictions, replicates=replicates, seed=seed, title=title, notes=notes, options=options)[0]


def evaluate_further(
    predictions: Predictions,
    *,
    replicates: int = 2000,
    seed: int = 0,
    title: str = "",
    notes: Sequence[str] = (),
    options: Options | None = None,
) -> tuple[Report, Predictions]:
    """As `evaluate`; also gives the predictions with the reasons of abstentions, as further columns."""
    systems = [system for system in predictions.systems if predictions.answered(system).any()]
    if not systems:
        raise ValueError(f"no system of {list(predictions.systems)} has input for any utterance")
    asked = options or Options()
    resampling = Resampling(replicates=replicates, seed=seed)
    reports = tuple(_system_report(predictions, system, resampling) for system in systems)
    comparisons = compare_systems(predictions, resampling)
    subgroups = tuple(one for column in asked.by for one in subgroups_of(predictions, column, resampling))
    abstentions, told = (
        ((), predictions)
        if asked.rule is None
        else abstain(predictions, asked.rule, resampling, asked.held_out, asked.held_out_told)
    )
    counts = np.bincount(predictions.targets, minlength=len(predictions.emotions)).tolist()
    report = Report(
        title=title,
        emotions=predictions.emotions,
        counts=dict(zip(predictions.emotions, counts, strict=True)),
        rows=len(predictions.ids),
        clusters=len(set(predictions.clusters)),
        cluster_name=predictions.cluster_name,
        systems=reports,
        comparisons=comparisons,
        warnings=(*_fusion_warnings(comparisons), *_data_warnings(predictions), *_group_warnings(subgroups)),
        notes=(*notes, *_further_notes(predictions, reports)),
        confidence=CONFIDENCE,
        replicates=replicates,
        seed=seed,
        score_replicates=resampling.score_replicates,
        subgroups=subgroups,
        abstention=abstentions,
        soft_truth=soft_truth_of(predictions, asked.votes, resampling),
    )
    return report, told


def _further_notes(predictions: Predictions, reports: Sequence[SystemReport]) -> list[str]:
    """What to know of prediction sets and of dimensions, where the report has any."""
    sets = [SETS_NOTE] if any(one.sets for one in reports) else []
    rated = [RATINGS_NOTE] if any(one.dimensions for one in reports) else []
    return [*sets, *rated, *ratings_problems(predictions)]


def _system_report(predictions: Predictions, system: str, resampling: Resampling) -> SystemReport:
    rows = predictions.answered(system)
    confusions = confusions_of(predictions, system, rows)
    matrix = confusions.sum(axis=0)
    recalls = [known(recall) for recall in metrics.recall_per_class(matrix).tolist()]
    return SystemReport(
        system=system,
        rows=int(rows.sum()),
        clusters=len(confusions),
        metrics={name: measure(metric, predictions, system, resampling) for name, metric in metrics.METRICS.items()},
        recalls=dict(zip(predictions.emotions, recalls, strict=True)),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        sets=_set_report(predictions, system, rows),
        dimensions=dimension_agreement(predictions, system),
        reliability=_reliability(predictions, system, rows),
    )


def _reliability(predictions: Predictions, system: str, rows: Mask) -> tuple[ReliabilityBin, ...]:
    if predictions.labels_only(system):
        return ()
    bins = metrics.reliability_bins(predictions.scores[system][rows], predictions.targets[rows], metrics.BINS)
    values = zip(bins.edges, bins.edges[1:], bins.count, bins.confidence, bins.accuracy, strict=False)
    return tuple(
        ReliabilityBin(low=float(low), high=float(high), rows=int(count), confidence=known(sure), accuracy=known(right))
        for low, high, count, sure, right in values
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


def _group_warnings(subgroups: Sequence[Subgroups]) -> list[str]:
    """What limits the results by subgroup, once for each column."""
    found = []
    for one in {one.column: one for one in subgroups}.values():
        few = ", ".join(f"{group.name} ({group.rows})" for group in one.groups if group.rows < FEW_ROWS)
        found += [f"By {one.column}, groups below {FEW_ROWS} utterances have no part in the gap: {few}."] if few else []
        found += [f"By {one.column}, {one.unknown} utterances have no group."] if one.unknown else []
    for one in subgroups:
        if one.gap.value is not None and one.gap.low is not None and one.gap.low > 0:
            found.append(
                f"{one.system} is {100 * one.gap.value:.1f} points better on {one.column} {one.best} than {one.worst}."
            )
    return found


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
