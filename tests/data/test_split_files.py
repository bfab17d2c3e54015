"""Splits are written and read again; other forms are read; what does not fit the manifest is one sentence."""

import json

import pytest

from bimodal.data.folds import make_folds
from bimodal.data.split_files import read_folds, write_splits
from bimodal.data.splits import Fold
from bimodal.errors import SplitError
from bimodal.records import Utterance

ROWS = [Utterance(id=f"u{row}", speaker=f"s{row // 2}", path=f"audio/03-01-0{row}.flac") for row in range(6)]


def read(path, rows=ROWS):
    return read_folds(path, rows, ROWS)


def test_splits_read_back_the_same_dev_parts_included(tmp_path):
    folds = (
        Fold(name="a", train=(0, 1), dev=(2, 3), test=(4, 5)),
        Fold(name="b", train=(2, 3, 4, 5), test=(0, 1)),
        Fold(name="c", train=(0,), dev=(), test=(2, 3)),
    )
    write_splits(tmp_path / "splits.json", folds, [row.id for row in ROWS], "loso", 7)
    assert read(tmp_path / "splits.json") == folds
    content = json.loads((tmp_path / "splits.json").read_text())
    assert (content["schema"], content["protocol"], content["seed"]) == (1, "loso", 7)
    assert content["folds"]["a"] == {"train": ["u0", "u1"], "dev": ["u2", "u3"], "test": ["u4", "u5"]}


def test_a_table_of_ids_and_folds_tests_each_row_once(tmp_path):
    (tmp_path / "s.csv").write_text("id,fold\n" + "".join(f"u{row},{row % 2}\n" for row in range(6)))
    assert [(fold.name, fold.test, fold.train) for fold in read(tmp_path / "s.csv")] == [
        ("0", (0, 2, 4), (1, 3, 5)),
        ("1", (1, 3, 5), (0, 2, 4)),
    ]


def test_a_table_may_name_the_parts(tmp_path):
    lines = ["id;fold;part", "u0;x;train", "u1;x;train", "u2;x;valid", "u3;x;valid", "u4;x;test", "u5;x;test"]
    (tmp_path / "s.csv").write_text("\n".join(lines))
    assert read(tmp_path / "s.csv") == (Fold(name="x", train=(0, 1), dev=(2, 3), test=(4, 5)),)


def emobox(folder, *, kind: str = "jsonl", valid: bool = False) -> None:
    """Two folds as EmoBox keeps them, for the corpus `toy`."""
    for number, test in ((1, {0, 1}), (2, {2, 3, 4, 5})):
        parts = {"test": test, "train": set(range(6)) - test}
        if valid:
            parts = {"test": test, "valid": {max(parts["train"])}, "train": parts["train"] - {max(parts["train"])}}
        (folder / f"fold_{number}").mkdir(parents=True, exist_ok=True)
        for part, rows in parts.items():
            entries = {
                f"toy-03-01-0{row}": {"dataset": "toy", "wav": f"downloads/toy/A/03-01-0{row}.wav", "emo": "Sad"}
                for row in sorted(rows)
            }
            lines = [json.dumps({"key": key, **entry}) for key, entry in entries.items()]
            text = json.dumps(entries) if kind == "json" else "\n".join(lines) + "\n"
            (folder / f"fold_{number}" / f"toy_{part}_fold_{number}.{kind}").write_text(text)


@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_the_folds_of_emobox_are_found_by_the_names_of_files(tmp_path, kind):
    emobox(tmp_path, kind=kind)
    expected = (Fold(name="1", train=(2, 3, 4, 5), test=(0, 1)), Fold(name="2", train=(0, 1), test=(2, 3, 4, 5)))
    assert read(tmp_path) == expected
    assert read(tmp_path / "fold_1") == expected[:1]
    assert read(tmp_path / "fold_2" / f"toy_test_fold_2.{kind}") == expected[1:]


