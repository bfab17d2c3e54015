"""ShEMO: 87 Persian speakers of radio plays in six emotions (Mohamad Nezami et al., 2019, academic use).

A file name such as `F03S02` is gender, speaker, emotion and number. Twelve raters voted; the name has their majority.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {
    "A": "anger",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "W": "surprise",
}
NAME = re.compile(r"(?<![^/])([FM])(\d\d)([AFHNSW])(\d\d+)$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional column: `gender`.

    Raises:
        ManifestError: No file name below the folder is one of ShEMO.
    """
    found = find_named(source, NAME, corpus="ShEMO", example="female/F03S02.wav", complete=3_000)
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    gender, speaker, emotion, _ = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        emotion=EMOTIONS[emotion],
        speaker=gender + speaker,
        lang="fa",
        extra={"gender": "female" if gender == "F" else "male"},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="ShEMO: 87 Persian speakers of radio plays in six emotions",
    languages=("fa",),
    licence="academic use",
    citation="Mohamad Nezami et al. 2019, Language Resources and Evaluation 53",
    url="https://github.com/mansourehk/ShEMO",
    files="the unpacked archives (female/F03S02.wav, male/M01A01.wav, ...)",
)
