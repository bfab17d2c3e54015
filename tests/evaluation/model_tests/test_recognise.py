"""A model over a manifest: each clip is drawn evenly, decoded once, and answered as `bimodal evaluate` answers it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bimodal.data.manifest import read_manifest
from bimodal.errors import BimodalError
from bimodal.evaluation.model_tests.conditions import CONDITIONS, Condition
from bimodal.evaluation.model_tests.recognise import RunOptions, draw, load_sounds, recognise
from bimodal.evaluation.model_tests.records import TestOptions
from bimodal.evaluation.model_tests.suite import run_tests
from bimodal.evaluation.model_tests.words import WORD_CONDITIONS
from bimodal.evaluation.predict import plain, predict_model
from bimodal.inference.recognizer import Recognizer
from bimodal.records import Utterance


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def tested(recognizer, tiny_manifest):
    return recognise(recognizer, read_manifest(tiny_manifest), RunOptions(split="test", robustness_clips=8), plain)


def test_clean_scores_are_those_of_evaluate(recognizer, tiny_manifest, tested):
    expected, _ = predict_model(recognizer, read_manifest(tiny_manifest), split="test")
    found = tested[0].predictions
    assert found.ids == expected.ids
    for system in ("speech", "text", "fused"):
        np.testing.assert_allclose(found.scores[system], expected.scores[system], atol=1e-7)


def test_every_condition_is_run_or_has_a_reason(tested):
    material, notes = tested
    told = {**material.disturbed, **material.unusable}
    assert set(told) == {*CONDITIONS, *WORD_CONDITIONS}
    assert material.unusable["noise, 10 dB"] == "no recordings of noise were given (--noise FOLDER)"
    assert material.unusable["babble, 20 dB"] == "the manifest has no clips of another speaker"
    assert material.unusable["words by speech recognition"] == "no speech recogniser was given (--asr-model FOLDER)"
    assert material.disturbed["room"].detail == "synthetic room; give real ones with --room FOLDER"
    assert "robustness is tested on 8 of 9 clips, drawn by emotion and speaker" in notes


def test_words_and_recordings_change_what_they_should(tested):
    material, _ = tested
    rows = material.disturbed["words missing"].rows
    assert np.isnan(material.disturbed["words missing"].scores["text"]).all()
    assert np.isnan(material.disturbed["speech missing"].scores["speech"]).all()
    for name in ("words missing", "white noise, 10 dB"):
        same = "speech" if name == "words missing" else "text"
        np.testing.assert_allclose(
            material.disturbed[name].scores[same], material.predictions.scores[same][rows], atol=1e-6
        )
    assert (
        material.disturbed["white noise, 10 dB"].scores["speech"] != material.predictions.scores["speech"][rows]
    ).any()


def test_the_batch_and_the_order_of_clips_change_nothing(recognizer, tiny_manifest, tested, monkeypatch):
    monkeypatch.setattr("bimodal.evaluation.model_tests.recognise._AT_ONCE", 3)
    options = RunOptions(split="test", robustness_clips=8)
    again, _ = recognise(recognizer, read_manifest(tiny_manifest), options, plain)
    for name, one in tested[0].disturbed.items():
        np.testing.assert_allclose(again.disturbed[name].scores["fused"], one.scores["fused"], atol=1e-6)


def test_some_emotions_alone(recognizer, tiny_manifest):
    options = RunOptions(split="test", emotions=("sadness", "anger"), robustness_clips=0)
    found, notes = recognise(recognizer, read_manifest(tiny_manifest), options, plain)
    assert found.predictions.emotions == ("anger", "sadness")
    assert len(found.predictions.ids) == 6
    assert found.predictions.scores["speech"].sum(axis=1) == pytest.approx(1.0)
    assert "tested on anger, sadness alone; scores of other emotions are set aside" in notes
    for wrong in (("joy", "anger"), ("anger",)):
        with pytest.raises(BimodalError, match=r"--emotions: .*expected two or more of anger, happiness, sadness"):
            recognise(recognizer, read_manifest(tiny_manifest), replace(options, emotions=wrong), plain)


def test_the_draw_is_even_over_emotions_and_speakers():
    rows = [Utterance(id=str(row), speaker=f"s{row % 5}") for row in range(300)]
    targets = np.array([0] * 200 + [1] * 70 + [2] * 30)
    drawn = draw(rows, targets, 45, 0)
    assert Counter(targets[drawn].tolist()) == {0: 15, 1: 15, 2: 15}
    assert set(Counter((targets[row], rows[row].speaker) for row in drawn).values()) == {3}
    assert drawn == draw(rows, targets, 45, 0) != draw(rows, targets, 45, 1)


def test_folders_of_sounds_are_checked(tmp_path):
    with pytest.raises(BimodalError, match="no such folder; --cough takes a folder of recordings of cough"):
        load_sounds(tmp_path / "none", "cough")
    with pytest.raises(BimodalError, match="no recordings in this folder"):
        load_sounds(tmp_path, "cough")


def test_a_further_change_is_one_entry_of_the_table(recognizer, tiny_manifest, monkeypatch):
    for name in list(CONDITIONS):
        monkeypatch.delitem(CONDITIONS, name)
    backwards = Condition(change=lambda signal, _, __: signal[::-1], uar=-0.05, unchanged=None, source="a wish")
    monkeypatch.setitem(CONDITIONS, "played backwards", backwards)
    options = RunOptions(split="test", robustness_clips=8)
    material, _ = recognise(recognizer, read_manifest(tiny_manifest), options, plain)
    report = run_tests(material, TestOptions(runs=200, only=("robustness",)))
    assert "played backwards: change of UAR" in {one.name for one in report.verdict}
    assert set(material.disturbed) == {"played backwards", *WORD_CONDITIONS} - {"words by speech recognition"}
