"""Parts that the three networks share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from bimodal.records import UNKNOWN

_SMALLEST_DEVIATION: Final = 1e-3
_CLIP: Final = 5.0
_FITTED_ROWS: Final = 8192
_CLIPS_OF_A_DEVIATION: Final = 20.0
"""Clips of a speaker that count as much in the deviation as what the training speakers say of it."""


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """Shape of an `EmotionHead`.

    Attributes:
        heads: M, whose answers are averaged.
        hidden_width: Units of the hidden layer; 0 for none.
        embedding_width: Width E of one head's embedding, at least C.
        input_dropout: Share of input features that are dropped in training.
        dropout: Share of hidden units that are dropped in training.
        noise: Deviation of the Gaussian noise that is added to the inputs in training.
        scale: Length of the embedding that the classifier sees; 0 for its own length.
    """

    ensemble_size: int
    hidden_width: int
    embedding_width: int
    input_dropout: float
    dropout: float
    input_noise_std: float
    embedding_norm: float


class Standardise(nn.Module):
    """Centre and scale each feature by statistics of the training set, which `fit` takes; then clip at 5 deviations.

    Args:
        width: Features F.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def fit(self, values: Tensor) -> None:
        """Take mean and deviation of values (N, F); NaN stands for a missing value."""
        known = torch.isfinite(values)
        count = known.sum(0).clamp(min=1)
        filled = torch.where(known, values, torch.zeros_like(values)).double()
        mean = filled.sum(0) / count
        variance = (torch.where(known, values - mean, torch.zeros_like(mean)) ** 2).sum(0) / count
        self.mean.copy_(mean)
        self.deviation.copy_(variance.sqrt().clamp(min=_SMALLEST_DEVIATION))

    def forward(self, values: Tensor) -> Tensor:
        """Standardised values (B, F)."""
        standard: Tensor = ((values - self.mean) / self.deviation).clamp(-_CLIP, _CLIP)
        return standard


class StandardiseBySpeaker(nn.Module):
    """Centre and scale each feature with the speaker's statistics, as far as known; then clip at 5 deviations.

    The centre is the posterior mean of a normal model whose three statistics `fit` takes from the training speakers
    (empirical Bayes): of n clips it weighs n against `strength` x within / between, feature by feature, so that one
    clip moves it little and sixty decide it. Without any it is the training set's.

    Args:
        width: Features F.
        strength: How much more clips it takes than the model says, as clips of one emotion resemble one another.
    """

    mean: Tensor
    within: Tensor
    between: Tensor

    def __init__(self, width: int, strength: float) -> None:
        super().__init__()
        self.strength = strength
        for name in ("mean", "within", "between"):
            self.register_buffer(name, torch.zeros(width) if name == "mean" else torch.ones(width))

    def fit(self, values: Tensor, speakers: Sequence[Any]) -> None:
        """Take the mean over values (N, F), and their variance within and between the speakers (N,)."""
        values = values.double()
        centres, variances = [], []
        for speaker in dict.fromkeys(speakers):
            own = values[torch.tensor([other == speaker for other in speakers])]
            centres.append(own.mean(0))
            variances.append(own.var(0, correction=0))
        spread = torch.stack(centres).var(0, correction=0)
        smallest = _SMALLEST_DEVIATION**2
        self.mean.copy_(torch.stack(centres).mean(0))
        self.within.copy_(torch.stack(variances).mean(0).clamp(min=smallest))
        self.between.copy_(spread.clamp(min=smallest))

    def forward(self, values: Tensor, clip_count: Tensor, own_mean: Tensor, own_std: Tensor) -> Tensor:
        """Standardise values (B, F) by the mean and std (B, F) of `clip_count` (B,) clips of each speaker."""
        count, prior = clip_count[:, None], self.strength * self.within / self.between
        known = count / (count + prior)
        centre = self.mean + known * (own_mean - self.mean)
        settled = count / (count + _CLIPS_OF_A_DEVIATION)
        variance = self.within + settled * (own_std * own_std - self.within)
        doubt = (1 - known) * self.between
        standard: Tensor = ((values - centre) / (variance + doubt + _SMALLEST_DEVIATION**2).sqrt()).clamp(-_CLIP, _CLIP)
        return standard


