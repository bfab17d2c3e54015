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


def mel_power(signal: Signal) -> npt.NDArray[np.float32]:
    """Power of a 16 kHz signal in mel bands, (T, 80), T as in `log_mel`.

    Example:
        >>> mel_power(np.zeros(16000, np.float32)).shape
        (100, 80)
    """
    filled = np.pad(signal, (0, max(0, WINDOW - len(signal))))
    padded = np.pad(filled, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: max(1, len(signal) // HOP)]
    power: npt.NDArray[np.float32] = np.abs(np.fft.rfft(frames * _hann(), axis=1).astype(np.complex64)) ** 2
    return power @ _mel_filters()


@cache
def _hann() -> npt.NDArray[np.float32]:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@cache
def _mel_filters() -> npt.NDArray[np.float32]:
    """Triangles (201, 80) over the FFT bins, spaced on Slaney's mel scale and of equal area."""
    edges = _mel_to_hertz(np.linspace(0.0, _hertz_to_mel(SAMPLING_RATE / 2), BINS + 2))
    hertz = np.fft.rfftfreq(WINDOW, 1 / SAMPLING_RATE)
    rising = (hertz[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2])), dtype=np.float32)


def _hertz_to_mel(hertz: float) -> float:
    """Slaney's scale: linear below 1 kHz (15 mel), logarithmic above."""
    return hertz * 3 / 200 if hertz < 1000 else 15.0 + np.log(hertz / 1000) * 27 / np.log(6.4)


def _mel_to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15.0, mel * 200 / 3, 1000 * np.exp((mel - 15.0) * np.log(6.4) / 27))
