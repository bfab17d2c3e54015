"""EmoryNLP: the authors' JSON, declare-lab's CSV, and a manifest made of it give the same rows."""

import json
from collections import Counter

import pytest

from bimodal.data.corpora import emorynlp
from bimodal.data.labels import find_map
from bimodal.errors import ManifestError

HEADER = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time\n"
ROWS = """Shut up!,"['Monica Geller', 'Phoebe Buffay']",Mad,1,2,1,2,00:00:02.877,00:00:07.548
Oh\x92yeah!,['Joey Tribbiani'],Joyful,1,3,1,2,00:00:07.924,00:00:09.508
"""
SAID = [
    {"utterance_id": "s01_e02_c01_u002", "speakers": ["Monica Geller", "Phoebe Buffay"], "transcript": "Shut up!",
     "tokens": [["Shut", "up", "!"]], "emotion": "Mad"},
    {"utterance_id": "s01_e02_c01_u003", "speakers": ["Joey Tribbiani"], "transcript": "Oh’yeah!", "emotion": "Joyful"},
    {"utterance_id": "s01_e02_c01_u004", "speakers": [], "transcript": "", "emotion": None},
]  # fmt: skip


def write_json(folder, said=SAID):
    for name in emorynlp.JSON.values():
        episodes = [{"episode_id": "s01_e02", "scenes": [{"scene_id": "s01_e02_c01", "utterances": said}]}]
        (folder / name).write_text(json.dumps({"season_id": "s01", "episodes": episodes}), encoding="utf-8")
    return folder


def write_tables(folder, rows=ROWS):
    for name in emorynlp.TABLES.values():
        (folder / name).write_bytes((HEADER + rows).encode("latin-1"))
    return folder


def test_json_and_csv_give_the_same_rows(tmp_path):
    (tmp_path / "json").mkdir()
    (tmp_path / "csv").mkdir()
    from_json = emorynlp.prepare(write_json(tmp_path / "json"))
    assert emorynlp.prepare(write_tables(tmp_path / "csv")) == from_json
    first, second = from_json[:2]
    assert (first.id, first.dialogue, first.speaker) == (
        "s01_e02_c01_u002",
        "s01_e02_c01",
        "Monica Geller, Phoebe Buffay",
    )
    assert (second.transcript, second.emotion, second.split, second.extra) == (
        "Oh’yeah!",
        "joyful",
        "train",
        {"utterance": "3"},
    )
    assert [row.split for row in from_json] == ["train", "train", "dev", "dev", "test", "test"]


@pytest.mark.parametrize("said", [[{"utterance_id": "u1", "emotion": "Mad"}], [{"emotion": "Mad"}], {"a": 1}])
def test_a_broken_json_file_is_named(tmp_path, said):
    with pytest.raises(ManifestError, match=r"emotion-detection-trn\.json: not a file of EmoryNLP"):
        emorynlp.prepare(write_json(tmp_path, said))


@pytest.mark.parametrize("row", ["hi,Joey,Mad,1,9,1,2,,\n", "hi,['Joey'],Mad,1,x,1,2,,\n", "hi\n"])
def test_a_broken_row_is_told_with_its_line(tmp_path, row):
    with pytest.raises(ManifestError, match=r"emorynlp_train_final\.csv:4: not a row of EmoryNLP"):
        emorynlp.prepare(write_tables(tmp_path, ROWS + row))


def test_what_is_missing_is_named_and_a_manifest_of_meld_is_not_taken(tmp_path):
    write_json(tmp_path)
    (tmp_path / emorynlp.JSON["dev"]).unlink()
    header = "transcript,emotion,speaker,dialogue,utterance,split\n"
    (tmp_path / "manifest.csv").write_text(header + "hi,joy,Joey,train_0,1,train\n")
    with pytest.raises(ManifestError, match=r"no EmoryNLP in this folder; expected emotion-detection-trn\.json"):
        emorynlp.prepare(tmp_path)


def test_the_documented_map_has_no_place_for_peaceful_and_powerful():
    apply = find_map("emorynlp-ekman7").apply
    words = ("joyful", "mad", "sad", "scared", "neutral", "peaceful", "powerful")
    assert [apply(word) for word in words] == ["happiness", "anger", "sadness", "fear", "neutral", None, None]


def test_the_corpus_has_its_counts(corpus_data):
    rows = emorynlp.prepare(corpus_data / "emorynlp")
    assert Counter(row.split for row in rows) == {"train": 7_551, "dev": 954, "test": 984}
    assert Counter(row.emotion for row in rows) == {
        "neutral": 3_095, "joyful": 2_099, "scared": 1_184, "mad": 968, "peaceful": 831, "powerful": 717, "sad": 595,
    }  # fmt: skip
    assert len({row.id for row in rows}) == 9_489
    assert not any("'," in row.speaker for row in rows)
