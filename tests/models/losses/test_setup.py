"""Weights of emotions: the mean weight of an utterance is 1, whatever the kind."""

import pytest
import torch

from bimodal.models.losses.setup import class_weights


@pytest.mark.parametrize("kind", ["none", "balanced", "sqrt"])
def test_the_mean_weight_of_an_utterance_is_1(kind):
    counts = torch.tensor([90.0, 0.0, 10.0, 400.0])
    weights = class_weights([90, 0, 10, 400], kind)
    assert (weights * counts).sum().item() == pytest.approx(500.0)
    assert weights[1] == (1.0 if kind == "none" else 0.0)


def test_class_weights_worked_by_hand():
    assert class_weights([30, 10], "none").tolist() == [1.0, 1.0]
    assert class_weights([30, 10], "balanced").tolist() == pytest.approx([2 / 3, 2.0])
    root = class_weights([16, 4], "sqrt")  # 1/4 and 1/2, times 20 / (4 + 2)
    assert root.tolist() == pytest.approx([5 / 6, 5 / 3])


def test_bad_counts_and_kinds_are_refused():
    with pytest.raises(ValueError, match=r"'equal', expected one of \['none', 'balanced', 'sqrt'\]"):
        class_weights([1, 2], "equal")
    for counts in ([], [0, 0], [3, -1]):
        with pytest.raises(ValueError, match="counts are"):
            class_weights(counts)
