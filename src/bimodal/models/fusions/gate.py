"""The third network: what both modalities found, weighed against each other (step 204 of the method)."""

import math
from typing import Final

import torch
from torch import Tensor, nn

from bimodal.models.layers import with_unknown

_LEAST_SHARE: Final = 0.02


class FusionNetwork(nn.Module):
    """A gate between two experts, with learned vectors for an absent modality.

    With l the log of the emotions' prior in training and p_s, p_t what the modalities find, the logits are a product of
    experts, `l + 2 b g a_s (log p_s - l) + 2 b (1 - g) a_t (log p_t - l)`, plus a correction from the gated embedding
    that starts at zero. So training begins at plain late fusion (or where `start_at` puts it) and departs from it only
    where that pays; a modality that knows no more than the prior adds nothing. A single modality's logits pass
    through as they are: what the loss weighs for pairs (a gate, rare emotions) is no news to it. Of an emotion that
    one modality was never shown it says what the prior says, so that the other modality alone decides. Words that are
    there by halves, since a speech recogniser was unsure of them, lie between: at confidence 0 the voice answers as
    if it were alone.

    Args:
        speech_width: Width of the speech embedding.
        text_width: Width of the text embedding.
        emotions: C.
        hidden_width: Units of the gate.
        embedding_width: Width E of the fused embedding.
        dropout: Share of embedding features that are dropped in training.
        modality_dropout: Share of utterances whose one modality (either, evenly) is taken away in training.
    """

    log_prior: Tensor

    def __init__(
        self,
        *,
        speech_width: int,
        text_width: int,
        emotions: int,
        hidden_width: int,
        embedding_width: int,
        dropout: float,
        modality_dropout: float,
    ) -> None:
        super().__init__()
        self.speech_width, self.text_width, self.modality_dropout = speech_width, text_width, modality_dropout
        self.register_buffer("log_prior", torch.full((emotions,), -math.log(emotions)))
        self.project_speech = nn.Linear(speech_width + emotions, embedding_width)
        self.project_text = nn.Linear(text_width + emotions, embedding_width)
        self.absent_speech = nn.Parameter(torch.zeros(embedding_width))
        self.absent_text = nn.Parameter(torch.zeros(embedding_width))
        self.compare = nn.Sequential(nn.Linear(2 * embedding_width, hidden_width), nn.Tanh(), nn.Dropout(dropout))
        self.gate = nn.Linear(hidden_width, 1)
        self.sharpness = nn.Parameter(torch.zeros(2))
        self.together = nn.Parameter(torch.zeros(1))
        self.dropout = nn.Dropout(dropout)
        self.correct = nn.Linear(embedding_width, emotions)
        for layer in (self.gate, self.correct):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def set_prior(self, counts: Tensor) -> None:
        """Take the prior from the training utterances of each emotion, (C,); one that never occurs counts as one."""
        known = counts.clamp(min=1).to(self.log_prior.dtype)
        self.log_prior.copy_(torch.log(known / known.sum()))

    def start_at(self, speech: float, text: float) -> None:
        """Begin at these weights of both modalities' experts where both are there; (1, 1) is late fusion."""
        share = min(max(speech / max(speech + text, 1e-6), _LEAST_SHARE), 1 - _LEAST_SHARE)
        nn.init.constant_(self.gate.bias, math.log(share / (1 - share)))
        nn.init.constant_(self.together, math.log(max(speech + text, _LEAST_SHARE) / 2))

    def forward(
        self, speech: Tensor, speech_logits: Tensor, text: Tensor, text_logits: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse two modalities.

        Args:
            speech: Speech embeddings (B, Ds) of unit length; anything finite where absent.
            speech_logits: (B, C); likewise.
            text: Text embeddings (B, Dt) of unit length; likewise.
            text_logits: (B, C); likewise.
            present: (B, 2) float: 1 where speech, text are there, 0 where not; below 1 for words that a speech
                recogniser was unsure of. At least one of them must be there.

        Returns:
            Fused embedding (B, E) of unit length, logits (B, C), gate (B,): share of speech, 0 to 1.
        """
        if self.training and self.modality_dropout > 0:
            present = drop_modalities(present, self.modality_dropout)
        has_speech, has_text = present[:, :1], present[:, 1:]
        log_speech = with_unknown(torch.log_softmax(speech_logits, dim=1), self.log_prior, has_text)
        log_text = with_unknown(torch.log_softmax(text_logits, dim=1), self.log_prior, has_speech)
        from_speech = self.project_speech(torch.cat([speech, log_speech.exp()], dim=1))
        from_text = self.project_text(torch.cat([text, log_text.exp()], dim=1))
        from_speech = has_speech * from_speech + (1 - has_speech) * self.absent_speech
        from_text = has_text * from_text + (1 - has_text) * self.absent_text
        balance = torch.sigmoid(self.gate(self.compare(torch.cat([from_speech, from_text], dim=1))))
        embedding = nn.functional.normalize(balance * from_speech + (1 - balance) * from_text, dim=1)
        balance = has_speech * (has_text * balance + (1 - has_text))
        both = has_speech * has_text
        weight = (has_speech + has_text) * torch.exp(both * (self.sharpness + self.together))
        logits = self.log_prior + weight[:, :1] * balance * (log_speech - self.log_prior)
        logits = logits + weight[:, 1:] * (1 - balance) * (log_text - self.log_prior)
        logits = logits + both * self.correct(self.dropout(embedding))
        return embedding, logits, balance[:, 0]


def drop_modalities(present: Tensor, share: float) -> Tensor:
    """Take one modality away from a share of the utterances that have both.

    Args:
        present: (B, 2) float.
        share: 0 to 1.

    Returns:
        (B, 2); every row keeps at least one modality.
    """
    both = present.prod(dim=1) > 0
    chosen = (torch.rand(len(present), device=present.device) < share) & both
    modality = torch.randint(2, (len(present),), device=present.device)
    return present * (1 - chosen[:, None].to(present.dtype) * nn.functional.one_hot(modality, 2))