class Project(nn.Module):
    """Principal components of the training set's features, which `fit` takes; it regularises wide inputs.

    Args:
        width: Features F.
        components: P; 0 leaves the features as they are.
    """

    basis: Tensor

    def __init__(self, width: int, pca_components: int) -> None:
        super().__init__()
        self.register_buffer("basis", torch.zeros(width, pca_components))
        self.width = pca_components or width

    def fit(self, values: Tensor, shrunk: Tensor | None = None) -> None:
        """Take the leading right singular vectors of standardised values (N, F), by randomised projection.

        Halko et al. 2011, arXiv 0909.4061; exact decomposition takes half a minute on a few thousand utterances, this
        a second. The same values always give the same vectors.

        Args:
            values: Standardised features.
            shrunk: Directions n (K, F) that count less: features are taken times (I + n' n)^(-1/2) first, which
                becomes part of the projection. None shrinks nothing.
        """
        found = min(self.basis.shape[1], *values.shape)
        if found:
            shrink = _shrinking(values.new_zeros(1, values.shape[1]) if shrunk is None else shrunk)
            rows = shrink(values[:: 1 + len(values) // _FITTED_ROWS])
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                _, _, right = torch.svd_lowrank(rows, q=found, niter=2)
            self.basis.zero_()
            self.basis[:, : right.shape[1]] = shrink(right.T).T

    def forward(self, values: Tensor) -> Tensor:
        """Projected values (B, P)."""
        projected: Tensor = values @ self.basis if self.basis.shape[1] else values
        return projected


def _shrinking(directions: Tensor) -> Callable[[Tensor], Tensor]:
    """The map v -> v (I + n' n)^(-1/2) of rows (N, F), for directions n (K, F)."""
    _, lengths, axes = torch.linalg.svd(directions, full_matrices=False)
    lost = 1 - (1 + lengths**2) ** -0.5

    def shrink(rows: Tensor) -> Tensor:
        shrunk: Tensor = rows - (rows @ axes.T * lost) @ axes
        return shrunk

    return shrink


def speaker_directions(values: Tensor, speakers: Sequence[Any], targets: Sequence[int], strength: float) -> Tensor:
    """In what training speakers differ, whatever they express, for `Project.fit`; (K, F) for K speakers.

    Each speaker's centre is the mean over their emotions, so that who was sad more often counts for nothing. The like
    in speaker recognition: nuisance attribute projection (Solomonoff et al. 2005).

    Args:
        values: Standardised features (N, F).
        speakers: Of each row.
        targets: Emotion of each row.
        strength: How hard the directions are shrunk; 0 not at all.
    """
    groups: dict[Any, dict[int, list[int]]] = {}
    for row, (speaker, target) in enumerate(zip(speakers, targets, strict=True)):
        groups.setdefault(speaker, {}).setdefault(int(target), []).append(row)
    centres = torch.stack(
        [torch.stack([values[rows].mean(0) for rows in emotions.values()]).mean(0) for emotions in groups.values()]
    )
    apart: Tensor = centres - centres.mean(0)
    return apart.mul((strength / len(centres)) ** 0.5)


class ParallelLinear(nn.Module):
    """M linear layers side by side, each on its own input.

    Args:
        heads: M.
        width: Inputs I.
        outputs: O.
    """

    def __init__(self, heads: int, width: int, outputs: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(heads, width, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(heads, outputs).uniform_(-bound, bound))

    def forward(self, values: Tensor) -> Tensor:
        """Outputs (B, M, O) of values (B, M, I)."""
        return torch.einsum("bmi,mio->bmo", values, self.weight) + self.bias


class EmotionHead(nn.Module):
    """Features to emotion embedding to logits, by M small heads that differ in their start and their noise.

    A head's embedding has unit length: the affinity losses need it, and the fusion gate compares two of them. An
    emotion that training never shows gets no score, rather than what a start happens to give it.

    Args:
        width: Input features F.
        emotions: C.
        shape: Everything else.
    """

    known: Tensor

    def __init__(self, width: int, emotions: int, shape: HeadShape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("known", torch.ones(emotions))
        self.input_dropout, self.dropout = nn.Dropout(shape.input_dropout), nn.Dropout(shape.dropout)
        self.hidden: nn.Module | None = None
        if shape.hidden_width:
            self.hidden = nn.Sequential(
                ParallelLinear(shape.ensemble_size, width, shape.hidden_width),
                nn.LayerNorm(shape.hidden_width),
                nn.GELU(),
            )
        self.embed = ParallelLinear(shape.ensemble_size, shape.hidden_width or width, shape.embedding_width)
        self.classify = ParallelLinear(shape.ensemble_size, shape.embedding_width, emotions)

    def limit_to(self, known: Tensor) -> None:
        """Leave out emotions that are not known, (C,); 0 is not."""
        self.known.copy_(known)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and logits of features (B, F).

        Returns:
            In training, of each head: (B, M, E) of unit length and (B, M, C). In use, of all: the embeddings side by
            side, (B, M E) of unit length, and the mean of the log-probabilities, (B, C).
        """
        values = features[:, None].expand(-1, self.shape.ensemble_size, -1)
        if self.training and self.shape.input_noise_std > 0:
            values = values + self.shape.input_noise_std * torch.randn_like(values)
        values = self.input_dropout(values)
        if self.hidden is not None:
            values = self.dropout(self.hidden(values))
        raw = self.embed(values)
        embedding = nn.functional.normalize(raw, dim=-1)
        logits = self.classify(raw if self.shape.embedding_norm == 0 else self.shape.embedding_norm * embedding)
        logits = torch.where(self.known > 0, logits, UNKNOWN)
        if self.training:
            return embedding, logits
        return embedding.flatten(1) * self.shape.ensemble_size**-0.5, torch.log_softmax(logits, dim=-1).mean(1)


def with_unknown(log_scores: Tensor, log_prior: Tensor, other: Tensor) -> Tensor:
    """Log scores of one modality where it does not know some emotions, and the other modality may speak for them.

    They get their share of the prior, as far as the other modality is there, and the known ones share the rest.

    Args:
        log_scores: (B, C), those of unknown emotions near `UNKNOWN`.
        log_prior: (C,).
        other: How far the other modality is there, (B, 1), 0 to 1.

    Example:
        >>> told = torch.log_softmax(torch.tensor([[0.0, 0.0, UNKNOWN]]), dim=1)
        >>> prior = torch.tensor([0.4, 0.4, 0.2]).log()
        >>> [round(with_unknown(told, prior, torch.tensor([[there]])).exp()[0, 2].item(), 4) for there in (0.0, 1.0)]
        [0.0, 0.2]
    """
    unknown = log_scores < UNKNOWN / 2
    lent = torch.where(unknown, log_prior.exp() * other, 0.0)
    rest = torch.log1p(-lent.sum(1, keepdim=True).clamp(max=1 - 1e-6))
    return torch.where(unknown, torch.log(lent).clamp(min=UNKNOWN), log_scores + rest)
