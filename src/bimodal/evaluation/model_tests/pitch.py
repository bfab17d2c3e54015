"""Fundamental frequency of a recording, for groups of speakers by pitch.

Autocorrelation divided by that of the window (Boersma 1993, Accurate short-term analysis of the fundamental frequency).
"""

from typing import Final

import numpy as np

from bimodal.arrays import Doubles
from bimodal.audio.decode import SAMPLING_RATE, Signal

LOWEST_HZ, HIGHEST_HZ = 50.0, 350.0
"""A mean outside is taken for an error and left out, as in the published suite."""

_SEARCHED: Final = (50.0, 600.0)  # an octave error upwards is then seen as such
_FRAME: Final = 1024  # 64 ms: three periods of 50 Hz
_STEP: Final = 320
_VOICED: Final = 0.5  # least normalised autocorrelation of a voiced frame
_QUIET: Final = 0.05  # of the loudest frame's amplitude
_OCTAVE_COST: Final = 0.02  # per octave, in favour of the higher candidate, as a multiple of a period fits as well


def mean_pitch(signal: Signal) -> float:
    """Mean fundamental frequency over the voiced frames of 16 kHz speech (T,), in Hz; NaN if there are none.

    Example:
        >>> time = np.arange(16000) / 16000
        >>> tone = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 9))
        >>> round(mean_pitch(tone.astype(np.float32)))
        120
    """
    if len(signal) < _FRAME:
        return float("nan")
    frames = np.lib.stride_tricks.sliding_window_view(signal.astype(np.float64), _FRAME)[::_STEP]
    loudness = np.sqrt((frames**2).mean(axis=1))
    hertz = _frame_pitch(frames[loudness > _QUIET * loudness.max()] if loudness.max() > 0 else frames[:0])
    voiced = hertz[~np.isnan(hertz)]
    mean = float(voiced.mean()) if len(voiced) else float("nan")
    return mean if LOWEST_HZ <= mean <= HIGHEST_HZ else float("nan")


def _frame_pitch(frames: Doubles) -> Doubles:
    """Pitch of each frame, NaN where it is not voiced."""
    window = np.hanning(_FRAME)
    own = _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window)
    ideal = _autocorrelation(window[None])
    first, last = round(SAMPLING_RATE / _SEARCHED[1]), round(SAMPLING_RATE / _SEARCHED[0])
    lags = np.arange(first, last + 1)
    strength = own[:, first : last + 1] / np.maximum(ideal[:, first : last + 1], 1e-3)
    inner = np.zeros_like(strength, dtype=bool)
    inner[:, 1:-1] = (strength[:, 1:-1] > strength[:, :-2]) & (strength[:, 1:-1] >= strength[:, 2:])
    weighed = np.where(inner, strength - _OCTAVE_COST * np.log2(lags / first), -np.inf)
    best = weighed.argmax(axis=1)
    voiced = np.take_along_axis(np.where(inner, strength, 0.0), best[:, None], axis=1)[:, 0] >= _VOICED
    return np.where(voiced, SAMPLING_RATE / lags[best], np.nan)


def _autocorrelation(frames: Doubles) -> Doubles:
    """Autocorrelation of each frame, 1 at lag 0; 0 for a frame without sound."""
    spectrum = np.abs(np.fft.rfft(frames, 2 * _FRAME)) ** 2
    found = np.fft.irfft(spectrum)[:, :_FRAME]
    scale = np.maximum(found[:, :1], 1e-12)
    scaled: Doubles = found / scale
    return scaled
