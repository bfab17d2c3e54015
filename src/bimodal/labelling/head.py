"""The few-shot head: a linear correction of the packaged model's log scores, fitted in seconds on cached features.

For features x (F,) and the log scores o (C,) of the packaged model, the head's log scores are o + x W + b, normalised.
Without labels W and b are 0, and the head is the packaged model. A quadratic penalty keeps it near that; its strength
is chosen by cross-validation over the labelled clips. Emotions are weighted against their frequency, as UAR counts them
alike. Several votes of a clip are shares of one target.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Doubles

STRENGTHS: Final = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Strengths of the penalty among which cross-validation chooses."""

BIAS_STRENGTH: Final = 0.3
"""Penalty of the bias: of few labels, an emotion that is missing is not ruled out."""

FOLDS: Final = 5
ITERATIONS: Final = 60
_FEWEST: Final = 10  # labels; with fewer, cross-validation says nothing
_USUAL: Final = 3.0


@dataclass(frozen=True, kw_only=True)
class Head:
    """A fitted head.

    Attributes:
        weight: (F, C).
        bias: (C,).
        strength: Of its penalty.
    """

    weight: Doubles
    bias: Doubles
    strength: float

    def log_scores(self, features: Doubles, prior: Doubles) -> Doubles:
        """Log scores (N, C) of clips with these features (N, F) and log scores of the packaged model (N, C)."""
        return log_softmax(prior + features @ self.weight + self.bias)

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
    return Head(weight=np.zeros((features, emotions)), bias=np.zeros(emotions), strength=0.0)


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


def fit_head(features: Doubles, prior: Doubles, targets: Doubles, strength: float, start: Head | None = None) -> Head:
    """Fit the correction to labelled clips.

    Args:
        features: Of N clips, (N, F).
        prior: Log scores of the packaged model, (N, C).
        targets: Shares of the votes, (N, C); each row sums to 1.
        strength: Of the penalty; above 0.
        start: Where to begin; the result is the same, sooner.

    Raises:
        ValueError: There are no clips, or the strength is not above 0.
    """
    from scipy.optimize import minimize  # start-up: recognition does without

    if not len(features) or not strength > 0:
        msg = f"{len(features)} clips and strength {strength}, expected at least one clip and a strength above 0"
        raise ValueError(msg)
    width, emotions = features.shape[1], targets.shape[1]
    weights = class_weights(targets)[:, None]
    begin = np.zeros((width + 1, emotions))
    if start is not None:
        begin[:width], begin[width] = start.weight, start.bias

    def loss(values: Doubles) -> tuple[float, Doubles]:
        held = values.reshape(width + 1, emotions)
        log_scores = log_softmax(prior + features @ held[:width] + held[width])
        errors = weights * (np.exp(log_scores) - targets)
        gradient = np.empty_like(held)
        gradient[:width] = features.T @ errors + strength * held[:width]
        gradient[width] = errors.sum(axis=0) + BIAS_STRENGTH * held[width]
        penalty = strength * (held[:width] ** 2).sum() + BIAS_STRENGTH * (held[width] ** 2).sum()
        return float(-(weights * targets * log_scores).sum() + penalty / 2), gradient.ravel()

    found: Any = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    held = found.x.reshape(width + 1, emotions)
    return Head(weight=held[:width], bias=held[width], strength=strength)


def choose_strength(
    features: Doubles, prior: Doubles, targets: Doubles, *, groups: Sequence[str] = (), seed: int = 0
) -> float:
    """The strength with the best cross-validated log score of the votes, over the labelled clips alone.

    Args:
        features: As in `fit_head`.
        prior: As in `fit_head`.
        targets: As in `fit_head`.
        groups: Speaker of each clip, whose clips stay in one fold; empty to draw folds over clips.
        seed: Of the folds.
    """
    if len(features) < _FEWEST:
        return _USUAL
    folds = _folds(len(features), groups, seed)
    weights = class_weights(targets)
    losses = []
    for strength in STRENGTHS:
        total = 0.0
        for fold in range(FOLDS):
            kept, held = folds != fold, folds == fold
            if kept.any() and held.any():
                head = fit_head(features[kept], prior[kept], targets[kept], strength)
                log_scores = head.log_scores(features[held], prior[held])
                total -= float((weights[held, None] * targets[held] * log_scores).sum())
        losses.append(total)
    return STRENGTHS[int(np.argmin(losses))]


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
