"""How far raters agree: Krippendorff's alpha with an interval that resamples clips."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bimodal.evaluation.metrics.bootstrap import Interval, interval_ends
from bimodal.labelling.records import UNSURE, Label

REPLICATES = 500


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of raters over the clips that several of them labelled.

    Attributes:
        alpha: Krippendorff's alpha for names, with its 95 % interval: 1 for full agreement, 0 for chance. None where
            no clip has two labels, or all labels are the same.
        clips: Number of clips with at least two labels.
        raters: Number of raters who labelled any of them.
    """

    alpha: Interval | None
    clips: int
    raters: int


def measure_agreement(labels: Mapping[str, Mapping[str, Label]], *, seed: int = 0) -> Agreement:
    """Agreement of raters on the emotion; `unsure` counts as no answer, `other` as an answer.

    Args:
        labels: By rater and clip.
        seed: Of the bootstrap.
    """
    counts, raters = _vote_counts(labels)
    if not len(counts):
        return Agreement(alpha=None, clips=0, raters=0)
    value = nominal_alpha(counts)
    if value is None:
        return Agreement(alpha=None, clips=len(counts), raters=raters)
    rng = np.random.default_rng(seed)
    drawn = [nominal_alpha(counts[rng.integers(0, len(counts), len(counts))]) for _ in range(REPLICATES)]
    low, high = interval_ends(np.array([np.nan if one is None else one for one in drawn]), 0.95)
    return Agreement(alpha=Interval(value=value, low=low, high=high), clips=len(counts), raters=raters)


def _vote_counts(labels: Mapping[str, Mapping[str, Label]]) -> tuple[npt.NDArray[np.int64], int]:
    """Votes for each answer of the clips with at least two, (n, V), and how many raters gave them."""
    votes: dict[str, list[tuple[str, str]]] = {}
    for rater, own in labels.items():
        for name, label in own.items():
            if label.answer != UNSURE:
                votes.setdefault(name, []).append((rater, label.answer))
    shared = [given for given in votes.values() if len(given) > 1]
    answers = sorted({answer for given in shared for _, answer in given})
    counts = [[sum(one == answer for _, one in given) for answer in answers] for given in shared]
    return np.array(counts, np.int64), len({rater for given in shared for rater, _ in given})


def nominal_alpha(counts: npt.ArrayLike) -> float | None:
    """Krippendorff's alpha of names: 1 minus observed by expected disagreement (Krippendorff 2004, ch. 11).

    The usual library is GPL, so that this package does not import it; a test compares both.

    Args:
        counts: Votes for each answer, (n, V); clips with one vote do not count.

    Returns:
        Alpha, at most 1; None where no clip has two votes, or all votes are for one answer.

    Example:
        >>> nominal_alpha([[2, 0], [0, 2], [2, 0]]), nominal_alpha([[2, 0]])
        (1.0, None)
    """
    votes = np.asarray(counts, np.float64)
    votes = votes[votes.sum(axis=1) > 1]
    if not len(votes):
        return None
    sizes = votes.sum(axis=1)
    totals, every = votes.sum(axis=0), float(sizes.sum())
    expected = (every**2 - (totals**2).sum()) / (every - 1)
    if not expected:
        return None
    observed = ((sizes**2 - (votes**2).sum(axis=1)) / (sizes - 1)).sum()
    return float(1 - observed / expected)
