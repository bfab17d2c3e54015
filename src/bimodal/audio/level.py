"""How loud a signal is, and its normalisation: what a microphone's gain must not change."""

import math
from typing import Final

import numpy as np

from bimodal.audio.decode import Signal

LEVEL_DB: Final = -20.0
"""Root-mean-square level that a segment is brought to, in dB relative to full scale."""

_SILENCE_RMS: Final = 1e-5


def level_db(signal: Signal) -> float:
    """Root-mean-square level of a signal without its mean, in dB relative to full scale; -100 for silence.

    Example:
        >>> round(level_db(np.array([0.1, -0.1], np.float32)))
        -20
    """
    return float(20.0 * np.log10(max(_rms(signal), _SILENCE_RMS)))


def normalise_level(signal: Signal, target_db: float = LEVEL_DB) -> Signal:
    """Remove the mean and bring a signal (T,) to one level, so that a microphone's gain is no emotion.

    Silence (below -100 dB) is returned without its mean and otherwise as it is. Samples may leave [-1, 1].

    Example:
        >>> quiet = np.array([0.001, -0.001], np.float32)
        >>> normalise_level(quiet).round(3).tolist()
        [0.10000000149011612, -0.10000000149011612]
    """
    centred: Signal = signal - signal.mean(dtype=np.float64).astype(np.float32)
    rms = _rms(centred)
    if rms < _SILENCE_RMS:
        return centred
    return centred * np.float32(10.0 ** (target_db / 20.0) / rms)


def _rms(signal: Signal) -> float:
    """Deviation of the samples from their mean: as `np.std` in double precision, in a third of the time."""
    wide = signal.astype(np.float64)
    power = float(np.einsum("i,i->", wide, wide)) / len(wide)  # no BLAS, whose threads cost more than they save
    return math.sqrt(max(0.0, power - float(wide.mean()) ** 2))
