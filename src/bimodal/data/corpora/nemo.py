"""nEMO: nine Polish actors say 90 sentences in six emotions (Christop, 2024, CC BY-NC-SA 4.0)."""

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded
from bimodal.errors import ManifestError
from bimodal.records import Utterance

log = logging.getLogger(__name__)

TABLE = "data.tsv"
COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender", "age")
COMPLETE = 4_481


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances that the corpus's table lists. Additional columns: `gender`, `age`, `sentence`.

    Args:
        source: The repository, or a folder with `data.tsv` and `samples/`.

    Raises:
        ManifestError: The table or a column of it is missing.
    """
    table = source / TABLE
    if not table.is_file():
        raise ManifestError(f"{source}: no {TABLE}; give the repository of nEMO, with {TABLE} and samples/")
    reader = csv.DictReader(io.StringIO(decoded(table), newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    if lacking := set(COLUMNS) - set(reader.fieldnames or ()):
        raise ManifestError(f"{table}:1: columns {sorted(lacking)} are missing, found {reader.fieldnames}")
    rows = sorted(reader, key=lambda row: row["file_id"])
    if len(rows) != COMPLETE:
        log.warning("nEMO: %d of %d recordings listed", len(rows), COMPLETE)
    return tuple(_utterance(row, source) for row in rows)


def _utterance(row: Mapping[str, str], source: Path) -> Utterance:
    name = row["file_id"].strip()
    path = f"samples/{name}"
    flac = Path(path).with_suffix(".flac").as_posix()
    return Utterance(
        id=name.rpartition(".")[0] or name,
        path=flac if not (source / path).exists() and (source / flac).exists() else path,
        transcript=row["raw_text"].strip() or None,
        emotion="surprise" if row["emotion"] == "surprised" else row["emotion"],
        speaker=row["speaker_id"].strip(),
        lang="pl",
        extra={
            "gender": row["gender"].strip(),
            "age": row["age"].strip(),
            "sentence": name.rpartition(".")[0].rpartition("_")[2],
        },
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="nEMO: nine Polish actors say 90 sentences in six emotions",
    languages=("pl",),
    licence="CC BY-NC-SA 4.0",
    citation="Christop 2024, LREC-COLING",
    url="https://github.com/amu-cai/nEMO",
    files="the repository (data.tsv, samples/EB0_anger_1.wav, ...)",
)
