"""Recognise live audio with a stream: one `Moment` after each block of samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bimodal.audio.level import level_db
from bimodal.audio.microphone import Source
from bimodal.inference.stream import Stream
from bimodal.records import Recognition

PARTIAL_SECONDS: Final = 0.5
"""Interval, in seconds, between provisional results of the same segment."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The state of a live recognition after one more block.

    Attributes:
        duration: Length of the audio so far, in seconds.
        level: Of the block, in dB relative to full scale.
        results: Results that the block completed.
        partial: Provisional result for the speech of the moment; None if nobody speaks.
    """

    duration: float
    level: float
    results: Sequence[Recognition]
    partial: Recognition | None


def listen(stream: Stream, source: Source) -> Iterator[Moment]:
    """Push the blocks of a source into a stream. The caller must call `stream.finish()`, also after an interruption.

    Raises:
        AudioError: The source fails, or this machine is too slow for it.
    """
    partial, due = None, PARTIAL_SECONDS
    for block in source.blocks:
        results = stream.push(block, source.sampling_rate)
        if results or stream.duration >= due:
            partial, due = stream.partial(), stream.duration + PARTIAL_SECONDS
        yield Moment(duration=stream.duration, level=level_db(block), results=results, partial=partial)
