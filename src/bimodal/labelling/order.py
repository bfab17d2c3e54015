"""Which clips to label next: those of which the head is unsure, and which differ from the labelled ones.

`STRATEGIES` lists what was tried in `benchmarks/labels_needed.py`; `CHOSEN` is what labelling uses.
"""

from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Doubles

Picks = list[int]

_MOST: Final = 2000
_LABELLED: Final = 0.25  # what a labelled clip counts in the precision: the most that p (1 - p) can be


def margin(scores: Doubles) -> Doubles:
    """How close the two best scores of each clip are, (N,): 1 where they are equal, 0 for certainty.

    Example:
        >>> margin(np.array([[0.5, 0.5], [0.9, 0.1]])).round(2).tolist()
        [1.0, 0.2]
    """
    ordered = np.sort(scores, axis=1)
    found: Doubles = 1.0 - (ordered[:, -1] - ordered[:, -2])
    return found


def entropy(scores: Doubles) -> Doubles:
    """Entropy of the scores of each clip, (N,), in nats.

    Example:
        >>> entropy(np.array([[0.5, 0.5]])).round(3).tolist()
        [0.693]
    """
    found: Doubles = -(scores * np.log(np.maximum(scores, 1e-12))).sum(axis=1)
    return found


def pick_random(features: Doubles, scores: Doubles, labelled: Doubles, count: int, rng: np.random.Generator) -> Picks:
    """Clips at random, as a reference."""
    return [int(one) for one in rng.permutation(len(features))[:count]]


def pick_margin(features: Doubles, scores: Doubles, labelled: Doubles, count: int, rng: np.random.Generator) -> Picks:
    """The clips with the closest two scores (margin sampling, Scheffer et al. 2001)."""
    return [int(one) for one in np.argsort(-margin(scores), kind="stable")[:count]]


def pick_entropy(features: Doubles, scores: Doubles, labelled: Doubles, count: int, rng: np.random.Generator) -> Picks:
    """The clips with the highest entropy."""
    return [int(one) for one in np.argsort(-entropy(scores), kind="stable")[:count]]


def pick_badge(features: Doubles, scores: Doubles, labelled: Doubles, count: int, rng: np.random.Generator) -> Picks:
    """k-means++ over the gradients that each clip's likeliest answer would give (BADGE, Ash et al. 2020)."""
    errors = scores.copy()
    errors[np.arange(len(scores)), scores.argmax(axis=1)] -= 1.0
    gradients = (errors[:, :, None] * features[:, None, :]).reshape(len(features), -1)
    picks = [int(np.argmax((gradients**2).sum(axis=1)))] if len(gradients) and count else []
    distance = _distances(gradients, gradients[picks])
    while len(picks) < min(count, len(features)):
        distance[picks] = 0.0
        total = distance.sum()
        shares = distance / total if total > 0 else None
        picks.append(int(rng.choice(len(features), p=shares)) if shares is not None else _first_other(picks, features))
        distance = np.minimum(distance, _distances(gradients, gradients[picks[-1:]]))
    return picks


def pick_diverse(features: Doubles, scores: Doubles, labelled: Doubles, count: int, rng: np.random.Generator) -> Picks:
    """Clips one by one, each with the largest product of margin and distance from all clips labelled or picked.

    The distance is that of the features, so that twenty clips of one kind are not picked at once.
    """
    unsure = np.maximum(margin(scores), 1e-9)
    distance = _distances(features, labelled) if len(labelled) else np.ones(len(features))
    taken = np.zeros(len(features), np.bool_)
    picks: Picks = []
    while len(picks) < min(count, len(features)):
        value = np.where(taken, -1.0, unsure * np.sqrt(distance))
        picks.append(int(value.argmax()))
        taken[picks[-1]] = True
        near = _distances(features, features[picks[-1:]])
        distance = np.minimum(distance, near) if len(labelled) or len(picks) > 1 else near
    return picks


def pick_mixed(features: Doubles, scores: Doubles, labelled: Doubles, count: int, rng: np.random.Generator) -> Picks:
    """Every second clip as `pick_diverse`, the others at random.

    The random half shows the head the clips of which it is sure, too.
    """
    chosen = pick_diverse(features, scores, labelled, -(-count // 2), rng)
    taken = {*chosen}
    others = [one for one in pick_random(features, scores, labelled, len(features), rng) if one not in taken]
    pairs = zip_longest(chosen, others[: count - len(chosen)])
    return [one for pair in pairs for one in pair if one is not None]


def pick_informative(
    features: Doubles, scores: Doubles, labelled: Doubles, count: int, rng: np.random.Generator
) -> Picks:
    """Clips one by one, each lowering most the variance of the head over the clips of which it is unsure.

    The head is taken for a Bayesian linear regression, whose variance depends on the features alone; a clip counts as
    much as the entropy of its scores (transductive experimental design, Yu, Bi and Tresp 2006). Of a large folder, the
    picks are made among `_MOST` clips drawn at random.
    """
    drawn = rng.permutation(len(features))[:_MOST] if len(features) > _MOST else np.arange(len(features))
    values, unsure = features[drawn], np.maximum(entropy(scores[drawn]), 1e-9)
    precision = np.eye(features.shape[1]) + _LABELLED * labelled.T @ labelled
    shared = values @ np.linalg.solve(precision, values.T)  # covariance of what the head says of two clips
    taken = np.zeros(len(values), np.bool_)
    picks: Picks = []
    while len(picks) < min(count, len(values)):
        gain = unsure @ shared**2 * unsure / (1 + unsure * np.diag(shared))
        best = int(np.where(taken, -1.0, gain).argmax())
        taken[best] = True
        picks.append(int(drawn[best]))
        told = shared[best] * np.sqrt(unsure[best] / (1 + unsure[best] * shared[best, best]))
        shared = shared - np.outer(told, told)
    return picks


Strategy = Callable[[Doubles, Doubles, Doubles, int, np.random.Generator], Picks]

STRATEGIES: Final[Mapping[str, Strategy]] = {
    "random": pick_random,
    "margin": pick_margin,
    "entropy": pick_entropy,
    "badge": pick_badge,
    "diverse": pick_diverse,
    "mixed": pick_mixed,
    "informative": pick_informative,
}
"""Each takes features (N, F) and scores (N, C) of clips without a label, features (n, F) of those with one, how many
to pick, and a source of randomness; it gives their numbers, the best first."""

CHOSEN: Final = "diverse"
"""What labelling uses."""


def _distances(values: Doubles, others: Doubles) -> Doubles:
    """Squared distance of each row (N, F) from the nearest of others (n, F)."""
    found = np.full(len(values), np.inf)
    squares = (values**2).sum(axis=1)
    for start in range(0, len(others), 256):  # bounds memory
        part = others[start : start + 256]
        near = squares[:, None] - 2 * values @ part.T + (part**2).sum(axis=1)
        found = np.minimum(found, np.maximum(near, 0.0).min(axis=1))
    return found


def _first_other(picks: Picks, values: npt.NDArray[np.float64]) -> int:
    taken = {*picks}
    return next(number for number in range(len(values)) if number not in taken)
