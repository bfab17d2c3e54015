"""Rows that a model was trained on are refused, or the report says so; other rows go as before."""

import csv
import shutil

import pytest

from bimodal.data.manifest import read_manifest
from bimodal.errors import BimodalError
from bimodal.evaluation.predict import evaluate_model
from bimodal.evaluation.rows import check_seen_rows, describe_seen, note_on_seen
from bimodal.inference.seen_rows import SEEN_ROWS, RowsFound
from bimodal.records import Utterance


def without_split(manifest, folder, *, keep=lambda row: True):
    shutil.copytree(manifest.parent, folder)
    with manifest.open(newline="") as stream:
        rows = [row | {"split": ""} for row in csv.DictReader(stream) if keep(row)]
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "manifest.csv"


def test_training_and_dev_rows_are_refused_unless_told(tiny_model, tiny_manifest, tmp_path):
    told = "the model was trained or calibrated on 45 of 54 rows, such as 'audio/s1-anger-0.wav'"
    with pytest.raises(BimodalError, match=f"{told}; figures on them say nothing about new rec.* --seen-rows"):
        check_seen_rows(tiny_model, without_split(tiny_manifest, tmp_path / "c"))
    with pytest.raises(BimodalError, match="on 45 of 45 rows"):
        check_seen_rows(tiny_model, tiny_manifest, split="train")
    caveat = check_seen_rows(tiny_model, tiny_manifest, split="train", allow=True)
    assert caveat.startswith("WARNING: the model was trained or calibrated on 45 of 45 rows")


def test_a_test_split_and_other_speakers_go_as_before(tiny_model, tiny_manifest, tmp_path):
    assert check_seen_rows(tiny_model, tiny_manifest) == ""
    other = without_split(tiny_manifest, tmp_path / "c", keep=lambda row: row["speaker"] == "s0")
    assert check_seen_rows(tiny_model, other) == ""
    assert not [note for note in evaluate_model(tiny_model, other, threads=1)[1] if "trained" in note]


def test_a_folder_that_does_not_say_gives_a_note(tiny_model, tiny_manifest, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "model")
    (tmp_path / "model" / SEEN_ROWS).unlink()
    assert check_seen_rows(tmp_path / "model", tiny_manifest, split="train") == ""
    (note,) = note_on_seen(tmp_path / "model", read_manifest(tiny_manifest), "train")
    assert note == "It is unknown whether the model was trained on these rows: its folder has no seen_rows.json."
    (note,) = note_on_seen(tiny_model, read_manifest(tiny_manifest), "train")
    assert note.startswith("The model was trained or calibrated on 45 of 45 rows")


def test_a_few_common_texts_are_no_training_rows():
    rows = [Utterance(id=str(number), transcript="Yes.") for number in range(4)]
    assert describe_seen(RowsFound(recordings=(), words=("0", "1"), without_recording=4), rows) == ""
    told = describe_seen(RowsFound(recordings=(), words=("0", "1", "2"), without_recording=4), rows)
    assert told == "the model was trained or calibrated on 3 of 4 rows, such as '0'"
