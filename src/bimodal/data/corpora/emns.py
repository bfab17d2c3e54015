"""EMNS: one British speaker reads sentences in eight emotions (Noriy et al., 2023).

`metadata.csv` has its cells between vertical bars, a row for each recording: words, emotion, gender, age, level from 0
to 10, and `wavs/NAME` for a file that lies in another folder. Columns and labels: the reader in
https://github.com/felixbur/nkululeko (data/emns); counts: EmoBox (arXiv 2406.07162).
"""

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded
from bimodal.errors import ManifestError
from bimodal.records import Utterance

log = logging.getLogger(__name__)

TABLE = "metadata.csv"
COLUMNS = ("utterance", "emotion", "gender", "age", "level", "audio_recording", "user_id")
EMOTIONS = {
    "Angry": "anger",
    "Disgust": "disgust",
    "Excited": "excitement",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Sarcastic": "sarcasm",
    "Surprised": "surprise",
}
SUFFIXES = (".webm", ".wav", ".flac")  # the last one that is there is taken


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances that the corpus's table lists and whose recording is there; a warning of the log counts the others.

    Additional columns: `gender`, `age`, `level`.

    Args:
        source: Folder with `metadata.csv` and the recordings anywhere below it.

    Raises:
        ManifestError: The table or a column of it is missing, no recording is there, or an emotion is unknown.
    """
    table = next((file for file in sorted(source.rglob(TABLE)) if _is_ours(file)), None)
    if table is None:
        raise ManifestError(
            f"{source}: no {TABLE} of EMNS below, with the columns {', '.join(COLUMNS)} between vertical bars; "
            f"give the folder with {TABLE} and the unpacked recordings"
        )
    files = {file.stem: file for suffix in SUFFIXES for file in sorted(source.rglob(f"*{suffix}"))}
    rows = list(csv.DictReader(io.StringIO(decoded(table), newline=""), delimiter="|"))
    known = [(line, row) for line, row in enumerate(rows, start=2) if _stem(row) in files]
    if not known:
        raise ManifestError(f"{source}: none of the {len(rows)} recordings of {table.name} is below; unpack them there")
    if len(known) < len(rows):
        log.warning("EMNS: %d of %d rows have no recording and are left out", len(rows) - len(known), len(rows))
    return tuple(_utterance(row, table, line, files[_stem(row)].relative_to(source).as_posix()) for line, row in known)


def _is_ours(file: Path) -> bool:
    return set(COLUMNS) <= set(decoded(file).partition("\n")[0].strip().split("|"))


def _stem(row: Mapping[str, str]) -> str:
    return PurePosixPath(row["audio_recording"] or "").stem


def _utterance(row: Mapping[str, str], table: Path, line: int, path: str) -> Utterance:
    if (word := (row["emotion"] or "").strip()) not in EMOTIONS:
        raise ManifestError(f"{table}:{line}: emotion {word!r}, expected one of {sorted(EMOTIONS)}")
    return Utterance(
        id=_stem(row),
        path=path,
        transcript=row["utterance"].strip() or None,
        emotion=EMOTIONS[word],
        speaker=(row["user_id"] or "").strip() or None,
        lang="en",
        extra={name: (row[name] or "").strip().lower() for name in ("gender", "age", "level")},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="EMNS: one British speaker reads sentences in eight emotions",
    languages=("en",),
    licence="as its page says; ask its publishers",
    citation="Noriy, Yang and Zhang 2023, EMNS corpus",
    url="https://www.openslr.org/136",
    files="a folder with metadata.csv and the unpacked recordings (cleaned_webm/recorded_audio_RF6OuQ4.webm, ...)",
    published=Published(
        utterances=1_181,
        emotions={
            "anger": 126,
            "disgust": 162,
            "excitement": 150,
            "happiness": 157,
            "neutral": 149,
            "sadness": 147,
            "sarcasm": 139,
            "surprise": 151,
        },
        speakers=1,
    ),
)
