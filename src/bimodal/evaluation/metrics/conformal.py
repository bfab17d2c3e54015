"""Conformal prediction sets over clusters such as speakers: thresholds, the sets that they give, and how good they are.

A row is as strange for an emotion as one minus its score of it (LAC: Sadinle, Lei and Wasserman 2019, JASA 114). The
rows of one speaker resemble one another, so the guarantee is about a new *speaker*: each speaker's empirical
distribution counts as one (pooling CDFs: Dunn, Wasserman and Ramdas 2022, arXiv 1809.07441), and so does the speaker to
come, of whom nothing is known (Lee, Barber and Willett 2023, arXiv 2306.06342). A set then holds the true emotion of a
row of a new speaker, drawn like the others, at least as often as asked.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bimodal.arrays import Doubles, ratio

_ROUNDING = 1e-9


def cluster_quantiles(
    nonconformity: ArrayLike, clusters: Sequence[str], coverages: ArrayLike, weights: ArrayLike | None = None
) -> Doubles:
    r"""Least thresholds that hold the true emotion of a row of a new cluster with each coverage.

    $$q = \inf\{t : \tfrac{1}{k+1} \sum_{j=1}^{k} \hat F_j(t) \ge \mathrm{coverage}\}$$

    Args:
        nonconformity: Of the true emotion of each row, (N,).
        clusters: Speaker of each row, (N,).
        coverages: Shares to be covered, (Q,), each above 0 and below 1.
        weights: Weight of each row within its cluster, (N,), such as the share of its votes; None: all weigh the same.

    Returns:
        (Q,); infinite for a coverage above k / (k + 1), which k clusters cannot support.

    Raises:
        ValueError: Shapes differ, or a number is not finite.

    Example:
        >>> cluster_quantiles([0.1, 0.3, 0.2, 0.4], ["Ann", "Ann", "Bob", "Bob"], [0.3, 0.6, 0.7]).tolist()
        [0.2, 0.4, inf]
    """
    scores, wanted = np.asarray(nonconformity, np.float64), np.asarray(coverages, np.float64)
    given = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    if scores.shape != (len(clusters),) or given.shape != scores.shape:
        msg = f"shapes {scores.shape} and {given.shape} for {len(clusters)} rows, expected one number a row"
        raise ValueError(msg)
    if not (np.isfinite(scores).all() and np.isfinite(given).all()):
        msg = "a score or weight is not finite"
        raise ValueError(msg)
    used = given > 0
    names, place = np.unique(np.asarray(clusters, dtype=object)[used].astype(str), return_inverse=True)
    scores, given = scores[used], given[used]
    mass = given / np.bincount(place, weights=given, minlength=len(names))[place] / (len(names) + 1)
    order = np.argsort(scores, kind="stable")
    first = np.searchsorted(np.cumsum(mass[order]), wanted - _ROUNDING)
    return np.append(scores[order], np.inf)[first]


def label_sets(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.bool_]:
    """The emotions that are no stranger than a threshold; the one with the highest score always is in the set.

    Args:
        scores: Probabilities (N, C).
        thresholds: Of each emotion, (C,) or (N, C).

    Returns:
        Whether an emotion is in the set of a row, (N, C).

    Example:
        >>> label_sets([[0.7, 0.2, 0.1]], [0.85, 0.85, 0.85]).tolist()
        [[True, True, False]]
    """
    shares = np.asarray(scores, np.float64)
    inside: NDArray[np.bool_] = 1 - shares <= np.asarray(thresholds, np.float64) + _ROUNDING
    inside[np.arange(len(shares)), shares.argmax(axis=1)] = True
    return inside


def coverage_per_class(sets: ArrayLike, targets: ArrayLike) -> Doubles:
    """Share of the rows of each emotion whose set holds it, (C,); NaN for an emotion that does not occur.

    Args:
        sets: Whether an emotion is in the set of a row, (N, C).
        targets: Positions of the true emotions, (N,).

    Example:
        >>> coverage_per_class([[True, False], [True, False], [True, True]], [0, 1, 1]).tolist()
        [1.0, 0.5]
    """
    held, truth = np.asarray(sets, np.bool_), np.asarray(targets, np.int64)
    hit, count = held[np.arange(len(truth)), truth], held.shape[1]
    return ratio(np.bincount(truth, weights=hit, minlength=count), np.bincount(truth, minlength=count))
