"""SUBESCO: 20 Bangla speakers say ten sentences in seven emotions, five times (Sultana et al., 2021, CC BY 4.0).

A file name such as `F_01_OISHI_S_1_ANGRY_1` is gender, number and name of the speaker, sentence, emotion and take.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {
    "ANGRY": "anger",
    "DISGUST": "disgust",
    "FEAR": "fear",
    "HAPPY": "happiness",
    "NEUTRAL": "neutral",
    "SAD": "sadness",
    "SURPRISE": "surprise",
}
NAME = re.compile(rf"(?<![^/])([FM])_(\d\d)_([A-Z]+)_S_(\d+)_({'|'.join(EMOTIONS)})_(\d)$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional columns: `gender`, `sentence`, `take`.

    Raises:
        ManifestError: No file name below the folder is one of SUBESCO.
    """
    found = find_named(source, NAME, corpus="SUBESCO", example="F_01_OISHI_S_1_ANGRY_1.wav", complete=7_000)
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    gender, number, _, sentence, emotion, take = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        emotion=EMOTIONS[emotion],
        speaker=gender + number,
        lang="bn",
        extra={"gender": "female" if gender == "F" else "male", "sentence": sentence, "take": take},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="SUBESCO: 20 Bangla speakers say ten sentences in seven emotions",
    languages=("bn",),
    licence="CC BY 4.0",
    citation="Sultana et al. 2021, PLOS ONE 16(4)",
    url="https://zenodo.org/records/4526477",
    files="the unpacked archive (F_01_OISHI_S_1_ANGRY_1.wav, ...)",
)
