"""Warnings about a signal: what is clean gets none, what is noisy, short or clipped gets one."""

from pathlib import Path

import numpy as np
import pytest

from bimodal.audio.decode import load_signal
from bimodal.audio.level import normalise_level
from bimodal.features.logmel import log_mel
from bimodal.features.quality import clipped_share, describe_quality, estimate_snr


@pytest.fixture(scope="module")
def clips(corpus_data: Path) -> list[np.ndarray]:
    return [load_signal(file) for file in sorted((corpus_data / "ravdess" / "audio").glob("03-01-0[1357]-*.flac"))[:12]]


def test_clean_speech_gets_no_warning_at_any_level(clips):
    for gain in (1.0, 0.01):
        assert [describe_quality(gain * clip) for clip in clips] == [()] * len(clips)


def test_the_estimate_falls_with_the_ratio(clips):
    rng, found = np.random.default_rng(0), {}
    for ratio in (30, 20, 10, 0):
        noise = [clip.std() * 10 ** (-ratio / 20) * rng.normal(size=len(clip)) for clip in clips]
        noisy = [(clip + one).astype(np.float32) for clip, one in zip(clips, noise, strict=True)]
        found[ratio] = float(np.median([estimate_snr(one) for one in noisy]))
    assert found[30] > found[20] + 5 > found[10] + 10 > found[0] + 15
    assert found[0] < 8
    assert all("is noisy" in " ".join(describe_quality(one)) for one in noisy)


@pytest.mark.parametrize("signal", [np.zeros(16_000), np.ones(16_000), np.ones(1), np.ones(160)])
def test_degenerate_signals_have_an_answer(signal):
    assert np.isfinite(estimate_snr(signal.astype(np.float32)))
    assert isinstance(describe_quality(signal.astype(np.float32)), tuple)


def test_clipping_is_seen_and_a_single_peak_is_none(clips):
    loud = np.clip(clips[0] / np.abs(clips[0]).max() * 20, -1, 1).astype(np.float32)
    assert any("is clipped" in warning for warning in describe_quality(loud))
    assert clipped_share(clips[0] / np.abs(clips[0]).max()) == 0


def test_scraps_are_short(clips):
    assert describe_quality(clips[0][16_000 : 16_000 + 8000])[0].startswith("the speech is short (0.5 s)")


def test_the_spectrogram_of_the_encoder_gives_the_same_warnings(clips):
    rng = np.random.default_rng(0)
    for clip in clips:
        for noise in (0.0, 0.003, 0.01, 0.03):
            signal = (clip + rng.normal(0, noise, len(clip))).astype(np.float32)
            mel = log_mel(normalise_level(signal))
            assert describe_quality(signal, mel) == describe_quality(signal)
