"""Who speaks when in a recording of any length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bimodal.audio.decode import Signal
from bimodal.diarisation.naming import Naming, name_stretches
from bimodal.diarisation.networks import Networks
from bimodal.diarisation.stretches import Stretch, StretchFinder
from bimodal.errors import tell

SURE: Final = 0.88
"""Mean confidence below which a recording gets the warning; chosen on EmoDB and CREMA-D, `benchmarks.diarise`."""

_SAME_TURN: Final = 0.5  # seconds of pause within a turn


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeakerTurn:
    """A stretch of a recording in which one person speaks, perhaps while another one does, too.

    Attributes:
        start: In seconds.
        end: In seconds.
        speaker: Name, such as `speaker 1`.
        confidence: That it is this speaker and none of the others, 0 to 1; None where there is one speaker.
    """

    start: float
    end: float
    speaker: str
    confidence: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Diarisation:
    """Who speaks when in a recording.

    Attributes:
        turns: By their start; those of one speaker do not overlap.
        speakers: Names, in the order of first appearance.
        confidence: Mean of the turns' confidences, weighted by length; None for fewer than two speakers.
        warnings: Why to doubt the speakers' names or number, one sentence each.
    """

    turns: tuple[SpeakerTurn, ...]
    speakers: tuple[str, ...]
    confidence: float | None
    warnings: tuple[str, ...]


def diarise(blocks: Iterable[tuple[Signal, int]], networks: Networks, count: int | None = None) -> Diarisation:
    """Find who speaks when. Memory holds 10 s of samples, and an embedding for each stretch of speech.

    Args:
        blocks: Signals (T,) and their sampling rate in Hz, as `iterate_audio` gives them.
        networks: Of `open_networks`.
        count: Number of speakers; None to find it.

    Raises:
        AudioError: As of the blocks.
        BimodalError: scipy is not installed.
    """
    return name_turns(find_stretches(blocks, networks), count)


def find_stretches(blocks: Iterable[tuple[Signal, int]], networks: Networks) -> list[Stretch]:
    """The stretches of a recording, which nobody's name is known of yet; arguments and errors as in `diarise`."""
    finder: StretchFinder | None = None
    stretches: list[Stretch] = []
    for signal, rate in blocks:
        finder = finder or StretchFinder(networks, rate)
        stretches += finder.push(signal)
    return stretches + ([] if finder is None else finder.finish())


def name_turns(stretches: Sequence[Stretch], count: int | None = None) -> Diarisation:
    """Who speaks when, from the stretches of a recording; `count` and errors as in `diarise`."""
    naming = name_stretches(stretches, count)
    turns = _turns(stretches, naming)
    known = [one for one in turns if one.confidence is not None]
    seconds = [one.end - one.start for one in known]
    confidence = float(np.average([one.confidence or 0.0 for one in known], weights=seconds)) if known else None
    names = tuple(map(_name, range(naming.count)))
    return Diarisation(
        turns=turns, speakers=names, confidence=confidence, warnings=_warnings(naming, confidence, count)
    )


def _name(number: int) -> str:
    return f"speaker {number + 1}"


def _warnings(naming: Naming, confidence: float | None, wanted: int | None) -> tuple[str, ...]:
    """Why to doubt the names."""
    found = []
    if confidence is not None and confidence < SURE:
        found.append(tell("voices-alike", confidence=f"{confidence:.2f}", least=SURE))
    if naming.doubtful:
        found.append(tell("speakers-doubtful", count=naming.count))
    if wanted is not None and 0 < naming.count < wanted:
        found.append(tell("speakers-missing", count=naming.count, wanted=wanted))
    return tuple(found)


def _turns(stretches: Sequence[Stretch], naming: Naming) -> tuple[SpeakerTurn, ...]:
    """Turns of all speakers; stretches of one speaker with a short pause between them are one turn."""
    locals_ = _local_speakers(stretches, naming)
    parts: dict[int, list[SpeakerTurn]] = {}
    for row, stretch in enumerate(stretches):
        number = int(naming.speakers[row])
        several = [locals_.get((stretch.window, local), -1) for local in stretch.speakers]
        for one in dict.fromkeys([number] if number >= 0 else several):
            if one >= 0:
                sure = None if np.isnan(naming.confidences[row]) else float(naming.confidences[row])
                turn = SpeakerTurn(start=stretch.start, end=stretch.end, speaker=_name(one), confidence=sure)
                _extend(parts.setdefault(one, []), turn)
    return tuple(sorted((turn for turns in parts.values() for turn in turns), key=lambda turn: turn.start))


def _extend(turns: list[SpeakerTurn], turn: SpeakerTurn) -> None:
    """Add a turn to those of its speaker, or lengthen the last one."""
    last = turns[-1] if turns else None
    if last is None or turn.start - last.end >= _SAME_TURN:
        turns.append(turn)
        return
    known = [one for one in (last, turn) if one.confidence is not None]
    weights = [one.end - one.start for one in known]
    sure = float(np.average([one.confidence or 0.0 for one in known], weights=weights)) if known else None
    turns[-1] = replace(last, end=max(last.end, turn.end), confidence=sure)


def _local_speakers(stretches: Sequence[Stretch], naming: Naming) -> dict[tuple[int, int], int]:
    """Who each speaker of a window mostly is, by the seconds in which they speak alone."""
    seconds: dict[tuple[int, int], dict[int, float]] = {}
    for row, stretch in enumerate(stretches):
        if naming.speakers[row] >= 0:
            own = seconds.setdefault((stretch.window, stretch.speakers[0]), {})
            number = int(naming.speakers[row])
            own[number] = own.get(number, 0.0) + stretch.duration
    return {key: max(own, key=own.__getitem__) for key, own in seconds.items()}
