"""The level of a signal, and signals brought to one level."""

import numpy as np
import pytest

from bimodal.audio.level import LEVEL_DB, level_db, normalise_level


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


@pytest.mark.parametrize("gain", [0.01, 0.25, 1.0, 4.0])
@pytest.mark.parametrize("offset", [0.0, 0.3, -0.05])
def test_neither_gain_nor_a_constant_changes_the_normalised_signal(gain, offset):
    changed = normalise_level(gain * noise() + np.float32(offset))
    assert changed == pytest.approx(normalise_level(noise()), abs=1e-5)
    assert level_db(changed) == pytest.approx(LEVEL_DB, abs=1e-3)
    assert changed.dtype == np.float32


def test_silence_stays_silence_and_a_constant_becomes_silence():
    for signal in (np.zeros(1000, np.float32), np.full(1000, 0.5, np.float32), np.full(1, 0.5, np.float32)):
        assert not normalise_level(signal).any()
    assert level_db(np.full(1000, 0.5, np.float32)) == -100
