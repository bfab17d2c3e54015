"""EmoDB: ten German actors say ten sentences in seven emotions (Burkhardt et al., 2005, CC0).

A file name such as `03a01Fa` is speaker, sentence, emotion (first letter of the German word) and version.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.records import Utterance

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
WOMEN = ("08", "09", "13", "14", "16")
MEN = ("03", "10", "11", "12", "15")
NAME = re.compile(rf"(?<![^/])({'|'.join(WOMEN + MEN)})({'|'.join(SENTENCES)})([WLEAFTN])([a-z])$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, `.wav` or `.flac`, anywhere below a folder.

    Additional columns: `gender`, `sentence` and `version`. Second copies of a file are left out, and
    counted in a warning of the log.

    Args:
        source: Folder that the archive was unpacked in; paths are relative to it.

    Raises:
        ManifestError: If no file name below the folder is one of EmoDB's.
    """
    found = find_named(source, NAME, corpus="EmoDB", example="wav/03a01Fa.wav")
    return tuple(_utterance(match, path) for match, path in found)


def _utterance(match: re.Match[str], path: str) -> Utterance:
    speaker, sentence, emotion, version = match.groups()
    return Utterance(
        id=match[0],
        path=path,
        transcript=SENTENCES[sentence],
        emotion=EMOTIONS[emotion],
        speaker=speaker,
        lang="de",
        extra={"gender": "female" if speaker in WOMEN else "male", "sentence": sentence, "version": version},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="EmoDB: ten actors say ten sentences in seven emotions",
    languages=("de",),
    licence="CC0-1.0",
    citation="Burkhardt et al. 2005, Interspeech",
    url="http://emodb.bilderbar.info",
    files="the unpacked archive (wav/03a01Fa.wav, ...)",
)
