"""Parts that the three networks share."""

from typing import Final

import torch
from torch import Tensor, nn

_SMALLEST_DEVIATION: Final = 1e-3
_CLIP: Final = 5.0


class Standardise(nn.Module):
    """Centre and scale each feature by statistics of the training set, which `fit` takes; then clip at 5 deviations.

    Args:
        width: Features F.
    """

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


class EmotionHead(nn.Module):
    """Features to emotion embedding to logits.

    The embedding has unit length: the affinity losses need it, and the fusion gate compares two of them. The
    classifier is a cosine one whose learned scale gives the logits their range.

    Args:
        width: Input features F.
        emotions: C.
        hidden_width: Units of the hidden layer; 0 for none.
        embedding_width: Width D of the embedding, at least C.
        dropout: Share of inputs and hidden units that are dropped in training.
        noise: Deviation of the Gaussian noise that is added to the inputs in training.
    """

    def __init__(
        self, *, width: int, emotions: int, hidden_width: int, embedding_width: int, dropout: float, noise: float = 0.0
    ) -> None:
        super().__init__()
        self.noise = noise
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(width, hidden_width) if hidden_width else None
        self.embed = nn.Linear(hidden_width or width, embedding_width)
        self.classify = nn.Linear(embedding_width, emotions)
        self.norm = 4.0

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (B, D) of unit length and logits (B, C) of features (B, F)."""
        if self.training and self.noise > 0:
            features = features + self.noise * torch.randn_like(features)
        features = self.dropout(features)
        if self.hidden is not None:
            features = self.dropout(nn.functional.gelu(self.hidden(features)))
        embedding = nn.functional.normalize(self.embed(features), dim=-1)
        return embedding, self.classify(self.norm * embedding)
