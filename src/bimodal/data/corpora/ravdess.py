"""RAVDESS: 24 North American actors say two sentences in eight emotions (Livingstone and Russo, 2018, CC BY-NC-SA 4.0).

A file name is seven numbers: modality (03 is audio only), channel (01 is speech, 02 song), emotion, intensity,
sentence, repetition, actor (odd is male).
"""

import logging
import re
from collections import Counter
from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.errors import ManifestError
from bimodal.records import Utterance

log = logging.getLogger(__name__)

NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)", re.ASCII)
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")
# EmoBox's six folds of unseen actors (arXiv 2406.07162)
FOLDS = {
    "1": ("01", "11", "20", "21"),
    "2": ("04", "10", "12", "14"),
    "3": ("08", "09", "19", "23"),
    "4": ("03", "05", "07", "24"),
    "5": ("02", "15", "16", "18"),
    "6": ("06", "13", "17", "22"),
}
CHANNELS = ("speech", "song")
COMPLETE = {"speech": 1_440, "song": 1_012}  # audio files


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the spoken audio files, `.wav` or `.flac`, anywhere below a folder.

    Song, video and second copies of a file are left out, and counted in a warning of the log. Additional
    columns: `gender`, `intensity`, `repetition` and `fold` (EmoBox).

    Args:
        source: Folder that the archive was unpacked in; paths are relative to it.

    Raises:
        ManifestError: If no file name below the folder is one of RAVDESS' speech.
    """
    return read_channel(source, "speech")


def read_channel(source: Path, channel: str) -> tuple[Utterance, ...]:
    """As `prepare`, for one of `CHANNELS`."""
    found: dict[str, Utterance] = {}
    skipped: Counter[str] = Counter()
    for file in sorted(source.rglob("*")):
        if match := NAME.fullmatch(file.stem):
            if reason := _reason_to_skip(match, file.suffix.lower(), channel, file.stem in found):
                skipped[reason] += 1
            else:
                found[file.stem] = _utterance(match, file.relative_to(source).as_posix())
    if not found:
        raise ManifestError(
            f"{source}: no RAVDESS {channel} below; expected files such as "
            f"Actor_01/03-0{1 + CHANNELS.index(channel)}-01-01-01-01-01.wav"
        )
    complete = COMPLETE[channel]
    if skipped or len(found) != complete:
        log.warning("RAVDESS: %d of %d utterances found; skipped: %s", len(found), complete, dict(skipped) or "nothing")
    return tuple(found[name] for name in sorted(found))


def _reason_to_skip(match: re.Match[str], suffix: str, channel: str, again: bool) -> str | None:
    other = CHANNELS[int(match[2]) - 1]
    if other != channel:
        return other
    if match[1] != "03" or suffix not in (".wav", ".flac"):
        return "video or another format"
    if not any(match[7] in actors for actors in FOLDS.values()):
        return "unknown actor"
    return "second copy" if again else None


def _utterance(match: re.Match[str], path: str) -> Utterance:
    emotion, intensity, sentence, repetition, actor = match.groups()[2:]
    return Utterance(
        id=match[0],
        path=path,
        transcript=SENTENCES[int(sentence) - 1],
        emotion=EMOTIONS[int(emotion) - 1],
        speaker=actor,
        lang="en",
        extra={
            "gender": "male" if int(actor) % 2 else "female",
            "intensity": ("normal", "strong")[int(intensity) - 1],
            "repetition": str(int(repetition)),
            "fold": next(name for name, actors in FOLDS.items() if actor in actors),
        },
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="RAVDESS: 24 actors say two sentences in eight emotions",
    languages=("en",),
    licence="CC BY-NC-SA 4.0",
    citation="Livingstone and Russo 2018, PLOS ONE",
    url="https://zenodo.org/records/1188976",
    files="Audio_Speech_Actors_01-24.zip, unpacked",
)
