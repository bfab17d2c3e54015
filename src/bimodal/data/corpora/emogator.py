"""EmoGator: 357 people make sounds without words in 30 emotions (Buhl, 2022, Apache-2.0).

A file name such as `data/mp3/000001-03-1` is speaker, emotion and instance. Nothing is said: these are laughs, sighs
and groans, and a voice activity detector may find no speech in them. Names, emotions and counts: README of
https://github.com/fredbuhl/EmoGator.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

_NAMES = (
    "adoration amusement anger awe confusion contempt contentment desire disappointment disgust",
    "distress ecstasy elation embarrassment fear guilt interest neutral pain pride",
    "realization relief romantic_love sadness serenity shame negative_surprise positive_surprise sympathy triumph",
)
EMOTIONS = tuple(name for line in _NAMES for name in line.split())  # in the order of the numbers 01 to 30
NAME = re.compile(r"(?<![^/])(\d{6})-(0[1-9]|[12]\d|30)-([1-3])$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Vocal bursts, anywhere below a folder. Additional column: `repetition`.

    Raises:
        ManifestError: No file name below the folder is one of EmoGator.
    """
    example = "data/mp3/000001-03-1.mp3"
    found = find_named(source, NAME, corpus="EmoGator", example=example, suffixes=(".mp3", ".wav", ".flac"))
    return tuple(
        Utterance(
            id=match[0],
            path=path,
            emotion=EMOTIONS[int(match[2]) - 1],
            speaker=match[1],
            extra={"repetition": match[3]},
        )
        for match, path in found
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="EmoGator: 357 people make sounds without words in 30 emotions (vocal bursts)",
    languages=(),
    licence="Apache-2.0",
    citation="Buhl 2022, arXiv 2301.00508",
    url="https://github.com/fredbuhl/EmoGator",
    files="the repository (data/mp3/000001-03-1.mp3, ...)",
    published=Published(utterances=32_130, emotions=dict.fromkeys(EMOTIONS, 1_071), speakers=357),
)
