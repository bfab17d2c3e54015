"""ESD: ten Mandarin and ten English speakers say 350 sentences in five emotions (Zhou et al., 2022, research only).

A file name such as `0011/Angry/0011_000351` is speaker, emotion and number. `0011/0011.txt` lists the words.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from bimodal.data.corpora.file_names import find_named
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded
from bimodal.records import Utterance

EMOTIONS = {
    "Angry": "anger",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
}
NAME = re.compile(rf"(?<![^/])(\d{{4}})/({'|'.join(EMOTIONS)})/(?:(train|test|evaluation)/)?(\1_\d{{6}})$", re.ASCII)
SPLITS = {"train": "train", "evaluation": "dev", "test": "test"}


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the recordings, anywhere below a folder.

    The split is the official one where the folders have it. All speakers are in all parts of it.

    Raises:
        ManifestError: No file name below the folder is one of ESD, or a list of words cannot be read.
    """
    found = find_named(source, NAME, corpus="ESD", example="0011/Angry/0011_000351.wav", complete=35_000)
    words = cache(_words)
    folders = [source / path[: path.index(f"{match[1]}/")] / match[1] for match, path in found]
    return tuple(_utterance(match, path, words(folder)) for (match, path), folder in zip(found, folders, strict=True))


def _utterance(match: re.Match[str], path: str, words: Mapping[str, str]) -> Utterance:
    speaker, emotion, part, name = match.groups()
    return Utterance(
        id=name,
        path=path,
        transcript=words.get(name),
        emotion=EMOTIONS[emotion],
        speaker=speaker,
        split=SPLITS.get(part),
        lang="zh" if speaker <= "0010" else "en",
    )


def _words(folder: Path) -> dict[str, str]:
    """The words by name of the file, from a speaker's list; empty without one."""
    listed = folder / f"{folder.name}.txt"
    if not listed.is_file():
        return {}
    lines = (line.split("\t") for line in decoded(listed, otherwise="gb18030").splitlines())
    return {cells[0].strip(): cells[1].strip() for cells in lines if len(cells) > 1 and cells[1].strip()}


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="ESD: ten Mandarin and ten English speakers say 350 sentences in five emotions",
    languages=("zh", "en"),
    licence="research only, on request",
    citation="Zhou et al. 2022, Speech Communication 137",
    url="https://github.com/HLTSingapore/Emotional-Speech-Data",
    files="the unpacked archive (0011/Angry/0011_000351.wav, 0011/0011.txt, ...)",
)
