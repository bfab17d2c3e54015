"""The few-shot head: a linear correction of the packaged model's log scores, fitted in seconds on cached features.

For features x (F,) and the log scores o (C,) of the packaged model, the head's log scores are a o + x W + b,
normalised. Without labels a is 1, W and b are 0, and the head is the packaged model. A quadratic penalty keeps W and b
near 0. Its strength and a are chosen by cross-validation over the labelled clips. Emotions are weighted against their
frequency, as UAR counts them alike. Several votes of a clip are shares of one target.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Doubles

STRENGTHS: Final = (1.0, 3.0, 10.0, 30.0)
"""Strengths of the penalty among which cross-validation chooses."""

PRIOR_WEIGHTS: Final = (1.0, 0.5, 0.0)
"""Weights of the packaged model's log scores among which cross-validation chooses."""

BIAS_STRENGTH: Final = 3.0
"""Penalty of the bias: of few labels, an emotion that is missing is not ruled out."""

FOLDS: Final = 5
_OPTIONS: Final = {"maxiter": 60, "ftol": 1e-6}  # scores change by a thousandth at most, and a fit takes 5 ms
_FEWEST: Final = 10  # labels; with fewer, cross-validation says nothing
_FEW_STRENGTH: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """How a head is fitted.

    Attributes:
        strength: Of the penalty of the weight; above 0.
        prior_weight: How much the packaged model's log scores count, 0 to 1.
    """

    strength: float = 3.0
    prior_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Head:
    """A fitted head.

    Attributes:
        weight: (F, C).
        bias: (C,).
        settings: With which it was fitted.
    """

    weight: Doubles
    bias: Doubles
    settings: HeadSettings

    def log_scores(self, features: Doubles, prior: Doubles) -> Doubles:
        """Log scores (N, C) of clips with these features (N, F) and log scores of the packaged model (N, C)."""
        return log_softmax(self.settings.prior_weight * prior + features @ self.weight + self.bias)

    def scores(self, features: Doubles, prior: Doubles) -> Doubles:
        """Scores (N, C); each row sums to 1."""
        return np.exp(self.log_scores(features, prior))


def log_softmax(logits: npt.ArrayLike) -> Doubles:
    """Log scores over the last axis.

    Example:
        >>> np.exp(log_softmax([0.0, np.log(3.0)])).round(4).tolist()
        [0.25, 0.75]
    """
    values = np.asarray(logits, np.float64)
    shifted = values - values.max(axis=-1, keepdims=True)
    found: Doubles = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def plain_head(features: int, emotions: int) -> Head:
    """The head without labels: the packaged model's own scores."""
    return Head(weight=np.zeros((features, emotions)), bias=np.zeros(emotions), settings=HeadSettings())


def class_weights(targets: Doubles) -> Doubles:
    """Weight of each clip, (N,), so that emotions count alike; mean 1. One vote more is added to each emotion.

    Args:
        targets: Shares of the votes, (N, C).

    Example:
        >>> class_weights(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).round(2).tolist()
        [0.86, 0.86, 1.29]
    """
    counts = targets.sum(axis=0) + 1.0
    weights = targets @ (1.0 / counts)
    found: Doubles = weights / weights.mean()
    return found


def fit_head(features: Doubles, prior: Doubles, targets: Doubles, settings: HeadSettings) -> Head:
    """Fit the correction to labelled clips.

    Args:
        features: Of N clips, (N, F).
        prior: Log scores of the packaged model, (N, C).
        targets: Shares of the votes, (N, C); each row sums to 1.
        settings: Strength and weight of the prior.

    Raises:
        ValueError: There are no clips, or the strength is not above 0.
    """
    from scipy.optimize import minimize  # start-up: recognition does without

    strength, offset = settings.strength, settings.prior_weight * prior
    if not len(features) or not strength > 0:
        msg = f"{len(features)} clips and strength {strength}, expected at least one clip and a strength above 0"
        raise ValueError(msg)
    width, emotions = features.shape[1], targets.shape[1]
    weights = class_weights(targets)[:, None]

    def loss(values: Doubles) -> tuple[float, Doubles]:
        held = values.reshape(width + 1, emotions)
        log_scores = log_softmax(offset + features @ held[:width] + held[width])
        errors = weights * (np.exp(log_scores) - targets)
        gradient = np.empty_like(held)
        gradient[:width] = features.T @ errors + strength * held[:width]
        gradient[width] = errors.sum(axis=0) + BIAS_STRENGTH * held[width]
        penalty = strength * (held[:width] ** 2).sum() + BIAS_STRENGTH * (held[width] ** 2).sum()
        return float(-(weights * targets * log_scores).sum() + penalty / 2), gradient.ravel()

    begin = np.zeros((width + 1) * emotions)
    found: Any = minimize(loss, begin, jac=True, method="L-BFGS-B", options=_OPTIONS)
    held = found.x.reshape(width + 1, emotions)
    return Head(weight=held[:width], bias=held[width], settings=settings)


def choose_settings(
    features: Doubles, prior: Doubles, targets: Doubles, *, groups: Sequence[str] = (), seed: int = 0
) -> HeadSettings:
    """The settings with the best cross-validated log score of the votes, over the labelled clips alone.

    First the strength with the full prior is chosen, then the weight of the prior.

    Args:
        features: As in `fit_head`.
        prior: As in `fit_head`.
        targets: As in `fit_head`.
        groups: Speaker of each clip, whose clips stay in one fold; empty to draw folds over clips.
        seed: Of the folds.
    """
    if len(features) < _FEWEST:
        return HeadSettings(strength=_FEW_STRENGTH)
    folds = _folds(len(features), groups, seed)
    loss = partial(_held_out_loss, features, prior, targets, folds)
    best = min((HeadSettings(strength=strength) for strength in STRENGTHS), key=loss)
    return min((replace(best, prior_weight=weight) for weight in PRIOR_WEIGHTS), key=loss)


def _held_out_loss(
    features: Doubles, prior: Doubles, targets: Doubles, folds: npt.NDArray[np.int64], settings: HeadSettings
) -> float:
    """Negative log score of the votes of each fold from a head of the others, emotions weighted alike."""
    weights, total = class_weights(targets), 0.0
    for fold in range(FOLDS):
        kept, held = folds != fold, folds == fold
        if kept.any() and held.any():
            head = fit_head(features[kept], prior[kept], targets[kept], settings)
            log_scores = head.log_scores(features[held], prior[held])
            total -= float((weights[held, None] * targets[held] * log_scores).sum())
    return total


def _folds(count: int, groups: Sequence[str], seed: int) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    named = sorted({*groups} - {""})
    if len(named) < FOLDS:
        folds = np.arange(count) % FOLDS
        rng.shuffle(folds)
        return folds
    order = rng.permutation(len(named))
    place = {name: int(order[number]) % FOLDS for number, name in enumerate(named)}
    return np.array([place[name] if name else int(rng.integers(FOLDS)) for name in groups])
