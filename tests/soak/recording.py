"""A recording of any length, written as a stream: the samples of the page, again and again, with pauses between."""

from pathlib import Path

import numpy as np
import soundfile

import bimodal

SAMPLES = Path(bimodal.__file__).parent / "service" / "static" / "samples"
RATE = 16_000
_LONGEST_PAUSE = 60.0  # seconds


def write_long(path: Path, hours: float, seed: int = 0) -> Path:
    """Write a FLAC file of so many hours, speech for about half of it, at many levels; gives its path."""
    chance = np.random.default_rng(seed)
    voices = [soundfile.read(SAMPLES / name, dtype="float32") for name in ("diary.mp3", "cross.mp3", "conflict.mp3")]
    left = round(hours * 3600 * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as out:
        while left > 0:
            signal, rate = voices[chance.integers(len(voices))]
            spoken = np.interp(np.arange(len(signal) * RATE // rate) * rate / RATE, np.arange(len(signal)), signal)
            pause = np.zeros(round(chance.uniform(0.1, _LONGEST_PAUSE if hours > 0.1 else 1.0) * RATE))
            part = np.concatenate([chance.uniform(0.1, 1.0) * spoken, pause])[:left]
            out.write(part.astype(np.float32))
            left -= len(part)
    return path
