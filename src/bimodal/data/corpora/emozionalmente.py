"""Emozionalmente: 431 Italians say 18 sentences in seven emotions, with votes of listeners (Catania, 2022, CC BY 4.0).

`metadata/samples.csv` has a row for each recording in `audio/`, `metadata/users.csv` the speakers, and
`metadata/evaluations.csv` about five votes for each recording. A later release has a split of the speakers,
`metadata/split/train.csv` and so on. Columns and counts: the reader in https://github.com/felixbur/nkululeko
(data/emozionalmente) of record 6569824 of Zenodo, and EmoBox (arXiv 2406.07162).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import table_rows
from bimodal.data.labels import join_labels
from bimodal.errors import ManifestError
from bimodal.records import Utterance

SAMPLES, USERS, VOTES, SPLIT = "samples.csv", "users.csv", "evaluations.csv", "split"
EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "joy",
    "neutrality": "neutral",
    "sadness": "sadness",
    "surprise": "surprise",
}


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances with the emotion that the speaker was asked for.

    Additional columns: `gender`, `age`, `votes` (one label for each listener), `agreement` (share of the listeners who
    chose the intended emotion).

    Args:
        source: Folder with `metadata/` and `audio/` anywhere below it.

    Raises:
        ManifestError: A table or a column of it is missing, a speaker is unknown, or a label is.
    """
    table = next(iter(sorted(source.rglob(f"metadata/{SAMPLES}"))), None)
    if table is None:
        raise ManifestError(f"{source}: no metadata/{SAMPLES} below; give the unpacked Emozionalmente, with audio/")
    folder = table.parent
    speakers = {row["username"]: row for _, row in table_rows(folder / USERS, ("username", "gender", "age"))}
    votes, splits = _votes(folder / VOTES), _splits(folder / SPLIT)
    needed = ("file_name", "sentence", "actor", "emotion_expressed")
    rows = []
    for line, row in table_rows(table, needed):
        where, name = f"{table}:{line}", row["file_name"]
        if row["actor"] not in speakers:
            raise ManifestError(f"{where}: speaker {row['actor']!r} is not in {USERS}; download the tables again")
        about, path = speakers[row["actor"]], (folder.parent / "audio" / name).relative_to(source).as_posix()
        rows.append(
            _utterance({**row, **about, "path": path, "split": splits.get(name, "")}, votes.get(name, ()), where)
        )
    return tuple(rows)


def prepare_votes(source: Path) -> tuple[Utterance, ...]:
    """Utterances with the votes of the listeners as soft targets, such as `anger|anger|neutral`.

    Raises:
        ManifestError: As `prepare`, or a recording has no votes.
    """
    rows = prepare(source)
    if without := [row.id for row in rows if not row.extra["votes"]]:
        raise ManifestError(
            f"{source}: {len(without)} recordings have no votes in {VOTES}, the first is {without[0]}; "
            "download the table again"
        )
    return tuple(replace(row, emotion=row.extra["votes"]) for row in rows)


def _votes(table: Path) -> Mapping[str, tuple[str, ...]]:
    votes: dict[str, list[str]] = defaultdict(list)
    for line, row in table_rows(table, ("file_name", "emotion_recognized")):
        votes[row["file_name"]].append(_emotion(row["emotion_recognized"], f"{table}:{line}"))
    return {name: tuple(told) for name, told in votes.items()}


def _splits(folder: Path) -> Mapping[str, str]:
    """The official part of each recording; empty for a release without parts."""
    tables = {split: folder / f"{split}.csv" for split in ("train", "dev", "test")}
    found = {split: table for split, table in tables.items() if table.is_file()}
    return {row["file_name"]: split for split, table in found.items() for _, row in table_rows(table, ("file_name",))}


def _emotion(word: str, where: str) -> str:
    if word not in EMOTIONS:
        raise ManifestError(f"{where}: emotion {word!r}, expected one of {sorted(EMOTIONS)}")
    return EMOTIONS[word]


def _utterance(row: Mapping[str, str], votes: tuple[str, ...], where: str) -> Utterance:
    intended = _emotion(row["emotion_expressed"], where)
    return Utterance(
        id=Path(row["file_name"]).stem,
        path=row["path"],
        transcript=row["sentence"].strip() or None,
        emotion=intended,
        speaker=row["actor"],
        split=row["split"] or None,
        lang="it",
        extra={
            "gender": row["gender"].strip().lower(),
            "age": row["age"].strip(),
            "votes": join_labels(votes),
            "agreement": f"{votes.count(intended) / len(votes):.3f}" if votes else "",
        },
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="Emozionalmente: 431 Italians say 18 sentences in seven emotions, with votes of listeners",
    languages=("it",),
    licence="CC BY 4.0",
    citation="Catania 2022, Zenodo",
    url="https://zenodo.org/records/6569824",
    files="the unpacked archive (metadata/samples.csv, audio/1613655062436.wav, ...)",
    labels={"intended": prepare, "votes": prepare_votes},
    published=Published(utterances=6_902, emotions=dict.fromkeys(EMOTIONS.values(), 986), speakers=431),
)
