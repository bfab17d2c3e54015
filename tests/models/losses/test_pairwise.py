import pytest
import torch
from torch.nn import functional

from bimodal.models.losses.pairwise import pairwise_affinity_loss, unit_rows

BALANCED = pytest.mark.parametrize("balanced", [True, False])


def definition(embeddings, truth, balanced):
    """The N x N form of the formula, which the product never builds."""
    rows = functional.normalize(embeddings, dim=1)
    error = rows @ rows.T - truth @ truth.T
    if not balanced:
        return error.square().sum() / len(rows) ** 2
    mass = truth.sum(0)
    present = mass > 0
    scale = (truth[:, present] / mass[present]).sum(1).sqrt().diag()
    return (scale @ error @ scale).square().sum() / present.sum() ** 2


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(2)
    targets = torch.tensor([0, 0, 0, 0, 0, 2, 2, 3, 3, 3])  # emotion 1 is absent
    return torch.randn(10, 6, generator=generator, dtype=torch.float64) * 7, targets


@BALANCED
def test_it_matches_its_definition_over_all_pairs(batch, balanced):
    embeddings, targets = batch
    expected = definition(embeddings, functional.one_hot(targets).double(), balanced)
    assert torch.allclose(pairwise_affinity_loss(embeddings, targets, balanced=balanced), expected, rtol=1e-10)


@BALANCED
def test_it_matches_its_definition_with_soft_targets(batch, balanced):
    embeddings, _ = batch
    truth = torch.rand(10, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    truth = truth / truth.sum(1, keepdim=True)
    expected = definition(embeddings, truth, balanced)
    assert torch.allclose(pairwise_affinity_loss(embeddings, truth, balanced=balanced), expected, rtol=1e-10)


@BALANCED
def test_soft_one_hot_targets_equal_hard_ones_even_with_absent_emotions(batch, balanced):
    embeddings, targets = batch
    soft = pairwise_affinity_loss(embeddings, functional.one_hot(targets, 9).double(), balanced=balanced)
    assert torch.allclose(soft, pairwise_affinity_loss(embeddings, targets, balanced=balanced))


@BALANCED
def test_a_perfect_batch_costs_nothing(batch, balanced):
    _, targets = batch
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64))
    lengths = torch.arange(1.0, 11.0, dtype=torch.float64).unsqueeze(1)
    assert abs(pairwise_affinity_loss(rotation[targets] * lengths, targets, balanced=balanced).item()) < 1e-12


def test_values_worked_by_hand():
    # Cosines 1, 0.6; emotions a a b: errors are 0.6 in the four entries of the two pairs (1, 3) and (2, 3).
    embeddings = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    targets = torch.tensor([0, 0, 1])
    plain = pairwise_affinity_loss(embeddings, targets, balanced=False)
    assert plain.item() == pytest.approx(4 * 0.36 / 9, abs=1e-12)
    # S S weighs each such entry by 1 / (2 * 1) when squared; two emotions.
    assert pairwise_affinity_loss(embeddings, targets).item() == pytest.approx(4 * 0.36 / 2 / 4, abs=1e-12)


def test_both_forms_are_equal_on_a_balanced_batch(batch):
    embeddings, _ = batch
    targets = torch.tensor([0, 1, 2, 3, 4] * 2)
    forms = [pairwise_affinity_loss(embeddings, targets, balanced=balanced) for balanced in (True, False)]
    assert torch.allclose(forms[0], forms[1])


def test_the_balanced_form_does_not_change_when_an_emotion_is_repeated(batch):
    embeddings, targets = batch
    more = torch.cat([torch.arange(10), torch.arange(5), torch.arange(5)])  # emotion 0 three times
    once = pairwise_affinity_loss(embeddings, targets)
    assert torch.allclose(pairwise_affinity_loss(embeddings[more], targets[more]), once)
    plain = pairwise_affinity_loss(embeddings, targets, balanced=False)
    assert not torch.allclose(pairwise_affinity_loss(embeddings[more], targets[more], balanced=False), plain)


@BALANCED
def test_rotating_the_space_scaling_a_row_or_reordering_the_batch_changes_nothing(batch, balanced):
    embeddings, targets = batch
    generator = torch.Generator().manual_seed(5)
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    order = torch.randperm(10, generator=generator)
    renamed = torch.tensor([3, 9, 0, 1])[targets]
    expected = pairwise_affinity_loss(embeddings, targets, balanced=balanced)
    for other, truth in (
        (embeddings @ rotation, targets),
        (embeddings * torch.arange(1, 11).unsqueeze(1), targets),
        (embeddings[order], targets[order]),
        (embeddings, renamed),
    ):
        assert torch.allclose(pairwise_affinity_loss(other, truth, balanced=balanced), expected)


@BALANCED
def test_gradients_are_right(batch, balanced):
    embeddings, targets = batch
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: pairwise_affinity_loss(f, targets, balanced=balanced), embeddings)


@BALANCED
@pytest.mark.parametrize("targets", [[0], [3], [2, 2, 2], [0, 1, 2]])
def test_one_item_and_one_emotion_batches_are_finite(targets, balanced):
    embeddings = torch.randn(len(targets), 4, generator=torch.Generator().manual_seed(6), requires_grad=True)
    loss = pairwise_affinity_loss(embeddings, torch.tensor(targets), balanced=balanced)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(embeddings.grad).all()


def test_a_row_of_zeros_gets_no_gradient_and_no_nan():
    embeddings = torch.tensor([[0.0, 0.0], [1.0, 2.0]], requires_grad=True)
    pairwise_affinity_loss(embeddings, torch.tensor([0, 0])).backward()
    assert torch.equal(embeddings.grad[0], torch.zeros(2))
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_embeddings_are_widened_and_autocast_does_not_narrow_them(batch, dtype):
    embeddings, targets = batch
    narrow = (embeddings * 1000).to(dtype)  # squares beyond the reach of float16
    expected = pairwise_affinity_loss(narrow.double(), targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pairwise_affinity_loss(narrow, targets)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_pairs_are_never_built():
    rows = torch.ones(100_000, 2, dtype=torch.float64)  # B x B would take 80 GB
    assert pairwise_affinity_loss(rows, torch.zeros(100_000, dtype=torch.long)).item() == pytest.approx(0.0, abs=1e-9)


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(0, 4\)"):
        pairwise_affinity_loss(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="one target each"):
        pairwise_affinity_loss(torch.zeros(2, 4), torch.tensor([1]))


def test_unit_rows_have_length_one_even_for_tiny_and_huge_rows():
    rows = unit_rows(torch.tensor([[1e-5, 0.0], [3e15, 4e15]]))
    assert torch.allclose(rows, torch.tensor([[1.0, 0.0], [0.6, 0.8]]))
