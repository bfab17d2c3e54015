"""EMNS: a table with vertical bars, and recordings in a folder beside it."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError

HEAD = "id|utterance|description|emotion|date_created|status|gender|age|level|audio_recording|user_id\n"
ROW = "454|There are two mechanisms.|With {a} voice|Sad|2022-07-18 14:40|Complete|Female|20s|7|wavs/recorded_a.webm|3\n"
OTHER = ROW.replace("recorded_a", "recorded_b").replace("Sad", "Sarcastic").replace("454", "455")


def emns(folder: Path, table: str, *names: str) -> Path:
    (folder / "cleaned_webm").mkdir(exist_ok=True)
    (folder / "metadata.csv").write_text(table, encoding="utf-8")
    for name in names:
        (folder / "cleaned_webm" / name).touch()
    return folder


def test_rows_find_their_recordings_by_name(tmp_path):
    first, second = CORPORA["emns"].prepare(emns(tmp_path, HEAD + ROW + OTHER, "recorded_a.webm", "recorded_b.webm"))
    assert (first.id, first.path, first.emotion, first.speaker) == (
        "recorded_a", "cleaned_webm/recorded_a.webm", "sadness", "3",
    )  # fmt: skip
    assert first.transcript == "There are two mechanisms." and second.emotion == "sarcasm"
    assert first.extra == {"gender": "female", "age": "20s", "level": "7"}


def test_rows_without_a_recording_are_left_out_and_counted(tmp_path, caplog):
    (row,) = CORPORA["emns"].prepare(emns(tmp_path, HEAD + ROW + OTHER, "recorded_a.webm", "recorded_a.wav"))
    assert row.path == "cleaned_webm/recorded_a.wav" and "1 of 2 rows have no recording" in caplog.text


@pytest.mark.parametrize(
    ("table", "names", "told"),
    [
        ("id,emotion\n1,Sad\n", ["recorded_a.webm"], "no metadata.csv of EMNS below"),
        (HEAD + ROW, [], "none of the 1 recordings of metadata.csv is below"),
        (HEAD + ROW.replace("Sad", "Blue"), ["recorded_a.webm"], r"metadata\.csv:2: emotion 'Blue', expected one of"),
    ],
)
def test_another_or_an_empty_folder_is_refused(tmp_path, table, names, told):
    with pytest.raises(ManifestError, match=told):
        CORPORA["emns"].prepare(emns(tmp_path, table, *names))
