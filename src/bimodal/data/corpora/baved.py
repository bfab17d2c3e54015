"""BAVED: 61 speakers say seven Arabic words at three levels of emotion (Aouf, 2019).

A file name such as `0/0-m-21-0-1-105` is speaker, gender, age, word, level and number; the folder is the word. The
labels are levels, not emotions: `low` is tired or down, `neutral` is everyday speech, `high` is any strong emotion.
Layout, words and counts: README of https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

LEVELS = ("low", "neutral", "high")
WORDS = ("اعجبني", "لم يعجبني", "هذا", "الفيلم", "رائع", "مقول", "سيئ")
NAME = re.compile(r"(?<![^/])(\d+)-([mfMF])-(\d+)-([0-6])-([0-2])-\d+$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional columns: `gender`, `age`.

    Raises:
        ManifestError: No file name below the folder is one of BAVED.
    """
    found = find_named(source, NAME, corpus="BAVED", example="0/0-m-21-0-1-105.wav")
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    speaker, gender, age, word, level = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        transcript=WORDS[int(word)],
        emotion=LEVELS[int(level)],
        speaker=speaker,
        lang="ar",
        extra={"gender": "male" if gender.lower() == "m" else "female", "age": age},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="BAVED: 61 speakers say seven Arabic words at three levels of emotion",
    languages=("ar",),
    licence="not stated; ask its publishers",
    citation="Aouf 2019, GitHub",
    url="https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset",
    files="the repository (0/0-m-21-0-1-105.wav, ...)",
    published=Published(utterances=1_935),
)
