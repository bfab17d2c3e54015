"""Pairwise affinity loss: utterances of one emotion point one way, those of different emotions at right angles."""

import torch
from torch import Tensor

from bimodal.models.losses.focal import check_batch, target_distribution, widened
from bimodal.models.losses.setup import BatchLoss, LossSetup

SHORTEST = 1e-6  # an embedding below this norm has no direction worth following


def unit_rows(embeddings: Tensor) -> Tensor:
    """Embeddings scaled to length 1, (..., D).

    A row of zeros (a dead ReLU layer) has no direction: it stays zero and gets no gradient, where dividing by a small
    constant would send it a gradient of a million.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    rows = widened(embeddings)
    norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    alive = norm > SHORTEST
    return torch.where(alive, rows / torch.where(alive, norm, 1.0), 0.0)


def pairwise_affinity_loss(embeddings: Tensor, targets: Tensor, *, balanced: bool = True) -> Tensor:
    r"""How far the embeddings' cosines are from "1 within an emotion, 0 between two".

    $$L = \frac{1}{B^2}\lVert VV^\top - YY^\top\rVert_F^2
        = \frac{1}{B^2}\left(\lVert V^\top V\rVert^2 - 2\lVert V^\top Y\rVert^2 + \lVert Y^\top Y\rVert^2\right)$$

    V (B, D) are the embeddings at length 1, Y (B, C) the targets. The right-hand form is the one computed: it costs
    B D^2 and never builds the B x B pairs. The balanced form keeps frequent emotions from owning the pairs,

    $$L = \frac{1}{K^2}\lVert S(VV^\top - YY^\top)S\rVert_F^2,\qquad S_{ii}^2 = \sum_c y_{ic} / n_c,
        \quad n_c = \sum_i y_{ic}$$

    with K emotions present; on a balanced batch both are equal. It is 0 when every emotion is one direction and these
    are orthogonal, which needs D >= C. Form: deep clustering, Hershey et al. 2016, arXiv 1508.04306; for speech
    emotions after Zhang, Zou et al., ICANN 2019. Used in training only.

    A soft target is a row of Y, so a pair's wanted cosine is the probability that independent draws from the two
    targets agree. An utterance's cosine with itself is always 1, so a batch with soft targets cannot reach 0. With
    label smoothing every emotion counts as present.

    Args:
        embeddings: (B, D), of any length.
        targets: Integers (B,), or distributions (B, C).
        balanced: Whether every emotion of the batch counts the same.

    Returns:
        A scalar between 0 (may fall below by a rounding error) and 1 for integer targets and non-negative
        cosines; an opposite pair can raise it further.

    Raises:
        ValueError: If shapes do not fit.

    Example:
        >>> same, other = [1.0, 0.0], [0.0, 1.0]
        >>> pairwise_affinity_loss(torch.tensor([same, same, other]), torch.tensor([0, 0, 1])).item()
        0.0
        >>> pairwise_affinity_loss(torch.tensor([same, same]), torch.tensor([0, 1])).item()  # two of four pairs wrong
        0.5
    """
    check_batch(embeddings, targets)
    emotions = targets.shape[1] if targets.is_floating_point() else int(targets.max()) + 1
    # Under autocast the products would be rounded to 16 bits, and the right-hand form is a difference of large sums.
    with torch.autocast(embeddings.device.type, enabled=False):
        directions = unit_rows(embeddings)
        truth = target_distribution(targets, emotions).to(directions)
        scale = float(len(truth))
        if balanced:
            mass = truth.sum(0)
            weights = (truth / torch.where(mass > 0, mass, 1.0)).sum(1, keepdim=True).sqrt()
            directions, truth, scale = directions * weights, truth * weights, float((mass > 0).sum())
        within = (directions.mT @ directions).square().sum()
        between = (directions.mT @ truth).square().sum()
        return (within - 2 * between + (truth.mT @ truth).square().sum()) / scale**2


def make_pairwise(setup: LossSetup) -> BatchLoss:
    """The pairwise affinity loss of a stage, for the table `LOSSES`; it depends on nothing."""
    return pairwise_affinity_loss
