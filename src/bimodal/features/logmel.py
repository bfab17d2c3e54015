"""Whisper's log-mel spectrogram, exactly, of an unpadded signal.

Radford et al. 2022 (arXiv 2212.04356), section 2.2; constants of the released code: 25 ms Hann window, 10 ms hop,
80 Slaney mel bins up to 8 kHz, log10 floored 8 below the utterance's maximum, (x + 4) / 4.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from bimodal.audio.decode import SAMPLING_RATE, Signal

BINS: Final = 80
WINDOW: Final = 400
HOP: Final = 160

_AT_ONCE: Final = 64  # frames that are transformed together: they stay in the processor's cache
_MIXED_AT_ONCE: Final = (
    16  # frames of a matrix product: NumPy gives a larger one to threads that cost more than they save
)


def log_mel(signal: Signal) -> npt.NDArray[np.float32]:
    """Log-mel spectrogram (80, T) of a 16 kHz signal, T = max(1, samples // 160).

    The floor is taken from the utterance's own maximum, before any padding: a padded batch must see the same values.
    Signals shorter than one window are filled up with zeros.

    Example:
        >>> log_mel(np.zeros(16000, np.float32)).shape
        (80, 100)
    """
    logarithm = np.log10(np.maximum(mel_power(signal), 1e-10)).T
    floored = np.maximum(logarithm, logarithm.max() - 8.0)
    return np.ascontiguousarray((floored + 4.0) / 4.0, dtype=np.float32)


def power_of(mel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The power that a log-mel spectrogram stands for, but for its floor.

    Example:
        >>> round(float(power_of(log_mel(np.zeros(16000, np.float32))).max()) * 1e10, 2)
        1.0
    """
    power: npt.NDArray[np.float32] = np.exp((mel * 4.0 - 4.0) * np.float32(np.log(10.0)))
    return power


def mel_power(signal: Signal) -> npt.NDArray[np.float32]:
    """Power of a 16 kHz signal in mel bands, (T, 80), T as in `log_mel`.

    Example:
        >>> mel_power(np.zeros(16000, np.float32)).shape
        (100, 80)
    """
    padded = _mirrored(np.pad(signal, (0, WINDOW - len(signal))) if len(signal) < WINDOW else signal, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: max(1, len(signal) // HOP)]
    window, filters = _hann(), mel_filters(WINDOW, BINS)
    found = np.empty((len(frames), BINS), np.float32)
    for start in range(0, len(frames), _AT_ONCE):
        waves = np.fft.rfft(frames[start : start + _AT_ONCE] * window, axis=1).astype(np.complex64, copy=False)
        power = np.abs(waves) ** 2
        for first in range(0, len(power), _MIXED_AT_ONCE):
            part = power[first : first + _MIXED_AT_ONCE]
            np.matmul(part, filters, out=found[start + first : start + first + len(part)])
    return found


def _mirrored(signal: Signal, width: int) -> Signal:
    """A signal with its mirror image, `width` samples of it, at both ends; as `np.pad` does, in a tenth of the time."""
    return np.concatenate([signal[width:0:-1], signal, signal[-2 : -width - 2 : -1]])


@cache
def _hann() -> npt.NDArray[np.float32]:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@cache
def mel_filters(size: int, bins: int) -> npt.NDArray[np.float32]:
    """Triangles (size // 2 + 1, bins) over the FFT bins, spaced on Slaney's mel scale and of equal area.

    Args:
        size: Samples of the FFT at 16 kHz.
        bins: Bands, from 0 to 8 kHz.

    Example:
        >>> mel_filters(400, 80).shape
        (201, 80)
    """
    edges = _mel_to_hertz(np.linspace(0.0, _hertz_to_mel(SAMPLING_RATE / 2), bins + 2))
    hertz = np.fft.rfftfreq(size, 1 / SAMPLING_RATE)
    rising = (hertz[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2])), dtype=np.float32)


def _hertz_to_mel(hertz: float) -> float:
    """Slaney's scale: linear below 1 kHz (15 mel), logarithmic above."""
    return hertz * 3 / 200 if hertz < 1000 else 15.0 + np.log(hertz / 1000) * 27 / np.log(6.4)


def _mel_to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15.0, mel * 200 / 3, 1000 * np.exp((mel - 15.0) * np.log(6.4) / 27))
