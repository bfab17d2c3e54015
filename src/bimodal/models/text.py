"""The second network: frozen text features to emotion embedding and logits (step 202 of the method)."""

from torch import Tensor, nn

from bimodal.models.layers import EmotionHead, HeadShape, Standardise


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
