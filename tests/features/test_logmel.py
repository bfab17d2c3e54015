"""The log-mel spectrogram is Whisper's own."""

import numpy as np
import pytest
from transformers import WhisperFeatureExtractor

from bimodal.features.logmel import HOP, WINDOW, log_mel, mel_power, power_of

ORACLE = WhisperFeatureExtractor()


def voice(samples: int, seed: int = 0) -> np.ndarray:
    """A tone that comes and goes, over noise: values on both sides of the floor."""
    time = np.arange(samples) / 16_000
    noise = np.random.default_rng(seed).normal(0, 1e-6, samples)
    return (0.3 * np.sin(2 * np.pi * 220 * time) * (np.sin(9 * time) > 0) + noise).astype(np.float32)


def reference(signal: np.ndarray) -> np.ndarray:
    """Whisper's spectrogram (80, T) of the unpadded signal."""
    return ORACLE(signal, sampling_rate=16_000, padding="do_not_pad", return_tensors="np").input_features[0]


@pytest.mark.parametrize("samples", [400, 401, 559, 560, 1600, 16_000, 16_159, 80_000, 480_000])
def test_it_equals_whispers_feature_extractor_at_any_length(samples):
    ours = log_mel(voice(samples))
    assert ours.shape == (80, samples // HOP)
    assert ours.dtype == np.float32
    assert ours == pytest.approx(reference(voice(samples)), abs=1e-4)


@pytest.mark.parametrize("samples", [1, 2, 100, 159, 160, 161, 200, 320, 399])
def test_a_signal_shorter_than_a_window_is_filled_up_with_zeros(samples):
    noise = np.random.default_rng(1).normal(0, 0.1, samples).astype(np.float32)
    ours = log_mel(noise)
    assert ours.shape == (80, max(1, samples // HOP))
    assert ours == pytest.approx(reference(np.pad(noise, (0, WINDOW - samples)))[:, : ours.shape[1]], abs=1e-4)


def test_the_floor_lies_eight_decades_of_power_below_the_maximum():
    ours = log_mel(voice(16_000))
    assert ours.max() - ours.min() == pytest.approx(8 / 4, abs=1e-6)
    assert (ours == ours.min()).mean() > 0.05


def test_silence_is_finite():
    assert np.isfinite(log_mel(np.zeros(1000, np.float32))).all()


def test_the_power_behind_a_spectrogram_is_that_of_the_signal_above_the_floor():
    signal = voice(16_000)
    power, found = mel_power(signal).T, power_of(log_mel(signal))
    assert found == pytest.approx(np.maximum(power, power.max() * 1e-8), rel=1e-4)
