"""ISEAR: people of 37 countries tell when they felt one of seven emotions, text only (Scherer and Wallbott, 1994).

`isear.csv` is the table of the original database with its cells between vertical bars; it has no quotation marks. `á`
and a space stand where a line ended. 87 reports say that there is no response. Columns and counts:
https://github.com/sinmaniphel/py_isear_dataset, made of the database.
"""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded
from bimodal.errors import ManifestError
from bimodal.records import Utterance

COLUMNS = ("ID", "MYKEY", "EMOT", "SIT", "SEX", "AGE", "COUN")
EMOTIONS = {"1": "joy", "2": "fear", "3": "anger", "4": "sadness", "5": "disgust", "6": "shame", "7": "guilt"}
GENDERS = {"1": "male", "2": "female"}
LINE_END = re.compile(r"\s*á\s+")


def prepare(source: Path) -> tuple[Utterance, ...]:
    """All reports. Additional columns: `gender`, `age`, `country` (its number). A person is a speaker.

    Args:
        source: Folder with `isear.csv` anywhere below it (in any case), or the file.

    Raises:
        ManifestError: The file or a column of it is missing, or an emotion is unknown.
    """
    found = [file for file in sorted(source.rglob("*.csv")) if file.name.lower() == "isear.csv"]
    table = source if source.is_file() else next(iter(found), None)
    if table is None:
        raise ManifestError(f"{source}: no isear.csv below; give the repository of py_isear_dataset, or its file")
    reader = csv.DictReader(io.StringIO(decoded(table), newline=""), delimiter="|", quoting=csv.QUOTE_NONE)
    if lacking := set(COLUMNS) - set(reader.fieldnames or ()):
        raise ManifestError(f"{table}:1: columns {sorted(lacking)} are missing; expected cells between vertical bars")
    return tuple(_utterance(row, table, reader.line_num) for row in reader)


def _utterance(row: Mapping[str, str | None], table: Path, line: int) -> Utterance:
    cells = {name: (row[name] or "").strip() for name in COLUMNS}
    if cells["EMOT"] not in EMOTIONS:
        raise ManifestError(f"{table}:{line}: emotion {cells['EMOT']!r}, expected a number from 1 to 7")
    return Utterance(
        id=cells["MYKEY"],
        transcript=LINE_END.sub(" ", cells["SIT"]) or None,
        emotion=EMOTIONS[cells["EMOT"]],
        speaker=cells["ID"],
        lang="en",
        extra={"gender": GENDERS.get(cells["SEX"], ""), "age": cells["AGE"], "country": cells["COUN"]},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="ISEAR: people of 37 countries tell when they felt one of seven emotions, text only",
    languages=("en",),
    licence="CC BY-NC-SA 3.0",
    citation="Scherer and Wallbott 1994, Journal of Personality and Social Psychology 66(2)",
    url="https://www.unige.ch/cisa/research/materials-and-online-research/research-material/",
    files="isear.csv of https://github.com/sinmaniphel/py_isear_dataset",
    published=Published(
        utterances=7_666,
        emotions={
            "anger": 1_096,
            "disgust": 1_096,
            "fear": 1_095,
            "guilt": 1_093,
            "joy": 1_094,
            "sadness": 1_096,
            "shame": 1_096,
        },
    ),
)
