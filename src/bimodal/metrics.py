"""Metrics: pure functions on labels, scores and confusion matrices; numpy only.

Whatever counts right and wrong derives from a confusion matrix, rows truth, columns prediction, and takes a stack
(..., C, C) of them, so that a bootstrap over speakers is one call on thousands of matrices. `targets` are positions
(N,) in the list of emotions; `truth` and `prediction` are the emotions themselves. ValueError, with what was found and
what was expected, where inputs do not fit.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Metric = Callable[[Floats], Floats]  # (..., C, C) to (...), such as unweighted_average_recall

COLDEST, HOTTEST = 0.05, 20.0  # bounds of a fitted temperature
REPLICATES_AT_ONCE = 250  # bounds memory: replicates x clusters counts are held at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A figure and the interval around it.

    Attributes:
        value: The figure on all data.
        low: Lower end; NaN where no interval can be told.
        high: Upper end; NaN likewise.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """By how much one system beats another, over the same clusters.

    Attributes:
        value: First system minus second, on all data.
        low: Lower end of its interval; NaN where no interval can be told.
        high: Upper end; NaN likewise.
        p: Two-sided bootstrap p of "no difference", above 0 and at most 1; NaN likewise.
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBins:
    """What a reliability plot shows, per bin of confidence (M bins of equal width).

    Attributes:
        edges: (M + 1,), from 0 to 1; a bin holds its upper edge.
        confidence: (M,) mean score of the predicted emotion; NaN where empty.
        accuracy: (M,) share of right predictions; NaN where empty.
        count: (M,) utterances.
    """

    edges: Floats
    confidence: Floats
    accuracy: Floats
    count: Integers


@dataclass(frozen=True, kw_only=True, slots=True)
class RiskCoverage:
    """What abstaining buys: the error among those answered, from answering few to all.

    Attributes:
        threshold: (K,) distinct confidences, falling; an utterance is answered from its threshold up.
        coverage: (K,) share answered, rising to 1.
        risk: (K,) share of wrong predictions among those answered.
        area: Area under risk over coverage (AURC), 0 to 1, lower is better.
    """

    threshold: Floats
    coverage: Floats
    risk: Floats
    area: float


def target_positions(labels: Sequence[str], emotions: Sequence[str]) -> Integers:
    """Position of each label in the list of emotions, (N,).

    Raises:
        ValueError: If a label is not in the list, the list holds one twice, or there are no labels.

    Example:
        >>> target_positions(["joy", "anger"], ["anger", "joy"]).tolist()
        [1, 0]
    """
    position = {emotion: index for index, emotion in enumerate(emotions)}
    if len(position) != len(emotions):
        msg = f"emotions {list(emotions)} hold one twice"
        raise ValueError(msg)
    unknown = sorted({repr(label) for label in labels if label not in position})
    if unknown:
        msg = f"unknown emotion {', '.join(unknown)}, expected one of {list(emotions)}"
        raise ValueError(msg)
    if not len(labels):
        msg = "no labels, expected at least one"
        raise ValueError(msg)
    return np.array([position[label] for label in labels], dtype=np.int64)


def confusion_matrix(truth: Sequence[str], prediction: Sequence[str], emotions: Sequence[str]) -> Integers:
    """How often each emotion (row) was recognised as each (column), (C, C).

    Raises:
        ValueError: If lengths differ, a label is unknown, or there are none.

    Example:
        >>> confusion_matrix(["joy", "joy", "anger"], ["joy", "anger", "anger"], ["anger", "joy"]).tolist()
        [[1, 0], [1, 1]]
    """
    matrix: Integers = cluster_confusions(truth, prediction, [None] * len(truth), emotions)[0]
    return matrix


