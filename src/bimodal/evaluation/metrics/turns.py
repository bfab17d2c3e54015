"""Errors of a timeline of emotions in seconds, and of the moments where the emotion changes; numpy only."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np

from bimodal.arrays import Doubles

NEUTRAL = "neutral"

Stretch = tuple[float, float, str]
"""Start and end in seconds, and an emotion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineErrors:
    """Seconds and counts of one recording, or of several together; `+` adds them.

    Attributes:
        duration: Length of the recording.
        speech: Length of all reference turns.
        missed: Of turns for which there is no emotion.
        false_alarm: With an emotion where there is no turn.
        confused: Of turns with another emotion.
        missed_emotion: Of turns with an emotion, found neutral or nothing. Here and below, neutral and no speech are
            the same.
        false_emotion: Found with an emotion where there is none.
        confused_emotion: With another emotion than the true one.
        overlapped_emotion: With the true emotion and others at once.
        true_changes: Moments where the emotion changes.
        found_changes: Likewise, of the timeline.
        hit_changes: Pairs of these that lie within the tolerance.
        spoken: Seconds of the turns of each emotion.
        right: Seconds of them that were found right.
    """

    duration: float = 0.0
    speech: float = 0.0
    missed: float = 0.0
    false_alarm: float = 0.0
    confused: float = 0.0
    missed_emotion: float = 0.0
    false_emotion: float = 0.0
    confused_emotion: float = 0.0
    overlapped_emotion: float = 0.0
    true_changes: int = 0
    found_changes: int = 0
    hit_changes: int = 0
    spoken: Mapping[str, float] = field(default_factory=dict)
    right: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: "TimelineErrors") -> "TimelineErrors":
        sums: dict[str, Any] = {
            one.name: _sum(getattr(self, one.name), getattr(other, one.name)) for one in fields(self)
        }
        return TimelineErrors(**sums)

    @property
    def wrong(self) -> float:
        """Seconds that are missed, false or confused, where neutral is an emotion like the others."""
        return self.missed + self.false_alarm + self.confused

    @property
    def wrong_emotion(self) -> float:
        """Seconds that the emotion diarization error rate counts."""
        return self.missed_emotion + self.false_emotion + self.confused_emotion + self.overlapped_emotion


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in dict.fromkeys([*one, *other])}
    return one + other


def timeline_errors(
    reference: Sequence[Stretch], found: Sequence[Stretch], duration: float, *, tolerance: float = 0.5
) -> TimelineErrors:
    """Compare a timeline with its reference.

    Two error rates follow. The emotion diarization error rate (EDER, Wang et al. 2023, arXiv 2306.12991) divides
    `wrong_emotion` by `duration`; neutral and no speech are one class. The stricter rate divides `wrong` by `speech`:
    the diarization error rate of NIST with emotions for speakers, neutral among them, pauses outside.

    Args:
        reference: The turns. Of several speakers, they may overlap.
        found: The results.
        duration: Length of the recording in seconds.
        tolerance: By how much a change of emotion may be off, in seconds.

    Example:
        >>> errors = timeline_errors([(0.0, 4.0, "anger"), (5.0, 8.0, "neutral")],
        ...                          [(0.0, 3.0, "anger"), (3.0, 8.0, "fear")], 10.0)
        >>> errors.missed, errors.false_alarm, errors.confused, errors.speech
        (0.0, 1.0, 4.0, 7.0)
        >>> errors.missed_emotion, errors.false_emotion, errors.confused_emotion, errors.duration
        (0.0, 4.0, 1.0, 10.0)
    """
    sums: defaultdict[str, Any] = defaultdict(float)
    spoken: defaultdict[str, float] = defaultdict(float)
    right: defaultdict[str, float] = defaultdict(float)
    for seconds, truth, guess in _pieces(reference, found):
        both = truth & guess
        same, least = both.total(), min(truth.total(), guess.total())
        sums["missed"] += seconds * (truth.total() - least)
        sums["false_alarm"] += seconds * (guess.total() - least)
        sums["confused"] += seconds * (least - same)
        sums[_emotion_error({*truth} - {NEUTRAL}, {*guess} - {NEUTRAL})] += seconds
        for totals, emotions in ((spoken, truth), (right, both)):
            for emotion, count in emotions.items():
                totals[emotion] += seconds * count
    sums.pop("", None)
    true, guessed = changes(reference), changes(found)
    return TimelineErrors(
        duration=duration,
        speech=sum(spoken.values()),
        true_changes=len(true),
        found_changes=len(guessed),
        hit_changes=count_hits(true, guessed, tolerance),
        spoken=dict(spoken),
        right=dict(right),
        **sums,
    )


def _emotion_error(truth: set[str], guess: set[str]) -> str:
    """The error of EDER at a moment; empty if there is none."""
    if not truth or not guess:
        return "missed_emotion" if truth else "false_emotion" if guess else ""
    if not truth & guess:
        return "confused_emotion"
    return "overlapped_emotion" if guess - truth else ""


def _pieces(
    reference: Sequence[Stretch], found: Sequence[Stretch]
) -> Iterator[tuple[float, Counter[str], Counter[str]]]:
    """Seconds in which nothing changes, with the emotions of the reference and of the timeline."""
    events = [
        (time, side, emotion, step)
        for side, stretches in enumerate((reference, found))
        for start, end, emotion in stretches
        for time, step in ((start, 1), (end, -1))
    ]
    active: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    before = 0.0
    for time, side, emotion, step in sorted(events, key=lambda event: event[0]):
        if time > before:
            yield time - before, +active[0], +active[1]
            before = time
        active[side][emotion] += step


def changes(stretches: Sequence[Stretch]) -> list[float]:
    """Moments where the emotion changes, in seconds: the middle of the pause between two stretches that differ.

    Example:
        >>> changes([(0.0, 2.0, "anger"), (2.0, 4.0, "anger"), (5.0, 6.0, "fear")])
        [4.5]
    """
    placed = sorted(stretches)
    return sorted((one[1] + other[0]) / 2 for one, other in pairwise(placed) if one[2] != other[2])


def count_hits(true: Sequence[float], found: Sequence[float], tolerance: float) -> int:
    """The most pairs of a true and a found moment, each in one pair, that differ by at most the tolerance.

    Args:
        true: Sorted.
        found: Sorted.
        tolerance: In the same unit.

    Example:
        >>> count_hits([1.0, 5.0], [1.4, 1.5, 6.0], 0.5)
        1
    """
    hits = first = 0
    for moment in true:
        while first < len(found) and found[first] < moment - tolerance:
            first += 1
        if first < len(found) and found[first] <= moment + tolerance:
            hits, first = hits + 1, first + 1
    return hits


def vectors(errors: Sequence[TimelineErrors], name: str) -> Doubles:
    """One field or property of several recordings, (N,)."""
    return np.array([getattr(one, name) for one in errors], dtype=np.float64)
