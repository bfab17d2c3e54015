"""Channels are averaged, except that one in opposite phase is turned round; a few samples decide nothing."""

import numpy as np
import pytest

from bimodal.audio.inputs import as_signal
from bimodal.audio.mixing import Mixer


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, count).astype(np.float32)


@pytest.mark.parametrize(
    "other", [noise(50_000, 1), noise(50_000), -0.5 * noise(50_000) + noise(50_000, 1), 0 * noise(50_000)]
)
def test_channels_that_do_not_cancel_are_averaged_to_the_last_digit(other):
    both = np.stack([noise(50_000), other.astype(np.float32)], axis=1)
    assert np.array_equal(as_signal(both), both.mean(axis=1, dtype=np.float32))


def test_a_channel_is_turned_round_while_it_is_the_negative_of_the_others():
    one, mixer = noise(16_384), Mixer()
    both = np.stack([one, one, -one], axis=1)
    assert mixer.mix(both) == pytest.approx(one, abs=1e-6)
    assert mixer.mix(both[:100]) == pytest.approx(one[:100], abs=1e-6)  # a short block goes on as before
    silent = np.zeros((4096, 3), np.float32)
    assert mixer.mix(silent).tolist() == [0.0] * 4096
    assert mixer.mix(np.stack([one, one, one], axis=1)) == pytest.approx(one, abs=1e-6)


def test_a_few_samples_of_opposite_sign_are_averaged():
    both = np.array([[0.5, -0.25]] * 100, np.float32)
    assert Mixer().mix(both).tolist() == [0.125] * 100
