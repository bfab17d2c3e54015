"""The first network: frozen speech features to emotion embedding and logits (step 201 of the method)."""

import torch
from torch import Tensor, nn

from bimodal.models.layers import EmotionHead, HeadShape, Project, Standardise, StandardiseBySpeaker


class SpeechNetwork(nn.Module):
    """Statistics over time, standardised; components, embedding, classifier.

    Args:
        statistics: P of each unit, such as mean and deviation.
        layers: Layers L that the backbone exposes.
        width: Their width D.
        emotions: C.
        components: As in `Project`.
        shape: Of the head.
    """

    def __init__(
        self, *, statistics: int, layers: int, width: int, emotions: int, pca_components: int, shape: HeadShape
    ) -> None:
        super().__init__()
        self.standardise = Standardise(statistics * layers * width)
        self.project = Project(statistics * layers * width, pca_components)
        self.head = EmotionHead(self.project.width, emotions, shape)

    def standard(self, statistics: Tensor) -> Tensor:
        """Standardised statistics (B, P L D) of what `forward` takes."""
        standard: Tensor = self.standardise(statistics.flatten(1))
        return standard

    def features(self, statistics: Tensor) -> Tensor:
        """What the head sees, (B, components); no parameter has a part in it."""
        projected: Tensor = self.project(self.standard(statistics))
        return projected

    def forward(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`, of statistics (B, P, L, D)."""
        embedding, logits = self.head(self.features(statistics))
        return embedding, logits


class TunedSpeechNetwork(nn.Module):
    """A speech encoder that is tuned, and a `SpeechNetwork` over whole utterances of what it gives.

    Args:
        encoder: Gives states (B, L, T, D) and their real frames (B,) from its inputs and theirs.
        network: Reads the emotion from their mean and deviation.
    """

    def __init__(self, *, encoder: nn.Module, network: SpeechNetwork) -> None:
        super().__init__()
        self.encoder, self.network = encoder, network

    @property
    def head(self) -> EmotionHead:
        """The network's."""
        return self.network.head

    def forward(self, inputs: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`, of encoder inputs of which the first `count` (B,) frames are real."""
        states, real = self.encoder(inputs, count)
        mean, std = pool_frames(states.float(), real)
        embedding, logits = self.network(torch.stack([mean, std], dim=1))
        return embedding, logits


def pool_frames(states: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (B, L, D) over the first `real` (B,) frames of states (B, L, T, D).

    Example:
        >>> mean, std = pool_frames(torch.tensor([[[[1.0], [3.0], [9.0]]]]), torch.tensor([2]))
        >>> mean.item(), round(std.item(), 3)
        (2.0, 1.0)
    """
    inside = torch.arange(states.shape[2], device=states.device)[None] < real[:, None]
    share = (inside.to(states.dtype) / real[:, None].to(states.dtype))[:, None, :, None]
    mean = (share * states).sum(2)
    variance = (share * (states - mean[:, :, None]) ** 2).sum(2)
    return mean, (variance + 1e-8).sqrt()


class SpeakerNormalizedNetwork(nn.Module):
    """Statistics over time, standardised by speaker statistics; principal components, embedding, classifier.

    Args:
        statistics: As in `SpeechNetwork`.
        layers: As in `SpeechNetwork`.
        width: As in `SpeechNetwork`.
        emotions: C.
        components: As in `Project`.
        strength: As in `StandardiseBySpeaker`.
        shape: Of the head.
    """

    def __init__(
        self,
        *,
        statistics: int,
        layers: int,
        width: int,
        emotions: int,
        pca_components: int,
        strength: float,
        shape: HeadShape,
    ) -> None:
        super().__init__()
        self.standardise = StandardiseBySpeaker(statistics * layers * width, strength)
        self.project = Project(statistics * layers * width, pca_components)
        self.head = EmotionHead(self.project.width, emotions, shape)

    def standard(self, statistics: Tensor, clip_count: Tensor, own_mean: Tensor, own_std: Tensor) -> Tensor:
        """Standardised statistics (B, P L D) of what `forward` takes."""
        values = (statistics.flatten(1), clip_count, own_mean.flatten(1), own_std.flatten(1))
        standard: Tensor = self.standardise(*values)
        return standard

    def features(self, statistics: Tensor, clip_count: Tensor, own_mean: Tensor, own_std: Tensor) -> Tensor:
        """What the head sees, (B, components)."""
        projected: Tensor = self.project(self.standard(statistics, clip_count, own_mean, own_std))
        return projected

    def forward(
        self, statistics: Tensor, clip_count: Tensor, own_mean: Tensor, own_std: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`.

        Args:
            statistics: Of the clip, (B, P, L, D).
            clip_count: Number of earlier clips in the speaker statistics, (B,); with 0 the next two are ignored.
            own_mean: Mean of their statistics, (B, P, L, D).
            own_std: Their deviation, (B, P, L, D).
        """
        embedding, logits = self.head(self.features(statistics, clip_count, own_mean, own_std))
        return embedding, logits


class ColumnsNetwork(nn.Module):
    """Numeric feature columns in place of speech: standardised, missing values at their mean and marked.

    Args:
        width: Columns F.
        emotions: C.
        shape: Of the head.
    """

    def __init__(self, *, width: int, emotions: int, shape: HeadShape) -> None:
        super().__init__()
        self.standardise = Standardise(width)
        self.head = EmotionHead(2 * width, emotions, shape)

    def features(self, columns: Tensor) -> Tensor:
        """What the head sees, (B, 2 F)."""
        missing = torch.isnan(columns)
        standard = torch.where(missing, torch.zeros_like(columns), self.standardise(columns))
        return torch.cat([standard, missing.to(columns.dtype)], dim=1)

    def forward(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`, of columns (B, F); NaN = missing."""
        embedding, logits = self.head(self.features(columns))
        return embedding, logits
