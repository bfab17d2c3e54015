"""A modality: what the head of its network sees, and how often a view stands for its utterance."""

import numpy as np
import pytest
import torch

from bimodal.training.modality import view_examples


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
