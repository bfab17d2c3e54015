"""MUStARD++: 1,202 lines of sitcoms with the emotion meant and the emotion shown, half sarcastic (Ray et al., 2022).

`mustard++_text.csv` has a row for each line of a scene; the last line of a scene has labels, the ones before are its
context. The clips of the last lines are `final_utterance_videos/KEY.mp4`. One row has a label in place of its key; it
is mended. Columns and counts: https://github.com/cfiltnlp/MUStARD_Plus_Plus.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import table_rows
from bimodal.errors import ManifestError
from bimodal.records import Utterance

log = logging.getLogger(__name__)

TABLE = "mustard++_text.csv"
COLUMNS = ("SCENE", "SENTENCE", "SPEAKER", "SHOW", "Sarcasm", "Implicit_Emotion", "Explicit_Emotion")
DIMENSIONS = ("Valence", "Arousal")
SUFFIXES = (".mp4", ".flac", ".wav")  # the last one that is there is taken
NOBODY = ("", "-")


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Last lines of the scenes, with the emotion that is shown.

    Additional columns: `show`, `sarcasm` (0 or 1), `sarcasm_type`, `explicit`, `implicit`, `valence`, `arousal` (from 1
    to 9, moved to -1 to 1). Lines without a clip are text only, and counted in a warning of the log.

    Args:
        source: The repository, or a folder with its table, and with the clips anywhere below.

    Raises:
        ManifestError: The table or a column of it is missing, or a row has a wrong number.
    """
    table = next(iter(sorted(source.rglob(TABLE))), None)
    if table is None:
        raise ManifestError(f"{source}: no {TABLE} below; give the repository of MUStARD++, with the clips if you like")
    files = {file.stem: file for suffix in SUFFIXES for file in sorted(source.rglob(f"*_u{suffix}"))}
    clips = {name: file.relative_to(source).as_posix() for name, file in files.items()}
    rows = tuple(_utterances(table, clips))
    without = sum(row.path is None for row in rows)
    if clips and without:
        log.warning("MUStARD++: %d of %d lines have no clip and stay text only", without, len(rows))
    return rows


def prepare_implicit(source: Path) -> tuple[Utterance, ...]:
    """Last lines of the scenes, with the emotion that is meant.

    Raises:
        ManifestError: As `prepare`.
    """
    return tuple(replace(row, emotion=row.extra["implicit"]) for row in prepare(source))


def _utterances(table: Path, clips: Mapping[str, str]) -> Iterator[Utterance]:
    for line, row in table_rows(table, (*COLUMNS, *DIMENSIONS)):
        if not row["Sarcasm"].strip():
            continue  # context
        try:
            yield _utterance(row, clips)
        except ValueError as error:
            raise ManifestError(
                f"{table}:{line}: not a row of MUStARD++ ({error}); download the table again"
            ) from error


def _utterance(row: Mapping[str, str], clips: Mapping[str, str]) -> Utterance:
    name, speaker = f"{row['SCENE'].strip()}_u", row["SPEAKER"].strip()
    explicit, implicit = (row[f"{kind}_Emotion"].strip().lower() for kind in ("Explicit", "Implicit"))
    return Utterance(
        id=name,
        path=clips.get(name),
        transcript=" ".join(row["SENTENCE"].split()),
        emotion=explicit,
        speaker=None if speaker in NOBODY else f"{row['SHOW'].strip()} {speaker}",
        lang="en",
        extra={
            "show": row["SHOW"].strip(),
            "sarcasm": row["Sarcasm"].strip(),
            "sarcasm_type": (row.get("Sarcasm_Type") or "").strip().lower(),
            "explicit": explicit,
            "implicit": implicit,
            **{name.lower(): f"{(float(row[name]) - 5.0) / 4.0:.4g}" for name in DIMENSIONS},
        },
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="MUStARD++: lines of sitcoms with the emotion shown and the emotion meant, half sarcastic",
    languages=("en",),
    licence="not stated; ask its publishers",
    citation="Ray et al. 2022, LREC",
    url="https://github.com/cfiltnlp/MUStARD_Plus_Plus",
    files="the repository (mustard++_text.csv), and the clips (final_utterance_videos/1_10004_u.mp4, ...)",
    labels={"explicit": prepare, "implicit": prepare_implicit},
    published=Published(
        utterances=1_202,
        emotions={
            "anger": 53,
            "disgust": 31,
            "excitement": 115,
            "fear": 23,
            "frustration": 48,
            "happiness": 244,
            "neutral": 438,
            "sadness": 149,
            "surprise": 101,
        },
    ),
)