def cluster_confusions(
    truth: Sequence[str], prediction: Sequence[str], clusters: Sequence[Hashable], emotions: Sequence[str]
) -> Integers:
    """One confusion matrix per cluster, (G, C, C), clusters in order of first appearance.

    Args:
        truth: (N,) emotions.
        prediction: (N,) emotions.
        clusters: (N,) what belongs together and is resampled as one: the speaker or dialogue of each utterance.
        emotions: (C,) names, in the order of rows and columns.

    Raises:
        ValueError: If lengths differ, a label is unknown, or there are none.

    Example:
        >>> cluster_confusions(["a", "b", "b"], ["a", "a", "b"], ["Ann", "Bob", "Ann"], ["a", "b"]).tolist()
        [[[1, 0], [0, 1]], [[0, 0], [1, 0]]]
    """
    first: dict[Hashable, int] = {}
    groups = np.array([first.setdefault(cluster, len(first)) for cluster in clusters], dtype=np.int64)
    if not len(truth) == len(prediction) == len(groups):
        found = f"{len(truth)} true emotions, {len(prediction)} predictions, {len(groups)} clusters"
        msg = f"{found}, expected as many of each"
        raise ValueError(msg)
    rows, columns = target_positions(truth, emotions), target_positions(prediction, emotions)
    matrices = np.zeros((len(first), len(emotions), len(emotions)), dtype=np.int64)
    np.add.at(matrices, (groups, rows, columns), 1)
    return matrices


def count_confusions(targets: ArrayLike, predictions: ArrayLike, emotions: int) -> Integers:
    """`confusion_matrix` of integer positions (N,), for C emotions: (C, C).

    Example:
        >>> count_confusions([0, 1, 1], [0, 0, 1], 2).tolist()
        [[1, 0], [1, 1]]
    """
    matrix = np.zeros((emotions, emotions), dtype=np.int64)
    np.add.at(matrix, (np.asarray(targets), np.asarray(predictions)), 1)
    return matrix


