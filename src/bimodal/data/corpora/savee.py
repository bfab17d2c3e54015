"""SAVEE: four men say sentences of TIMIT in seven emotions (Haq and Jackson, 2010, research only).

The speaker is the folder, as in `AudioData/DC/a01`, or the first part of the name, as in `DC_a01`. Letters stand for
the emotion, the number for the sentence.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
NAME = re.compile(r"(?<![^/])(DC|JE|JK|KL)[_/](sa|su|a|d|f|h|n)(\d\d)$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional columns: `gender`, `sentence`.

    Raises:
        ManifestError: No file name below the folder is one of SAVEE.
    """
    found = find_named(source, NAME, corpus="SAVEE", example="AudioData/DC/a01.wav", complete=480)
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    speaker, emotion, sentence = match.groups()
    return Utterance(
        id=f"{speaker}_{emotion}{sentence}",
        path=path,
        emotion=EMOTIONS[emotion],
        speaker=speaker,
        lang="en",
        extra={"gender": "male", "sentence": f"{emotion}{sentence}"},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="SAVEE: four men say sentences of TIMIT in seven emotions",
    languages=("en",),
    licence="research only",
    citation="Haq and Jackson 2010, Machine Audition",
    url="http://kahlan.eps.surrey.ac.uk/savee/",
    files="the unpacked archive (AudioData/DC/a01.wav, ...)",
)
