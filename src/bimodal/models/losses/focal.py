"""Focal loss over several emotions, and the two conventions that every loss of this folder shares.

Targets are integers (B,) or distributions (B, C) (mixed clips, several raters). 16-bit tensors are widened to float32.
"""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from bimodal.models.losses.setup import BatchLoss, LossSetup
from bimodal.models.losses.setup import class_weights as weights_of


def widened(values: Tensor) -> Tensor:
    """The tensor in float32, or in float64 where it came so: 16 bits are too few for exponents and differences.

    Example:
        >>> widened(torch.ones(2, dtype=torch.float16)).dtype
        torch.float32
    """
    return values if values.dtype == torch.float64 else values.float()


def target_distribution(targets: Tensor, emotions: int) -> Tensor:
    """Targets as one distribution over the emotions per utterance, (B, C); integers become one-hot rows.

    Args:
        targets: Integers (B,) in [0, C), or distributions (B, C), handed back as they are.
        emotions: C.

    Raises:
        ValueError: If the targets are neither.

    Example:
        >>> target_distribution(torch.tensor([1, 0]), 2)
        tensor([[0., 1.],
                [1., 0.]])
    """
    if targets.is_floating_point():
        if targets.ndim != 2 or targets.shape[1] != emotions:
            msg = f"soft targets have shape {tuple(targets.shape)}, expected (B, {emotions})"
            raise ValueError(msg)
        return widened(targets)
    if targets.ndim != 1:
        msg = f"integer targets have shape {tuple(targets.shape)}, expected (B,); distributions must be floating point"
        raise ValueError(msg)
    return functional.one_hot(targets.long(), emotions).float()


def check_batch(rows: Tensor, targets: Tensor) -> None:
    """Refuses a batch whose logits or embeddings are not (B, something), B >= 1, with one target each.

    Raises:
        ValueError: If so; the message shows both shapes.

    Example:
        >>> check_batch(torch.zeros(3, 4), torch.zeros(2))
        Traceback (most recent call last):
        ValueError: batch of shape (3, 4) and targets of shape (2,), expected (B, ...), B >= 1, with one target each
    """
    if rows.ndim != 2 or not len(rows) or len(rows) != len(targets):
        found = f"batch of shape {tuple(rows.shape)} and targets of shape {tuple(targets.shape)}"
        msg = f"{found}, expected (B, ...), B >= 1, with one target each"
        raise ValueError(msg)


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, class_weights: Tensor | None = None) -> Tensor:
    r"""Cross-entropy that looks away from what is already recognised (Lin et al. 2017, arXiv 1708.02002).

    $$L = -\frac1B \sum_i \sum_c y_{ic}\, a_c\, (1 - p_{ic})^\gamma \log p_{ic}, \qquad p = \mathrm{softmax}(z)$$

    With integer targets the inner sum has one term, the true emotion's; a soft target is the expectation of that term.
    `gamma=0` without weights is cross-entropy exactly. Two traps: p is taken from the *unweighted* softmax (not as
    exp(-weighted cross-entropy)), and the mean is plain, over the batch, while
    `torch.nn.functional.cross_entropy` with weights divides by their sum.

    Args:
        logits: (B, C).
        targets: Integers (B,) in [0, C), or distributions (B, C).
        gamma: How strongly to look away; 0 not at all, 2 in the paper.
        class_weights: a, (C,); see `bimodal.models.losses.setup.class_weights`. None is 1 for all.

    Returns:
        A scalar >= 0, in float32 (float64 for float64 logits).

    Raises:
        ValueError: If shapes do not fit or gamma is negative.

    Example:
        >>> round(focal_loss(torch.zeros(1, 2), torch.tensor([0])).item(), 4)  # (1 - 1/2)^2 ln 2
        0.1733
    """
    check_batch(logits, targets)
    if gamma < 0:
        msg = f"gamma is {gamma}, expected at least 0"
        raise ValueError(msg)
    log_p = functional.log_softmax(widened(logits), dim=-1)
    # At p = 1 the slope of (1 - p)^gamma is infinite for gamma < 1, and 0 * inf is NaN: stop one rounding step short.
    miss = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps)
    terms = -(miss**gamma) * log_p
    if class_weights is not None:
        terms = terms * class_weights.to(terms)
    if targets.is_floating_point():
        return (target_distribution(targets, logits.shape[1]).to(terms) * terms).sum(-1).mean()
    return terms.gather(1, targets.long().unsqueeze(1)).mean()


def make_focal(setup: LossSetup) -> BatchLoss:
    """The focal loss of a stage, for the table `LOSSES`."""
    weights = weights_of(setup.counts.tolist(), setup.weighting).to(setup.counts.device)
    return partial(focal_loss, gamma=setup.gamma, class_weights=weights)
