"""The answer made of what the networks give."""

import numpy as np
import pytest

from bimodal.arrays import softmax
from bimodal.inference.outputs import ModalityOutputs, _known_scores
from bimodal.records import UNKNOWN


def test_a_modality_gives_no_score_for_emotions_that_its_training_data_lacked():
    logits = np.array([[1.0, 0.0, UNKNOWN]], np.float32)
    outputs = ModalityOutputs(embedding=logits, logits=logits, present=np.array([True]))
    known = _known_scores(("anger", "neutral", "fear"), softmax(logits[0], 2.0), outputs, 0)
    assert list(known) == ["anger", "neutral"]
    assert known["anger"] == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-5)
