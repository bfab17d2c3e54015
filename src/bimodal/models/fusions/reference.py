"""What the gate is compared with: plain concatenation, a product of calibrated experts, late fusion.

Inputs and outputs are those of `FusionNetwork`, so each can stand in its place, in training and in use.
"""

import math

import torch
from torch import Tensor, nn

from bimodal.models.fusions.gate import drop_modalities
from bimodal.models.layers import with_unknown


class ConcatenationNetwork(nn.Module):
    """The embeddings and probabilities of both modalities side by side, a hidden layer, a classifier.

    An absent modality has a learned vector. Nothing ties it to what the modalities found: it can be worse than either.

    Args:
        speech_width: Width of the speech embedding.
        text_width: Width of the text embedding.
        emotions: C.
        embedding_width: Width E of the fused embedding.
        dropout: Share of embedding features that are dropped in training.
        modality_dropout: Share of utterances whose one modality (either, evenly) is taken away in training.
    """

    def __init__(
        self,
        *,
        speech_width: int,
        text_width: int,
        emotions: int,
        embedding_width: int,
        dropout: float,
        modality_dropout: float,
    ) -> None:
        super().__init__()
        self.speech_width, self.text_width, self.modality_dropout = speech_width, text_width, modality_dropout
        self.absent_speech = nn.Parameter(torch.zeros(speech_width + emotions))
        self.absent_text = nn.Parameter(torch.zeros(text_width + emotions))
        self.embed = nn.Linear(speech_width + text_width + 2 * emotions, embedding_width)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(embedding_width, emotions)

    def set_prior(self, counts: Tensor) -> None:
        """Has no prior."""

    def forward(
        self, speech: Tensor, speech_logits: Tensor, text: Tensor, text_logits: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding, logits and gate of two modalities, as `FusionNetwork`; the gate tells only which are there."""
        if self.training and self.modality_dropout > 0:
            present = drop_modalities(present, self.modality_dropout)
        has_speech, has_text = present[:, :1], present[:, 1:]
        from_speech = torch.cat([speech, torch.softmax(speech_logits, dim=1)], dim=1)
        from_text = torch.cat([text, torch.softmax(text_logits, dim=1)], dim=1)
        from_speech = has_speech * from_speech + (1 - has_speech) * self.absent_speech
        from_text = has_text * from_text + (1 - has_text) * self.absent_text
        hidden = torch.relu(self.embed(torch.cat([from_speech, from_text], dim=1)))
        return nn.functional.normalize(hidden, dim=1), self.classify(self.dropout(hidden)), share_of_speech(present)


class ExpertsNetwork(nn.Module):
    """Both modalities as experts whose scores are multiplied: with a learned calibration of each, or late fusion.

    With l the log prior and p_s, p_t the modalities' probabilities: `l + a_s (log p_s - l) + a_t (log p_t - l)`, a
    the two learned sharpnesses, 1 at first. Late fusion learns nothing: the mean of log p over the modalities that
    are there.

    Args:
        speech_width: Width of the speech embedding.
        text_width: Width of the text embedding.
        emotions: C.
        late: Whether it is late fusion.
    """

    log_prior: Tensor

    def __init__(self, *, speech_width: int, text_width: int, emotions: int, late: bool) -> None:
        super().__init__()
        self.speech_width, self.text_width, self.late = speech_width, text_width, late
        self.register_buffer("log_prior", torch.full((emotions,), -math.log(emotions)))
        self.sharpness = nn.Parameter(torch.zeros(2), requires_grad=not late)

    def set_prior(self, counts: Tensor) -> None:
        """Take the prior from the training utterances of each emotion, (C,); one that never occurs counts as one."""
        known = counts.clamp(min=1).to(self.log_prior.dtype)
        self.log_prior.copy_(torch.log(known / known.sum()))

    def forward(
        self, speech: Tensor, speech_logits: Tensor, text: Tensor, text_logits: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding (both side by side), logits and gate of two modalities, as `FusionNetwork`."""
        has_speech, has_text = present[:, :1], present[:, 1:]
        modalities = ((speech_logits, has_text), (text_logits, has_speech))
        told = [with_unknown(torch.log_softmax(logits, dim=1), self.log_prior, other) for logits, other in modalities]
        both = torch.stack(told, dim=1)
        if self.late:
            logits = (present[:, :, None] * both).sum(1) / present.sum(1, keepdim=True)
        else:
            weight = present * torch.exp(self.sharpness)
            logits = self.log_prior + (weight[:, :, None] * (both - self.log_prior)).sum(1)
        embedding = nn.functional.normalize(torch.cat([has_speech * speech, has_text * text], dim=1), dim=1)
        return embedding, logits, share_of_speech(present)


def share_of_speech(present: Tensor) -> Tensor:
    """Speech's share among the modalities that are there, (B,), of (B, 2): 1, 0, or a half."""
    return present[:, 0] / present.sum(1)
