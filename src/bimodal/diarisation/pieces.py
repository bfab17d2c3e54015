"""Segments of speech, divided among those who speak in them."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE
from bimodal.audio.segmentation import Segment
from bimodal.diarisation.diarise import SpeakerTurn

SHORTEST_PIECE: Final = 0.25
"""Seconds; what a speaker says in less is left to the others, as a segment with less speech is dropped."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Piece:
    """A part of a segment that one person speaks.

    Attributes:
        segment: The part.
        speaker: Name; None if nobody has a turn in the whole segment.
    """

    segment: Segment
    speaker: str | None


class TurnTable:
    """The turns of a recording, found by time.

    Args:
        turns: By their start.
    """

    def __init__(self, turns: Sequence[SpeakerTurn]) -> None:
        self._turns = turns
        self._starts = [turn.start for turn in turns]
        self._longest = max((turn.end - turn.start for turn in turns), default=0.0)

    @property
    def count(self) -> int:
        """Number of turns."""
        return len(self._turns)

    def between(self, start: float, end: float) -> list[SpeakerTurn]:
        """The turns that overlap a stretch, cut to it."""
        first = bisect_left(self._starts, start - self._longest)
        near = self._turns[first : bisect_left(self._starts, end)]
        return [replace(one, start=max(one.start, start), end=min(one.end, end)) for one in near if one.end > start]

    def divide(self, segment: Segment) -> list[Piece]:
        """A segment as pieces of one speaker each, in order: all of it, and twice where two speak at once.

        A pause between two speakers is halved. Where nobody has a turn, the segment stays whole, without a speaker.
        """
        turns = self.between(segment.start, segment.end)
        if not turns:
            return [Piece(segment=segment, speaker=None)]
        kept = [one for one in turns if one.end - one.start >= SHORTEST_PIECE] or [max(turns, key=_length)]
        return [_piece(segment, one) for one in _filled(_merged(kept), segment.start, segment.end)]

    def confidence(self, speaker: str, start: float, end: float) -> float | None:
        """Mean confidence of a speaker's turns in a stretch; None if there are none or nothing is known."""
        own = [one for one in self.between(start, end) if one.speaker == speaker and one.confidence is not None]
        if not own:
            return None
        return float(np.average([one.confidence or 0.0 for one in own], weights=[_length(one) for one in own]))

    def overlap(self, speaker: str, start: float, end: float) -> float:
        """Share of a stretch, 0 to 1, in which other people have turns while this one has one, too."""
        turns = self.between(start, end)
        own = [one for one in turns if one.speaker == speaker]
        others = [one for one in turns if one.speaker != speaker]
        both = sum(max(0.0, min(a.end, b.end) - max(a.start, b.start)) for a in own for b in others)
        return min(1.0, both / max(1e-9, end - start))


def _length(turn: SpeakerTurn) -> float:
    return turn.end - turn.start


def _merged(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
    """Turns of one speaker without anybody between them as one."""
    found: list[SpeakerTurn] = []
    for turn in turns:
        if found and found[-1].speaker == turn.speaker:
            found[-1] = replace(found[-1], end=max(found[-1].end, turn.end))
        else:
            found.append(turn)
    return found


def _filled(turns: Sequence[SpeakerTurn], start: float, end: float) -> Iterator[SpeakerTurn]:
    """The turns, lengthened so that they cover a stretch without gaps."""
    found = list(turns)
    found[0] = replace(found[0], start=start)
    last = 0  # the turn that ends latest so far
    for row in range(1, len(found)):
        if found[row].start > found[last].end:
            middle = (found[last].end + found[row].start) / 2
            found[last] = replace(found[last], end=middle)
            found[row] = replace(found[row], start=middle)
        if found[row].end >= found[last].end:
            last = row
    found[last] = replace(found[last], end=end)
    yield from found


def _piece(segment: Segment, turn: SpeakerTurn) -> Piece:
    first, end = (round((time - segment.start) * SAMPLING_RATE) for time in (turn.start, turn.end))
    end = min(end, len(segment.signal))
    begin = round(segment.start * SAMPLING_RATE)
    part = Segment(
        start=(begin + first) / SAMPLING_RATE,
        end=(begin + end) / SAMPLING_RATE,
        signal=segment.signal[first:end],
    )
    return Piece(segment=part, speaker=turn.speaker)
