"""Fusion by Bayes for plain words: what words may and may not do to the voice's answer."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bimodal.config import FusionConfig
from bimodal.models.fusions.plain_words import PlainWordsNetwork
from bimodal.records import UNKNOWN

EMOTIONS, NEUTRAL, SPEECH, TEXT = 5, 2, 3, 2
CONFIG = FusionConfig()
COUNTS = [20.0, 6.0, 60.0, 10.0, 4.0]


def network(m: float = 0.95, g: float = 2.0, neutral: int | None = NEUTRAL, counts: Any = None) -> PlainWordsNetwork:
    made = PlainWordsNetwork(
        speech_width=SPEECH, text_width=TEXT, emotions=EMOTIONS, plain_words_prob=m, text_exponent=g
    )
    made.set_modalities((0.5, 0.8), torch.tensor(COUNTS if counts is None else counts), neutral)
    return made.eval()


def fuse(made: PlainWordsNetwork, voice: Any, words: Any, confidence: Any = 1.0, speech: float = 1.0) -> Any:
    """Scores (B, C) and gates (B,), one row for each confidence, from logits (C,) of both modalities."""
    certain = np.atleast_1d(np.asarray(confidence, np.float32))
    size = len(certain)
    logits = [torch.tensor(np.asarray(one, np.float32)).expand(size, -1) for one in (voice, words)]
    present = torch.stack([torch.full((size,), speech), torch.tensor(certain)], dim=1)
    inputs = (torch.ones(size, SPEECH), logits[0], torch.ones(size, TEXT), logits[1], present)
    with torch.inference_mode():
        _, found, gate = made(*inputs)
    return torch.softmax(found, dim=1).numpy(), gate.numpy()


def alone(logits: Any, temperature: float) -> np.ndarray:
    return torch.softmax(torch.tensor(np.asarray(logits, np.float32)) / temperature, dim=0).numpy()


rows = st.lists(st.floats(-4, 4, width=32), min_size=EMOTIONS, max_size=EMOTIONS)
unknown = st.sets(st.integers(0, EMOTIONS - 1), max_size=EMOTIONS - 2)
shares = st.floats(0, 1, width=32)
counted = st.lists(st.floats(1, 1000, width=32), min_size=EMOTIONS, max_size=EMOTIONS)
search = settings(max_examples=60, deadline=None)


def without(logits: list[float], missing: set[int]) -> np.ndarray:
    return np.array([UNKNOWN if place in missing else value for place, value in enumerate(logits)], np.float32)


def test_the_formula_by_hand():
    """voice(e) [(1 - m) T(e) + m T(neutral)], with T = (score / prior)^g."""
    voice, words = [1.0, 0.2, 0.5, 0.0, 0.9], [2.0, 0.0, 0.5, -1.0, 0.3]
    prior, m = np.array(COUNTS) / 100, 0.8
    told = (alone(words, 0.8) / prior) ** 1.5
    likelihood = (1 - m) * told + m * told[NEUTRAL]
    likelihood[[1, 3]] = np.minimum(likelihood[[1, 3]], likelihood[0])  # ranked third or lower by both
    expected = alone(voice, 0.5) * likelihood
    found, _ = fuse(network(m=m, g=1.5), voice, words)
    assert found[0] == pytest.approx(expected / expected.sum(), abs=1e-5)


@given(rows, rows, unknown, unknown, counted)
@search
def test_words_of_confidence_0_are_no_words_exactly(voice, words, mute, unread, counts):
    given_voice, given_words = without(voice, mute), without(words, unread)
    made = network(counts=counts)
    found, gate = fuse(made, given_voice, given_words, [0.0])
    absent, _ = fuse(made, given_voice, np.zeros(EMOTIONS), [0.0])
    assert np.array_equal(found, absent) and gate.tolist() == [1.0]
    assert found[0] == pytest.approx(alone(given_voice, 0.5), abs=1e-6)


@given(rows, rows, unknown, unknown, counted, shares, shares)
@search
def test_every_score_moves_monotonically_and_continuously_with_confidence(
    voice, words, mute, unread, counts, low, high
):
    middle = (low + high) / 2
    made = network(counts=counts)
    found, _ = fuse(made, without(voice, mute), without(words, unread), [low, middle, high])
    for one, other in ((found[0], found[1]), (found[1], found[2])):
        assert (np.abs(one - other) <= 3 * abs(high - low) / 2 + 1e-5).all()
    assert ((found[1] - found[0]) * (found[2] - found[1]) >= -1e-10).all()


@given(rows, rows, unknown, unknown, counted, shares)
@search
def test_modalities_that_agree_never_give_another_emotion(voice, words, mute, unread, counts, confidence):
    given_voice, given_words = without(voice, mute), without(words, unread)
    both = int(given_voice.argmax())
    given_words[both] = given_words.max() + 0.01
    found, _ = fuse(network(counts=counts), given_voice, given_words, confidence)
    assert found[0, both] >= found[0].max() - 1e-6


@given(rows, rows, unknown, unknown, counted, shares, st.sampled_from([0.0, 0.5, 0.95]))
@search
def test_no_emotion_wins_that_neither_modality_ranks_first_or_second(voice, words, mute, unread, counts, confidence, m):
    given_voice, given_words = without(voice, mute), without(words, unread)
    found, _ = fuse(network(m=m, counts=counts), given_voice, given_words, confidence)
    ranked = (given_voice >= np.sort(given_voice)[-2]) | (given_words >= np.sort(given_words)[-2])
    assert found[0, ranked].max() >= found[0].max() - 1e-6


@given(rows, rows, unknown, unknown, counted, shares, st.sampled_from([0.5, 0.8, 0.95]))
@search
def test_plain_words_move_the_odds_of_two_emotions_by_1_over_m_at_most(
    voice, words, mute, unread, counts, confidence, m
):
    given_voice, given_words = without(voice, mute), without(words, unread - {NEUTRAL})
    shared = (given_words > UNKNOWN / 2) & ((given_voice > UNKNOWN / 2) | (np.arange(EMOTIONS) == NEUTRAL))
    above = given_words / 0.8 - np.log(counts)  # log T, but for a constant and the exponent
    given_words[NEUTRAL] += 0.8 * (above[shared].max() - above[NEUTRAL]) + 1e-4
    found, _ = fuse(network(m=m, counts=counts), given_voice, given_words, confidence)
    before = alone(given_voice, 0.5)
    heard = given_voice > UNKNOWN / 2
    if unread - {NEUTRAL}:  # what they do not know is no plainer for it
        heard &= given_words > UNKNOWN / 2
    moved = np.log(found[0, heard]) - np.log(before[heard])
    assert (np.ptp(moved) if len(moved) else 0.0) <= -np.log(m) + 1e-3


def test_plain_words_reach_that_bound():
    """The bound is no looser than need be: neutral gains 1/m on an emotion that the words exclude."""
    found, _ = fuse(network(m=0.8), np.zeros(EMOTIONS), [-9.0, -9.0, 9.0, -9.0, -9.0])
    assert found[0, NEUTRAL] / found[0, 0] == pytest.approx(1 / 0.8, rel=1e-3)


def test_emotional_words_outweigh_a_voice_that_is_not_sure():
    voice, words = [0.0, 0.0, 0.3, 0.0, 0.0], [4.0, 0.0, 0.0, 0.0, 0.0]
    assert fuse(network(), voice, words)[0][0].argmax() == 0
    assert fuse(network(g=0.0), voice, words)[0][0] == pytest.approx(alone(voice, 0.5), abs=1e-5)


def test_an_emotion_that_the_voice_does_not_know_needs_clear_words():
    """Its odds are those that the words give it times (1 - m) / m: clear words alone make it win."""
    voice = [1.0, 0.0, 0.5, 0.0, UNKNOWN]
    for last, winner in ((-2.0, 0), (4.0, 0), (9.0, 4)):
        words = [0.0, 0.0, 3.0, 0.0, last]
        found, own = fuse(network(), voice, words)[0][0], alone(words, 0.8)[4]
        assert found[4] / (1 - found[4]) == pytest.approx(0.05 / 0.95 * own / (1 - own), rel=1e-3)
        assert found.argmax() == winner
    assert own > 0.99


def test_words_speak_neither_for_nor_against_an_emotion_that_they_do_not_know():
    """T of it is 1: it gains on emotions that the words exclude, and loses to those that they express."""
    voice, words = np.zeros(EMOTIONS), np.array([3.0, -3.0, 0.0, -3.0, UNKNOWN])
    found, _ = fuse(network(m=0.5), voice, words)
    prior = np.array([20, 6, 60, 10]) / 96
    told = np.append((alone(words, 0.8)[:4] / prior) ** 2, 1.0)
    expected = 0.5 * told + 0.5 * told[NEUTRAL]
    expected[NEUTRAL] = told[NEUTRAL]
    assert found[0] == pytest.approx(expected / expected.sum(), abs=1e-5)


def test_without_neutral_plain_words_tell_nothing():
    """A vocabulary without `neutral`: (1 - m) T(e) + m."""
    voice, words = [1.0, 0.0, 0.9, 0.0, 0.0], [2.0, 0.0, 3.0, 0.0, 0.0]
    found, _ = fuse(network(neutral=None), voice, words)
    told = (alone(words, 0.8) / (np.array(COUNTS) / 100)) ** 2
    likelihood = 0.05 * told + 0.95
    likelihood[[1, 3, 4]] = np.minimum(likelihood[[1, 3, 4]], likelihood[0])
    expected = alone(voice, 0.5) * likelihood
    assert found[0] == pytest.approx(expected / expected.sum(), abs=1e-5)


def test_words_alone_pass_through_and_unsure_ones_are_drawn_to_the_prior():
    words = [2.0, 0.0, 0.5, -1.0, 0.3]
    found, gate = fuse(network(), np.full(EMOTIONS, 30.0), words, [1.0, 0.5, 0.0], speech=0.0)
    prior = np.array(COUNTS) / 100
    assert found[0] == pytest.approx(alone(words, 0.8), abs=1e-6)
    assert found[1] == pytest.approx(0.875 * alone(words, 0.8) + 0.125 * prior, abs=1e-6)
    assert found[2] == pytest.approx(prior, abs=1e-6) and gate.tolist() == [0.0] * 3


def test_the_gate_tells_how_near_the_answer_is_to_the_voice():
    voice = [3.0, 0.0, 0.0, 0.0, 0.0]
    plain, clear = [0.0, 0.0, 4.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.0, 0.0]
    gates = [float(fuse(network(), one, words)[1][0]) for one, words in ((voice, plain), (np.zeros(5), clear))]
    assert gates[0] > 0.9 and gates[1] < 0.1
    falling = fuse(network(), np.zeros(5), clear, np.linspace(0, 1, 5))[1]
    assert (np.diff(falling) < 0).all() and falling[0] == 1


@given(rows, rows, unknown, unknown, counted, shares)
@search
def test_scores_are_finite_sum_to_one_and_the_gate_lies_between_0_and_1(voice, words, mute, unread, counts, confidence):
    loud = 20 * np.array(voice), 20 * np.array(words)
    found, gate = fuse(network(counts=counts), without(loud[0], mute), without(loud[1], unread), confidence)
    assert np.isfinite(found).all() and found.sum() == pytest.approx(1, abs=1e-5)
    assert 0 <= gate[0] <= 1


def test_the_defaults_are_those_of_the_study():
    assert (CONFIG.plain_words_prob, CONFIG.text_exponent) == (0.98, 2.0)
