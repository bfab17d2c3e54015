"""Where the training of a gate starts: how much each of two experts, speech and text, counts in their product."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Floats


def fit_experts(
    inputs: Mapping[str, npt.NDArray[Any]], targets: Floats, log_prior: Floats, shuffled_words_prob: float, seed: int
) -> tuple[float, float]:
    """Weights (speech, text) of a product of experts, `l + a (log p_s - l) + b (log p_t - l)`, that fit best.

    Least negative log-likelihood over a grid from 0 to 1.5 each, so that no expert is sharpened much; then the weaker
    one gets the smallest weight that is within one standard error of it (Breiman et al. 1984, 3.4.3), so that a
    modality that told nothing of these rows gets 0. Unsure words count less, as in `FusionNetwork`.

    Args:
        inputs: Of a fusion network, of N utterances that have both modalities; their outputs cross-fitted.
        targets: Distributions over the emotions, (N, C).
        log_prior: l, (C,).
        shuffled_words_prob: How much the same rows with one another's words count.
        seed: Of the shuffling.
    """
    text_weight = inputs["present"][:, 1:]
    speech, text = (_above_prior(inputs[name], log_prior) for name in ("speech_logits", "text_logits"))
    mixed = text[np.random.default_rng(seed).permutation(len(text))]

    def loss(a: float, b: float, words: Floats) -> Floats:
        share, sharper = a / max(a + b, 1e-6), ((a + b) / 2) ** text_weight  # as FusionNetwork weighs unsure words
        voice, told = (1 + text_weight) * (1 - text_weight * (1 - share)), (1 + text_weight) * text_weight * (1 - share)
        logits = log_prior + sharper * (voice * speech + told * words)
        rows: Floats = (-targets * (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))).sum(axis=1)
        return rows

    def both(a: float, b: float) -> Floats:
        plain = loss(a, b, text)
        return (
            (1 - shuffled_words_prob) * plain + shuffled_words_prob * loss(a, b, mixed)
            if shuffled_words_prob
            else plain
        )

    grid = np.linspace(0, 1.5, 31)
    a, b = _within_error(np.array([[both(a, b) for b in grid] for a in grid], np.float32))
    return float(grid[a]), float(grid[b])


def _within_error(losses: Floats) -> tuple[int, int]:
    """Place in a grid of losses (A, B, N) where the weaker modality's weight is least, within an error of the best.

    The weaker modality is the one whose best loss without the other (weight 0) is worse.
    """
    means = losses.mean(axis=2)
    turned = means[:, 0].min() > means[0].min()  # speech is the weaker one
    if turned:
        losses, means = losses.swapaxes(0, 1), means.T
    best = np.unravel_index(int(means.argmin()), means.shape)
    for weak in range(means.shape[1]):
        strong = int(means[:, weak].argmin())
        worse = losses[strong, weak] - losses[best]
        if worse.mean() <= worse.std() / len(worse) ** 0.5:
            break
    return (weak, strong) if turned else (strong, weak)


def _above_prior(logits: Floats, log_prior: Floats) -> Floats:
    """What an expert (N, C) says beyond the prior: log p - l."""
    above: Floats = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True) - log_prior
    return above
