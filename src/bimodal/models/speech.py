"""The first network: frozen speech features to emotion embedding and logits (step 201 of the method)."""

import torch
from torch import Tensor, nn

from bimodal.models.layers import EmotionHead, HeadShape, Project, Standardise, StandardiseBySpeaker


class AttentiveStatistics(nn.Module):
    """Attentive statistics pooling (Okabe et al. 2018, arXiv 1803.10963) over blocks of frames.

    Each block comes as mean, deviation and frame count, so the weighted mean and deviation over the frames are exact
    as long as the weight is constant within a block (a fifth of a second). The attention starts at zero: pooling
    begins as plain mean and deviation over all frames.

    Args:
        layers: L.
        width: D.
        attention_width: Units A of the attention's hidden layer; 0 for plain statistics.
    """

    def __init__(self, layers: int, width: int, attention_width: int) -> None:
        super().__init__()
        self.standardise = Standardise(layers * width)
        self.hidden = nn.Linear(layers * width, attention_width) if attention_width else None
        self.score = nn.Linear(attention_width or 1, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def weights(self, mean: Tensor, count: Tensor) -> Tensor:
        """Share (B, S) of each block in the pooled statistics; sums to 1, 0 for padding (count 0)."""
        if self.hidden is None:
            return count / count.sum(1, keepdim=True)
        standard = self.standardise(mean.flatten(2))
        score = self.score(torch.tanh(self.hidden(standard))).squeeze(2)
        score = score.masked_fill(count == 0, -1e4)
        share = torch.exp(score - score.amax(1, keepdim=True)) * count
        return share / share.sum(1, keepdim=True)

    def forward(self, mean: Tensor, std: Tensor, count: Tensor) -> Tensor:
        """Pooled statistics (B, 2, L, D): mean, then deviation, of blocks (B, S, L, D) with frame counts (B, S)."""
        share = self.weights(mean, count)[:, :, None, None]
        pooled = (share * mean).sum(1)
        spread = mean - pooled[:, None]
        variance = (share * (std * std + spread * spread)).sum(1)
        return torch.stack([pooled, variance.clamp(min=1e-8).sqrt()], dim=1)


class SpeechNetwork(nn.Module):
    """Pooling, components, embedding, classifier.

    Args:
        layers: Layers L that the backbone exposes.
        width: Their width D.
        emotions: C.
        attention_width: As in `AttentiveStatistics`.
        components: As in `Project`.
        shape: Of the head.
    """

    def __init__(
        self, *, layers: int, width: int, emotions: int, attention_width: int, components: int, shape: HeadShape
    ) -> None:
        super().__init__()
        self.pool = AttentiveStatistics(layers, width, attention_width)
        self.standardise = Standardise(2 * layers * width)
        self.project = Project(2 * layers * width, components)
        self.head = EmotionHead(self.project.width, emotions, shape)

    def features(self, mean: Tensor, std: Tensor, count: Tensor) -> Tensor:
        """What the head sees, (B, P), of blocks as in `forward`; without attention no parameter has a part in it."""
        projected: Tensor = self.project(self.standardise(self.pool(mean, std, count).flatten(1)))
        return projected

    def forward(self, mean: Tensor, std: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`, of blocks: mean and std (B, S, L, D), count (B, S), 0 = padding."""
        embedding, logits = self.head(self.features(mean, std, count))
        return embedding, logits


class TunedSpeechNetwork(nn.Module):
    """A speech encoder that is tuned, and a `SpeechNetwork` over whole utterances of what it gives.

    Args:
        encoder: Gives states (B, L, T, D) and their real frames (B,) from its inputs and theirs.
        network: Pools these and reads the emotion; without attention over time.
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
        embedding, logits = self.network(mean[:, None], std[:, None], real[:, None].to(mean.dtype))
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


class BaselineNetwork(nn.Module):
    """Plain statistics, standardised by the speaker's baseline; components, embedding, classifier.

    Args:
        layers: Layers L that the backbone exposes.
        width: Their width D.
        emotions: C.
        components: As in `Project`.
        strength: As in `StandardiseBySpeaker`.
        shape: Of the head.
    """

    def __init__(
        self, *, layers: int, width: int, emotions: int, components: int, strength: float, shape: HeadShape
    ) -> None:
        super().__init__()
        self.pool = AttentiveStatistics(layers, width, 0)
        self.standardise = StandardiseBySpeaker(2 * layers * width, strength)
        self.project = Project(2 * layers * width, components)
        self.head = EmotionHead(self.project.width, emotions, shape)

    def standard(
        self, mean: Tensor, std: Tensor, count: Tensor, heard: Tensor, own_mean: Tensor, own_std: Tensor
    ) -> Tensor:
        """Standardised statistics (B, 2 L D) of what `forward` takes."""
        pooled = self.pool(mean, std, count).flatten(1)
        standard: Tensor = self.standardise(pooled, heard, own_mean.flatten(1), own_std.flatten(1))
        return standard

    def features(
        self, mean: Tensor, std: Tensor, count: Tensor, heard: Tensor, own_mean: Tensor, own_std: Tensor
    ) -> Tensor:
        """What the head sees, (B, P)."""
        projected: Tensor = self.project(self.standard(mean, std, count, heard, own_mean, own_std))
        return projected

    def forward(
        self, mean: Tensor, std: Tensor, count: Tensor, heard: Tensor, own_mean: Tensor, own_std: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Embedding and logits, as `EmotionHead`.

        Args:
            mean: Of blocks, (B, S, L, D).
            std: Of blocks, (B, S, L, D).
            count: Frames of each block, (B, S), 0 = padding.
            heard: Clips that the speaker's baseline stands on, (B,); with 0 the next two are not looked at.
            own_mean: Mean of their pooled statistics, (B, 2, L, D).
            own_std: Their deviation, (B, 2, L, D).
        """
        embedding, logits = self.head(self.features(mean, std, count, heard, own_mean, own_std))
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
