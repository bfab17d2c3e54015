"""The second network: frozen text features to emotion embedding and logits (step 202 of the method)."""

from typing import Any, Final

import torch
from torch import Tensor, nn

from bimodal.models.layers import EmotionHead, HeadShape, Standardise

_FAR: Final = 1e4  # taken from the fit of what is not there


class TextNetwork(nn.Module):
    """Standardised pooled layers of a language model to emotion embedding and logits.

    Args:
        layers: Layers L that the backbone exposes.
        width: Their width D.
        emotions: C.
        shape: Of the head.
    """

    def __init__(self, *, layers: int, width: int, emotions: int, shape: HeadShape) -> None:
        super().__init__()
        self.standardise = Standardise(layers * width)
        self.head = EmotionHead(layers * width, emotions, shape)

    def features(self, pooled: Tensor) -> Tensor:
        """What the head sees, (B, L D)."""
        standard: Tensor = self.standardise(pooled.flatten(1))
        return standard

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`, of pooled layers (B, L, D)."""
        embedding, logits = self.head(self.features(pooled))
        return embedding, logits


class ContextTextNetwork(nn.Module):
    """An utterance's words beside what was said before it: attention from it to the utterances of its dialogue so far.

    A key knows how long ago its utterance was said and whether the same speaker said it. An utterance with nothing
    before it attends to itself alone; causal, so that a call can be followed as it goes.

    Args:
        layers: Layers L that the backbone exposes.
        width: Their width D.
        emotions: C.
        context: Utterances before each one.
        context_width: Units U of the attention, a multiple of 4.
        shape: Of the head.
    """

    def __init__(
        self, *, layers: int, width: int, emotions: int, context: int, context_width: int, shape: HeadShape
    ) -> None:
        super().__init__()
        self.standardise = Standardise(layers * width)
        self.read = nn.Sequential(
            nn.Dropout(shape.input_dropout),
            nn.Linear(layers * width, context_width),
            nn.LayerNorm(context_width),
            nn.GELU(),
            nn.Dropout(shape.dropout),
        )
        self.ago = nn.Parameter(torch.zeros(context + 1, context_width))
        self.speaker = nn.Parameter(torch.zeros(2, context_width))
        self.query, self.key, self.value = (nn.Linear(context_width, context_width) for _ in range(3))
        self.head = EmotionHead(layers * width + context_width, emotions, shape)

    def forward(self, pooled: Tensor, same: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`.

        Args:
            pooled: Pooled layers (B, S, L, D), the utterance itself last.
            same: 1 if the utterance's own speaker spoke, (B, S).
            there: 1 if an utterance is, (B, S); the last one always is.
        """
        standard = self.standardise(pooled.flatten(2))
        read = self.read(standard)
        marked = read + self.ago + self.speaker[0] + same[:, :, None] * (self.speaker[1] - self.speaker[0])
        heads = (4, marked.shape[2] // 4)
        query = self.query(marked[:, -1]).unflatten(1, heads)
        key, value = (layer(marked).unflatten(2, heads) for layer in (self.key, self.value))
        fit = torch.einsum("bhu,bshu->bhs", query, key) * heads[1] ** -0.5 + (there[:, None] - 1) * _FAR
        found = torch.einsum("bhs,bshu->bhu", fit.softmax(dim=2), value).flatten(1)
        embedding, logits = self.head(torch.cat([standard[:, -1], found], dim=1))
        return embedding, logits


class TunedTextNetwork(nn.Module):
    """A language model that is trained on, its mean over the real tokens, and an emotion head.

    Args:
        encoder: A `transformers` BERT-like model.
        width: Of its layers, D.
        emotions: C.
        shape: Of the head.
    """

    def __init__(self, *, encoder: Any, width: int, emotions: int, shape: HeadShape) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = EmotionHead(width, emotions, shape)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`, of token ids (B, T) with a mask (B, T), 1 = real."""
        states = self.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state
        weight = mask.to(states.dtype) / mask.sum(1, keepdim=True).clamp(min=1).to(states.dtype)
        embedding, logits = self.head((weight[:, None] @ states)[:, 0])
        return embedding, logits
