"""URDU: speakers of talk shows in four emotions (Latif et al., 2018, research only).

A file name such as `SM1_F10_A010` is gender and speaker, number of the speaker's file, emotion and its number.
The names hold 29 speakers; the paper says 38.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}
NAME = re.compile(r"(?<![^/])S([FM])(\d+)_F(\d+)_([AHNS])(\d+)$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional column: `gender`.

    Raises:
        ManifestError: No file name below the folder is one of URDU.
    """
    found = find_named(source, NAME, corpus="URDU", example="Angry/SM1_F10_A010.wav", complete=400)
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    gender, speaker, _, emotion, _ = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        emotion=EMOTIONS[emotion],
        speaker=f"S{gender}{speaker}",
        lang="ur",
        extra={"gender": "female" if gender == "F" else "male"},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="URDU: 400 recordings of talk shows in four emotions",
    languages=("ur",),
    licence="research only",
    citation="Latif et al. 2018, FIT",
    url="https://github.com/siddiquelatif/URDU-Dataset",
    files="the repository (Angry/SM1_F10_A010.wav, ...)",
)
