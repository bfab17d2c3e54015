"""JL corpus: four New Zealand speakers in five primary and five secondary emotions (James et al., 2018, CC0).

A file name such as `female1_angry_10a_1` is speaker, emotion, sentence and repetition. The words stand in a text file
beside the recording.
"""

import re
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded
from bimodal.records import Utterance

NAME = re.compile(r"(?<![^/])((?:fe)?male[12])_([a-z]+)_(\d+[ab])_(\d)$", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder, with the corpus's own names of the emotions.

    Additional columns: `gender`, `sentence`, `repetition`.

    Raises:
        ManifestError: No file name below the folder is one of the JL corpus, or a text file cannot be read.
    """
    example = "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_angry_10a_1.wav"
    found = find_named(source, NAME, corpus="JL corpus", example=example, complete=2_400)
    return tuple(_utterance(match, path, source) for match, path in found)


def _utterance(match: re.Match[str], path: str, source: Path) -> Utterance:
    speaker, emotion, sentence, repetition = match.groups()
    words = (source / path).with_suffix(".txt")
    return Utterance(
        id=match[0],
        path=path,
        transcript=decoded(words).strip() or None if words.is_file() else None,
        emotion=emotion,
        speaker=speaker,
        lang="en",
        extra={"gender": speaker.rstrip("12"), "sentence": sentence, "repetition": repetition},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="JL corpus: four New Zealand speakers in five primary and five secondary emotions",
    languages=("en",),
    licence="CC0-1.0",
    citation="James et al. 2018, Interspeech",
    url="https://github.com/tli725/JL-Corpus",
    files="the unpacked archive (.../female1_angry_10a_1.wav and .txt, ...)",
)
