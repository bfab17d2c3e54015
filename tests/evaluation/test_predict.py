"""Prediction: a model over a manifest says what it left out."""

import pytest

from bimodal.data.manifest import read_manifest
from bimodal.errors import SplitError
from bimodal.evaluation.predict import predict_model
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
