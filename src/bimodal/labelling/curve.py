"""How good the head is on the test clips, how that grew with the labels, and what more labels would bring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Doubles, ratio
from bimodal.evaluation.metrics.bootstrap import Interval, interval_ends
from bimodal.evaluation.metrics.confusion import unweighted_average_recall

REPLICATES: Final = 1000
FEWEST_TESTS: Final = 20
"""With fewer labelled test clips, a figure would say nothing."""

ENOUGH_TESTS: Final = 40
FEWEST_POINTS: Final = 4
"""Points of the curve that an extrapolation needs."""

WORTH: Final = 0.01
"""Gain of UAR for which twenty more labels are worth the time."""

MORE: Final = 20
_SMALLEST: Final = 1e-9
_OFFSET: Final = 20.0  # labels; the packaged model counts for some


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The head after some labels.

    Attributes:
        labels: Number of labelled training clips.
        uar: On the test clips, with its 95 % interval.
    """

    labels: int
    uar: Interval


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The learning curve on the test clips.

    Attributes:
        points: By number of labels; the first is the packaged model without labels. Empty with too few test clips.
        tests: Number of labelled test clips.
        emotions: Number of emotions among them.
        gain: What `MORE` labels would bring, extrapolated, with its 95 % interval; None where it cannot be told.
        advice: One sentence: whether to go on.
        may_stop: Whether more labels are not worth the time.
    """

    points: tuple[CurvePoint, ...]
    tests: int
    emotions: int
    gain: Interval | None
    advice: str
    may_stop: bool


def majority(votes: Doubles) -> npt.NDArray[np.int64]:
    """The emotion with most votes of each clip, (N,); -1 for a tie or no votes.

    Args:
        votes: Shares or counts, (N, C).

    Example:
        >>> majority(np.array([[2.0, 1.0], [1.0, 1.0], [0.0, 0.0]])).tolist()
        [0, -1, -1]
    """
    best = votes.max(axis=1, keepdims=True)
    alone = ((votes == best).sum(axis=1) == 1) & (best[:, 0] > 0)
    return np.where(alone, votes.argmax(axis=1), -1)


def learning_curve(
    predicted: Mapping[int, npt.NDArray[np.int64]], truth: npt.NDArray[np.int64], emotions: int, *, seed: int = 0
) -> Curve:
    """The curve of heads that were fitted on growing numbers of labels, on the same test clips.

    Args:
        predicted: Emotion of each test clip, (N,), by number of labels.
        truth: What most raters said of each, (N,).
        emotions: C.
        seed: Of the bootstrap over clips.
    """
    found = len(truth)
    kinds = len(np.unique(truth))
    if found < FEWEST_TESTS or kinds < 2:
        return Curve(points=(), tests=found, emotions=kinds, gain=None, may_stop=False, advice=_too_few(found, kinds))
    sizes = sorted(predicted)
    drawn = _draws(found, seed)
    values, replicates = [], []
    for size in sizes:
        pairs = truth * emotions + predicted[size]
        counts = np.stack([np.bincount(pairs[rows], minlength=emotions**2) for rows in drawn])
        confusions = counts.reshape(len(drawn), emotions, emotions).astype(np.float64)
        whole = np.bincount(pairs, minlength=emotions**2).reshape(emotions, emotions).astype(np.float64)
        values.append(float(unweighted_average_recall(whole)))
        replicates.append(unweighted_average_recall(confusions))
    points = tuple(
        CurvePoint(labels=size, uar=Interval(value=value, low=ends[0], high=ends[1]))
        for size, value, ends in zip(sizes, values, (interval_ends(one, 0.95) for one in replicates), strict=True)
    )
    gain = extrapolate(sizes, np.array(values), np.array(replicates).T)
    advice, may_stop = advise(gain, found, sizes[-1])
    return Curve(points=points, tests=found, emotions=kinds, gain=gain, advice=advice, may_stop=may_stop)


def extrapolate(sizes: Sequence[int], values: Doubles, replicates: Doubles, *, seed: int = 0) -> Interval | None:
    """What `MORE` labels would bring if UAR went on growing with the logarithm of the labels.

    The interval resamples test clips and points of the curve. It does not know whether the growth ends soon.

    Args:
        sizes: Labels at each of P points.
        values: UAR there, (P,).
        replicates: The same of R resamples of the test clips, (R, P).
        seed: Of the resampling of points.

    Returns:
        The gain with its 95 % interval, from 0 to what is missing to a UAR of 1; None with fewer than
        `FEWEST_POINTS` points.
    """
    if len(sizes) < FEWEST_POINTS:
        return None
    where = np.log(np.asarray(sizes) + _OFFSET)
    step = np.log(sizes[-1] + MORE + _OFFSET) - np.log(sizes[-1] + _OFFSET)
    most = 1.0 - float(values[-1])
    drawn = np.random.default_rng(seed).multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), len(replicates))
    value = float(np.clip(_slopes(where, values[None], np.ones((1, len(sizes))))[0] * step, 0.0, most))
    gains = np.clip(_slopes(where, replicates, drawn.astype(np.float64)) * step, 0.0, most)
    low, high = interval_ends(gains, 0.95)
    return Interval(value=value, low=low, high=high)


def _slopes(where: Doubles, values: Doubles, weights: Doubles) -> Doubles:
    """Slope of each row of values (R, P) over places (P,) by least squares with weights (R, P); NaN for one place."""
    total = weights.sum(axis=1, keepdims=True)
    centred = where - (weights * where).sum(axis=1, keepdims=True) / total
    spread = (weights * centred**2).sum(axis=1)
    return ratio((weights * centred * values).sum(axis=1), np.where(spread > _SMALLEST, spread, 0.0))


def advise(gain: Interval | None, tests: int, labels: int) -> tuple[str, bool]:
    """Whether to go on, in a sentence, and whether to stop.

    Example:
        >>> advise(Interval(value=0.002, low=0.0, high=0.006), 60, 200)
        ('You may stop: 20 more labels would bring 0.2 points of UAR (0.0 to 0.6).', True)
    """
    if gain is None:
        return f"Go on: the curve needs {FEWEST_POINTS} points to say what more labels would bring.", False
    told = f"{100 * gain.value:.1f} points of UAR ({100 * gain.low:.1f} to {100 * gain.high:.1f})"
    if gain.high < WORTH and tests >= ENOUGH_TESTS:
        return f"You may stop: {MORE} more labels would bring {told}.", True
    if tests < ENOUGH_TESTS:
        return f"Go on: {MORE} more labels may bring {told}, but {tests} test clips tell little.", False
    if gain.value < WORTH:
        return f"Near the end: {MORE} more labels may bring {told}.", False
    return f"Go on: {MORE} more labels may bring {told}.", False


def _too_few(found: int, kinds: int) -> str:
    if found < FEWEST_TESTS:
        return f"Go on: {found} test clips are labelled, a figure needs {FEWEST_TESTS}."
    return f"Go on: the labelled test clips hold {kinds} emotion, a figure needs two."


def _draws(count: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, count, (REPLICATES, count))
