"""CaFE: twelve actors of Quebec say six sentences in seven emotions (Gournay et al., 2018, CC BY-NC-SA 4.0).

A file name such as `01-C-1-1` is actor, emotion (first letter of the French word), intensity and sentence.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {
    "C": "anger",
    "D": "disgust",
    "J": "happiness",
    "N": "neutral",
    "P": "fear",
    "S": "surprise",
    "T": "sadness",
}
NAME = re.compile(r"(?<![^/])(0[1-9]|1[0-2])-([CDJNPST])-([12])-([1-6])$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional columns: `intensity`, `sentence`.

    Raises:
        ManifestError: No file name below the folder is one of CaFE.
    """
    found = find_named(source, NAME, corpus="CaFE", example="Colère/Faible/01-C-1-1.wav", complete=936)
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    actor, emotion, intensity, sentence = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        emotion=EMOTIONS[emotion],
        speaker=actor,
        lang="fr",
        extra={"intensity": "normal" if intensity == "1" else "strong", "sentence": sentence},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="CaFE: twelve actors of Quebec say six sentences in seven emotions",
    languages=("fr",),
    licence="CC BY-NC-SA 4.0",
    citation="Gournay et al. 2018, ACM Multimedia Systems",
    url="https://zenodo.org/records/1478765",
    files="the unpacked archive (Colère/Faible/01-C-1-1.wav, ...)",
)
