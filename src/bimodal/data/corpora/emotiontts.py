"""Emotional speech of emotiontts_open_db: Korean, 15 speakers, four emotions, real words (Selvas AI, 2020).

A file name such as `nea00203` is speaker and sentence: of 400 numbers the first hundred is neutral, then happiness,
sadness, anger. **The publishers' README lists anger before sadness; words and voices show it is the other way round**,
and so it is here. Speakers `ne.` read a script whose words carry the emotion, speakers `em.` say plain sentences in
every emotion. The licence allows research alone.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded, made_manifest
from bimodal.errors import ManifestError
from bimodal.records import Utterance

log = logging.getLogger(__name__)

NAME = re.compile(r"((ne|em)[a-z])(\d{5})", re.ASCII)
SCRIPTS = {"ne": "emotional", "em": "plain"}
EMOTIONS = ("neutral", "happiness", "sadness", "anger")  # not in the order of the README, see above
PER_EMOTION = 100
WORDS = ("transcript", "script")  # what was said goes before what was to be said


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the emotional part, from the repository's files or from a `manifest.csv` made of them.

    Additional columns: `script` (`emotional`, `plain`) and `sentence`: which sentence of the script
    is said, the same for all its spellings and, in the plain script, for all emotions. Hold `sentence` out as well as
    `speaker`: the voice features carry the words.

    Args:
        source: Folder with `<speaker>/wav/*.wav` (or `.flac`) anywhere below it and the words as text files beside
            `wav`, in `transcript` or `script`; or with `manifest.csv`. Paths are relative to it.

    Raises:
        ManifestError: If neither is there, or a file name is not one of the corpus.
    """
    if manifest := made_manifest(source, ("path", "transcript", "speaker", "script")):
        rows = {row.path or row.id: row.transcript for row in manifest.utterances}
        return tuple(_utterance(path, words) for path, words in sorted(rows.items()))
    found = dict(_recordings(source))
    if not found:
        raise ManifestError(
            f"{source}: no emotional speech of emotiontts_open_db below; expected files such as nea/wav/nea00001.wav"
        )
    silent = sum(words is None for words in found.values())
    if silent:
        log.warning("emotiontts: %d of %d utterances have no text file and stay speech only", silent, len(found))
    return tuple(_utterance(path, found[path]) for path in sorted(found))


def _recordings(source: Path) -> Iterator[tuple[str, str | None]]:
    """Path and words of each recording, the first one of a name."""
    seen = set()
    for file in sorted(source.rglob("*")):
        if NAME.fullmatch(file.stem) and file.suffix.lower() in (".wav", ".flac") and file.stem not in seen:
            seen.add(file.stem)
            yield file.relative_to(source).as_posix(), _words(file)


def _words(recording: Path) -> str | None:
    """The words of a recording; None if no text file is there."""
    texts = [recording.parent.parent / folder / f"{recording.stem}.txt" for folder in WORDS]
    found = [decoded(text, otherwise="cp949") for text in texts if text.is_file()]
    return next((" ".join(text.split()) for text in found if text.strip()), None)


def _utterance(path: str, words: str | None) -> Utterance:
    match = NAME.fullmatch(Path(path).stem)
    number = int(match[3]) - 1 if match else -1
    if match is None or not 0 <= number < PER_EMOTION * len(EMOTIONS):
        expected = "a speaker and 00001 to 00400, such as nea00001"
        raise ManifestError(f"{path}: not a recording of emotiontts_open_db, whose names are {expected}")
    script = SCRIPTS[match[2]]
    return Utterance(
        id=match[0],
        path=path,
        transcript=words,
        emotion=EMOTIONS[number // PER_EMOTION],
        speaker=match[1],
        lang="ko",
        extra={"script": script, "sentence": _sentence(script, number)},
    )


def _sentence(script: str, number: int) -> str:
    """Name of a sentence: numbers of the plain script begin again with every emotion."""
    place = number if script == "emotional" else number % PER_EMOTION
    return f"{script}-{place + 1:03}"


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="emotiontts_open_db: 15 speakers in four emotions, with real words",
    languages=("ko",),
    licence="research only",
    citation="Selvas AI 2020",
    url="https://github.com/emotiontts/emotiontts_open_db",
    files="the emotional part (nea/wav/nea00001.wav, nea/transcript, ...)",
)
