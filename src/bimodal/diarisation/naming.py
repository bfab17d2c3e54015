"""Whose a stretch is: voices clustered by Ward's method, speakers numbered as they appear, and how sure that is.

Only long stretches are clustered, since identity drifts with emotion and a short stretch shows the emotion more than
the person. Short ones go to the nearest speaker. The constants were chosen on EmoDB and CREMA-D:
`python -m benchmarks.diarise`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bimodal.arrays import Doubles, Integers, softmax
from bimodal.diarisation.networks import unit_length
from bimodal.diarisation.stretches import Stretch
from bimodal.errors import BimodalError

LONG_SECONDS: Final = 0.8
"""Stretches of this length are clustered: the length of one input of the speaker encoder."""

MOST_STRETCHES: Final = 2000
"""Of more, evenly spaced ones are clustered: memory grows with the square."""

APART: Final = 1.5
"""Height of a merge in Ward's tree from which it joins two people; see `_heights`."""

DOUBT: Final = 0.2
"""A merge within this share of `APART` leaves the number of speakers in doubt."""

SHARPNESS: Final = 7.0
"""Of the softmax that turns cosines to the speakers into a confidence."""

_MOST_FOUND: Final = 8  # speakers, where their number is not given
_TYPICAL: Final = 40  # stretches; with more of the same speech, heights would grow


@dataclass(frozen=True, kw_only=True, eq=False)
class Naming:
    """Whose each stretch is.

    Attributes:
        speakers: Number of the speaker of each stretch of one person, in the order of first appearance; -1 for others.
        confidences: Of each of these numbers, 0 to 1; NaN where it is -1, or where there is one speaker.
        count: Number of speakers.
        doubtful: Whether the number of speakers could well be another one; False if it was given.
    """

    speakers: Integers
    confidences: Doubles
    count: int
    doubtful: bool


def name_stretches(stretches: Sequence[Stretch], count: int | None = None) -> Naming:
    """Find whose each stretch is.

    Args:
        stretches: Of one recording, in order.
        count: Number of speakers; None to find it.

    Raises:
        BimodalError: scipy is not installed.
    """
    alone = [row for row, one in enumerate(stretches) if one.embedding is not None]
    numbers, confidences = np.full(len(stretches), -1), np.full(len(stretches), np.nan)
    if not alone:
        return Naming(speakers=numbers, confidences=confidences, count=0, doubtful=False)
    voices = np.stack([one.embedding for one in stretches if one.embedding is not None]).astype(np.float64)
    seconds = np.array([stretches[row].duration for row in alone])
    clustered = _clustered(seconds)
    groups, doubtful = _group(voices[clustered], count)
    centres = _centres(voices[clustered], seconds[clustered], groups)
    own = (voices @ centres.T).argmax(axis=1)
    own[clustered] = groups
    order = list(dict.fromkeys(own.tolist()))  # by first appearance
    renumbered = np.array([order.index(group) for group in own])
    numbers[alone] = renumbered
    if len(order) > 1:
        shares = softmax(SHARPNESS * (voices @ centres[order].T))
        confidences[alone] = shares[np.arange(len(alone)), renumbered]
    return Naming(speakers=numbers, confidences=confidences, count=len(order), doubtful=doubtful)


def _clustered(seconds: Doubles) -> Integers:
    """Rows of the stretches that are clustered."""
    rows: Integers = np.flatnonzero(seconds >= LONG_SECONDS)
    rows = rows if len(rows) else np.arange(len(seconds))
    if len(rows) <= MOST_STRETCHES:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, MOST_STRETCHES).round().astype(int)])


def _group(voices: Doubles, count: int | None) -> tuple[Integers, bool]:
    """Group of each of n voices (n, D), from 0, and whether the number of groups is in doubt."""
    if len(voices) == 1 or count == 1:
        return np.zeros(len(voices), np.int64), False
    try:
        from scipy.cluster.hierarchy import fcluster, linkage  # local: an extra, and slow to import
    except ModuleNotFoundError as error:
        raise BimodalError("telling speakers apart needs scipy: pip install 'bimodal-emotion[diarise]'") from error
    tree = linkage(voices, "ward")
    heights, doubtful = _heights(tree[:, 2]), False
    if count is None:
        count = min(_MOST_FOUND, 1 + int((heights >= APART).sum()))
        doubtful = bool((abs(heights / APART - 1) < DOUBT).any())
    return fcluster(tree, count, "maxclust").astype(np.int64) - 1, doubtful


def _heights(heights: Doubles) -> Doubles:
    """Heights of Ward's tree, as they would be of at most 40 voices: twice the same speech is as high as once.

    Example:
        >>> float(_heights(np.ones(159)).max())
        0.5
    """
    return np.asarray(heights * min(1.0, math.sqrt(_TYPICAL / (len(heights) + 1))))


def _centres(voices: Doubles, seconds: Doubles, groups: Integers) -> Doubles:
    """Direction of each group (G, D), its stretches weighted by their length."""
    sums = np.zeros((groups.max() + 1, voices.shape[1]))
    np.add.at(sums, groups, seconds[:, None] * voices)
    return unit_length(sums)
