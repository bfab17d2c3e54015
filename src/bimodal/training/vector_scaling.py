"""Vector scaling: a factor and an offset of each emotion's logit, fitted on rows that did not train the network.

A temperature keeps every answer and can only make all scores more or less sure. Vector scaling (Guo et al. 2017, arXiv
1706.04599) can also take away what a loss with class weights adds to rare emotions. So it may change answers.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bimodal.arrays import Doubles, Floats
from bimodal.evaluation.metrics import fit_temperature
from bimodal.records import UNKNOWN

_STEPS: Final = 200
_LOWEST: Final = 0.4 * UNKNOWN  # a log score that is as good as none, and yet of an emotion that the network knows
Scaling = tuple[Doubles, Doubles]
"""Factor and offset of each emotion's logit, (C,) each."""


def fit_vector_scaling(
    logits: npt.NDArray[Any], targets: npt.NDArray[Any], divisors: npt.NDArray[Any] | float = 1.0
) -> Scaling:
    """The factors and offsets that make the scores most likely.

    A normal prior of unit deviation holds the log factors near the best temperature and the offsets near 0, so that an
    emotion without rows stays in bounds. It weighs as much as one row.

    Args:
        logits: (N, C); those of emotions that the network never saw are `UNKNOWN`, and stay as they are.
        targets: (N,) positions, or (N, C) distributions.
        divisors: What divides the scaled logits of each row afterwards, (N,).

    Example:
        >>> from bimodal.arrays import softmax
        >>> logits = np.log([[0.5, 0.5]] * 400)  # the network tells nothing, but three of four rows are of emotion 0
        >>> factor, offset = fit_vector_scaling(logits, np.array([0, 0, 0, 1] * 100))
        >>> softmax(logits * factor + offset)[0].round(2).tolist()
        [0.75, 0.25]
    """
    count = logits.shape[1]
    if not len(targets):
        return np.ones(count), np.zeros(count)
    known = torch.from_numpy((np.asarray(logits) > UNKNOWN / 2).any(axis=0))
    values = torch.from_numpy(np.asarray(logits, np.float64))
    truth = torch.from_numpy(np.eye(count)[targets] if np.ndim(targets) == 1 else np.asarray(targets, np.float64))
    share = 1 / torch.as_tensor(divisors, dtype=torch.float64).reshape(-1, 1)
    start = -float(np.log(fit_temperature(logits, targets)))
    log_factor = torch.full((count,), start, dtype=torch.float64, requires_grad=True)
    offset = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_factor, offset], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        scores = torch.log_softmax(torch.where(known, (values * log_factor.exp() + offset) * share, UNKNOWN), dim=1)
        held = (((log_factor - start) ** 2).sum() + (offset**2).sum()) / 2
        total: Tensor = (held - (truth * scores).sum()) / len(truth)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    fitted = log_factor.detach().exp().numpy(), (offset - offset.mean()).detach().numpy()
    return np.where(known, fitted[0], 1.0), np.where(known, fitted[1], 0.0)


class VectorScaling(nn.Module):
    """Scales the logits that a network gives, within its graph, so that nothing behind it needs to know.

    Args:
        scalings: One; or one for each of `calibration.CASES`, for a fusion network.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, scalings: Sequence[Scaling]) -> None:
        super().__init__()
        factors, offsets = (np.stack([one[place] for one in scalings]).astype(np.float32) for place in range(2))
        self.register_buffer("factor", torch.from_numpy(factors))
        self.register_buffer("offset", torch.from_numpy(offsets))

    def forward(self, logits: Tensor, present: Tensor | None = None) -> Tensor:
        """Scaled logits (B, C); `present` (B, 2) tells which modalities a fusion network has."""
        factor, offset = self.factor[:1], self.offset[:1]
        if present is not None and len(self.factor) > 1:
            voice, words = present[:, :1] > 0, present[:, 1:] > 0
            factor, offset = (
                torch.where(voice & words, table[0], torch.where(voice, table[1], table[2]))
                for table in (self.factor, self.offset)
            )
        known = logits > UNKNOWN / 2
        scores = torch.log_softmax(torch.where(known, logits * factor + offset, -torch.inf), dim=1)
        return torch.where(known, scores.clamp(min=_LOWEST), UNKNOWN)


def scale_network(network: nn.Module, scalings: Sequence[Scaling]) -> None:
    """Let a network give scaled logits from now on, the second of what its forward gives; its graph has them too."""
    scaling = VectorScaling(scalings)
    network.add_module("vector_scaling", scaling)

    def scale(_: nn.Module, args: tuple[Any, ...], inputs: dict[str, Any], found: tuple[Tensor, ...]) -> Any:
        present = inputs.get("present")
        return (found[0], scaling(found[1], present), *found[2:])

    network.register_forward_hook(scale, with_kwargs=True)


def scaled(logits: Floats, scaling: Scaling) -> Floats:
    """Logits (N, C) as `VectorScaling` scales them: log scores, of emotions never shown `UNKNOWN`.

    Example:
        >>> scaled(np.array([[0.0, 0.0, UNKNOWN]], np.float32), (np.ones(3), np.array([0, np.log(3), 0]))).round(3)
        array([[  -1.386,   -0.288, -100.   ]], dtype=float32)
    """
    found: Floats = VectorScaling([scaling])(torch.from_numpy(np.asarray(logits, np.float32))).numpy()
    return found
