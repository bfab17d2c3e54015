"""The second network: frozen text features to emotion embedding and logits (step 202 of the method)."""

from torch import Tensor, nn

from bimodal.models.layers import EmotionHead, Standardise


class TextNetwork(nn.Module):
    """Standardised pooled layers of a language model to emotion embedding and logits.

    Args:
        layers: Layers L that the backbone exposes.
        width: Their width D.
        emotions: C.
        hidden_width: As in `EmotionHead`.
        embedding_width: As in `EmotionHead`.
        dropout: As in `EmotionHead`.
        noise: As in `EmotionHead`.
    """

    def __init__(
        self,
        *,
        layers: int,
        width: int,
        emotions: int,
        hidden_width: int,
        embedding_width: int,
        dropout: float,
        noise: float,
    ) -> None:
        super().__init__()
        self.standardise = Standardise(layers * width)
        self.head = EmotionHead(
            width=layers * width,
            emotions=emotions,
            hidden_width=hidden_width,
            embedding_width=embedding_width,
            dropout=dropout,
            noise=noise,
        )

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (B, E) and logits (B, C) of pooled layers (B, L, D)."""
        embedding, logits = self.head(self.standardise(pooled.flatten(1)))
        return embedding, logits
