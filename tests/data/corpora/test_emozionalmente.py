"""Emozionalmente: tables of recordings, speakers and votes."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError

FILES = {
    "metadata/samples.csv": "file_name,sentence,sentence_language,actor,emotion_expressed\n"
    "1613655062436.wav,Ci vediamo domani.,it,user1,neutrality\n1619253465089.wav,Ci vediamo domani.,it,user2,joy\n",
    "metadata/users.csv": "username,gender,age,mother_tongue\nuser1,Female,31,it\nuser2,male,44,it\n",
    "metadata/evaluations.csv": "file_name,evaluator,audio_quality,emotion_recognized\n"
    "1613655062436.wav,r1,good,neutrality\n1613655062436.wav,r2,bad,sadness\n1619253465089.wav,r1,good,joy\n",
    "metadata/split/test.csv": "file_name,sentence,sentence_language,actor,emotion_expressed\n"
    "1619253465089.wav,Ci vediamo domani.,it,user2,joy\n",
}


def emozionalmente(folder: Path, **changed: str) -> Path:
    for name, text in FILES.items():
        file = folder / "emozionalmente_dataset" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(changed.get(Path(name).stem, text), encoding="utf-8")
    return folder


def test_rows_have_the_intended_emotion_and_the_votes(tmp_path):
    first, second = CORPORA["emozionalmente"].prepare(emozionalmente(tmp_path))
    assert (first.id, first.path) == ("1613655062436", "emozionalmente_dataset/audio/1613655062436.wav")
    assert (first.emotion, first.speaker, first.split, first.transcript) == (
        "neutral", "user1", None, "Ci vediamo domani.",
    )  # fmt: skip
    assert first.extra == {"gender": "female", "age": "31", "votes": "neutral|sadness", "agreement": "0.500"}
    assert (second.emotion, second.split, second.extra["agreement"]) == ("joy", "test", "1.000")


def test_votes_are_soft_targets(tmp_path):
    rows = CORPORA["emozionalmente"].labels["votes"](emozionalmente(tmp_path))
    assert [row.emotion for row in rows] == ["neutral|sadness", "joy"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"users": "username,gender,age\nuser1,f,1\n"}, r"samples\.csv:3: speaker 'user2' is not in users\.csv"),
        ({"samples": FILES["metadata/samples.csv"].replace("joy", "glee")}, r"samples\.csv:3: emotion 'glee'"),
        ({"evaluations": "file,emotion\n"}, r"evaluations\.csv:1: columns \['emotion_recognized', 'file_name'\]"),
    ],
)
def test_damaged_tables_are_told_with_their_line(tmp_path, changed, told):
    with pytest.raises(ManifestError, match=told):
        CORPORA["emozionalmente"].prepare(emozionalmente(tmp_path, **changed))


def test_a_recording_without_votes_has_no_soft_target(tmp_path):
    votes = FILES["metadata/evaluations.csv"].replace("1619253465089", "1")
    with pytest.raises(ManifestError, match="1 recordings have no votes"):
        CORPORA["emozionalmente"].labels["votes"](emozionalmente(tmp_path, evaluations=votes))


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no metadata/samples\.csv below"):
        CORPORA["emozionalmente"].prepare(tmp_path)