def _ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    """The quotient, NaN where the whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        above, below = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
        return np.where(below > 0, above / below, np.nan)


def _mean_of_known(values: Floats) -> Floats:
    """Mean over the last axis without its NaN; NaN where all are."""
    known = ~np.isnan(values)
    mean: Floats = _ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1))[()]
    return mean


def _diagonal(matrix: ArrayLike) -> Floats:
    return np.diagonal(np.asarray(matrix, dtype=np.float64), axis1=-2, axis2=-1)


def recall_per_class(matrix: ArrayLike) -> Floats:
    """Share of each emotion's utterances that was recognised, (..., C), 0 to 1; NaN for an emotion absent from truth.

    Example:
        >>> recall_per_class([[3, 1, 0], [0, 2, 0], [0, 0, 0]]).tolist()
        [0.75, 1.0, nan]
    """
    return _ratio(_diagonal(matrix), np.sum(matrix, axis=-1))


def unweighted_average_recall(matrix: ArrayLike) -> Floats:
    """UAR: mean of the recalls of the emotions that occur in truth, 0 to 1; NaN for an empty matrix.

    Also called UA or balanced accuracy, and equal to scikit-learn's `balanced_accuracy_score`. An emotion absent from
    truth is left out, even if predicted; audmetric, given labels, counts it as 0 instead.

    Args:
        matrix: (..., C, C).

    Returns:
        (...,), a plain float64 for one matrix.

    Example:
        >>> float(unweighted_average_recall([[3, 1], [0, 2]]))
        0.875
    """
    return _mean_of_known(recall_per_class(matrix))


def accuracy(matrix: ArrayLike) -> Floats:
    """WA: share of utterances recognised, 0 to 1, so frequent emotions count more; NaN for an empty matrix.

    Example:
        >>> round(float(accuracy([[3, 1], [0, 2]])), 4)
        0.8333
    """
    share: Floats = _ratio(_diagonal(matrix).sum(-1), np.sum(matrix, axis=(-2, -1)))[()]
    return share


def _f1_per_class(matrix: ArrayLike) -> Floats:
    """F1 = 2 TP / (row + column) of each emotion, (..., C); NaN where it is in neither truth nor prediction."""
    return _ratio(2.0 * _diagonal(matrix), np.sum(matrix, axis=-1) + np.sum(matrix, axis=-2))


def macro_f1(matrix: ArrayLike) -> Floats:
    """Mean F1 of the emotions that occur in truth or prediction, 0 to 1; NaN for an empty matrix.

    As scikit-learn's `f1_score(average="macro")`: an emotion that is only predicted counts as 0, one that is in neither
    is left out.

    Example:
        >>> round(float(macro_f1([[3, 1], [0, 2]])), 4)  # (6/7 + 4/5) / 2
        0.8286
    """
    return _mean_of_known(_f1_per_class(matrix))


def weighted_f1(matrix: ArrayLike) -> Floats:
    """Mean F1 weighted by how often each emotion occurs in truth, 0 to 1; NaN for an empty matrix.

    Example:
        >>> round(float(weighted_f1([[3, 1], [0, 2]])), 4)  # (4 * 6/7 + 2 * 4/5) / 6
        0.8381
    """
    support = np.sum(matrix, axis=-1)
    mean: Floats = _ratio((np.nan_to_num(_f1_per_class(matrix)) * support).sum(-1), support.sum(-1))[()]
    return mean


def confusion_mass(matrix: ArrayLike, pairs: Sequence[tuple[int, int]]) -> Floats:
    """Mean share of an emotion's utterances that went to its counterpart, over the pairs and both directions, 0 to 1.

    Each direction is a share of its own row, so a rare emotion counts as much as a frequent one; a row without
    utterances is left out, and the result is NaN where all are.

    Args:
        matrix: (..., C, C).
        pairs: Positions of the emotions that are easily confused.

    Raises:
        ValueError: If there are no pairs, or one names an emotion twice.

    Example:
        >>> round(float(confusion_mass([[8, 2], [1, 3]], [(0, 1)])), 4)  # (2/10 + 1/4) / 2
        0.225
    """
    if not pairs or any(one == other for one, other in pairs):
        msg = f"pairs are {list(pairs)}, expected at least one, each of two different emotions"
        raise ValueError(msg)
    shares = _ratio(matrix, np.sum(matrix, axis=-1, keepdims=True))
    one, other = np.array(pairs, dtype=np.int64).T
    return _mean_of_known(np.concatenate([shares[..., one, other], shares[..., other, one]], axis=-1))


def _check_targets(rows: ArrayLike, targets: ArrayLike) -> tuple[Floats, Integers]:
    """Rows (N, C) and targets (N,) as arrays, refused where they do not fit."""
    values, truth = np.asarray(rows, dtype=np.float64), np.asarray(targets)
    if values.ndim != 2 or truth.shape != values.shape[:1] or not values.size:
        msg = f"shapes are {values.shape} and {truth.shape}, expected (N, C) and (N,) with N and C of at least 1"
        raise ValueError(msg)
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= values.shape[1]:
        msg = f"targets are {truth.dtype} {truth.min()} to {truth.max()}, expected integers 0 to {values.shape[1] - 1}"
        raise ValueError(msg)
    if not np.isfinite(values).all():
        msg = f"row {int(np.argmin(np.isfinite(values).all(axis=1)))} holds a number that is not finite"
        raise ValueError(msg)
    return values, truth.astype(np.int64)


def _check_scores(scores: ArrayLike, targets: ArrayLike) -> tuple[Floats, Integers]:
    """The same for scores, whose rows must be probabilities."""
    values, truth = _check_targets(scores, targets)
    sums = values.sum(axis=1)
    wrong = (values < 0).any(axis=1) | (np.abs(sums - 1.0) > 1e-3)
    if wrong.any():
        row = int(np.argmax(wrong))
        msg = f"row {row} is {values[row].tolist()}, expected probabilities that sum to 1; see `softmax`"
        raise ValueError(msg)
    return values, truth


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities from logits over the last axis; a temperature above 1 makes them less sure.

    Raises:
        ValueError: If the temperature is not above 0.

    Example:
        >>> softmax([0.0, np.log(3.0)]).round(4).tolist()
        [0.25, 0.75]
    """
    if not temperature > 0:
        msg = f"temperature is {temperature}, expected above 0"
        raise ValueError(msg)
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def negative_log_likelihood(scores: ArrayLike, targets: ArrayLike) -> float:
    """Mean -ln of the true emotion's score, in nats, at least 0; a score of 0 counts as 2e-16, as in scikit-learn.

    Args:
        scores: (N, C), rows sum to 1.
        targets: (N,) positions.

    Raises:
        ValueError: If shapes, targets or scores do not fit.

    Example:
        >>> round(negative_log_likelihood([[0.5, 0.5], [0.25, 0.75]], [0, 1]), 4)
        0.4904
    """
    values, truth = _check_scores(scores, targets)
    true_scores = values[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(true_scores, np.finfo(np.float64).eps, 1.0)).mean())


