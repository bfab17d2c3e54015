from functools import partial

import pytest
import torch
from torch import nn

from bimodal.models.losses.focal import focal_loss
from bimodal.models.losses.gaussian import GaussianAffinity
from bimodal.models.losses.joint import affinity_gradient_ratio, joint_loss, warmed_beta
from bimodal.models.losses.pairwise import pairwise_affinity_loss
from bimodal.models.losses.setup import class_weights


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(15)
    embeddings = torch.randn(12, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    head = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return embeddings @ head, embeddings, torch.arange(12) % 4


def test_it_is_focal_plus_beta_times_affinity(batch):
    logits, embeddings, targets = batch
    weights = class_weights([3, 1, 2, 4])
    focal = partial(focal_loss, gamma=1.0, class_weights=weights)
    loss = joint_loss(logits, embeddings, targets, beta=0.3, classification=focal)
    expected = focal(logits, targets) + 0.3 * pairwise_affinity_loss(embeddings, targets)
    assert torch.allclose(loss.total, expected)
    assert loss.parts()["loss"] == pytest.approx(loss.classification.item() + 0.3 * loss.affinity.item())


def test_without_affinity_it_is_the_classification_loss(batch):
    logits, embeddings, targets = batch
    loss = joint_loss(logits, embeddings, targets, beta=1.0, affinity=None)
    assert torch.equal(loss.total, focal_loss(logits, targets))
    assert affinity_gradient_ratio(loss, embeddings) == 0.0


def test_a_module_with_prototypes_fits_and_gradients_of_the_whole_are_right(batch):
    _, embeddings, targets = batch
    affinity = GaussianAffinity(4, 6, generator=torch.Generator().manual_seed(16)).double()
    head = torch.ones(6, 4, dtype=torch.float64).triu()
    for part in (pairwise_affinity_loss, affinity):
        assert torch.autograd.gradcheck(
            lambda f, part=part: joint_loss(f @ head, f, targets, beta=0.5, affinity=part).total,
            embeddings.detach().requires_grad_(),
        )
    joint_loss(embeddings @ head, embeddings, targets, beta=0.5, affinity=affinity).total.backward()
    assert affinity.prototypes.grad is not None


def test_training_with_it_separates_the_emotions():
    generator = torch.Generator().manual_seed(17)
    targets = torch.arange(40) % 4
    signal = torch.randn(40, 8, generator=generator) * 0.3 + torch.eye(4, 8)[targets]
    network, head = nn.Linear(8, 6), nn.Linear(6, 4)
    with torch.no_grad():
        for parameter in [*network.parameters(), *head.parameters()]:
            parameter.normal_(0, 0.3, generator=generator)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=0.05)
    logged = []
    for step in range(100):
        embeddings = network(signal)
        loss = joint_loss(head(embeddings), embeddings, targets, beta=warmed_beta(1.0, step, 100))
        logged.append(loss.parts())
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
    assert logged[0]["beta"] == 0.0
    assert logged[-1]["beta"] == 1.0
    assert logged[-1]["affinity"] < 0.3 * logged[0]["affinity"]
    assert (head(network(signal)).argmax(1) == targets).float().mean() > 0.9


def test_beta_rises_linearly_over_the_first_tenth_and_stays():
    betas = [warmed_beta(3.0, step, 1000) for step in range(1000)]
    assert betas[0] == 0.0
    assert betas[50] == pytest.approx(1.5)
    assert betas == sorted(betas)
    assert set(betas[100:]) == {3.0}
    assert warmed_beta(3.0, 0, 1000, warmup=0.0) == 3.0
    assert warmed_beta(3.0, 0, 1) == 0.0


@pytest.mark.parametrize("options", [{"step": -1}, {"total_steps": 0}, {"warmup": 1.5}])
def test_a_warm_up_out_of_range_is_refused(options):
    with pytest.raises(ValueError, match="expected step >= 0"):
        warmed_beta(**({"beta": 1.0, "step": 0, "total_steps": 10} | options))


def test_a_negative_beta_is_refused():
    with pytest.raises(ValueError, match="beta is -1"):
        joint_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]), beta=-1)


def test_the_gradient_ratio_is_that_of_the_parts_and_leaves_the_graph_usable(batch):
    logits, embeddings, targets = batch
    loss = joint_loss(logits, embeddings, targets, beta=2.0)
    ratio = affinity_gradient_ratio(loss, embeddings)
    (pull,) = torch.autograd.grad(2.0 * loss.affinity, embeddings, retain_graph=True)
    (push,) = torch.autograd.grad(loss.classification, embeddings, retain_graph=True)
    assert ratio == pytest.approx((pull.norm() / push.norm()).item(), rel=1e-6)
    loss.total.backward()
    half = joint_loss(embeddings.detach() @ torch.ones(6, 4).double(), embeddings, targets, beta=1.0)
    assert affinity_gradient_ratio(half, embeddings) == float("inf")


def test_the_gradient_ratio_of_detached_embeddings_is_refused(batch):
    logits, embeddings, targets = batch
    with pytest.raises(ValueError, match="carry no gradient"):
        affinity_gradient_ratio(joint_loss(logits, embeddings, targets, beta=1.0), embeddings.detach())


def test_one_item_one_emotion_and_16_bit_batches_are_finite():
    for targets in (torch.tensor([1]), torch.tensor([2, 2, 2])):
        f = torch.ones(len(targets), 4, dtype=torch.float16)
        assert torch.isfinite(joint_loss(f * 1e4, f, targets, beta=10.0).total)
