"""Live sound through a stream: what is known after each block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bimodal.audio.level import level_db
from bimodal.audio.microphone import Source
from bimodal.inference.stream import Stream
from bimodal.records import Recognition

PARTIAL_SECONDS: Final = 0.5
"""How often a segment that still goes on is scored."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What is known after one more block.

    Attributes:
        duration: How much was heard so far, in seconds.
        level: Of the block, in dB relative to full scale.
        results: Those that the block made known.
        partial: What is being said sounds like this so far; None where nobody is speaking.
    """

    duration: float
    level: float
    results: Sequence[Recognition]
    partial: Recognition | None


def listen(stream: Stream, source: Source) -> Iterator[Moment]:
    """Push what a source gives; finish the stream yourself, also where it is interrupted.

    Raises:
        AudioError: The source fails, or this machine is slower than it.
    """
    partial, due = None, PARTIAL_SECONDS
    for block in source.blocks:
        results = stream.push(block, source.sampling_rate)
        if results or stream.duration >= due:
            partial, due = stream.partial(), stream.duration + PARTIAL_SECONDS
        yield Moment(duration=stream.duration, level=level_db(block), results=results, partial=partial)