def brier_score(scores: ArrayLike, targets: ArrayLike) -> float:
    """Mean squared distance of the scores from the truth, summed over the emotions, 0 to 2 (Brier 1950).

    Args:
        scores: (N, C), rows sum to 1.
        targets: (N,) positions.

    Raises:
        ValueError: If shapes, targets or scores do not fit.

    Example:
        >>> brier_score([[0.5, 0.5], [0.25, 0.75]], [0, 1])  # (0.5 + 0.125) / 2
        0.3125
    """
    values, truth = _check_scores(scores, targets)
    return float(np.square(values - np.eye(values.shape[1])[truth]).sum(axis=1).mean())


def reliability_bins(scores: ArrayLike, targets: ArrayLike, bins: int = 15) -> ReliabilityBins:
    """Confidence and accuracy per bin of confidence, for a reliability plot.

    Args:
        scores: (N, C), rows sum to 1.
        targets: (N,) positions.
        bins: M, of equal width over 0 to 1.

    Raises:
        ValueError: If shapes, targets or scores do not fit, or there is no bin.

    Example:
        >>> found = reliability_bins([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], bins=2)
        >>> found.count.tolist(), found.accuracy.round(2).tolist()
        ([0, 3], [nan, 0.67])
    """
    values, truth = _check_scores(scores, targets)
    if bins < 1:
        msg = f"bins is {bins}, expected at least 1"
        raise ValueError(msg)
    edges = np.linspace(0.0, 1.0, bins + 1)
    top = values.max(axis=1)
    where = np.clip(np.searchsorted(edges, top, side="left") - 1, 0, bins - 1)
    count = np.bincount(where, minlength=bins)
    right = np.bincount(where, weights=values.argmax(axis=1) == truth, minlength=bins)
    sure = np.bincount(where, weights=top, minlength=bins)
    return ReliabilityBins(edges=edges, confidence=_ratio(sure, count), accuracy=_ratio(right, count), count=count)


def expected_calibration_error(scores: ArrayLike, targets: ArrayLike, bins: int = 15) -> float:
    """ECE: mean gap between confidence and accuracy over bins, weighted by count, 0 to 1 (Guo 2017, arXiv 1706.04599).

    Biased upwards on few utterances: read it beside the reliability plot and the count.

    Args:
        scores: (N, C), rows sum to 1.
        targets: (N,) positions.
        bins: Of equal width over 0 to 1; a bin holds its upper edge.

    Raises:
        ValueError: If shapes, targets or scores do not fit, or there is no bin.

    Example:
        >>> round(expected_calibration_error([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], bins=2), 4)  # 2.3/3 - 2/3
        0.1
    """
    found = reliability_bins(scores, targets, bins)
    gaps = np.abs(np.nan_to_num(found.accuracy - found.confidence))
    return float((gaps * found.count).sum() / found.count.sum())


