"""Transcripts and their context as the text backbone takes them."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from bimodal.records import Clip, Turn, Utterance

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def normalise_transcript(transcript: str | None) -> str | None:
    r"""Compatibility-normalised words with single spaces; None if nothing is left to read.

    Half of a surrogate pair, which no encoder takes, becomes U+FFFD.

    Example:
        >>> normalise_transcript("  Well,\u00a0 that\u2019s  it. ")
        'Well, that\u2019s it.'
        >>> normalise_transcript(" \n") is None
        True
    """
    if transcript is None:
        return None
    folded = unicodedata.normalize("NFKC", _SURROGATE.sub("\ufffd", transcript))
    printable = "".join(" " if unicodedata.category(character) in {"Cc", "Cf"} else character for character in folded)
    return " ".join(printable.split()) or None


def preceding_rows(utterances: Sequence[Utterance], count: int) -> list[list[int]]:
    """For each utterance the rows of up to `count` preceding utterances of its dialogue, oldest first.

    The order is that of the column `utterance` where it numbers a whole dialogue, else that of the rows. Rows without
    words are skipped; an utterance without a dialogue has no context.

    Example:
        >>> words = {"a": "Hi.", "b": None, "c": "No."}
        >>> said = [Utterance(id=name, dialogue="d", transcript=text) for name, text in words.items()]
        >>> preceding_rows(said, 2)
        [[], [0], [0]]
    """
    dialogues: dict[str, list[int]] = {}
    for row, utterance in enumerate(utterances):
        if utterance.dialogue:
            dialogues.setdefault(utterance.dialogue, []).append(row)
    before: list[list[int]] = [[] for _ in utterances]
    for rows in dialogues.values():
        said: list[int] = []
        for row in _in_order(rows, utterances):
            before[row] = said[max(0, len(said) - count) :]
            if normalise_transcript(utterances[row].transcript):
                said.append(row)
    return before


def _in_order(rows: Sequence[int], utterances: Sequence[Utterance]) -> list[int]:
    numbers = [utterances[row].extra.get("utterance", "") for row in rows]
    if not all(number.isdecimal() for number in numbers):
        return list(rows)
    return sorted(rows, key=lambda row: int(utterances[row].extra["utterance"]))


def dialogue_turns(clip: Clip) -> list[tuple[str, str | None]]:
    """What was said before a clip and in it, normalised, with who said it; turns without words are left out.

    Example:
        >>> before = [Turn(transcript=" Hi. "), Turn(transcript="")]
        >>> dialogue_turns(Clip(transcript="No.", speaker="ann", before=before))
        [('Hi.', None), ('No.', 'ann')]
    """
    turns = [*clip.before, Turn(transcript=clip.transcript, speaker=clip.speaker)]
    return [(text, turn.speaker) for turn in turns if (text := normalise_transcript(turn.transcript))]


def same_speaker(speakers: Sequence[str | None]) -> list[bool]:
    """For each of some turns in a row, whether the speaker of the last one spoke; False if that is not known.

    Example:
        >>> same_speaker(["ann", "bob", None, "ann"]), same_speaker([None, None])
        ([True, False, False, True], [False, True])
    """
    last = speakers[-1]
    return [*(last is not None and speaker == last for speaker in speakers[:-1]), True]
