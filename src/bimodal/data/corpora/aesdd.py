"""AESDD: Greek actors say 20 sentences in five emotions (Vryzas et al., 2018).

A file name such as `anger/a01 (1)` is emotion, sentence and speaker.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}
NAME = re.compile(r"(?<![^/])([adfhs])(\d\d) ?\((\d)\)b?$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder. Additional column: `sentence`.

    Raises:
        ManifestError: No file name below the folder is one of AESDD.
    """
    found = find_named(source, NAME, corpus="AESDD", example="anger/a01 (1).wav")
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    emotion, sentence, speaker = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        emotion=EMOTIONS[emotion],
        speaker=speaker,
        lang="el",
        extra={"sentence": sentence},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="AESDD: Greek actors say 20 sentences in five emotions",
    languages=("el",),
    licence="not stated; ask its publishers",
    citation="Vryzas et al. 2018, Journal of the Audio Engineering Society 66(6)",
    url="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
    files="the unpacked archive (anger/a01 (1).wav, ...)",
)
