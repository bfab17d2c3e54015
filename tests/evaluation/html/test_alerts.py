"""Each alert where it is due, and only there."""

import json
from dataclasses import replace

import numpy as np

from bimodal.data.manifest import open_manifest, write_manifest
from bimodal.evaluation.html.alerts import find_alerts
from bimodal.evaluation.html.material import ReportSources
from bimodal.records import Utterance


def texts(material) -> str:
    return " ".join(f"{alert.level}: {alert.text}" for alert in find_alerts(material))


def test_sound_figures_of_many_speakers_raise_no_alert(scored, material):
    predictions = scored(rows=900, signals={"speech": 3.0, "text": 2.0, "fused": 5.0})
    sure = predictions.scores["fused"].max(axis=1).mean()
    right = (predictions.scores["fused"].argmax(axis=1) == predictions.targets).mean()
    assert abs(sure - right) < 0.05
    assert find_alerts(material(predictions)) == []


def test_tests_of_another_model_in_the_same_folder_are_told(scored, material, tmp_path):
    found = material(scored(rows=900, signals={"speech": 3.0, "text": 2.0, "fused": 5.0}))
    found = replace(found, folder=tmp_path)
    tests = {"title": "other on m.csv", "system": "fused", "outcomes": {"fused": []}, "random": {}}
    for revision, told in (("0123", "warn: The tests in this report are of another model"), ("", "")):
        (tmp_path / "tests.json").write_text(json.dumps(tests | {"revision": revision}))
        assert texts(found).startswith(told) and bool(texts(found)) == bool(told)


def test_the_caveat_stands_first(scored, material):
    found = material(scored())
    found = replace(found, report=replace(found.report, caveat="WARNING: the model has seen these rows."))
    assert find_alerts(found)[0].text == "WARNING: the model has seen these rows."


def test_guessing_few_rows_and_one_speaker_are_told(scored, material):
    told = texts(material(scored(rows=30, speakers=1, signals={"speech": 0.0})))
    assert "bad: Only 30 utterances are tested" in told
    assert "cannot be told from guessing" in told
    assert "only one speaker" in told


def test_emotions_below_chance_and_never_answered_are_named_once(scored, material):
    predictions = scored(rows=300, signals={"speech": 2.0})
    scores = predictions.scores["speech"].copy()
    scores[:, 2] = 0.0
    scores /= scores.sum(axis=1, keepdims=True)
    told = texts(material(replace(predictions, scores={"speech": scores})))
    assert "Never answered, though it occurs: joy" in told
    assert "no better than by guessing" not in told


def test_over_and_under_confidence_are_told_apart(scored, material):
    predictions = scored(rows=300, signals={"speech": 1.0})
    answers = np.eye(3)[predictions.scores["speech"].argmax(axis=1)]
    sure, unsure = 0.97 * answers + 0.01, 0.02 * answers + 0.98 / 3
    assert "over-confident" in texts(material(replace(predictions, scores={"speech": sure})))
    assert "under-confident" in texts(material(replace(predictions, scores={"speech": unsure})))


def test_words_that_are_the_same_in_every_emotion_are_told(scored, material):
    said = tuple("Dogs bark." if row % 2 else "Kids talk." for row in range(300))
    assert "2 sentences are said in every emotion" in texts(material(scored(transcript=said)))
    assert "said in every emotion" not in texts(material(scored()))


def test_a_frequent_emotion_makes_accuracy_misleading(scored, material):
    predictions = scored(rows=300)
    mostly = replace(predictions, targets=np.where(np.arange(300) < 240, 0, predictions.targets))
    told = texts(material(replace(mostly, scores={"speech": np.eye(3)[mostly.targets]})))
    assert "Always answering it reaches that accuracy" in told
    assert "is right more often" not in told
    told = texts(material(replace(mostly, scores={"speech": np.eye(3)[(mostly.targets + 1) % 3]})))
    assert "Always answering anger is right more often than the model: 87 % against 0 %" in told


def test_speakers_of_the_split_train_are_told(scored, material, tmp_path):
    predictions = scored(rows=40, speakers=4)
    rows = [Utterance(id=name, emotion="joy", speaker="Ann", split="test") for name in predictions.ids]
    rows += [Utterance(id="t", emotion="joy", speaker="Ann", split="train")]
    write_manifest(tmp_path / "m.csv", [replace(row, transcript="Yes.") for row in rows])
    told = texts(material(predictions, ReportSources(manifest=open_manifest(tmp_path / "m.csv"))))
    assert "Speaker overlap: 100 %" in told
