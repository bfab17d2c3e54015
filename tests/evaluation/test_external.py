"""Scores of other models are read in the forms that people have, or refused with one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from bimodal.data.manifest import read_manifest, write_manifest
from bimodal.errors import BimodalError
from bimodal.evaluation.external import add_scores, read_scores
from bimodal.evaluation.predictions import Predictions, read_predictions, write_predictions
from bimodal.records import Utterance

ROWS = [("a", "angry", "Ann"), ("b", "happy", "Ann"), ("c", "sad", "Bob"), ("d", "angry", "Bob")]
SCORES = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5], [0.3, 0.4, 0.3]]


@pytest.fixture
def manifest(tmp_path):
    lines = [f"{name},wav/{name}.wav,{emotion},{speaker},f" for name, emotion, speaker in ROWS]
    (tmp_path / "m.csv").write_text("\n".join(["id,path,emotion,speaker,sex", *lines]) + "\n")
    return read_manifest(tmp_path / "m.csv")


def table(folder: Path, header: str, keys=("a", "b", "c", "d"), scores=SCORES, name="wavlm.csv", more=()) -> Path:
    lines = [",".join([key, *map(str, row)]) for key, row in zip(keys, scores, strict=True)]
    (folder / name).write_text("\n".join([header, *lines, *more]) + "\n")
    return folder / name


@pytest.mark.parametrize(
    "header",
    [
        "id,anger,happiness,sadness",
        "utt_id,Angry,HAPPY,sad",
        "id,score:anger,score:joy,score:sad",
        "id,ang_score,hap_score,sad_score",
        "id,prob_anger,prob_happiness,prob_sadness",
        "id,p_ang,p_hap,p_sad",
        "id,speech:anger,speech:happiness,speech:sadness",
    ],
)
def test_columns_of_scores_are_found_by_the_usual_names(tmp_path, manifest, header):
    found, notes = read_scores(table(tmp_path, header), manifest)
    assert found.systems == ("wavlm",) and found.emotions == ("anger", "happiness", "sadness")
    assert np.allclose(found.scores["wavlm"], SCORES)
    assert found.targets.tolist() == [0, 1, 2, 0] and found.clusters == ("Ann", "Ann", "Bob", "Bob")
    assert found.extra["sex"] == ("f",) * 4
    assert notes == ("there is no split 'test', so all rows are tested",)


@pytest.mark.parametrize(
    ("header", "keys"),
    [
        ("path", [f"wav/{name}.wav" for name in "dcba"]),
        ("file", [f"{name}.wav" for name in "dcba"]),
        ("filename", [f"C:\\corpus\\wav\\{name}.wav" for name in "dcba"]),
        ("id", [f"{name}" for name in "dcba"]),
        ("file", [f"/elsewhere/{name}.flac" for name in "dcba"]),
    ],
)
def test_rows_are_found_by_id_path_or_name_in_any_order(tmp_path, manifest, header, keys):
    found, _ = read_scores(table(tmp_path, f"{header},anger,happiness,sadness", keys, SCORES[::-1]), manifest)
    assert np.allclose(found.scores["wavlm"], SCORES)


def test_absolute_paths_below_the_manifest_are_found(tmp_path, manifest):
    keys = [str(tmp_path / "wav" / f"{name}.wav") for name in "abcd"]
    assert np.allclose(read_scores(table(tmp_path, "path,ang,hap,sad", keys), manifest)[0].scores["wavlm"], SCORES)


def test_json_lines_with_scores_in_an_object_are_read(tmp_path, manifest):
    rows = [
        {
            "id": key,
            "scores": dict(zip(("anger", "joy", "sad"), row, strict=True)),
            "speech_scores": {"anger": 1, "joy": 0},
        }
        for key, row in zip("abcd", SCORES, strict=True)
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, notes = read_scores(tmp_path / "x.jsonl", manifest)
    assert np.allclose(found.scores["x"], SCORES)
    assert "x.jsonl: scores.* is read, not speech_scores.*." in notes


@pytest.mark.parametrize("names", [["anger", "joy", "sad"], ["prob_angry", "prob_happy", "prob_sad"]])
def test_parquet_is_read_as_csv_is(tmp_path, manifest, names):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"id": list("abcd")} | dict(zip(names, zip(*SCORES, strict=True), strict=True))).to_parquet(
        tmp_path / "x.parquet"
    )
    found, _ = read_scores(tmp_path / "x.parquet", manifest)
    assert np.allclose(found.scores["x"], SCORES)


def test_labels_alone_make_a_system_without_scores_and_say_so(tmp_path, manifest):
    path = table(tmp_path, "id,prediction", scores=[["Angry"], ["joy"], [""], ["sad"]])
    found, notes = read_scores(path, manifest)
    assert found.labels_only("wavlm") and found.answered("wavlm").tolist() == [True, True, False, True]
    assert any("labels without scores" in note for note in notes)
    assert "wavlm.csv has no answer in 1 of 4 rows." in notes
    write_predictions(tmp_path / "p.csv", found)
    assert read_predictions(tmp_path / "p.csv").labels_only("wavlm")


def test_logits_are_scores_only_if_the_user_says_so(tmp_path, manifest):
    path = table(tmp_path, "id,anger,happiness,sadness", scores=(np.log(SCORES) + 3).tolist())
    with pytest.raises(BimodalError, match=r"wavlm.csv:2: the scores .* have a sum of .*, expected 1; .*--logits"):
        read_scores(path, manifest)
    assert np.allclose(read_scores(path, manifest, logits=True)[0].scores["wavlm"], SCORES)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ([0.7, 0.2, 0.2], r"wavlm.csv:4: the scores 0.7, 0.2, 0.2 have a sum of 1.1, expected 1"),
        ([1.2, -0.1, -0.1], r"wavlm.csv:4: .* a negative number"),
        ([0.5, "", 0.5], r"wavlm.csv:4: .* some scores but not all"),
        (["inf", 0.5, 0.5], r"wavlm.csv:4: .* an infinite number"),
        (["much", 0.5, 0.5], r"wavlm.csv:4: anger is 'much', expected a number"),
        (["0_0", 0.5, 0.5], r"wavlm.csv:4: anger is '0_0', expected a number"),
    ],
)
def test_scores_that_are_no_probabilities_are_refused_with_the_row(tmp_path, manifest, changed, message):
    with pytest.raises(BimodalError, match=message):
        read_scores(table(tmp_path, "id,anger,happiness,sadness", scores=[*SCORES[:2], changed, SCORES[3]]), manifest)


def test_rounded_scores_pass_and_sum_to_one_exactly(tmp_path, manifest):
    scores = [[0.333, 0.333, 0.333], *SCORES[1:]]
    found, _ = read_scores(table(tmp_path, "id,anger,happiness,sadness", scores=scores), manifest)
    assert np.allclose(found.scores["wavlm"].sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("empty", ["", "nan", "NaN", "None"])
def test_empty_and_nan_scores_are_no_answer_and_counted(tmp_path, manifest, empty):
    scores = [*SCORES[:3], [empty] * 3]
    found, notes = read_scores(table(tmp_path, "id,anger,happiness,sadness", scores=scores), manifest)
    assert found.answered("wavlm").tolist() == [True, True, True, False]
    assert "wavlm.csv has no answer in 1 of 4 rows." in notes


def test_missing_double_and_foreign_rows_are_told_in_one_sentence_with_counts(tmp_path, manifest):
    header = "id,anger,happiness,sadness"
    path = table(tmp_path, header, ["a", "b", "b", "x"])
    with pytest.raises(BimodalError) as caught:
        read_scores(path, manifest)
    assert str(caught.value) == (
        f"{path}: 2 of 4 rows of the manifest are missing, such as 'c'; 1 are there more than once, such as 'b'; "
        "1 rows are not in the manifest; give one row for each, with empty scores where the model gave no answer"
    )
    with pytest.raises(BimodalError, match="4 of 4 rows of the manifest are missing"):
        read_scores(table(tmp_path, header, list("wxyz")), manifest)
    found, notes = read_scores(table(tmp_path, header, more=["z,0.2,0.2,0.6"]), manifest)
    assert len(found.ids) == 4 and "wavlm.csv has 1 rows that the manifest does not have." in notes


def test_an_emotion_without_a_column_is_never_predicted_and_one_without_truth_stays(tmp_path, manifest):
    scores = [[0.7, 0.3], [0.1, 0.9], [0.5, 0.5], [0.4, 0.6]]
    found, notes = read_scores(table(tmp_path, "id,anger,calm", scores=scores), manifest)
    assert found.emotions == ("anger", "calm", "happiness", "sadness")
    assert not found.scores["wavlm"][:, 2:].any()
    assert "wavlm has no scores for happiness, sadness: it never predicts them, and their recall is 0." in notes


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,one,two,three", "neither a column of scores"),
        ("nr,anger,happiness,sadness", "no column 'id' or 'path'"),
        ("id,happy,joy,sad", r"the columns \['happy', 'joy'\] all mean happiness"),
        ("id,anger,anger,sad", "column 'anger' stands twice"),
    ],
)
def test_tables_of_other_shapes_are_refused(tmp_path, manifest, header, message):
    with pytest.raises(BimodalError, match=message):
        read_scores(table(tmp_path, header), manifest)


def test_two_groups_of_scores_are_refused_unless_one_is_our_whole_answer(tmp_path, manifest):
    scores = [[*row, *SCORES[0]] for row in SCORES]
    with pytest.raises(BimodalError, match=r"several columns for one emotion \(a:\*, b:\*\)"):
        read_scores(table(tmp_path, "id,a:anger,a:joy,a:sad,b:anger,b:joy,b:sad", scores=scores), manifest)
    header = "id,fused:anger,fused:joy,fused:sad,text:anger,text:joy,text:sad"
    found, notes = read_scores(table(tmp_path, header, scores=scores), manifest)
    assert np.allclose(found.scores["wavlm"], SCORES) and "wavlm.csv: fused:* is read, not text:*." in notes


def test_files_that_are_no_tables_are_refused(tmp_path, manifest):
    for name, text in [
        ("x.csv", ""),
        ("x.csv", "id,anger,joy\n"),
        ("x.jsonl", "[1]\n"),
        ("x.jsonl", "{"),
        ("x.csv", 'a"\n"'),
        ("x.parquet", "PAR1"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(BimodalError, match=r"no row of scores|not a table"):
            read_scores(tmp_path / name, manifest)
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    for name, message in [("x.csv", "not a table"), ("absent.csv", "cannot be read"), ("x.pkl", "not '.pkl'")]:
        with pytest.raises(BimodalError, match=message):
            read_scores(tmp_path / name, manifest)


def test_a_manifest_without_labels_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("id,transcript\na,hello\n")
    with pytest.raises(BimodalError, match="no row has an emotion"):
        read_scores(table(tmp_path, "id,anger,joy,sad"), read_manifest(tmp_path / "m.csv"))


def ours() -> Predictions:
    return Predictions(
        ids=("b", "a", "c"), targets=np.array([1, 0, 2]), emotions=("angry", "joy", "sad"), clusters=("1", "1", "2"),
        cluster_name="speaker", scores={"fused": np.array([SCORES[1], SCORES[0], [np.nan] * 3])},
    )  # fmt: skip


def test_scores_are_added_to_ours_on_our_rows_by_the_meaning_of_the_emotions(tmp_path, manifest):
    path = table(tmp_path, "id,sadness,anger,happiness,calm", scores=[[0.1, 0.6, 0.1, 0.2]] * 4, name="fused.csv")
    found, _ = add_scores(ours(), path, manifest)
    assert found.systems == ("fused", "fused-2") and found.emotions == ("angry", "joy", "sad", "calm")
    assert np.allclose(found.scores["fused-2"], [[0.6, 0.1, 0.1, 0.2]] * 3)
    assert found.answered("fused").tolist() == [True, True, False] and not found.scores["fused"][0, 3]


def test_a_row_that_recognise_abstained_on_is_no_answer(tmp_path):
    """Its scores are those of no recording; taken for an answer, they would count as the most frequent emotion."""
    manifest = write_manifest(tmp_path / "m.csv", [
        Utterance(id=name, path=f"{name}.wav", emotion=emotion, speaker=name)
        for name, emotion in (("a", "anger"), ("b", "joy"), ("c", "joy"))
    ])  # fmt: skip
    file = tmp_path / "recognised.csv"
    file.write_text("path,anger,joy,abstained\na.wav,0.9,0.1,False\nb.wav,0.4,0.6,True\nc.wav,0.2,0.8,False\n")
    found, notes = read_scores(file, manifest)
    assert found.answered("recognised").tolist() == [True, False, True]
    assert "recognised.csv has no answer in 1 of 3 rows." in notes


def test_emotions_that_a_file_leaves_out_wholly_are_left_out(tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", [
        Utterance(id=name, path=f"{name}.wav", emotion=emotion, speaker=name)
        for name, emotion in (("a", "anger"), ("b", "joy"), ("c", "calm"), ("d", "calm"))
    ])  # fmt: skip
    file = tmp_path / "own.csv"
    file.write_text("id,anger,joy\na,0.9,0.1\nb,0.4,0.6\n")
    found, notes = read_scores(file, manifest)
    assert found.ids == ("a", "b") and found.emotions == ("anger", "happiness")
    assert "2 rows left out: own.csv has neither a score nor a row for 'calm'" in notes
    file.write_text("id,anger,joy\na,0.9,0.1\nb,0.4,0.6\nc,0.5,0.5\n")
    with pytest.raises(BimodalError, match=r"1 of 4 rows of the manifest are missing, such as 'd'"):
        read_scores(file, manifest)
