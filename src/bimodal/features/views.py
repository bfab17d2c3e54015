"""Augmented views of a recording, cached beside the plain one; a view's name is part of its cache key."""

from typing import Final

from bimodal.audio import SAMPLING_RATE, Signal, resample
from bimodal.errors import ConfigError

PLAIN: Final = "plain"
"""The view of a recording that was not augmented."""

_SLOWEST, _FASTEST = 0.5, 2.0


def check_view(view: str) -> None:
    """Refuse a name that is no view.

    Raises:
        ConfigError: Neither `plain` nor `speed` with a factor between 0.5 and 2.
    """
    if view != PLAIN:
        _speed(view)


def render_view(signal: Signal, view: str) -> Signal:
    """A view of a 16 kHz signal (T,).

    `speed0.9` plays it at nine tenths of its speed, pitch and formants included, as tapes do (Ko et al. 2015, Audio
    augmentation for speech recognition).

    Raises:
        ConfigError: As `check_view`.

    Example:
        >>> import numpy as np
        >>> len(render_view(np.zeros(1600, np.float32), "speed0.8"))
        2000
    """
    return signal if view == PLAIN else resample(signal, round(SAMPLING_RATE * _speed(view)))


def _speed(view: str) -> float:
    try:
        factor = float(view.removeprefix("speed"))
    except ValueError:
        factor = 0.0
    if not view.startswith("speed") or not _SLOWEST <= factor <= _FASTEST:
        raise ConfigError(f"unknown view '{view}', expected 'speed' and a factor such as speed0.9")
    return factor
