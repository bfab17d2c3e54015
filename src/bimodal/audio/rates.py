"""Sampling rates: what is one, in Hz."""

import operator
from typing import Any, Final

import numpy as np

from bimodal.errors import AudioError

LOWEST_RATE: Final = 1000
"""Lowest sampling rate, in Hz."""

HIGHEST_RATE: Final = 1_000_000
"""Highest sampling rate, in Hz."""


def check_rate(rate: Any, where: str = "") -> int:
    """A sampling rate in Hz as an integer.

    Args:
        rate: A whole number, of any type of number.
        where: Name for the error message.

    Raises:
        AudioError: No whole number of Hz, or one that no recording has; among them rates in kHz.

    Example:
        >>> check_rate(16000.0)
        16000
    """
    start = f"{where}: " if where else ""
    try:
        whole = operator.index(int(rate) if float(rate).is_integer() else rate)
    except (TypeError, ValueError, OverflowError) as error:
        khz = isinstance(rate, float) and 1 <= rate < LOWEST_RATE
        advice = f"; {rate:g} kHz are {round(1000 * rate)} Hz" if khz else ""
        raise AudioError(
            f"{start}sampling rate {rate!r}, expected a whole number of Hz such as 16000{advice}"
        ) from error
    if isinstance(rate, bool | np.bool_ | str | bytes):
        raise AudioError(f"{start}sampling rate {rate!r}, expected a positive number of Hz such as 16000")
    if not LOWEST_RATE <= whole <= HIGHEST_RATE:
        advice = f"; {whole} kHz are {1000 * whole} Hz" if 0 < whole < LOWEST_RATE else ""
        limits = f"{LOWEST_RATE} to {HIGHEST_RATE}"
        raise AudioError(f"{start}sampling rate {whole} Hz, expected a positive number of Hz, {limits}{advice}")
    return whole
