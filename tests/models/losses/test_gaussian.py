import math

import pytest
import torch
from torch.nn import functional

from bimodal.models.losses.gaussian import GaussianAffinity, reachable_margin


def made(emotions, width, **options):
    return GaussianAffinity(emotions, width, generator=torch.Generator().manual_seed(7), **options).double()


def with_prototypes(rows, **options):
    prototypes = torch.tensor(rows, dtype=torch.float64)
    loss = made(len(rows), prototypes.shape[-1], per_emotion=prototypes.shape[1], **options)
    loss.prototypes.data = prototypes
    return loss


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(8)
    return torch.randn(9, 6, generator=generator, dtype=torch.float64) * 5, torch.arange(9) % 4


def test_values_worked_by_hand():
    # f is the first of two orthogonal prototypes: s = (1, exp(-2)) at sigma 1; the other emotion's hinge is full.
    loss = with_prototypes([[[1.0, 0.0]], [[0.0, 3.0]]], margin=0.75)
    f = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(loss.affinities(f), torch.tensor([[1.0, math.exp(-2)]], dtype=torch.float64))
    assert loss(f, torch.tensor([0])).item() == 0.0
    assert loss(f, torch.tensor([1])).item() == pytest.approx(0.75 + 1 - math.exp(-2), abs=1e-12)
    # Squared distance of (0.6, 0.8) to the first is 0.8, to the second 0.4.
    leaning = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    expected = 0.75 + math.exp(-0.8) - math.exp(-0.4)
    assert loss(leaning, torch.tensor([1])).item() == pytest.approx(expected, abs=1e-12)


def test_the_nearest_prototype_of_an_emotion_counts():
    loss = with_prototypes([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]])
    f = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(loss.affinities(f)[:, 0], torch.ones(2, dtype=torch.float64))


def test_the_regulariser_is_0_for_three_even_centres_where_a_kept_diagonal_gives_4():
    loss = with_prototypes([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]])
    assert loss.regulariser().item() == pytest.approx(0.0, abs=1e-12)
    distances = torch.cdist(loss.prototypes[:, 0], loss.prototypes[:, 0]).square()
    port = (distances - distances.sum() / 6).square().sum() * 2 / 6
    assert port.item() == pytest.approx(4.0)


def test_the_regulariser_is_0_on_a_simplex_and_for_two_emotions():
    simplex = torch.eye(5, dtype=torch.float64) - 0.2
    assert with_prototypes(simplex.unsqueeze(1).tolist()).regulariser().item() == pytest.approx(0.0, abs=1e-12)
    assert with_prototypes([[[1.0, 2.0]], [[3.0, -1.0]]]).regulariser().item() == 0.0
    assert with_prototypes([[[1.0, 2.0], [0.0, 1.0]], [[3.0, -1.0], [1.0, 0.5]]]).regulariser().item() == 0.0


def test_the_regulariser_of_uneven_centres_worked_by_hand():
    # Squared distances 4, 2, 2: mean 8/3, population variance 8/9.
    loss = with_prototypes([[[1.0, 0.0]], [[-1.0, 0.0]], [[0.0, 1.0]]])
    assert loss.regulariser().item() == pytest.approx(8 / 9, abs=1e-12)


def test_with_several_prototypes_the_regulariser_is_the_variance_of_mean_distances_between_emotions():
    loss = made(4, 6, per_emotion=3)
    loss.prototypes.data.normal_(generator=torch.Generator().manual_seed(9))
    w = functional.normalize(loss.prototypes, dim=-1)
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    distances = torch.stack([torch.cdist(w[a], w[b]).square().mean() for a, b in pairs])
    assert torch.allclose(loss.regulariser(), distances.var(correction=0))


def test_compact_emotions_are_not_pushed_apart_by_the_regulariser():
    compact = [[row, row] for row in torch.eye(4).tolist()]  # both prototypes of an emotion coincide
    assert with_prototypes(compact).regulariser().item() == pytest.approx(0.0, abs=1e-12)


def test_with_the_defaults_a_perfect_batch_costs_nothing():
    for emotions in (2, 4, 8):
        loss = made(emotions, 16)
        targets = torch.arange(emotions).repeat(2)
        assert loss(loss.prototypes[targets, 0] * 30, targets).item() == pytest.approx(0.0, abs=1e-12)


def test_a_wide_embedding_still_has_a_gradient():
    loss = made(8, 512)
    f = torch.randn(16, 512, generator=torch.Generator().manual_seed(10), dtype=torch.float64) * 20
    f.requires_grad_()
    loss(f, torch.arange(16) % 8).backward()
    assert f.grad.norm(dim=1).min() > 0
    assert loss.prototypes.grad.abs().sum() > 0


def test_soft_one_hot_targets_equal_hard_ones(batch):
    embeddings, targets = batch
    loss = made(4, 6, per_emotion=2)
    soft = functional.one_hot(targets, 4).double()
    assert torch.allclose(loss(embeddings, soft), loss(embeddings, targets))


def test_rotating_embeddings_and_prototypes_or_reordering_the_batch_changes_nothing(batch):
    embeddings, targets = batch
    loss = made(4, 6)
    expected = loss(embeddings, targets).item()
    order = torch.tensor([3, 1, 8, 0, 2, 7, 5, 6, 4])
    assert loss(embeddings[order], targets[order]).item() == pytest.approx(expected)
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(11), dtype=torch.float64))
    loss.prototypes.data = loss.prototypes.data @ rotation
    assert loss(embeddings @ rotation, targets).item() == pytest.approx(expected)


@pytest.mark.parametrize("per_emotion", [1, 3])
def test_gradients_are_right_for_embeddings_and_prototypes(batch, per_emotion):
    embeddings, targets = batch
    loss = made(4, 6, per_emotion=per_emotion)
    loss.prototypes.data.normal_(generator=torch.Generator().manual_seed(12))
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f, w: torch.func.functional_call(loss, {"prototypes": w}, (f, targets)), (embeddings, loss.prototypes)
    )


@pytest.mark.parametrize("targets", [[0], [2, 2, 2]])
def test_one_item_and_one_emotion_batches_are_finite(targets):
    loss = made(4, 6)
    f = torch.zeros(len(targets), 6, dtype=torch.float64, requires_grad=True)  # the hardest: no direction at all
    found = loss(f, torch.tensor(targets))
    found.backward()
    assert torch.isfinite(found)
    assert torch.isfinite(f.grad).all()
    assert torch.isfinite(loss.prototypes.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_embeddings_are_widened(batch, dtype):
    embeddings, targets = batch
    loss = made(4, 6).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss((embeddings * 1000).to(dtype), targets)
    assert found.dtype == torch.float32
    assert torch.isfinite(found)


def test_a_margin_out_of_reach_is_refused():
    assert reachable_margin(2, 1.0) == pytest.approx(1 - math.exp(-4))
    with pytest.raises(ValueError, match=r"margin is 0\.75, expected between 0 and 0\.681"):
        GaussianAffinity(8, 16, sigma=2.0)
    with pytest.raises(ValueError, match="emotions=1"):
        GaussianAffinity(1, 16)
    with pytest.raises(ValueError, match="sigma=0"):
        GaussianAffinity(4, 16, sigma=0)


def test_the_same_generator_gives_the_same_prototypes():
    assert torch.equal(made(5, 8).prototypes, made(5, 8).prototypes)