def test_the_valid_part_of_emobox_is_the_dev_part(tmp_path):
    emobox(tmp_path, valid=True)
    assert [fold.dev for fold in read(tmp_path)] == [(5,), (1,)]


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path):
    rows = [Utterance(id=name, path=f"{name}/dia0.flac") for name in ("train", "test")]
    (tmp_path / "fold_1").mkdir()
    for part in ("train", "test"):
        entry = {"key": f"meld-dia0-{part}x", "dataset": "meld", "wav": f"downloads/{part}/dia0.mp4"}
        (tmp_path / "fold_1" / f"meld_{part}_fold_1.jsonl").write_text(json.dumps(entry))
    assert read_folds(tmp_path, rows, rows) == (Fold(name="1", train=(0,), test=(1,)),)


def test_rows_without_a_label_may_stand_in_the_splits(tmp_path):
    (tmp_path / "s.csv").write_text("id,fold\n" + "".join(f"u{row},{row % 2}\n" for row in range(6)))
    assert [fold.test for fold in read(tmp_path / "s.csv", ROWS[1:])] == [(1, 3), (0, 2, 4)]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("s.csv", "id,fold\nu0,1\nx1,2\nx2,2\n", "2 of 3 ids are not in the manifest .*'x1', 'x2'.*another manifest"),
        (
            "s.csv",
            "id,fold\nu0,1\nu1,2\n",
            "4 of 6 labelled rows .* are in no fold .*'u2', 'u3', 'u4', ...",
        ),
        ("s.csv", "id,fold\nu0,1\nu0,2\n", "'u0' stands in two rows"),
        ("s.csv", "name,fold\nu0,1\n", r"the columns are \['fold', 'name'\], expected id and fold"),
        ("s.csv", "id,fold,part\nu0,1,learn\n", "row 1 has id 'u0', fold '1', part 'learn'"),
        ("s.csv", "id,fold,part\nu0,1,test\nu0,1,train\n", "'u0' stands twice in fold '1'"),
        ("s.csv", "", "expected id and fold"),
        ("s.json", "{", "no splits that can be read"),
        ("s.json", '{"schema":1,"protocol":"x","seed":0,"folds":{}}', "there are no ids in it"),
        (
            "s.json",
            '{"schema":1,"protocol":"x","seed":0,"folds":{"a":{"train":["u0"]}}}',
            "required field `test`",
        ),
        ("s.txt", "u0", "ends in .json, .jsonl or .csv"),
        ("s.jsonl", "[1]", "no splits that can be read"),
        ("s.csv", b"id,fold\n\xff,1\n", "no splits that can be read"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, name, text, sentence):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SplitError, match=sentence):
        read(tmp_path / name)


def test_a_row_tested_in_two_folds_is_a_sentence(tmp_path):
    folds = [Fold(name=name, train=(0, 1, 2, 3), test=(4, 5)) for name in ("a", "b")]
    write_splits(tmp_path / "s.json", folds, [row.id for row in ROWS], "x", 0)
    with pytest.raises(SplitError, match="'u4' is tested in the folds 'a' and 'b'"):
        read(tmp_path / "s.json")


def test_a_fold_without_a_labelled_row_is_a_sentence(tmp_path):
    folds = [Fold(name="a", train=(0, 1, 2, 3, 4), test=(5,))]
    write_splits(tmp_path / "s.json", folds, [row.id for row in ROWS], "x", 0)
    with pytest.raises(SplitError, match="fold 'a' has no labelled row to test"):
        read(tmp_path / "s.json", ROWS[:5])


def test_a_folder_without_folds_and_a_missing_file_are_sentences(tmp_path):
    with pytest.raises(SplitError, match="no folds of EmoBox"):
        read(tmp_path)
    with pytest.raises(SplitError, match="cannot be read"):
        read(tmp_path / "none.json")


def test_the_folds_of_emobox_for_ravdess_are_those_that_prepare_writes(corpus_data):
    """EmoBox is not here; its folds of actors are in the column `fold` of the prepared corpus."""
    from bimodal.data.corpora import ravdess

    rows = ravdess.prepare(corpus_data / "ravdess")
    found = make_folds("fold", rows, [row.emotion or "" for row in rows])
    assert [{rows[row].speaker for row in fold.test} for fold in found] == [set(one) for one in ravdess.FOLDS.values()]
