"""Labels of CREMA-D as soft targets, and answers among some emotions."""

import numpy as np
import pytest

from benchmarks.across_four import LABELS
from benchmarks.default_models import choose_among, voice_rows
from bimodal.data.labels import emotion_map
from bimodal.evaluation.predictions import Predictions
from bimodal.records import Utterance

ROW = Utterance(id="a", path="a.wav", emotion="anger", speaker="1001", extra={"votes": "anger|neutral|neutral|neutral"})


@pytest.mark.parametrize(
    ("labels", "shares"),
    [
        ("intended", {"anger": 1.0}),
        ("votes", {"anger": 0.25, "neutral": 0.75}),
        ("both", {"anger": 0.625, "neutral": 0.375}),
    ],
)
def test_labels_are_the_intended_emotion_the_votes_or_half_of_each(labels, shares):
    assert emotion_map("ekman7").shares(LABELS[labels](ROW)) == shares


@pytest.mark.parametrize("labels", sorted(LABELS))
def test_a_corpus_without_votes_has_one_label(labels):
    assert emotion_map("ekman7").shares(LABELS[labels](Utterance(id="b", emotion="sadness"))) == {"sadness": 1.0}


def test_a_voice_keeps_its_truth_beside_its_label():
    (row,) = voice_rows("crema_d", [ROW])
    assert (row.extra["truth"], row.transcript, row.speaker) == ("anger", None, "crema_d 1001")


def test_an_answer_among_some_emotions_is_the_best_of_them():
    found = Predictions(
        ids=("a", "b"),
        targets=np.array([0, 2]),
        emotions=("anger", "fear", "sadness"),
        clusters=("x", "x"),
        cluster_name="speaker",
        scores={"speech": np.array([[0.2, 0.7, 0.1], [0.1, 0.5, 0.4]])},
    )
    among = choose_among(found, ("sadness", "anger"))
    assert among.targets.tolist() == [1, 0] and among.emotions == ("sadness", "anger")
    assert among.scores["speech"].round(4).tolist() == [[0.3333, 0.6667], [0.8, 0.2]]
