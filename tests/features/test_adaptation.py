"""Adaptation: a moved corpus is told as the old one, and a correction finds clusters that the network half knows."""

from dataclasses import replace

import numpy as np
import pytest

from bimodal.errors import ModelFolderError
from bimodal.features.adaptation import (
    correct_logits,
    equal_sharpness,
    load_adaptation,
    plain_adaptation,
    retell,
    save_adaptation,
    self_train,
    shrink_to_corpus,
    standardise,
)
from bimodal.features.speaker_stats import empty_stats, measure_stats

SHAPE, EMOTIONS = (2, 3, 8), 3
RNG = np.random.default_rng(0)


def clusters(seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Statistics (120, 2, L, D) whose emotions lie apart in every direction a little, and the emotions."""
    rng = np.random.default_rng(seed)
    targets = np.arange(120) % EMOTIONS
    centres = np.random.default_rng(9).normal(size=(EMOTIONS, *SHAPE))
    return 20 + centres[targets] + rng.normal(0, spread, (120, *SHAPE)), targets


def test_a_corpus_that_is_moved_and_stretched_is_told_as_the_trained_one():
    trained, _ = clusters(0)
    corpus = measure_stats(trained)
    adaptation = plain_adaptation(corpus, corpus.mean.astype(np.float32), corpus.std.astype(np.float32), EMOTIONS)
    moved = 3.0 * trained + 40.0
    told = retell(moved, measure_stats(moved), adaptation)
    assert told == pytest.approx(retell(trained, corpus, adaptation), abs=1e-2)
    assert told == pytest.approx(np.clip(trained, corpus.mean - 5 * corpus.std, None), abs=0.05)


def test_half_right_answers_become_right_ones_without_labels():
    statistics, targets = clusters(1)
    standard = standardise(statistics, measure_stats(statistics))
    rng = np.random.default_rng(2)
    logits = 1.0 * np.eye(EMOTIONS)[targets] + rng.normal(0, 1.0, (120, EMOTIONS))
    weight, bias = self_train(standard, logits)
    adaptation = plain_adaptation(measure_stats(statistics), *np.ones((2, *SHAPE), np.float32), emotions=EMOTIONS)
    corrected = correct_logits(standard, logits, replace(adaptation, weight=weight, bias=bias))
    before, after = ((answers.argmax(1) == targets).mean() for answers in (logits, corrected))
    assert before < 0.7
    assert after > 0.95


def test_one_emotion_alone_in_the_answers_is_no_error():
    statistics, _ = clusters(1)
    weight, bias = self_train(standardise(statistics, measure_stats(statistics)), np.tile([3.0, 0.0, 0.0], (120, 1)))
    assert np.isfinite(weight).all() and np.isfinite(bias).all()


def test_without_a_correction_logits_stay_as_they_are():
    statistics, _ = clusters(1)
    logits = RNG.normal(size=(120, EMOTIONS)).astype(np.float32)
    adaptation = plain_adaptation(measure_stats(statistics), *np.ones((2, *SHAPE), np.float32), emotions=EMOTIONS)
    assert np.array_equal(correct_logits(statistics, logits, adaptation), logits)


def test_corrected_answers_are_as_sure_as_before():
    logits = RNG.normal(0, 1.5, (50, EMOTIONS))
    assert equal_sharpness(7 * logits, logits) == pytest.approx(7, rel=1e-3)


def test_a_speaker_who_said_little_sounds_like_the_corpus_and_who_said_much_like_themselves():
    corpus = measure_stats(clusters(0)[0])
    own = clusters(3)[0] + 10
    once, often = (shrink_to_corpus(measure_stats(own[:count]), corpus) for count in (1, 120))
    assert np.abs(once.mean - corpus.mean).mean() < 2.5
    assert np.abs(often.mean - own.mean(axis=0)).mean() < 0.5
    assert np.allclose(shrink_to_corpus(empty_stats(SHAPE), corpus).mean, corpus.mean)


def test_saved_is_loaded(tmp_path):
    corpus = measure_stats(clusters(0)[0])
    weight = RNG.normal(size=(corpus.mean.size, EMOTIONS)).astype(np.float32)
    plain = plain_adaptation(corpus, *np.ones((2, *SHAPE), np.float32), emotions=EMOTIONS)
    save_adaptation(tmp_path / "a.safetensors", replace(plain, weight=weight, sharpness=1.5))
    found = load_adaptation(tmp_path / "a.safetensors")
    assert np.array_equal(found.weight, weight) and found.sharpness == 1.5 and found.corpus.count == 120
    (tmp_path / "b.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelFolderError, match="adapt the model again"):
        load_adaptation(tmp_path / "b.safetensors")
