"""CREMA-D: 91 North American actors say twelve sentences in six emotions (Cao et al., 2014, ODbL 1.0).

A file name such as `1001_DFA_ANG_XX` is actor, sentence, intended emotion and level. On average nine raters voted on
the emotion of each voice without its face. They choose the intended emotion in about two clips of five.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import table_rows
from bimodal.data.labels import join_labels
from bimodal.errors import ManifestError
from bimodal.records import Utterance

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
NAME = re.compile(rf"(\d{{4}})_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_({'|'.join(LEVELS)})", re.ASCII)
ACTORS, CLIPS, VOTES = "VideoDemographics.csv", "SentenceFilenames.csv", "processedResults/tabulatedVotes.csv"
VOICE_ALONE = "1"  # first digit of a row of the votes; 2 is the face alone, 3 both
LFS_POINTER = b"version https://git-lfs"


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances with the emotion that the actor was asked for.

    The columns beside the usual ones are `intended`, `votes` (of the voice alone, one label per rater), `agreement`
    (share of the raters who chose the intended emotion), `level`, `sentence`, `sex`, `age`, `race`, `ethnicity`.

    Args:
        source: The repository, or a folder with its tables and its clips (`.wav` or `.flac`, anywhere below).

    Raises:
        ManifestError: If a table or a clip is missing, a clip is a pointer of Git LFS, an actor or a clip is not in the
            tables, or the votes of a clip do not sum up.
    """
    files = _clips(source)
    actors = {row["ActorID"]: row for _, row in table_rows(source / ACTORS, ("ActorID", "Age", "Sex", "Race"))}
    votes = _voice_votes(source / VOTES)
    return tuple(_utterance(files[name], source, actors, votes) for name in sorted(files))


def prepare_votes(source: Path) -> tuple[Utterance, ...]:
    """Utterances with the votes of raters of the audio without video, as soft targets such as `anger|anger|neutral`.

    Args:
        source: As `prepare`.

    Raises:
        ManifestError: As `prepare`.
    """
    return tuple(replace(row, emotion=row.extra["votes"]) for row in prepare(source))


def _clips(source: Path) -> dict[str, Path]:
    """The recording of each clip that the corpus lists.

    Raises:
        ManifestError: If there is none, one is missing, or one is a pointer of Git LFS.
    """
    found = {file.stem: file for file in sorted(source.rglob("*")) if file.suffix.lower() in (".wav", ".flac")}
    found = {name: file for name, file in found.items() if NAME.fullmatch(name)}
    if not found:
        raise ManifestError(f"{source}: no CREMA-D clips below; expected files such as AudioWAV/1001_DFA_ANG_XX.wav")
    if missing_tables := [table for table in (ACTORS, CLIPS, VOTES) if not (source / table).is_file()]:
        raise ManifestError(f"{source}: CREMA-D's tables {', '.join(missing_tables)} are missing; copy the repository")
    listed = [row["Filename"] for _, row in table_rows(source / CLIPS, ("Filename",))]
    if missing := [name for name in listed if name not in found]:
        raise ManifestError(
            f"{source}: {len(missing)} of {len(listed)} clips that {CLIPS} lists are missing, the first is "
            f"{missing[0]}; download them all"
        )
    _refuse_pointers(found.values())
    if strangers := sorted(set(found) - set(listed)):
        raise ManifestError(f"{found[strangers[0]]}: {CLIPS} does not list this clip; remove it")
    return found


def _refuse_pointers(files: Iterable[Path]) -> None:
    pointers = [file for file in files if file.stat().st_size < 1024 and file.read_bytes().startswith(LFS_POINTER)]
    if pointers:
        raise ManifestError(
            f"{pointers[0]}: this and {len(pointers) - 1} other clips are pointers of Git LFS, not recordings; "
            "run 'git lfs pull' in the repository"
        )


def _voice_votes(table: Path) -> dict[str, tuple[str, ...]]:
    """One label per rater of the audio without video, by clip.

    Raises:
        ManifestError: If the votes of a clip are no whole numbers, none, or not as many as its raters.
    """
    letters = {emotion[0].upper(): emotion for emotion in EMOTIONS.values()}
    votes: dict[str, tuple[str, ...]] = {}
    for line, row in table_rows(table, ("", "fileName", "numResponses", *letters)):
        if not row[""].startswith(VOICE_ALONE):
            continue
        cells = [row[letter] for letter in letters] + [row["numResponses"]]
        counts = [int(cell) if cell.isdecimal() else -1 for cell in cells]
        if min(counts) < 0 or sum(counts[:-1]) != counts[-1] or not counts[-1]:
            raise ManifestError(
                f"{table}:{line}: the votes {', '.join(cells[:-1])} of {row['fileName']} do not sum up to its "
                f"{cells[-1]} raters; download the table again"
            )
        listed = zip(letters.values(), counts, strict=False)
        votes[row["fileName"]] = tuple(emotion for emotion, count in listed for _ in range(count))
    return votes


def _utterance(
    file: Path, source: Path, actors: Mapping[str, Mapping[str, str]], votes: Mapping[str, tuple[str, ...]]
) -> Utterance:
    actor, sentence, emotion, level = file.stem.split("_")
    if actor not in actors:
        raise ManifestError(f"{source / ACTORS}: actor {actor} of {file.name} is missing; download the table again")
    if file.stem not in votes:
        raise ManifestError(f"{source / VOTES}: {file.stem} has no votes of the voice; download the table again")
    intended, rated, about = EMOTIONS[emotion], votes[file.stem], actors[actor]
    return Utterance(
        id=file.stem,
        path=file.relative_to(source).as_posix(),
        transcript=SENTENCES[sentence],
        emotion=intended,
        speaker=actor,
        lang="en",
        extra={
            "intended": intended,
            "votes": join_labels(rated),
            "agreement": f"{rated.count(intended) / len(rated):.3f}",
            "level": LEVELS[level],
            "sentence": sentence,
            "sex": about["Sex"].lower(),
            "age": about["Age"],
            "race": about["Race"].lower(),
            "ethnicity": about.get("Ethnicity", "").lower(),
        },
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="CREMA-D: 91 actors say twelve sentences in six emotions, with votes of raters",
    languages=("en",),
    licence="ODbL 1.0, contents DbCL 1.0",
    citation="Cao et al. 2014, IEEE Transactions on Affective Computing 5(4)",
    url="https://github.com/CheyneyComputerScience/CREMA-D",
    files="the repository (AudioWAV/1001_DFA_ANG_XX.wav, ..., and its tables)",
    labels={"intended": prepare, "votes": prepare_votes},
)
