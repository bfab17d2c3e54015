"""How far a fair model deviates by chance: thresholds by simulation of random models from the sizes of the groups.

The published suite (Derington et al., arXiv 2312.06270) lets a random model answer 1,000 times and takes the largest
deviation of a group. It draws test sets of equal size and equal truth first. Here nothing is left out: the random model
has the answers of the tested model to each true emotion, whatever the group, so that the groups' sizes and emotions are
those of the manifest. A quantile replaces the maximum, since a maximum grows with the number of runs.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from bimodal.arrays import Doubles, Integers, ratio

LEVEL: Final = 0.999
"""Quantile of the deviations of random models; the published maximum of 1,000 runs is about as high."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Deviations:
    """Figures of each group minus those of all clips, at the truth of all clips; NaN where undefined.

    Attributes:
        uar: (..., G).
        recall: (..., G, C).
        precision: (..., G, C).
        share: (..., G, C) share of each answer.
    """

    uar: Doubles
    recall: Doubles
    precision: Doubles
    share: Doubles


def group_confusions(targets: Integers, answers: Integers, groups: Integers, emotions: int) -> Integers:
    """One confusion matrix per group, (G, C, C), rows truth; clips with an answer outside 0 to C - 1 are left out.

    Example:
        >>> truth, told, group = np.array([0, 1, 1]), np.array([0, 0, 2]), np.array([0, 1, 1])
        >>> group_confusions(truth, told, group, 2).tolist()
        [[[1, 0], [0, 0]], [[0, 0], [1, 0]]]
    """
    matrices = np.zeros((int(groups.max()) + 1, emotions, emotions), np.int64)
    known = answers < emotions
    np.add.at(matrices, (groups[known], targets[known], answers[known]), 1)
    return matrices


def deviations(confusions: Integers) -> Deviations:
    """How far each group deviates from all groups together.

    A group whose clips have other emotions than all clips is compared at the truth of all clips: each row of its
    confusion matrix is weighted by how often that emotion occurs in all groups. Emotions that a group lacks are left
    out of both sides.

    Args:
        confusions: (..., G, C, C) counts, rows truth.

    Example:
        >>> two = np.array([[[8, 2], [2, 8]], [[4, 6], [2, 8]]])
        >>> deviations(two).uar.round(2).tolist()
        [0.1, -0.1]
    """
    counts = confusions.astype(np.float64)
    support, total = counts.sum(-1), counts.sum(-3, keepdims=True)
    here = support > 0
    weights = np.where(here, total.sum(-1), 0.0)
    weights = ratio(weights, weights.sum(-1, keepdims=True))[..., None]
    own, whole = (np.nan_to_num(ratio(one, one.sum(-1, keepdims=True))) for one in (counts, total))
    recall = np.where(here, _diagonal(own) - _diagonal(whole), np.nan)
    shares = [(weights * one).sum(-2) for one in (own, whole)]
    hits = [_diagonal(weights * one) for one in (own, whole)]
    precision = ratio(hits[0], shares[0]) - ratio(hits[1], shares[1])
    uar = ratio(np.nansum(recall, axis=-1), here.sum(-1))
    return Deviations(uar=uar, recall=recall, precision=np.where(here, precision, np.nan), share=shares[0] - shares[1])


def _diagonal(matrices: Doubles) -> Doubles:
    return np.diagonal(matrices, axis1=-2, axis2=-1)


def fair_thresholds(confusions: Integers, *, runs: int, seed: int, level: float = LEVEL) -> Deviations:
    """The deviations that a fair random model stays within, with probability `level` for each figure.

    Args:
        confusions: (G, C, C) of the tested model: how often each emotion occurs in each group, and how the model
            answers to it.
        runs: Random models.
        seed: Of their answers.
        level: Quantile of the magnitude of the deviations.

    Returns:
        Thresholds, (G,) and (G, C); NaN where no run defines the figure.
    """
    return _magnitudes(deviations(simulate(confusions, runs, np.random.default_rng(seed))), level)


def _magnitudes(found: Deviations, level: float) -> Deviations:
    quantiles = {}
    for name in ("uar", "recall", "precision", "share"):
        sizes = np.abs(getattr(found, name))
        defined = ~np.isnan(sizes).all(axis=0)
        quantiles[name] = np.full(sizes.shape[1:], np.nan)
        quantiles[name][defined] = np.nanquantile(sizes[:, defined], level, axis=0)
    return Deviations(**quantiles)


def simulate(confusions: Integers, runs: int, rng: np.random.Generator) -> Integers:
    """Confusion matrices (runs, G, C, C) of random models that answer to each emotion alike in all groups."""
    support, total = confusions.sum(-1), confusions.sum(0).astype(np.float64)
    shares = ratio(total, total.sum(-1, keepdims=True))
    shares = np.where(np.isnan(shares), 1 / len(shares), shares)  # emotions without clips, of which none are drawn
    drawn = [
        rng.multinomial(support[:, emotion], shares[emotion], (runs, len(support))) for emotion in range(len(shares))
    ]
    return np.stack(drawn, axis=2).astype(np.int32)


def chance_uar(counts: Integers, shares: Doubles, *, runs: int, seed: int, level: float = LEVEL) -> float:
    """The unweighted average recall that a model that guesses stays below, with probability `level`.

    Args:
        counts: (C,) clips of each emotion.
        shares: (C,) of its answers, sum 1.
        runs: Random models.
        seed: Of their answers.
        level: Quantile.

    Example:
        >>> round(chance_uar(np.array([1000, 1000]), np.array([0.5, 0.5]), runs=1000, seed=0), 2)
        0.54
    """
    rng, here = np.random.default_rng(seed), counts > 0
    hits = rng.binomial(counts[here], shares[here], (runs, int(here.sum())))
    return float(np.quantile((hits / counts[here]).mean(axis=1), level))


def agreement_of_random(
    targets: Integers, shares: Doubles, pairs: Integers, *, runs: int, seed: int, level: float
) -> float:
    """Quantile of the share of pairs to which a random model gives the same answer, 0 to 1.

    Args:
        targets: (N,) true emotions.
        shares: (C, C) answers to each emotion, rows of sum 1.
        pairs: (P, 2) positions of clips.
        runs: Random models, each of which answers to every clip independently.
        seed: Of their answers.
        level: Quantile, 0 to 1.
    """
    rng, edges = np.random.default_rng(seed), shares.cumsum(axis=1)
    agreed = np.empty(runs)
    for run in range(runs):
        told = (rng.random(len(targets))[:, None] > edges[targets]).sum(axis=1)
        agreed[run] = (told[pairs[:, 0]] == told[pairs[:, 1]]).mean()
    return float(np.quantile(agreed, level))
