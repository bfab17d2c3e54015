"""TESS: two women say 200 words in seven emotions (Pichora-Fuller and Dupuis, 2020, CC BY-NC-ND 4.0).

A file name such as `OAF_back_angry` is speaker, word and emotion; `ps` is pleasant surprise.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
NAME = re.compile(rf"(?<![^/])(OAF|OA|YAF)_([A-Za-z]+)_({'|'.join(EMOTIONS)})$")
SPEAKERS = {"OAF": "older", "OA": "older", "YAF": "younger"}  # one file of the archive is called OA_bite_neutral


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional columns: `gender`, `age`, `word`.

    Raises:
        ManifestError: No file name below the folder is one of TESS.
    """
    found = find_named(source, NAME, corpus="TESS", example="OAF_angry/OAF_back_angry.wav", complete=2_800)
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    speaker, word = SPEAKERS[match[1]], match[2].lower()
    return Utterance(
        id=match[0],
        path=path,
        transcript=f"Say the word {word}.",
        emotion=EMOTIONS[match[3]],
        speaker=speaker,
        lang="en",
        extra={"gender": "female", "age": "64" if speaker == "older" else "26", "word": word},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="TESS: two women say 200 words in seven emotions",
    languages=("en",),
    licence="CC BY-NC-ND 4.0",
    citation="Pichora-Fuller and Dupuis 2020, Borealis",
    url="https://doi.org/10.5683/SP2/E8H2MF",
    files="the unpacked archive (OAF_angry/OAF_back_angry.wav, ...)",
)
