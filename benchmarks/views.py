"""Augmented views that the benchmarks of foreign corpora train on, with noise made of random numbers."""

from pathlib import Path

import numpy as np
import soundfile

VIEWS = ("telephone", "noise15:pink.wav", "room:room.wav+noise20:brown.wav")
"""Their files are named from the folder that `write_noises` fills."""


def write_noises(folder: Path) -> None:
    """Noise and a room made of random numbers, so that no recording's licence is touched."""
    rng, rate = np.random.default_rng(0), 16_000
    for name, slope in (("pink.wav", 0.5), ("brown.wav", 1.0)):
        spectrum = np.fft.rfft(rng.normal(size=60 * rate))
        hertz = np.maximum(np.fft.rfftfreq(60 * rate, 1 / rate), 20.0)
        noise = np.fft.irfft(spectrum / hertz**slope)
        soundfile.write(folder / name, 0.1 * noise / noise.std(), rate)
    decay = np.exp(-6.9 * np.arange(rate // 2) / rate / 0.4)  # 60 dB in 0.4 s
    tail = rng.normal(size=rate // 2) * decay
    tail *= 0.5 / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    soundfile.write(folder / "room.wav", 0.9 * tail / np.abs(tail).max(), rate)
