"""IEMOCAP: ten actors in five sessions, scripted and improvised dialogues (Busso et al., 2008, licence on request).

`Session1/dialog/EmoEvaluation/Ses01F_impro01.txt` has a line for each turn: times, name, emotion, and means of valence,
activation and dominance from 1 to 5. The raters' labels follow. `Session1/dialog/transcriptions` has the words.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded
from bimodal.data.labels import join_labels
from bimodal.errors import ManifestError
from bimodal.records import Utterance

log = logging.getLogger(__name__)

TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(Ses(0[1-5])[FM]_(impro|script)\w+_([FM])\w+)\t(\w+)\t\[([\d., ]+)\]")
VOTE = re.compile(r"C-[EFM]\d:\t([^\t]*)")
WORDS = re.compile(r"(Ses\w+) \[[\d.]+-[\d.]+\]: (.*)")
LABELS = {
    "Anger": "ang",
    "Disgust": "dis",
    "Excited": "exc",
    "Fear": "fea",
    "Frustration": "fru",
    "Happiness": "hap",
    "Neutral state": "neu",
    "Neutral": "neu",
    "Other": "oth",
    "Sadness": "sad",
    "Surprise": "sur",
}
"""The raters' words for the corpus's codes."""


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Turns of all sessions, with the majority's emotion; `xxx` where no emotion has a majority.

    Additional columns: `gender`, `session`, `script` (scripted or improvised), `votes` (one label per choice),
    `valence`, `arousal`, `dominance` (means of the raters, -1 to 1), `turn` (number in the dialogue). The session is a
    column of folds: `bimodal evaluate --folds session`. A fifth of the texts occur in another session, too.

    Args:
        source: `IEMOCAP_full_release`, or a folder with some of its sessions.

    Raises:
        ManifestError: There are no evaluations below, or a file cannot be read.
    """
    rows: list[Utterance] = []
    for session in sorted(source.glob("**/Session[1-5]")):
        for file in sorted((session / "dialog" / "EmoEvaluation").glob("Ses*.txt")):
            rows += _dialogue(file, session, source)
    if not rows:
        raise ManifestError(
            f"{source}: no IEMOCAP below; expected files such as Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
        )
    return tuple(rows)


def prepare_votes(source: Path) -> tuple[Utterance, ...]:
    """Turns with all choices of the raters as soft targets, such as `neu|neu|fru|ang`.

    Turns without a known choice are left out, and counted in a warning of the log.

    Raises:
        ManifestError: As `prepare`.
    """
    rows = prepare(source)
    voted = tuple(replace(row, emotion=row.extra["votes"]) for row in rows if row.extra["votes"])
    if len(voted) < len(rows):
        log.warning("IEMOCAP: %d of %d turns have no votes and are left out", len(rows) - len(voted), len(rows))
    return voted


def _dialogue(file: Path, session: Path, source: Path) -> Iterator[Utterance]:
    """The turns of one file of evaluations, in order of time."""
    listed = session / "dialog" / "transcriptions" / file.name
    words = dict(WORDS.findall(decoded(listed))) if listed.is_file() else {}
    blocks = [block for block in re.split(r"\n(?=\[)", decoded(file).replace("\r\n", "\n")) if TURN.match(block)]
    for number, block in enumerate(sorted(blocks, key=lambda block: float(block[1 : block.index(" ")]))):
        yield _utterance(block, number, file, session, source, words)


def _utterance(block: str, number: int, file: Path, session: Path, source: Path, words: dict[str, str]) -> Utterance:
    match = TURN.match(block)
    assert match is not None  # noqa: S101
    name, part, kind, gender, emotion, means = match.groups()
    valence, arousal, dominance = ((float(mean) - 3.0) / 2.0 for mean in means.split(","))
    votes = [LABELS[word] for cell in VOTE.findall(block) for word in _choices(cell) if word in LABELS]
    recording = session / "sentences" / "wav" / file.stem / f"{name}.wav"
    flac = recording.with_suffix(".flac")
    return Utterance(
        id=name,
        path=(flac if flac.exists() and not recording.exists() else recording).relative_to(source).as_posix(),
        transcript=(words.get(name) or "").strip() or None,
        emotion=emotion,
        speaker=f"{part}{gender}",
        dialogue=file.stem,
        lang="en",
        extra={
            "gender": "female" if gender == "F" else "male",
            "session": str(int(part)),
            "script": "improvised" if kind == "impro" else "scripted",
            "votes": join_labels(votes),
            "valence": f"{valence:g}",
            "arousal": f"{arousal:g}",
            "dominance": f"{dominance:g}",
            "turn": str(number),
        },
    )


def _choices(cell: str) -> list[str]:
    """The words of a rater's cell, such as `Happiness; Excited;`."""
    return [word.strip() for word in cell.split(";") if word.strip()]


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="IEMOCAP: ten actors in scripted and improvised dialogues, with votes and dimensions",
    languages=("en",),
    licence="research only, on request",
    citation="Busso et al. 2008, Language Resources and Evaluation 42",
    url="https://sail.usc.edu/iemocap/",
    files="IEMOCAP_full_release (Session1/dialog, Session1/sentences/wav, ...)",
    labels={"majority": prepare, "votes": prepare_votes},
    published=Published(
        utterances=10_039,
        emotions={
            "ang": 1_103,
            "dis": 2,
            "exc": 1_041,
            "fea": 40,
            "fru": 1_849,
            "hap": 595,
            "neu": 1_708,
            "oth": 3,
            "sad": 1_084,
            "sur": 107,
            "xxx": 2_507,
        },
        speakers=10,
    ),
)
