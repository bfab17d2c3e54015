"""ASED: 65 speakers say sentences in Amharic in five emotions (Retta et al., 2023).

A file name such as `05Angry/a5-03-01-02-50` is emotion and folder, sentence, repetition, gender (01 is female) and
speaker. Sentences 01 and 02 are the same for all emotions, the others belong to one. The words are not published.
Layout, names and counts: README of https://github.com/Ethio2021/ASED_V1, and the list of files in EmoBox (arXiv
2406.07162).
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {"a": "anger", "f": "fear", "h": "happiness", "n": "neutral", "s": "sadness"}
NAME = re.compile(r"(?<![^/])([afhnsAFHNS])[1-5]-(0[1-7])-(\d\d)-(0[12])-(\d\d)$", re.ASCII)  # one begins with S
COMMON = ("01", "02")


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder.

    Additional columns: `gender`, `sentence`, `repetition`. Hold `sentence` out as well as `speaker`: most sentences
    belong to one emotion.

    Raises:
        ManifestError: No file name below the folder is one of ASED.
    """
    found = find_named(source, NAME, corpus="ASED", example="05Angry/a5-03-01-02-50.wav")
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    letter, sentence, repetition, gender, speaker = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        emotion=EMOTIONS[letter.lower()],
        speaker=speaker,
        lang="am",
        extra={
            "gender": "female" if gender == "01" else "male",
            "sentence": sentence if sentence in COMMON else f"{letter.lower()}{sentence}",
            "repetition": str(int(repetition)),
        },
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="ASED: 65 speakers of Amharic say 27 sentences in five emotions",
    languages=("am",),
    licence="not stated; ask its publishers",
    citation="Retta et al. 2023, ACM Transactions on Asian and Low-Resource Language Information Processing 22(1)",
    url="https://github.com/Ethio2021/ASED_V1",
    files="the repository (05Angry/a5-03-01-02-50.wav, ...)",
    published=Published(
        utterances=2_474,
        emotions={"anger": 486, "fear": 510, "happiness": 486, "neutral": 522, "sadness": 470},
        speakers=65,
    ),
)
