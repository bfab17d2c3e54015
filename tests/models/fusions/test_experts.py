"""Where a gate starts: an expert that knows nothing new hardly counts."""

import numpy as np

from bimodal.models.fusions.experts import fit_experts

EMOTIONS = 3


def two_experts(speech_noise: float, text_noise: float, size: int = 300) -> tuple:
    """Logits of a speech and a text expert that tell the emotion through more or less noise; targets; the prior."""
    rng, targets = np.random.default_rng(0), np.eye(EMOTIONS, dtype=np.float32)[np.arange(size) % EMOTIONS]
    speech = 2 * targets + rng.normal(0, speech_noise, targets.shape)
    text = 2 * targets * (text_noise < 9) + rng.normal(0, text_noise, targets.shape)
    inputs = {"speech_logits": speech, "text_logits": text, "present": np.ones((size, 2))}
    prior = np.full(EMOTIONS, -np.log(EMOTIONS), np.float32)
    return {name: array.astype(np.float32) for name, array in inputs.items()}, targets, prior


def test_an_expert_that_knows_nothing_new_hardly_counts_and_the_better_one_counts_more():
    speech, text = fit_experts(*two_experts(1.0, 9.0), shuffled_words_prob=0.0, seed=0)
    assert speech > 0.4 and text < 0.1
    speech, text = fit_experts(*two_experts(2.5, 1.0), shuffled_words_prob=0.0, seed=0)
    assert text > speech > 0


def test_shuffled_words_take_weight_from_the_text():
    weights = [fit_experts(*two_experts(1.0, 1.0), shuffled_words_prob=share, seed=0)[1] for share in (0.0, 0.3, 0.9)]
    assert weights == sorted(weights, reverse=True) and weights[0] > 2 * weights[2]
