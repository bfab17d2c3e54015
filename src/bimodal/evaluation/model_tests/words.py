"""Changes of the words under which a model should not fail: recognised, missing, shuffled, contradicting."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from bimodal.arrays import Integers
from bimodal.audio.decode import Signal
from bimodal.data.text import normalise_transcript
from bimodal.records import Clip

if TYPE_CHECKING:
    from bimodal.asr.timed_words import Asr

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class WordCondition:
    """A change of the words, or that a modality is missing.

    Attributes:
        reference: System and input that the fused answers are compared with: `fused` with everything, or the system
            of the modality that is left (`speech`, `text`).
        uar: Least UAR of the fused answers, minus that of the reference.
        unchanged: Least share of clips with the same fused answer; None if it is not tested.
        source: Where the thresholds come from.
    """

    reference: str
    uar: float
    unchanged: float | None
    source: str


_NOISE_BAR: Final = "not in the published suite; thresholds of its background noise"
_TILT_BAR: Final = "not in the published suite; threshold of its spectral tilt"

WORD_CONDITIONS: Final[Mapping[str, WordCondition]] = {
    "words by speech recognition": WordCondition(reference="fused", uar=-0.05, unchanged=0.9, source=_NOISE_BAR),
    "words missing": WordCondition(reference="speech", uar=-0.02, unchanged=None, source=_TILT_BAR),
    "speech missing": WordCondition(reference="text", uar=-0.02, unchanged=None, source=_TILT_BAR),
    "words of another clip": WordCondition(reference="speech", uar=-0.05, unchanged=None, source=_NOISE_BAR),
    "words of another emotion": WordCondition(reference="speech", uar=-0.05, unchanged=None, source=_NOISE_BAR),
}
"""Changes by name. With false words, a fused answer can at best keep what the voice alone tells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedWords:
    """Clips after a change of the words.

    Attributes:
        clips: The clips.
        detail: What to know of the change, such as the word error rate.
    """

    clips: Sequence[Clip]
    detail: str = ""


def recognised_words(clips: Iterable[tuple[Clip, Signal, str | None]], asr: "Asr") -> ChangedWords:
    """Clips with words by speech recognition.

    Args:
        clips: Clips with the true words, their speech at 16 kHz, and their language as ISO 639-1 code or None.
        asr: Speech recognition.
    """
    changed, errors, words = [], 0, 0
    for clip, signal, language in clips:
        found = asr.words(signal, language)
        confidence = found.confidence if found.text else None
        changed.append(replace(clip, transcript=found.text or None, transcript_confidence=confidence))
        true = split_words(clip.transcript)
        errors, words = errors + edit_distance(true, split_words(found.text)), words + len(true)
    return ChangedWords(clips=changed, detail=f"word error rate {100 * errors / max(words, 1):.1f} %")


def split_words(text: str | None) -> list[str]:
    """Words in lower case without punctuation.

    Example:
        >>> split_words("Don't, please!")
        ["don't", 'please']
    """
    return _WORD.findall((normalise_transcript(text) or "").casefold().replace("\u2019", "'"))


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Fewest words to insert, delete and replace that turn one text into the other.

    Example:
        >>> edit_distance(["a", "b", "c"], ["a", "c", "d"])
        2
    """
    row = list(range(len(second) + 1))
    for place, word in enumerate(first, 1):
        diagonal, row[0] = row[0], place
        for column, other in enumerate(second, 1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
    return row[-1]


def other_words(
    clips: Sequence[Clip], targets: Integers, rng: np.random.Generator, *, other_emotion: bool
) -> list[int]:
    """For each clip the position of a clip with other words, -1 if there is none.

    Args:
        clips: With words.
        targets: (N,) emotions.
        rng: Draws among those that fit.
        other_emotion: Words of a clip with another emotion, which no clip of this emotion has.
    """
    texts = [normalise_transcript(clip.transcript) for clip in clips]
    said: dict[int, set[str]] = {}
    for text, target in zip(texts, targets.tolist(), strict=True):
        said.setdefault(target, set()).add(text or "")
    found = []
    for text, target in zip(texts, targets.tolist(), strict=True):
        excluded = said[target] if other_emotion else {text}
        fitting = [place for place, other in enumerate(texts) if other and other not in excluded]
        found.append(int(rng.choice(fitting)) if fitting and text else -1)
    return found


def _take(clips: Sequence[Clip], places: Sequence[int]) -> ChangedWords | str:
    """Clips with the words of others; a sentence where fewer than half have a fitting other."""
    known = sum(place >= 0 for place in places)
    if known * 2 < len(clips):
        return f"only {known} of {len(clips)} clips have a fitting clip with other words"
    words = [None if place < 0 else clips[place].transcript for place in places]
    return ChangedWords(
        clips=[replace(clip, transcript=text or clip.transcript) for clip, text in zip(clips, words, strict=True)],
        detail=f"{known} of {len(clips)} clips with other words",
    )


Maker = Callable[[Sequence[Clip], Integers, np.random.Generator], ChangedWords | str]

MAKERS: Final[Mapping[str, Maker]] = {
    "words missing": lambda clips, _, __: ChangedWords(clips=[replace(clip, transcript=None) for clip in clips]),
    "speech missing": lambda clips, _, __: ChangedWords(
        clips=[replace(clip, audio=None, sampling_rate=None, columns=None) for clip in clips]
    ),
    "words of another clip": lambda clips, targets, rng: _take(
        clips, other_words(clips, targets, rng, other_emotion=False)
    ),
    "words of another emotion": lambda clips, targets, rng: _take(
        clips, other_words(clips, targets, rng, other_emotion=True)
    ),
}
"""What changes the clips for each of `WORD_CONDITIONS` but speech recognition; a sentence where it is impossible."""
