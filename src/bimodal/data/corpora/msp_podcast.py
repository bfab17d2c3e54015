"""MSP-Podcast: spontaneous speech of podcasts (Lotfian and Busso, 2019, licence on request).

`Labels/labels_consensus.csv` has a row for each recording in `Audios/`, and `Transcripts/` its words.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded, table_rows
from bimodal.errors import ManifestError
from bimodal.records import Utterance

EMOTIONS = {
    "A": "anger",
    "C": "contempt",
    "D": "disgust",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "O": "other",
    "S": "sadness",
    "U": "surprise",
    "X": "unknown",
}
TABLE = "labels_consensus.csv"
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Split_Set")
SPLITS = {"train": "train", "development": "dev"}  # test1, test2 and test3 keep their names
UNKNOWN = "unknown"


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances with the consensus of the raters; `unknown` stands for none.

    Additional columns: `gender`, and `valence`, `arousal`, `dominance` (means of the raters, from 1 to 7, moved to -1
    to 1). Speakers that the corpus does not know have no speaker.

    Args:
        source: The unpacked corpus, or a folder with `Labels/labels_consensus.csv` and `Audios/`.

    Raises:
        ManifestError: The table or a column of it is missing, or a label is unknown.
    """
    table = next(iter(sorted(source.rglob(TABLE))), None)
    if table is None:
        raise ManifestError(f"{source}: no {TABLE} below; give the unpacked MSP-Podcast, with Labels/{TABLE}")
    audio = next((folder for folder in sorted(source.rglob("Audio*")) if folder.is_dir()), source / "Audios")
    return tuple(_utterance(row, line, table, audio, source) for line, row in table_rows(table, COLUMNS))


def _utterance(row: Mapping[str, str], line: int, table: Path, audio: Path, source: Path) -> Utterance:
    name, letter = Path(row["FileName"]).stem, row["EmoClass"].strip()
    if letter not in EMOTIONS:
        raise ManifestError(f"{table}:{line}: emotion {letter!r}, expected one of {sorted(EMOTIONS)}")
    split = row["Split_Set"].strip().lower()
    speaker = row["SpkrID"].strip()
    words = table.parent.parent / "Transcripts" / f"{name}.txt"
    columns = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
    means = {ours: row[theirs].strip() for ours, theirs in columns.items()}
    return Utterance(
        id=name,
        path=(audio / row["FileName"]).relative_to(source).as_posix(),
        transcript=decoded(words).strip() or None if words.is_file() else None,
        emotion=EMOTIONS[letter],
        speaker=None if speaker.lower() in ("", UNKNOWN) else speaker,
        split=SPLITS.get(split, split or None),
        lang="en",
        extra={
            "gender": row.get("Gender", "").strip().lower(),
            **{ours: f"{(float(mean) - 4.0) / 3.0:.4g}" for ours, mean in means.items() if _is_number(mean)},
        },
    )


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdigit()


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="MSP-Podcast: spontaneous speech of podcasts in eight emotions, with dimensions",
    languages=("en",),
    licence="research only, on request",
    citation="Lotfian and Busso 2019, IEEE Transactions on Affective Computing 10(4)",
    url="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
    files="the unpacked corpus (Labels/labels_consensus.csv, Audios, Transcripts)",
)
