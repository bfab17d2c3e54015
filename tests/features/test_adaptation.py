"""Adaptation: a moved corpus is told as the old one, and a correction finds clusters that the network half knows."""

from dataclasses import replace

import numpy as np
import pytest

from bimodal.errors import ModelFolderError
from bimodal.features.adaptation import (
    correct_logits,
    equal_sharpness,
    load_adaptation,
    logit_variance,
    plain_adaptation,
    relative_scatter,
    retell,
    save_adaptation,
    self_train,
    share_for,
    shrink_to_corpus,
    standardise,
    sure_scatter,
    take_part,
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


def scatter_of(chosen: np.ndarray, microphone: float = 0.0, groups: np.ndarray | None = None) -> float:
    """Relative scatter of some clips of a corpus like the trained one, for a network that tells its emotions apart."""
    trained, targets = clusters(0)
    corpus = measure_stats(trained)
    centres = np.stack([trained[targets == emotion].mean(axis=0) for emotion in range(EMOTIONS)])
    network = (centres - trained.mean(axis=0)).reshape(EMOTIONS, -1).T
    standard = (trained - corpus.mean) / corpus.std + microphone * np.random.default_rng(3).normal(size=SHAPE)
    known = ((trained - corpus.mean) / corpus.std).reshape(120, -1) @ network
    return relative_scatter(
        standard[chosen].reshape(len(chosen), -1) @ network, standard[chosen], logit_variance(known), groups
    )


@pytest.mark.parametrize("microphone", [0.0, 1.0, 30.0])
def test_how_mixed_emotions_are_is_told_whatever_the_microphone(microphone):
    everything, targets = np.arange(120), np.arange(120) % EMOTIONS
    assert scatter_of(everything, microphone) == pytest.approx(1.0, abs=1e-4)
    assert share_for(scatter_of(everything, microphone)) == 1.0
    for emotion in range(EMOTIONS):
        assert share_for(scatter_of(everything[targets == emotion], microphone)) == 0.0


def test_speakers_of_one_emotion_each_are_not_mixed_when_each_is_taken_alone():
    targets = np.arange(120) % EMOTIONS
    assert share_for(scatter_of(np.arange(120), groups=targets)) == 0.0
    assert share_for(scatter_of(np.arange(120), groups=np.arange(120) % 2)) == 1.0


def test_a_share_of_an_adaptation_lies_between_none_and_all():
    trained, _ = clusters(0)
    corpus, other = measure_stats(trained), measure_stats(2.0 * clusters(5)[0] + 7.0)
    mean, std = corpus.mean.astype(np.float32), corpus.std.astype(np.float32)
    whole = plain_adaptation(other, mean, std, EMOTIONS)
    none, half = (take_part(other, replace(whole, share=share)) for share in (0.0, 0.5))
    assert take_part(other, whole) is other
    assert none.mean == pytest.approx(mean) and none.std == pytest.approx(std)
    assert half.mean == pytest.approx((mean + other.mean) / 2) and half.std == pytest.approx((std + other.std) / 2)
    assert retell(trained, none, whole) == pytest.approx(trained, abs=0.05)  # the unadapted network sees what it saw


def test_few_clips_must_look_more_mixed_than_many():
    shares = [share_for(sure_scatter(0.66, clips)) for clips in (20, 60, 200, 2000)]
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] == 1.0


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
