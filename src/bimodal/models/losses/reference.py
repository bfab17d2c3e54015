"""What focal and affinity are compared with: adjusted cross-entropy, centre loss, supervised contrastive loss."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from bimodal.errors import TrainingError
from bimodal.models.losses.focal import check_batch, target_distribution, widened
from bimodal.models.losses.pairwise import unit_rows
from bimodal.models.losses.setup import BatchLoss, LossSetup


def adjusted_cross_entropy(
    logits: Tensor, targets: Tensor, *, priors: Tensor | None = None, tau: float = 1.0, smoothing: float = 0.0
) -> Tensor:
    r"""Cross-entropy, at choice with smoothed labels and with logits adjusted by the class priors.

    $$L = -\frac1B\sum_i\sum_c y'_{ic}\,\log \mathrm{softmax}(z_i + \tau\log\pi)_c,\qquad
        y' = (1-\epsilon)\,y + \epsilon/C$$

    Adjusted training makes the *plain* logits right for the balanced error, so recognition uses them unadjusted (Menon
    et al., ICLR 2021, arXiv 2007.07314; smoothing: Szegedy et al. 2016, arXiv 1512.00567).

    Args:
        logits: (B, C).
        targets: Integers (B,), or distributions (B, C).
        priors: pi, (C,), each emotion's share of the training data, all above 0; None for no adjustment.
        tau: Strength of the adjustment; 1 in theory.
        smoothing: epsilon, in [0, 1).

    Returns:
        A scalar >= 0.

    Raises:
        ValueError: If shapes do not fit or a prior is not above 0.

    Example:
        >>> priors = torch.tensor([0.75, 0.25])
        >>> round(adjusted_cross_entropy(torch.zeros(1, 2), torch.tensor([1]), priors=priors).item(), 4)  # ln 4
        1.3863
    """
    check_batch(logits, targets)
    z = widened(logits)
    if priors is not None:
        if priors.shape != logits.shape[1:] or not bool((priors > 0).all()):
            msg = f"priors are {priors.tolist()}, expected {logits.shape[1]} numbers above 0"
            raise ValueError(msg)
        z = z + tau * priors.to(z).log()
    return functional.cross_entropy(z, target_distribution(targets, z.shape[1]).to(z), label_smoothing=smoothing)


class CenterLoss(nn.Module):
    r"""Pulls embeddings to a running centre of their emotion (Wen et al., ECCV 2016).

    $$L = \frac{1}{2B}\sum_i\sum_c y_{ic}\lVert f_i - c_c\rVert^2,\qquad
        c_c \leftarrow c_c - \alpha\,\frac{\sum_i y_{ic}(c_c - f_i)}{1 + \sum_i y_{ic}}$$

    The centres follow the paper's own update, not the optimiser: like a batch norm's statistics they move in training
    mode, after the loss of the batch was taken, and are saved with the module. Mean over the batch where the paper
    sums. Embeddings are taken as they are, so the loss scales with their squared length.

    Attributes:
        centers: (C, D), zero at first, as nothing is known.
        rate: alpha.

    Example:
        >>> loss = CenterLoss(2, 2)
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0])).item(), loss.centers[0].tolist()
        (2.0, [0.5, 0.0])
    """

    centers: Tensor

    def __init__(self, emotions: int, width: int, *, rate: float = 0.5) -> None:
        """Makes the centres.

        Args:
            emotions: C.
            width: D.
            rate: alpha, how far a centre moves in a step, 0 to 1.
        """
        super().__init__()
        self.rate = rate
        self.register_buffer("centers", torch.zeros(emotions, width))

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """L of a batch; in training mode the centres then move.

        Args:
            embeddings: (B, D).
            targets: Integers (B,), or distributions (B, C).

        Returns:
            A scalar >= 0.

        Raises:
            ValueError: If shapes do not fit.
        """
        check_batch(embeddings, targets)
        with torch.autocast(embeddings.device.type, enabled=False):
            rows = widened(embeddings)
            truth = target_distribution(targets, len(self.centers)).to(rows)
            # A copy: the update below is in place, and the backward pass still needs the old centres.
            centers = self.centers.to(rows, copy=True)
            loss = 0.5 * (truth * (rows.unsqueeze(1) - centers).square().sum(-1)).sum(-1).mean()
            if self.training:
                self._move(rows.detach(), truth.detach())
        return loss

    def _move(self, rows: Tensor, truth: Tensor) -> None:
        mass = truth.sum(0).unsqueeze(1)
        centers = self.centers.to(rows)
        self.centers.sub_(self.rate * (mass * centers - truth.mT @ rows) / (1 + mass))


def supervised_contrastive_loss(embeddings: Tensor, targets: Tensor, *, temperature: float = 0.1) -> Tensor:
    r"""Each utterance must find those of its emotion among the batch (Khosla et al. 2020, arXiv 2004.11362, L_out).

    $$L = \operatorname{mean}_i\ -\frac{1}{\sum_{j\ne i} w_{ij}}\sum_{j\ne i} w_{ij}
        \log\frac{\exp(v_i\cdot v_j/T)}{\sum_{k\ne i}\exp(v_i\cdot v_k/T)},\qquad w_{ij} = y_i\cdot y_j$$

    v are the embeddings at length 1. With integer targets w is 1 within an emotion, else 0. An utterance without a
    partner is left out of the mean; a batch without any pair gives 0. Builds the B x B pairs.

    Args:
        embeddings: (B, D), of any length.
        targets: Integers (B,), or distributions (B, C).
        temperature: T, above 0.

    Returns:
        A scalar >= 0.

    Raises:
        ValueError: If shapes do not fit.

    Example:
        >>> v = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(supervised_contrastive_loss(v, torch.tensor([0, 0, 1]), temperature=1.0).item(), 4)  # ln(1 + 1/e)
        0.3133
    """
    check_batch(embeddings, targets)
    emotions = targets.shape[1] if targets.is_floating_point() else int(targets.max()) + 1
    with torch.autocast(embeddings.device.type, enabled=False):
        directions = unit_rows(embeddings)
        truth = target_distribution(targets, emotions).to(directions)
        itself = torch.eye(len(directions), dtype=torch.bool, device=directions.device)
        # The lowest finite number, not -inf: a batch of one would otherwise be a softmax over nothing, NaN.
        lowest = torch.finfo(directions.dtype).min
        log_q = functional.log_softmax((directions @ directions.mT / temperature).masked_fill(itself, lowest), dim=1)
        partners = (truth @ truth.mT).masked_fill(itself, 0.0)
        mass = partners.sum(1)
        paired = mass > 0
        terms = -(partners * log_q).sum(1) / torch.where(paired, mass, 1.0)
        return (terms * paired).sum() / paired.sum().clamp_min(1)


def make_logit_adjusted(setup: LossSetup) -> BatchLoss:
    """Cross-entropy adjusted by a stage's priors; an emotion that never occurs has the prior of one that occurs once.

    Raises:
        TrainingError: Class weights are set too; they would raise rare emotions twice.
    """
    if setup.weighting != "none":
        raise TrainingError(
            f"loss.classification 'logit_adjusted' already raises rare emotions, found loss.class_weights "
            f"'{setup.weighting}' too; set loss.class_weights to 'none'"
        )
    known = setup.counts.clamp(min=1)
    return partial(adjusted_cross_entropy, priors=known / known.sum())


def make_centre(setup: LossSetup) -> BatchLoss:
    """The centre loss of a stage, for the table `LOSSES`."""
    return CenterLoss(setup.emotions, setup.embedding_width)


def make_contrastive(setup: LossSetup) -> BatchLoss:
    """The supervised contrastive loss of a stage, for the table `LOSSES`; it depends on nothing."""
    return supervised_contrastive_loss
