"""Records of labelling: a clip, a rater's answer, and the words that answers may use."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from bimodal.errors import LabellingError

UNSURE: Final = "unsure"
"""Answer of a rater who cannot tell."""

OTHER: Final = "other"
"""Answer for an emotion that the vocabulary lacks."""

NO_EMOTION: Final = (UNSURE, OTHER)
MOST_NOTE: Final = 2000
INTENSITIES: Final = (1, 2, 3, 4, 5)
_MOST_NAME: Final = 40
_NAME: Final = re.compile(r"[\w][\w .@-]*")

Part = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelClip:
    """A clip to be labelled.

    Attributes:
        id: Unique in the folder: the path, with start and end for a part of a long recording.
        path: Of the recording, relative to the folder, with `/`.
        start: In seconds; None for the beginning.
        end: In seconds; None for the end.
        part: `test` for the clips that were drawn beforehand and are never trained on, else `train`.
        transcript: The words; empty if unknown.
        speaker: Empty if unknown.
    """

    id: str
    path: str
    start: float | None = None
    end: float | None = None
    part: Part = "train"
    transcript: str = ""
    speaker: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What one rater said of one clip.

    Attributes:
        clip: Id of the clip.
        answer: An emotion of the vocabulary, `unsure` or `other`.
        intensity: 1 (weak) to 5 (strong); None if it was not given.
        note: Free text; may be empty.
        at: When, ISO 8601 in UTC.
    """

    clip: str
    answer: str
    intensity: int | None = None
    note: str = ""
    at: str = ""


def check_rater(name: str) -> str:
    """A rater's name without spaces around it, in lower case.

    Raises:
        LabellingError: It is empty, too long, or has characters that a file name cannot have.

    Example:
        >>> check_rater(" Anna ")
        'anna'
    """
    found = name.strip().casefold()
    if not _NAME.fullmatch(found) or len(found) > _MOST_NAME or found.endswith("."):
        raise LabellingError(
            f"rater's name {name[:60]!r}: expected 1 to {_MOST_NAME} letters, digits, spaces or . @ - _, "
            "beginning with a letter or digit"
        )
    return found


def check_label(label: Label, emotions: tuple[str, ...]) -> Label:
    """The label as it is stored.

    Raises:
        LabellingError: Its answer is outside the vocabulary, or intensity or note are out of range.
    """
    if label.answer not in (*emotions, *NO_EMOTION):
        raise LabellingError(
            f"label {label.answer[:60]!r} is outside the vocabulary; expected one of {', '.join(emotions)}, "
            f"{UNSURE} or {OTHER}"
        )
    if label.intensity is not None and label.intensity not in INTENSITIES:
        raise LabellingError(f"intensity {label.intensity}: expected 1 to 5, or none")
    if len(label.note) > MOST_NOTE:
        raise LabellingError(f"the note has {len(label.note)} characters, expected at most {MOST_NOTE}")
    return label


def check_vocabulary(emotions: tuple[str, ...]) -> tuple[str, ...]:
    """The emotions of a vocabulary of one's own.

    Raises:
        LabellingError: There are fewer than two, one is repeated, or one is a reserved word.

    Example:
        >>> check_vocabulary(("calm", "tense"))
        ('calm', 'tense')
    """
    from bimodal.data.labels import custom
    from bimodal.errors import ConfigError

    try:
        found = custom(emotions).emotions
    except ConfigError as error:
        raise LabellingError(str(error)) from error
    if taken := sorted({*found} & {*NO_EMOTION}):
        raise LabellingError(f"{taken[0]!r} is always offered as an answer; leave it out of the emotions")
    if bad := [one for one in found if "|" in one or "," in one]:
        raise LabellingError(f"emotion {bad[0]!r}: expected no '|' and no comma in it")
    return found
