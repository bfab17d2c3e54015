"""A modality: what the head of its network sees, how often a view stands for its utterance, speakers exchanged."""

import numpy as np
import pytest
import torch

from bimodal.data.batches import array_examples
from bimodal.training.modality import shift_speakers, speaker_centres, view_examples


def test_views_stand_for_their_utterance_as_often_as_asked():
    views = [np.full((40, 2), float(number), np.float32) for number in range(3)]
    for view in views:
        view[:, 1] = np.arange(40)
    torch.manual_seed(0)
    drawn = view_examples(views, np.zeros(40, np.int64), 0.6)
    read = np.stack([drawn.read(range(39, -1, -1))["features"] for _ in range(100)])
    assert (read[..., 1] == np.arange(39, -1, -1)).all()
    assert [(read[..., 0] == number).mean() for number in range(3)] == pytest.approx([0.4, 0.3, 0.3], abs=0.03)
    assert (view_examples(views, np.zeros(40, np.int64), 0.0).read([1])["features"] == [0, 1]).all()


def test_the_centre_of_a_speaker_does_not_depend_on_what_they_express():
    rng = np.random.default_rng(0)
    emotions, speakers = np.array([[5.0, 0.0], [0.0, 5.0]]), np.array([[1.0, -1.0], [-1.0, 1.0]])
    targets, whose = rng.integers(2, size=4000), rng.integers(2, size=4000)
    features = emotions[targets] + speakers[whose] + rng.normal(0, 0.1, (4000, 2))
    balanced, own = speaker_centres(features, [f"s{one}" for one in whose], targets)
    assert (own == whose).all()
    assert balanced == pytest.approx(speakers, abs=0.1)
    soft, _ = speaker_centres(features, [f"s{one}" for one in whose], np.eye(2)[targets])
    assert soft == pytest.approx(balanced, abs=1e-5)


def test_utterances_are_moved_to_other_speakers_as_often_as_asked():
    features = np.arange(12, dtype=np.float32).reshape(6, 2)
    centres = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]], np.float32), np.array([0, 0, 1, 1, 2, 2])
    plain = array_examples({"features": features}, np.zeros(6, np.int64))
    torch.manual_seed(0)
    moved = shift_speakers(plain, centres, 0.6)
    read = np.stack([moved.read([5, 0, 3])["features"] for _ in range(2000)])
    where = read - features[[5, 0, 3]] + centres[0][[2, 0, 1]]  # the centre that each has moved to
    assert {tuple(one) for one in where.reshape(-1, 2).tolist()} == {(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)}
    stayed = [(where[:, place] == centres[0][own]).all(axis=1).mean() for place, own in enumerate((2, 0, 1))]
    assert stayed == pytest.approx([0.4 + 0.6 / 3] * 3, abs=0.04)
    assert (shift_speakers(plain, centres, 0.0).read([4, 1])["features"] == features[[4, 1]]).all()
    again = moved.subset([5, 4])
    assert again.size == 2 and again.read([1])["features"].shape == (1, 2)
