"""Prediction: a model over a manifest says what it left out."""

from dataclasses import replace

import pytest

from bimodal.data.manifest import read_manifest
from bimodal.errors import SplitError
from bimodal.evaluation.predict import NO_LATE, learnt_from_pairs, predict_model
from bimodal.inference.recognizer import Recognizer


def test_a_model_over_a_manifest_takes_the_test_split_and_has_all_systems(tiny_model, tiny_manifest):
    recognizer = Recognizer(tiny_model, threads=1)
    found, notes = predict_model(recognizer, read_manifest(tiny_manifest), batch=4)
    assert set(found.clusters) == {"s0"}
    assert found.systems == ("speech", "text", "late", "fused")
    assert "split 'test'" in notes
    whole, _ = predict_model(recognizer, read_manifest(tiny_manifest), batch=100)
    for system in found.systems:
        assert found.scores[system] == pytest.approx(whole.scores[system], abs=1e-4)


def test_an_unknown_split_is_refused(tiny_model, tiny_manifest):
    with pytest.raises(SplitError, match="no split 'holdout'"):
        predict_model(Recognizer(tiny_model, threads=1), read_manifest(tiny_manifest), split="holdout")


def test_a_model_whose_networks_learnt_from_different_rows_has_no_late_fusion(tiny_model, corpus_data, tmp_path):
    """Late fusion divides by the prior that both networks have in common; `permissive` has none."""
    assert learnt_from_pairs(tiny_model) and learnt_from_pairs(tmp_path)
    recognizer, read = Recognizer("permissive", threads=1), read_manifest(corpus_data / "ravdess" / "manifest.csv")
    rows = [row for row in read.utterances if row.emotion in ("anger", "neutral", "angry")][:6]
    found, notes = predict_model(recognizer, replace(read, utterances=tuple(rows)))
    assert found.systems == ("speech", "text", "fused") and NO_LATE in notes
