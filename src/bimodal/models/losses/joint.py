"""The joint loss of the method, focal + beta * affinity, with what a training loop needs around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bimodal.models.losses.focal import focal_loss
from bimodal.models.losses.pairwise import pairwise_affinity_loss
from bimodal.models.losses.setup import BatchLoss


@dataclass(frozen=True, kw_only=True, slots=True)
class JointLoss:
    """A batch's joint loss and its parts, all scalars.

    Attributes:
        total: classification + beta * affinity; what to call `backward` on.
        classification: The loss on the logits.
        affinity: The loss on the embeddings, before beta; 0 if there is none.
        beta: The weight that was used.
    """

    total: Tensor
    classification: Tensor
    affinity: Tensor
    beta: float

    def parts(self) -> dict[str, float]:
        """Plain numbers for a log line; waits for the device."""
        losses = {"loss": self.total, "classification": self.classification, "affinity": self.affinity}
        return {name: loss.item() for name, loss in losses.items()} | {"beta": self.beta}


def joint_loss(
    logits: Tensor,
    embeddings: Tensor,
    targets: Tensor,
    *,
    beta: float,
    classification: BatchLoss = focal_loss,
    affinity: BatchLoss | None = pairwise_affinity_loss,
) -> JointLoss:
    """Classification loss on the logits plus beta times affinity loss on the embeddings.

    Both are functions of a batch and its targets, so any two can be joined; bind their options first, for example
    `partial(focal_loss, gamma=1.0, class_weights=weights)`. An `nn.Module` such as `GaussianAffinity` fits as it is;
    its parameters must then be given to the optimiser.

    Args:
        logits: (B, C), computed from the embeddings.
        embeddings: (B, D).
        targets: Integers (B,), or distributions (B, C).
        beta: Weight of the affinity; see `warmed_beta`.
        classification: Loss of logits and targets.
        affinity: Loss of embeddings and targets; None for classification alone.

    Raises:
        ValueError: If beta is negative or shapes do not fit.

    Example:
        >>> embeddings, targets = torch.eye(2), torch.tensor([0, 0])
        >>> loss = joint_loss(torch.zeros(2, 2), embeddings, targets, beta=0.5)
        >>> {name: round(value, 4) for name, value in loss.parts().items()}
        {'loss': 0.4233, 'classification': 0.1733, 'affinity': 0.5, 'beta': 0.5}
    """
    if beta < 0:
        msg = f"beta is {beta}, expected at least 0"
        raise ValueError(msg)
    first = classification(logits, targets)
    second = torch.zeros_like(first) if affinity is None else affinity(embeddings, targets)
    return JointLoss(total=first + beta * second, classification=first, affinity=second, beta=beta)


def warmed_beta(beta: float, step: int, total_steps: int, *, warmup: float = 0.1) -> float:
    """Beta at a step: linear from 0 at step 0 to its full value after the first `warmup` of all steps.

    Early on the embeddings are noise, and pulling noise together only costs.

    Args:
        beta: Full value.
        step: From 0.
        total_steps: Of the whole training, at least 1.
        warmup: Share of the steps, 0 (full at once) to 1.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> [warmed_beta(2.0, step, 100) for step in (0, 5, 10, 99)]
        [0.0, 1.0, 2.0, 2.0]
    """
    if step < 0 or total_steps < 1 or not 0 <= warmup <= 1:
        found = f"step={step}, total_steps={total_steps}, warmup={warmup}"
        msg = f"got {found}, expected step >= 0, total_steps >= 1, warmup between 0 and 1"
        raise ValueError(msg)
    ramp = warmup * total_steps
    return beta if step >= ramp else beta * step / ramp


def affinity_gradient_ratio(
    loss: JointLoss, *shared: Tensor, averaged: Callable[[Tensor], Tensor] = lambda gradient: gradient
) -> float:
    r"""How hard the affinity pulls at what it shares with the classification, to be logged.

    $$\lVert \beta\, \partial L_\text{affinity} / \partial f\rVert \,/\, \lVert \partial L_\text{classification} /
        \partial f\rVert$$

    At one beta it was seen between 0.03 and 0.7 depending on the embeddings' length alone. Call it before `backward`,
    which frees the graph; costs two backward passes down to f.

    Args:
        loss: Of this batch.
        shared: f, the embeddings that logits and affinity were computed from, or the parameters in front of them;
            those that the affinity does not reach count in neither norm.
        averaged: Takes each gradient; the mean over processes where several share the batch.

    Returns:
        The ratio; `inf` where only the classification has no gradient left, 0 if the affinity has none.

    Raises:
        ValueError: If nothing of it is part of a graph.

    Example:
        >>> embeddings = torch.eye(2, requires_grad=True)
        >>> loss = joint_loss(embeddings @ torch.ones(2, 2), embeddings, torch.tensor([0, 0]), beta=0.0)
        >>> affinity_gradient_ratio(loss, embeddings)
        0.0
    """
    if not any(tensor.requires_grad for tensor in shared):
        msg = "embeddings carry no gradient; expected those of the forward pass, before detach and outside no_grad"
        raise ValueError(msg)
    pulls = [None if pull is None else averaged(pull) for pull in _gradients(loss.affinity, shared)]
    reached = [tensor for tensor, pull in zip(shared, pulls, strict=True) if pull is not None]
    affinity = loss.beta * _norm(pulls)
    if affinity == 0.0:
        return 0.0
    classification = _norm([None if one is None else averaged(one) for one in _gradients(loss.classification, reached)])
    return affinity / classification if classification > 0 else float("inf")


def _gradients(loss: Tensor, shared: Sequence[Tensor]) -> Sequence[Tensor | None]:
    if not loss.requires_grad:  # no affinity at all: a constant
        return [None] * len(shared)
    return torch.autograd.grad(loss, list(shared), retain_graph=True, allow_unused=True)


def _norm(gradients: Sequence[Tensor | None]) -> float:
    known = [torch.linalg.vector_norm(gradient.detach().float()) for gradient in gradients if gradient is not None]
    return float(torch.linalg.vector_norm(torch.stack(known))) if known else 0.0
