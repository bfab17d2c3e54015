"""Recording quality: warnings about length, steady noise and clipping."""

from typing import Final

import numpy as np

from bimodal.arrays import Floats
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.errors import tell
from bimodal.features.logmel import mel_power, power_of

SHORT_SECONDS: Final = 0.7
"""Shorter speech gets a warning."""

NOISY_DB: Final = 12.0
"""A lower signal-to-noise ratio gets a warning; 300 clean clips of EmoDB, RAVDESS and emotiontts_ko had 17 or more."""

CLIPPED_SHARE: Final = 0.01
"""This share of clipped samples, or more, gets a warning."""

_FULL_SCALE: Final = 0.999
_SMOOTHED: Final = 5  # frames of 10 ms, so that the floor is that of the noise and not of its luck
_FLOOR_SHARE: Final = 0.1
_SILENT: Final = 1e-12


def describe_quality(signal: Signal, mel: Floats | None = None) -> tuple[str, ...]:
    """Warnings about 16 kHz speech (T,), one sentence each; empty for long, clean and unclipped speech.

    Args:
        signal: The speech.
        mel: Its log-mel spectrogram (80, T) at any level, which saves a second one.

    Example:
        >>> time = np.arange(16000) / 16000
        >>> chirps = np.sin(2000 * np.pi * time**2) * (np.sin(8 * np.pi * time) > 0)
        >>> describe_quality(chirps.astype(np.float32)), describe_quality(chirps[:8000].astype(np.float32))
        ((), ('the speech is short (0.5 s); answers below 0.7 s are little more than guesses',))
    """
    found = []
    seconds = len(signal) / SAMPLING_RATE
    if seconds < SHORT_SECONDS:
        found.append(tell("short-speech", seconds=f"{seconds:.1f}", least=SHORT_SECONDS))
    ratio = estimate_snr(signal) if mel is None else _ratio(power_of(mel))
    if ratio < NOISY_DB:
        found.append(tell("noisy", ratio=f"{ratio:.0f}", least=f"{NOISY_DB:.0f}"))
    if (share := clipped_share(signal)) >= CLIPPED_SHARE:
        found.append(tell("clipped", share=f"{100 * share:.0f}"))
    return tuple(found)


def estimate_snr(signal: Signal) -> float:
    """Ratio of 16 kHz speech (T,) to the steady noise under it, in dB; speech pauses, noise does not.

    The noise is taken for the tenth percentile over time of each mel band's power (as minimum statistics do, Martin
    2001). What comes and goes, music or other voices, counts as speech here.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=32000).astype(np.float32)
        >>> estimate_snr(noise) < 3
        True
    """
    return _ratio(mel_power(signal - signal.mean(dtype=np.float64).astype(np.float32)).T)


def _ratio(power: Floats) -> float:
    """The ratio of `estimate_snr` from the power of each mel band over time, (80, T)."""
    width = min(_SMOOTHED, power.shape[1])
    count = power.shape[1] - width + 1
    smooth = power[:, :count].astype(np.float64)
    for later in range(1, width):
        smooth += power[:, later : later + count]
    smooth /= width
    tenth = int(_FLOOR_SHARE * (smooth.shape[1] - 1))
    smooth.partition(tenth, axis=1)
    floor = float(smooth[:, tenth].sum())
    return float(10 * np.log10(max(power.mean(axis=1).sum() - floor, _SILENT) / max(floor, _SILENT)))


def clipped_share(signal: Signal) -> float:
    """Share of the samples at full scale whose neighbour is at full scale, too.

    Example:
        >>> clipped_share(np.array([1.0, 1.0, 0.0, -1.0], np.float32))
        0.5
    """
    if signal.min() > -_FULL_SCALE and signal.max() < _FULL_SCALE:
        return 0.0
    full = np.abs(signal) >= _FULL_SCALE
    beside = np.zeros(len(signal), bool)
    beside[1:] |= full[:-1]
    beside[:-1] |= full[1:]
    return float((full & beside).mean())
