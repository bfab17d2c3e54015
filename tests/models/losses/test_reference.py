import math

import pytest
import torch
from torch.nn import functional

from bimodal.models.losses.reference import CenterLoss, adjusted_cross_entropy, supervised_contrastive_loss


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(13)
    return torch.randn(8, 4, generator=generator, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])


def test_unadjusted_it_is_cross_entropy_and_equal_priors_change_nothing(batch):
    logits, targets = batch
    expected = functional.cross_entropy(logits, targets)
    assert torch.allclose(adjusted_cross_entropy(logits, targets), expected)
    assert torch.allclose(adjusted_cross_entropy(logits, targets, priors=torch.full((4,), 0.25)), expected)


def test_adjusted_cross_entropy_worked_by_hand():
    # Adjusted logits ln(1 * 3/4), ln(3 * 1/4): an even chance.
    logits = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64)
    priors = torch.tensor([0.75, 0.25], dtype=torch.float64)
    assert adjusted_cross_entropy(logits, torch.tensor([0]), priors=priors).item() == pytest.approx(math.log(2))
    smoothed = adjusted_cross_entropy(logits, torch.tensor([0]), smoothing=0.2)
    assert smoothed.item() == pytest.approx(0.9 * math.log(4) + 0.1 * math.log(4 / 3))


def test_adjusted_cross_entropy_takes_soft_targets_and_16_bits_and_has_right_gradients(batch):
    logits, targets = batch
    soft = functional.one_hot(targets, 4).double()
    priors = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    assert torch.allclose(adjusted_cross_entropy(logits, soft, priors=priors),
                          adjusted_cross_entropy(logits, targets, priors=priors))  # fmt: skip
    assert torch.isfinite(adjusted_cross_entropy((logits * 1e4).half(), targets, priors=priors, smoothing=0.1))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: adjusted_cross_entropy(z, targets, priors=priors, smoothing=0.1), logits)


def test_a_prior_of_zero_is_refused():
    with pytest.raises(ValueError, match="expected 2 numbers above 0"):
        adjusted_cross_entropy(torch.zeros(1, 2), torch.tensor([0]), priors=torch.tensor([1.0, 0.0]))


def test_center_loss_and_its_update_worked_by_hand():
    loss = CenterLoss(2, 2, rate=0.5)
    loss.centers.copy_(torch.tensor([[1.0, 0.0], [5.0, 5.0]]))
    f = torch.tensor([[2.0, 0.0], [1.0, 3.0]], requires_grad=True)
    found = loss(f, torch.tensor([0, 0]))
    assert found.item() == pytest.approx((1 + 9) / 2 / 2)
    # Sum of (c - f) is (-1, -3), over 1 + 2, times 0.5; the absent emotion stays.
    assert torch.allclose(loss.centers, torch.tensor([[1 + 1 / 6, 0.5], [5.0, 5.0]]))
    found.backward()  # against the centres before the move
    assert torch.allclose(f.grad, torch.tensor([[0.5, 0.0], [0.0, 1.5]]))


def test_centers_move_in_training_only_and_find_the_means(batch):
    embeddings, targets = batch
    loss = CenterLoss(4, 4)
    loss.eval()(embeddings, targets)
    assert not loss.centers.any()
    loss.train()
    for _ in range(200):
        loss(embeddings, targets)
    assert torch.allclose(loss.centers[1].double(), embeddings[3:5].mean(0), atol=1e-5)
    assert "centers" in loss.state_dict()


def test_center_loss_takes_soft_targets_16_bits_and_small_batches_and_has_right_gradients(batch):
    embeddings, targets = batch
    loss = CenterLoss(4, 4).eval()
    loss.centers.normal_(generator=torch.Generator().manual_seed(14))
    soft = functional.one_hot(targets, 4).double()
    assert torch.allclose(loss(embeddings, soft), loss(embeddings, targets))
    assert torch.isfinite(loss.train()(embeddings.half()[:1], targets[:1]))
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: loss.eval()(f, targets), embeddings)


def loop_form(embeddings, targets, temperature):
    rows = functional.normalize(embeddings, dim=1)
    terms = []
    for i in range(len(rows)):
        others = [j for j in range(len(rows)) if j != i]
        partners = [j for j in others if targets[j] == targets[i]]
        if partners:
            floor = torch.logsumexp(torch.stack([rows[i] @ rows[k] for k in others]) / temperature, 0)
            terms.append(-sum(rows[i] @ rows[j] / temperature - floor for j in partners) / len(partners))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_supervised_contrastive_loss_matches_its_definition(batch, temperature):
    embeddings, targets = batch
    expected = loop_form(embeddings, targets, temperature)
    assert torch.allclose(supervised_contrastive_loss(embeddings, targets, temperature=temperature), expected)
    soft = functional.one_hot(targets, 4).double()
    assert torch.allclose(supervised_contrastive_loss(embeddings, soft, temperature=temperature), expected)


def test_supervised_contrastive_gradients_are_right(batch):
    embeddings, targets = batch
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: supervised_contrastive_loss(f, targets), embeddings)


@pytest.mark.parametrize("targets", [[0], [1, 1], [0, 1, 2]])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_supervised_contrastive_loss_is_finite_without_partners_and_in_16_bits(targets, dtype):
    f = torch.ones(len(targets), 3, dtype=dtype, requires_grad=True)
    loss = supervised_contrastive_loss(f, torch.tensor(targets))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(f.grad).all()
    if len(set(targets)) == len(targets):
        assert loss.item() == 0.0
