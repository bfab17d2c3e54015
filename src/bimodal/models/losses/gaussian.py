"""Gaussian affinity loss: learned prototypes per emotion, a margin between them, and equal distances among emotions."""

import math

import torch
from torch import Tensor, nn

from bimodal.models.losses.focal import check_batch, target_distribution, widened
from bimodal.models.losses.pairwise import unit_rows
from bimodal.models.losses.setup import BatchLoss, LossSetup


def reachable_margin(emotions: int, sigma: float) -> float:
    r"""The largest margin that all emotions can keep at once: $1 - \exp(-\frac{2C}{(C-1)\sigma})$.

    Prototypes of length 1 are farthest apart as a simplex, with squared distances 2C / (C - 1).

    Example:
        >>> round(reachable_margin(8, sigma=1.0), 3), round(reachable_margin(8, sigma=2.0), 3)
        (0.898, 0.681)
    """
    return 1.0 - math.exp(-2.0 * emotions / ((emotions - 1) * sigma))


class GaussianAffinity(nn.Module):
    r"""Max-margin loss on Gaussian affinities to learned prototypes (Hayat et al., ICCV 2019, arXiv 1901.07711).

    $$L = \frac1B\sum_i\sum_c y_{ic}\sum_{j\ne c}\max(0,\ \lambda + s_{ij} - s_{ic}) + R(W),\qquad
        s_{ij} = \max_k \exp(-\lVert f_i - w_{jk}\rVert^2 / \sigma)$$

    Unlike in the paper, f and w are scaled to length 1: at width 128 and more, distances between raw embeddings are so
    large that s underflows and nothing is learned. Squared distances then lie in [0, 4] and the hinge can reach 0 only
    where the margin stays below `reachable_margin`; the defaults leave room even for orthogonal prototypes
    (1 - exp(-2) = 0.86 > 0.75). The affinities are no probabilities.

    Attributes:
        prototypes: (C, m, D), learned; orthogonal at first where D allows it.
        sigma: Squared distance over which an affinity falls to 1/e.
        margin: The lambda of the formula: by how much the true emotion's affinity must lead.

    Example:
        >>> loss = GaussianAffinity(3, 8, generator=torch.Generator().manual_seed(0))
        >>> loss(loss.prototypes[:, 0], torch.arange(3)).item() < 1e-6
        True
    """

    def __init__(
        self,
        emotions: int,
        width: int,
        *,
        per_emotion: int = 1,
        sigma: float = 1.0,
        margin: float = 0.75,
        generator: torch.Generator | None = None,
    ) -> None:
        """Makes the prototypes.

        Args:
            emotions: C, at least 2.
            width: D, of the embeddings.
            per_emotion: m, prototypes of each emotion; above 1 for emotions with several faces (hot and cold anger).
            sigma: Above 0.
            margin: Between 0 and 1, and within reach.
            generator: Source of the first prototypes; None for torch's global one.

        Raises:
            ValueError: If a number is out of range, or the margin out of reach so that the loss could never be 0.
        """
        super().__init__()
        if emotions < 2 or width < 1 or per_emotion < 1 or sigma <= 0:
            found = f"emotions={emotions}, width={width}, per_emotion={per_emotion}, sigma={sigma}"
            msg = f"got {found}, expected at least 2 emotions, a width and prototypes of at least 1, sigma above 0"
            raise ValueError(msg)
        reach = reachable_margin(emotions, sigma)
        if not 0 < margin <= reach:
            msg = (
                f"margin is {margin}, expected between 0 and {reach:.3f}, the reach of sigma {sigma}; lower one of them"
            )
            raise ValueError(msg)
        self.sigma = sigma
        self.margin = margin
        start = torch.empty(emotions * per_emotion, width)
        nn.init.orthogonal_(start, generator=generator)
        self.prototypes = nn.Parameter(start.reshape(emotions, per_emotion, width))

    def affinities(self, embeddings: Tensor) -> Tensor:
        """s, (B, C): affinity of each embedding to the nearest prototype of each emotion, in (0, 1]."""
        cosines = torch.einsum("bd,cmd->bcm", unit_rows(embeddings), unit_rows(self.prototypes).to(widened(embeddings)))
        return torch.exp((2.0 * cosines - 2.0) / self.sigma).amax(-1)  # |f - w|^2 = 2 - 2 f.w at length 1

    def regulariser(self) -> Tensor:
        """R(W): variance, over the pairs of distinct emotions, of the squared distance of their prototypes.

        A pair's distance is the mean over its m x m prototype pairs; the variance is the population's. With m = 1 this
        is the paper's R. The paper takes all prototype pairs, which for m > 1 also drives the prototypes of one emotion
        as far apart as those of two, so that an emotion could never be compact; hence emotion pairs. The strict upper
        triangle matters: with the diagonal's zeros, three perfectly even prototypes would be punished. 0 for a simplex
        and for two emotions.
        """
        # The mean over all m x m cosines of two emotions is the product of their mean directions.
        means = unit_rows(self.prototypes).mean(1)
        upper = torch.triu_indices(len(means), len(means), offset=1, device=means.device)
        distances = 2.0 - 2.0 * (means[upper[0]] * means[upper[1]]).sum(-1)
        return distances.var(correction=0)

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """L of a batch: hinge and regulariser.

        Args:
            embeddings: (B, D), of any length.
            targets: Integers (B,) in [0, C), or distributions (B, C), over which the hinge's expectation is taken.

        Returns:
            A scalar >= 0.

        Raises:
            ValueError: If shapes do not fit.
        """
        check_batch(embeddings, targets)
        with torch.autocast(embeddings.device.type, enabled=False):
            s = self.affinities(embeddings)
            hinge = torch.relu(self.margin + s.unsqueeze(1) - s.unsqueeze(2))  # (B, C true, C other)
            others = 1.0 - torch.eye(s.shape[1], dtype=s.dtype, device=s.device)
            truth = target_distribution(targets, s.shape[1]).to(s)
            return (truth * (hinge * others).sum(-1)).sum(-1).mean() + self.regulariser()


def make_gaussian(setup: LossSetup) -> BatchLoss:
    """The Gaussian affinity loss of a stage, for the table `LOSSES`; torch's generator places its prototypes."""
    return GaussianAffinity(setup.emotions, setup.embedding_width)
