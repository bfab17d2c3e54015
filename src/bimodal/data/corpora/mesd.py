"""MESD: Mexican children and adults say words in six emotions (Duville et al., 2021, CC BY 4.0).

A file name such as `Anger_C_A_abajo` is emotion, kind of voice, list of words and word. It does not say who speaks.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = ("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness")
VOICES = {"C": "child", "F": "female", "M": "male"}
NAME = re.compile(rf"(?<![^/])({'|'.join(EMOTIONS)})_([CFM])_([AB])_([^/]+)$")


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional columns: `voice`, `list`.

    Raises:
        ManifestError: No file name below the folder is one of MESD.
    """
    found = find_named(source, NAME, corpus="MESD", example="Anger_C_A_abajo.wav", complete=864)
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    emotion, voice, words, word = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        transcript=word.replace("_", " "),
        emotion=emotion.lower(),
        lang="es",
        extra={"voice": VOICES[voice], "list": words},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="MESD: Mexican children and adults say words in six emotions",
    languages=("es",),
    licence="CC BY 4.0",
    citation="Duville et al. 2021, Data 6(12)",
    url="https://data.mendeley.com/datasets/cy34mh68j9",
    files="the unpacked archive (Anger_C_A_abajo.wav, ...)",
)
