"""MSP-IMPROV: twelve actors improvise, read and talk in six sessions (Busso et al., 2017, licence on request).

`Evalution.txt`, so spelled, has a block for each turn: a line with the consensus and the means of activation, valence,
dominance and naturalness from 1 to 5, then a line for each rater. It names `UTD-IMPROV-S01A-F01-P-FM01.avi`, the
recording is `session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav`: scenario and intended emotion, speaker and session, kind
of recording, turn. Lines and names: the reader in https://github.com/Strong-AI-Lab/emotion (datasets/MSP-IMPROV);
counts: tables 3 and 4 of the paper. What the letters P, R, S and T of the kind stand for is not said there, so the
column has the letter.
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

TABLES = ("Evalution.txt", "Evaluation.txt")
EMOTIONS = {"A": "anger", "H": "happiness", "N": "neutral", "O": "other", "S": "sadness", "X": "unknown"}
INTENDED = {letter: EMOTIONS[letter] for letter in "AHNS"}
VOTES = {"Angry": "anger", "Happy": "happiness", "Neutral": "neutral", "Other": "other", "Sad": "sadness"}
DIMENSIONS = {"A": "arousal", "V": "valence", "D": "dominance", "N": "naturalness"}
NAME = re.compile(r"(?:UTD|MSP)-IMPROV-((S\d\d)([AHNS])-(([FM])0([1-6]))-([A-Z])-[A-Z]{1,2}\d+)", re.ASCII)
MEAN = re.compile(r"\b([AVDN]):\s*([\d.]+)", re.ASCII)
RATER = re.compile(r"([^;]+);\s*(\w+)\s*;")


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Turns with the consensus of the raters; `unknown` stands for none.

    Additional columns: `gender`, `session`, `intended`, `scenario`, `recording` (P, R, S or T), `votes` (one label for
    each rater), `valence`, `arousal`, `dominance`, `naturalness` (means of the raters, from 1 to 5, moved to -1 to 1).
    The session is a column of folds: `bimodal evaluate --folds session`.

    Args:
        source: Folder with `Evalution.txt` and the recordings anywhere below it.

    Raises:
        ManifestError: The file is missing or has no such lines, or a recording that it names is missing.
    """
    table = next((file for name in TABLES for file in sorted(source.rglob(name))), None)
    if table is None:
        raise ManifestError(
            f"{source}: no {TABLES[0]} below; give the unpacked MSP-IMPROV, with session1, session2, ..."
        )
    files = {match[1]: file for file in sorted(source.rglob("*.wav")) if (match := NAME.fullmatch(file.stem))}
    rows = tuple(_utterance(match, lines, files, table, source) for match, lines in _blocks(table))
    if not rows:
        raise ManifestError(f"{table}: no line such as 'UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.0; ...'; copy it again")
    return rows


def prepare_votes(source: Path) -> tuple[Utterance, ...]:
    """Turns with the votes of the raters as soft targets; a warning of the log counts turns without any, left out.

    Raises:
        ManifestError: As `prepare`.
    """
    rows = prepare(source)
    voted = tuple(replace(row, emotion=row.extra["votes"]) for row in rows if row.extra["votes"])
    if len(voted) < len(rows):
        log.warning("MSP-IMPROV: %d of %d turns have no votes and are left out", len(rows) - len(voted), len(rows))
    return voted


def _blocks(table: Path) -> Iterator[tuple[re.Match[str], list[str]]]:
    """The name of each turn, with its lines."""
    found: tuple[re.Match[str], list[str]] | None = None
    for line in decoded(table).splitlines():
        if match := NAME.match(line.strip()):
            if found:
                yield found
            found = (match, [line.strip()])
        elif found and line.strip():
            found[1].append(line.strip())
    if found:
        yield found


def _utterance(match: re.Match[str], lines: list[str], files: dict[str, Path], table: Path, source: Path) -> Utterance:
    name, scenario, intended, speaker, gender, session, kind = match.groups()
    letter = lines[0].split(";")[1].strip() if ";" in lines[0] else ""
    if letter not in EMOTIONS:
        raise ManifestError(f"{table}: {match[0]} has the emotion {letter!r}, expected one of {sorted(EMOTIONS)}")
    if name not in files:
        raise ManifestError(f"{source}: the recording MSP-IMPROV-{name}.wav is missing; unpack all sessions")
    raters = {told[1]: told[2] for line in lines[1:] if (told := RATER.match(line))}  # some stand there twice
    means = {DIMENSIONS[key]: (float(mean) - 3.0) / 2.0 for key, mean in MEAN.findall(lines[0])}
    return Utterance(
        id=f"MSP-IMPROV-{name}",
        path=files[name].relative_to(source).as_posix(),
        emotion=EMOTIONS[letter],
        speaker=speaker,
        lang="en",
        extra={
            "gender": "female" if gender == "F" else "male",
            "session": session,
            "intended": INTENDED[intended],
            "scenario": scenario,
            "recording": kind,
            "votes": join_labels(VOTES[word] for word in raters.values() if word in VOTES),
            **{dimension: f"{mean:.4g}" for dimension, mean in means.items()},
        },
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="MSP-IMPROV: twelve actors improvise, read and talk, with votes and dimensions",
    languages=("en",),
    licence="research only, on request",
    citation="Busso et al. 2017, IEEE Transactions on Affective Computing 8(1)",
    url="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html",
    files="the unpacked corpus (Evalution.txt, session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav, ...)",
    labels={"consensus": prepare, "votes": prepare_votes},
    published=Published(
        utterances=8_438,
        emotions={"anger": 792, "happiness": 2_644, "neutral": 3_477, "sadness": 885, "other": 85, "unknown": 555},
        speakers=12,
    ),
)
