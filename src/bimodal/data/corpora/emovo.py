"""EMOVO: six Italian actors say fourteen sentences in seven emotions (Costantini et al., 2014).

A file name such as `dis-f1-b1` is emotion, speaker and sentence.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {
    "dis": "disgust",
    "gio": "happiness",
    "neu": "neutral",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}
NAME = re.compile(rf"(?<![^/])({'|'.join(EMOTIONS)})-([fm][123])-([bdln]\d)$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional columns: `gender`, `sentence`.

    Raises:
        ManifestError: No file name below the folder is one of EMOVO.
    """
    found = find_named(source, NAME, corpus="EMOVO", example="EMOVO/f1/dis-f1-b1.wav", complete=588)
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    emotion, speaker, sentence = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        emotion=EMOTIONS[emotion],
        speaker=speaker,
        lang="it",
        extra={"gender": "female" if speaker[0] == "f" else "male", "sentence": sentence},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="EMOVO: six Italian actors say fourteen sentences in seven emotions",
    languages=("it",),
    licence="not stated; ask its publishers",
    citation="Costantini et al. 2014, LREC",
    url="http://voice.fub.it/activities/corpora/emovo/index.html",
    files="the unpacked archive (EMOVO/f1/dis-f1-b1.wav, ...)",
)
