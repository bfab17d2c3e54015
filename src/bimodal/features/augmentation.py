"""Augmentations of a recording. The name of an augmentation, and the files it names, are part of the cache key."""

import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, Signal, load_signal, resample
from bimodal.errors import AudioError, ConfigError
from bimodal.features.cache import cache_key

PLAIN: Final = "plain"
"""Name of the recording as it is, without augmentation."""

_SLOWEST, _FASTEST = 0.5, 2.0
_TELEPHONE: Final = (300.0, 3400.0)
_QUIETEST, _LOUDEST = -60.0, 60.0
_PART: Final = re.compile(r"(speed|gain|noise|telephone|room)(-?\d+(?:\.\d+)?)?(?::(.+))?")
_FORMS: Final = "speed0.9, gain-6, telephone, noise10:FILE (decibels over the noise), room:FILE, or some joined by '+'"


def check_augmentation(name: str) -> None:
    """Refuse an unknown augmentation, or one that names a file that cannot be used.

    Raises:
        ConfigError: Neither `plain` nor one of the forms of `apply_augmentation`.
        AudioError: The noise or the impulse response cannot be read.
    """
    for part in _parts(name):
        _split(part)
    augmentation_key(name)


def apply_augmentation(signal: Signal, name: str) -> Signal:
    """Augment a 16 kHz signal (T,).

    `speed0.9` plays it at nine tenths of its speed, pitch and formants included, as tapes do (Ko et al. 2015, Audio
    augmentation for speech recognition). `gain-6` scales it by decibels, which the level normalisation undoes unless
    noise follows. `telephone` leaves the band from 300 to 3400 Hz. `noise10:FILE` adds a stretch of the file's noise,
    10 dB below the speech; which stretch depends on the signal alone. `room:FILE` adds the reverberation of a
    room, whose impulse response the file holds. Parts joined by `+` follow each other: `speed1.1+noise10:rain.wav`.

    Raises:
        ConfigError: As `check_augmentation`.
        AudioError: As `check_augmentation`.

    Example:
        >>> import numpy as np
        >>> len(apply_augmentation(np.zeros(1600, np.float32), "speed0.8"))
        2000
    """
    for part in _parts(name):
        kind, value, file = _split(part)
        signal = _KINDS[kind](signal, value, file)
    return signal


def augmentation_key(name: str) -> str:
    """The part of a cache key that names an augmentation: its name, and the content of the files that it names.

    Raises:
        ConfigError: As `check_augmentation`.
        AudioError: As `check_augmentation`.
    """
    files = [file for _, _, file in map(_split, _parts(name)) if file]
    return name if not files else cache_key(*(re.sub(":.*", "", part) for part in _parts(name)), *map(_digest, files))


def _parts(name: str) -> list[str]:
    return [] if name == PLAIN else name.split("+")


def _split(part: str) -> tuple[str, float, str]:
    """Kind, number (0 if there is none) and file (empty if there is none) of one part of an augmentation."""
    match = _PART.fullmatch(part)
    kind, number, file = match.groups() if match else ("", None, None)
    value = float(number or 0.0)
    needs_number, needs_file = kind in ("speed", "gain", "noise"), kind in ("noise", "room")
    inside = kind != "speed" or _SLOWEST <= value <= _FASTEST
    if not kind or needs_number != (number is not None) or needs_file != (file is not None) or not inside:
        raise ConfigError(f"unknown augmentation '{part}', expected one of: {_FORMS}")
    if kind in ("gain", "noise") and not _QUIETEST <= value <= _LOUDEST:
        raise ConfigError(f"augmentation '{part}': {value:g} dB, expected {_QUIETEST:g} to {_LOUDEST:g}")
    return kind, value, file or ""


def _speed(signal: Signal, factor: float, file: str) -> Signal:
    return resample(signal, round(SAMPLING_RATE * factor))


def _gain(signal: Signal, decibels: float, file: str) -> Signal:
    return signal * np.float32(10 ** (decibels / 20))


def _telephone(signal: Signal, value: float, file: str) -> Signal:
    spectrum = np.fft.rfft(signal)
    hertz = np.fft.rfftfreq(len(signal), 1 / SAMPLING_RATE)
    spectrum[(hertz < _TELEPHONE[0]) | (hertz > _TELEPHONE[1])] = 0
    return np.fft.irfft(spectrum, len(signal)).astype(np.float32)


def _noise(signal: Signal, decibels: float, file: str) -> Signal:
    """The signal with noise that is so many decibels weaker; a stretch that begins where the signal's checksum says."""
    noise = _load(file)
    first = zlib.crc32(np.ascontiguousarray(signal).tobytes()) % len(noise)
    return add_noise(signal, np.roll(noise, -first), decibels)


def add_noise(signal: Signal, noise: Signal, decibels: float) -> Signal:
    """A signal (T,) with noise that is so many decibels weaker over the whole signal; short noise is repeated.

    Example:
        >>> import numpy as np
        >>> add_noise(np.ones(4, np.float32), np.array([1, -1], np.float32), 20.0).round(1).tolist()
        [1.100000023841858, 0.8999999761581421, 1.100000023841858, 0.8999999761581421]
    """
    stretch = np.resize(noise, len(signal))
    power, target = float(np.mean(stretch**2)), float(np.mean(signal**2)) / 10 ** (decibels / 10)
    return signal if power == 0 else signal + stretch * np.float32(np.sqrt(target / power))


def _room(signal: Signal, value: float, file: str) -> Signal:
    return add_room(signal, _load(file))


def add_room(signal: Signal, response: Signal) -> Signal:
    """A signal convolved with an impulse response whose first peak stays in place; as long as before.

    Example:
        >>> import numpy as np
        >>> add_room(np.array([1, 0, 0], np.float32), np.array([0, 1, 0.5], np.float32)).round(3).tolist()
        [1.0, 0.5, 0.0]
    """
    length = len(signal) + len(response) - 1
    convolved = np.fft.irfft(np.fft.rfft(signal, length) * np.fft.rfft(response, length), length)
    delay = int(np.abs(response).argmax())
    return convolved[delay : delay + len(signal)].astype(np.float32)


_KINDS: Final[Mapping[str, Callable[[Signal, float, str], Signal]]] = {
    "speed": _speed,
    "gain": _gain,
    "telephone": _telephone,
    "noise": _noise,
    "room": _room,
}


@lru_cache(maxsize=32)
def _load(file: str) -> Signal:
    return load_signal(Path(file))


@lru_cache(maxsize=32)
def _digest(file: str) -> str:
    signal = _load(file)
    if not float(np.abs(signal).max()):
        raise AudioError(f"{file}: the file is silent; give a recording of noise, or an impulse response")
    return hashlib.sha256(signal.tobytes()).hexdigest()