def risk_coverage(scores: ArrayLike, targets: ArrayLike) -> RiskCoverage:
    """Error among the answered as the confidence asked for falls (Geifman and El-Yaniv 2017, arXiv 1705.08500).

    Confidence is the top score. Utterances of equal confidence are answered together, so their order never matters.

    Args:
        scores: (N, C), rows sum to 1.
        targets: (N,) positions.

    Raises:
        ValueError: If shapes, targets or scores do not fit.

    Example:
        >>> curve = risk_coverage([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1])
        >>> curve.threshold.tolist(), curve.coverage.round(2).tolist(), curve.risk.round(2).tolist()
        ([0.9, 0.8, 0.6], [0.33, 0.67, 1.0], [0.0, 0.5, 0.33])
    """
    values, truth = _check_scores(scores, targets)
    rising, group = np.unique(values.max(axis=1), return_inverse=True)
    size = np.bincount(group)[::-1]
    wrong = np.bincount(group, weights=values.argmax(axis=1) != truth)[::-1]
    risk = wrong.cumsum() / size.cumsum()
    share = size / len(truth)
    return RiskCoverage(
        threshold=rising[::-1], coverage=size.cumsum() / len(truth), risk=risk, area=float((risk * share).sum())
    )


def concordance_correlation(truth: ArrayLike, prediction: ArrayLike) -> float:
    r"""CCC of a dimension such as arousal, -1 to 1 (Lin 1989), with population variances, as audmetric.

    $$\rho_c = \frac{2\,\mathrm{cov}(x, y)}{\sigma_x^2 + \sigma_y^2 + (\mu_x - \mu_y)^2}$$

    Returns:
        NaN for a single value, or where both are one and the same constant.

    Raises:
        ValueError: If shapes differ or are not (N,), or there are no values.

    Example:
        >>> round(concordance_correlation([0, 1, 2], [0, 1, 1]), 4)
        0.6667
    """
    x, y = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        msg = f"shapes are {x.shape} and {y.shape}, expected (N,) twice with N of at least 1"
        raise ValueError(msg)
    spread = float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    if x.size < 2 or spread == 0:
        return math.nan
    return float(2 * ((x - x.mean()) * (y - y.mean())).mean() / spread)


def _check_clusters(confusions: ArrayLike, replicates: int, confidence: float) -> Floats:
    matrices = np.asarray(confusions, dtype=np.float64)
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or not matrices.size:
        msg = f"confusions have shape {matrices.shape}, expected (G, C, C) with at least one cluster"
        raise ValueError(msg)
    if replicates < 1 or not 0 < confidence < 1:
        msg = f"replicates is {replicates} and confidence {confidence}, expected at least 1 and between 0 and 1"
        raise ValueError(msg)
    return matrices


def _replicates(systems: Sequence[Floats], metric: Metric, replicates: int, seed: int) -> Floats:
    """The metric of each system (rows) on each replicate (columns), every system on the same resampled clusters."""
    rng = np.random.default_rng(seed)
    clusters, emotions = systems[0].shape[:2]
    parts = []
    for start in range(0, replicates, REPLICATES_AT_ONCE):
        size = min(REPLICATES_AT_ONCE, replicates - start)
        counts = rng.multinomial(clusters, np.full(clusters, 1.0 / clusters), size=size).astype(np.float64)
        sums = [(counts @ system.reshape(clusters, -1)).reshape(size, emotions, emotions) for system in systems]
        parts.append(np.stack([metric(matrices) for matrices in sums]))
    return np.concatenate(parts, axis=1)


