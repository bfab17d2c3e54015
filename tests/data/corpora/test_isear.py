"""ISEAR: reports between vertical bars."""

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError

HEAD = "ID|CITY|COUN|SUBJ|SEX|AGE|EMOT|Field1|MYKEY|SIT|STATE|\n"
ROW = '11001|1|1|1|2|33|6|shame|0110016|When my "friend" and á I met.|1|\n'


def test_reports_become_texts(tmp_path):
    (tmp_path / "ISEAR.csv").write_text(HEAD + ROW, encoding="utf-8")
    (row,) = CORPORA["isear"].prepare(tmp_path)
    assert (row.id, row.transcript, row.emotion, row.speaker, row.path) == (
        "0110016", 'When my "friend" and I met.', "shame", "11001", None,
    )  # fmt: skip
    assert row.extra == {"gender": "female", "age": "33", "country": "1"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + ROW.replace("|6|shame", "|8|shame"), r"isear\.csv:2: emotion '8', expected a number from 1 to 7"),
        ("emotion,text\njoy,hi\n", r"isear\.csv:1: columns .*'EMOT'.* are missing"),
    ],
)
def test_another_file_is_refused(tmp_path, text, told):
    (tmp_path / "isear.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=told):
        CORPORA["isear"].prepare(tmp_path)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no isear\.csv below"):
        CORPORA["isear"].prepare(tmp_path)
