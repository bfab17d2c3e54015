"""EmoV-DB: four speakers say sentences of CMU Arctic in five styles (Adigwe et al., 2018).

A path such as `bea/Angry/anger_1-28_0011`, or `bea_Angry/anger_1-28_0011`, is speaker, style, range of a file of
annotations and sentence. The words are in `cmuarctic.data` of festvox.org; put it into the folder. Names and counts:
README of https://github.com/numediart/EmoV-DB; a third of the ranges have an underscore (list of files in EmoBox, arXiv
2406.07162). Licence: LICENSE.md there.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded
from bimodal.records import Utterance

EMOTIONS = {
    "Amused": "amusement",
    "Angry": "anger",
    "Disgust": "disgust",
    "Disgusted": "disgust",
    "Neutral": "neutral",
    "Sleepy": "sleepiness",
}
GENDERS = {"bea": "female", "jenie": "female", "josh": "male", "sam": "male"}
NAME = re.compile(
    rf"(?<![^/])({'|'.join(GENDERS)})[/_]({'|'.join(EMOTIONS)})/([A-Za-z]+_\d+[-_]\d+_(\d{{4}}))$", re.ASCII
)
WORDS = re.compile(r'\( arctic_a(\d{4}) "(.*)" \)')


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional columns: `gender`, `sentence`.

    Raises:
        ManifestError: No file name below the folder is one of EmoV-DB, or `cmuarctic.data` cannot be read.
    """
    found = find_named(source, NAME, corpus="EmoV-DB", example="bea/Angry/anger_1-28_0011.wav")
    listed = next(iter(sorted(source.rglob("cmuarctic.data"))), None)
    words = dict(WORDS.findall(decoded(listed))) if listed else {}
    return tuple(_utterance(match, path, words) for match, path in found)


def _utterance(match: re.Match[str], path: str, words: Mapping[str, str]) -> Utterance:
    speaker, style, name, sentence = match.groups()
    return Utterance(
        id=f"{speaker}_{name}",
        path=path,
        transcript=words.get(sentence),
        emotion=EMOTIONS[style],
        speaker=speaker,
        lang="en",
        extra={"gender": GENDERS[speaker], "sentence": sentence},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="EmoV-DB: four speakers say sentences of CMU Arctic in five styles",
    languages=("en",),
    licence="non-commercial purposes",
    citation="Adigwe et al. 2018, arXiv 1806.09514",
    url="https://github.com/numediart/EmoV-DB",
    files="the sorted archive, unpacked (bea/Angry/anger_1-28_0011.wav, ...), and cmuarctic.data for the words",
    published=Published(
        utterances=7_000,
        emotions={"amusement": 1_330, "anger": 1_308, "disgust": 1_033, "neutral": 1_585, "sleepiness": 1_744},
        speakers=4,
    ),
)
