import math

import pytest
import torch
from torch.nn import functional

from bimodal.models.losses.focal import check_batch, focal_loss, target_distribution


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(12, 5, generator=generator, dtype=torch.float64), torch.arange(12) % 5


def test_without_focus_and_weights_it_is_cross_entropy(batch):
    logits, targets = batch
    expected = functional.cross_entropy(logits, targets)
    assert torch.allclose(focal_loss(logits, targets, gamma=0.0), expected, rtol=1e-14, atol=0.0)


def test_a_value_worked_by_hand():
    # p = (3/4, 1/4): targets 0 and 1 give (1/4)^2 ln(4/3) and (3/4)^2 ln 4.
    logits = torch.tensor([[math.log(3.0), 0.0], [math.log(3.0), 0.0]], dtype=torch.float64)
    expected = (math.log(4 / 3) / 16 + 9 / 16 * math.log(4)) / 2
    assert focal_loss(logits, torch.tensor([0, 1])).item() == pytest.approx(expected, abs=1e-12)


def test_a_value_with_weights_worked_by_hand_and_the_mean_is_plain():
    logits = torch.tensor([[math.log(3.0), 0.0], [math.log(3.0), 0.0]], dtype=torch.float64)
    expected = (0.5 * math.log(4 / 3) / 16 + 3.0 * 9 / 16 * math.log(4)) / 2
    found = focal_loss(logits, torch.tensor([0, 1]), class_weights=torch.tensor([0.5, 3.0]))
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_the_probability_does_not_come_from_the_weighted_cross_entropy(batch):
    logits, targets = batch
    weights = torch.tensor([0.2, 0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    weighted = functional.cross_entropy(logits, targets, weights, reduction="none")
    trap = ((1 - torch.exp(-weighted)) ** 2 * weighted).mean()
    p = logits.softmax(-1)[torch.arange(12), targets]
    right = (-weights[targets] * (1 - p) ** 2 * p.log()).mean()
    found = focal_loss(logits, targets, class_weights=weights)
    assert torch.allclose(found, right)
    assert abs(found - trap) > 0.1 * right
    uniform = functional.cross_entropy(logits, targets, reduction="none")
    assert torch.allclose(focal_loss(logits, targets), ((1 - torch.exp(-uniform)) ** 2 * uniform).mean())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_soft_one_hot_targets_equal_hard_ones(batch, gamma):
    logits, targets = batch
    weights = torch.tensor([0.2, 0.5, 1.0, 2.0, 4.0])
    soft = functional.one_hot(targets, 5).double()
    hard = focal_loss(logits, targets, gamma=gamma, class_weights=weights)
    assert torch.allclose(focal_loss(logits, soft, gamma=gamma, class_weights=weights), hard, rtol=1e-12)


def test_a_soft_target_is_the_expectation_over_hard_ones(batch):
    logits, _ = batch
    first, second = (focal_loss(logits, torch.full((12,), c)) for c in (1, 3))
    soft = torch.zeros(12, 5, dtype=torch.float64)
    soft[:, 1], soft[:, 3] = 0.3, 0.7
    assert torch.allclose(focal_loss(logits, soft), 0.3 * first + 0.7 * second)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_gradients_are_right(batch, gamma):
    logits, targets = batch
    weights = torch.tensor([0.2, 0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, targets, gamma=gamma, class_weights=weights), logits)
    soft = logits.detach().flip(0).softmax(-1)
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, soft, gamma=gamma), logits)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 0.9, 2.0])
@pytest.mark.parametrize("size", [10.0, 30.0, 1e4])
@pytest.mark.parametrize("soft", [False, True])
def test_gradients_stay_finite_for_certain_logits(gamma, size, soft):
    logits = torch.tensor([[size, 0.0, -size], [-size, 0.0, size]], requires_grad=True)
    targets = torch.tensor([0, 0])
    loss = focal_loss(logits, functional.one_hot(targets, 3).float() if soft else targets, gamma=gamma)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_logits_are_widened(dtype):
    logits = torch.tensor([[40.0, -40.0], [6e4, -6e4]], dtype=dtype, requires_grad=True)
    loss = focal_loss(logits, torch.tensor([1, 0]), gamma=0.5)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_one_item_one_emotion_and_masked_emotions_are_finite():
    assert torch.isfinite(focal_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([0])))
    assert focal_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 0])).item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(focal_loss(torch.tensor([[1.0, 2.0, -math.inf]]), torch.tensor([0])))


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        focal_loss(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="one target each"):
        check_batch(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match="gamma is -1"):
        focal_loss(torch.zeros(1, 3), torch.tensor([0]), gamma=-1)
    with pytest.raises(ValueError, match=r"expected \(B, 3\)"):
        focal_loss(torch.zeros(2, 3), torch.ones(2, 2))
    with pytest.raises(ValueError, match="must be floating point"):
        target_distribution(torch.ones(2, 3, dtype=torch.long), 3)
