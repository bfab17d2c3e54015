"""What a loss is made from: the settings of a stage and the counts of its training data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

BatchLoss = Callable[[Tensor, Tensor], Tensor]
"""A loss: logits (B, C) or embeddings (B, D), and targets, to a scalar. A module's parameters are trained, too."""

Weighting = Literal["none", "balanced", "sqrt"]


@dataclass(frozen=True, kw_only=True)
class LossSetup:
    """What a stage tells a loss of the table `LOSSES` about itself.

    Attributes:
        counts: Training utterances of each emotion, (C,), float32; soft targets by share.
        embedding_width: D.
        gamma: Focusing exponent, from `LossConfig`.
        weighting: How much rare emotions count more, from `LossConfig.class_weights`.
    """

    counts: Tensor
    embedding_width: int
    gamma: float = 2.0
    weighting: Weighting = "none"

    @property
    def emotions(self) -> int:
        """C."""
        return len(self.counts)


def class_weights(counts: Sequence[float], kind: Weighting = "balanced") -> Tensor:
    r"""Weights of the emotions from their number of training utterances, (C,), float32.

    Proportional to 1 (`none`), $n_c^{-1}$ (`balanced`: each emotion weighs the same in all) or $n_c^{-1/2}$ (`sqrt`:
    halfway), scaled so that the mean weight of an *utterance* is 1: $\sum_c n_c a_c = \sum_c n_c$. So the learning rate
    and beta mean the same under every kind.

    Args:
        counts: n, one per emotion, soft targets by share; an emotion without utterances gets weight 0 (with `none` 1,
            like all).
        kind: `none`, `balanced` or `sqrt`.

    Raises:
        ValueError: If the kind is unknown, a count negative, or all are 0.

    Example:
        >>> class_weights([30, 10], "balanced")
        tensor([0.6667, 2.0000])
    """
    exponents = {"none": 0.0, "balanced": -1.0, "sqrt": -0.5}
    if kind not in exponents:
        msg = f"unknown kind of class weights {kind!r}, expected one of {list(exponents)}"
        raise ValueError(msg)
    n = torch.tensor([float(count) for count in counts], dtype=torch.float64)
    if not bool((n >= 0).all()) or not bool((n > 0).any()):
        msg = f"counts are {list(counts)}, expected numbers of at least 0 and one above it"
        raise ValueError(msg)
    weights = torch.where((n > 0) | (kind == "none"), n ** exponents[kind], 0.0)
    return (weights * n.sum() / (n * weights).sum()).float()