def _ends(values: Floats, confidence: float) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bootstrap_interval(
    confusions: ArrayLike, metric: Metric, *, replicates: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """A metric with its percentile interval, clusters resampled with replacement (Efron 1979).

    Utterances of one speaker are alike; resampling utterances would pretend to more evidence than there is, so whole
    clusters are drawn. With few of them (below about 20) the interval is still too narrow. A replicate in which the
    metric is undefined is left out. One cluster tells nothing about another: its ends are NaN.

    Args:
        confusions: (G, C, C), from `cluster_confusions`.
        metric: Of this module, or any function of (..., C, C).
        replicates: How many resamples.
        confidence: Of the interval, between 0 and 1.
        seed: Of the resampling; the same seed gives the same interval.

    Raises:
        ValueError: If shapes or numbers do not fit.

    Example:
        >>> speakers = [[[9, 1], [2, 8]], [[5, 5], [1, 9]], [[7, 3], [4, 6]]]
        >>> found = bootstrap_interval(speakers, unweighted_average_recall)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.733, 0.65, 0.85)
    """
    matrices = _check_clusters(confusions, replicates, confidence)
    value = float(metric(matrices.sum(axis=0)))
    if len(matrices) < 2:
        return Interval(value=value, low=math.nan, high=math.nan)
    low, high = _ends(_replicates([matrices], metric, replicates, seed)[0], confidence)
    return Interval(value=value, low=low, high=high)


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    metric: Metric,
    *,
    replicates: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Metric of system a minus that of b, with interval and p, both evaluated on the same resampled clusters.

    p is twice the smaller share of replicates on either side of 0 (0 itself on both), with one added to counts and
    replicates so that it is never 0, and at most 1.

    Args:
        a: (G, C, C), from `cluster_confusions`.
        b: (G, C, C) of the other system, on the same utterances in the same order of clusters.
        metric: Of this module, or any function of (..., C, C).
        replicates: How many resamples.
        confidence: Of the interval, between 0 and 1.
        seed: Of the resampling.

    Raises:
        ValueError: If shapes or numbers do not fit, or the true emotions of a cluster differ between a and b.

    Example:
        >>> a = [[[9, 1], [2, 8]], [[8, 2], [1, 9]], [[9, 1], [4, 6]]]
        >>> b = [[[8, 2], [2, 8]], [[5, 5], [2, 8]], [[8, 2], [5, 5]]]
        >>> found = paired_bootstrap(a, b, unweighted_average_recall)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), found.p < 0.01
        (0.117, 0.05, 0.2, True)
    """
    first, second = (_check_clusters(system, replicates, confidence) for system in (a, b))
    if first.shape != second.shape or not np.array_equal(first.sum(axis=2), second.sum(axis=2)):
        msg = f"systems of shape {first.shape} and {second.shape} do not share clusters with the same true emotions"
        raise ValueError(msg)
    value = float(metric(first.sum(axis=0))) - float(metric(second.sum(axis=0)))
    if len(first) < 2:
        return Difference(value=value, low=math.nan, high=math.nan, p=math.nan)
    scores = _replicates([first, second], metric, replicates, seed)
    differences = scores[0] - scores[1]
    low, high = _ends(differences, confidence)
    known = differences[~np.isnan(differences)]
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return Difference(value=value, low=low, high=high, p=min(1.0, 2.0 * (1 + smaller) / (1 + known.size)))


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """The temperature that makes the scores most likely, 0.05 to 20 (Guo 2017, arXiv 1706.04599).

    The NLL is convex in 1 / T, so the sign of its slope, the mean of (expected logit - true logit), is bisected over
    log T until T is known to about 1e-12. Fit it on data that neither trained the model nor is reported. Logits that
    are right everywhere want T = 0 and get the lower bound, logits worse than chance the upper; logits that do not
    differ within any row carry nothing to scale, and T is 1.

    Args:
        logits: (N, C), finite.
        targets: (N,) positions.

    Raises:
        ValueError: If shapes or targets do not fit or a logit is not finite.

    Example:
        >>> logits = np.log([[0.9, 0.1]] * 4)  # 90 % sure, but right in 3 of 4
        >>> temperature = fit_temperature(logits, [0, 0, 0, 1])
        >>> softmax(logits, temperature)[0].round(4).tolist()
        [0.75, 0.25]
    """
    values, truth = _check_targets(logits, targets)
    true_logits = values[np.arange(len(truth)), truth]
    if not np.ptp(values, axis=1).any():
        return 1.0

    def too_sure(log_temperature: float) -> bool:
        expected = (softmax(values, math.exp(log_temperature)) * values).sum(axis=1)
        return bool((expected - true_logits).mean() > 0)

    low, high = math.log(COLDEST), math.log(HOTTEST)
    if not too_sure(low):
        return COLDEST
    if too_sure(high):
        return HOTTEST
    for _ in range(42):  # 6 / 2**42
        middle = (low + high) / 2
        low, high = (middle, high) if too_sure(middle) else (low, middle)
    return math.exp((low + high) / 2)
