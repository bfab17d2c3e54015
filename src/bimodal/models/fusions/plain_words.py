"""Fusion in closed form, by Bayes: most words are plain, whatever the voice expresses. Nothing is trained."""

import math
from typing import Final

import torch
from torch import Tensor, nn

from bimodal.records import UNKNOWN

_BELOW: Final = 0.01
_SMALLEST: Final = 1e-30


class PlainWordsNetwork(nn.Module):
    """Bayes' rule for a voice and words that express its emotion only now and then.

    Words are plain with probability m, whatever the voice expresses; otherwise they express its emotion. With T(e) the
    ratio of the text network's score of emotion e to its prior, both among the emotions that both networks know, to
    the power g:

        likelihood(e) = (1 - m) T(e) + m T(neutral)
        fused(e) ~ voice(e) likelihood(e)

    For `neutral` the likelihood is T(neutral). So plain words, those whose T(neutral) is the largest, change the odds
    of any two emotions that both know by a factor of 1/m at most, and emotional words by much more.

    - Confidence c of speech recognition: scores = (1 - w) voice + w fused, with w = 1 - (1 - c)^3, as words that are
      half certain still tell most of an emotion. Each score moves one way with c; at 0 they are the voice's alone.
    - Emotions that only the text network knows: each has (1 - m) times the score that the words alone give it, beside
      m times what the words alone give the others together, which the formula divides. So plain words give them
      little, and one of them wins where the words speak clearly: above m for it.
    - An emotion that only the speech network knows has T(e) = 1: words speak neither for it nor against it.
    - An emotion that neither modality ranks first or second cannot gain on the voice's first. Where both rank the same
      emotion first, no other emotion can.
    - Where the text network knows no `neutral`, T(neutral) is 1: plain words tell nothing.

    One modality alone passes through. Speech alone and words alone have the temperatures of their networks, so the
    scores are calibrated as they are, and need no temperature of their own.

    Args:
        speech_width: Width of the speech embedding.
        text_width: Width of the text embedding.
        emotions: C.
        plain_words_prob: m, 0 to 1.
        text_exponent: g, at least 0; 0 takes nothing from the words.
    """

    log_prior: Tensor
    temperatures: Tensor
    neutral: Tensor

    def __init__(
        self, *, speech_width: int, text_width: int, emotions: int, plain_words_prob: float, text_exponent: float
    ) -> None:
        super().__init__()
        self.speech_width, self.text_width, self.text_exponent = speech_width, text_width, text_exponent
        self.log_plain, self.log_emotional = (
            math.log(max(share, _SMALLEST)) for share in (plain_words_prob, 1 - plain_words_prob)
        )
        self.register_buffer("log_prior", torch.full((emotions,), -math.log(emotions)))
        self.register_buffer("temperatures", torch.ones(2))
        self.register_buffer("neutral", torch.zeros(emotions))

    def set_prior(self, counts: Tensor) -> None:
        """Take the prior from the training utterances of each emotion, (C,); one that never occurs counts as one."""
        known = counts.clamp(min=1).to(self.log_prior.dtype)
        self.log_prior.copy_(torch.log(known / known.sum()))

    def set_modalities(self, temperatures: tuple[float, float], counts: Tensor, neutral: int | None) -> None:
        """Take what is known of the speech and the text network.

        Args:
            temperatures: Of speech and of text alone; they divide the logits.
            counts: Training utterances of each emotion that the text network was shown, times the weight of the
                emotion in its loss, (C,): the prior that its scores have.
            neutral: Position of `neutral` among the emotions; None where there is none.
        """
        self.set_prior(counts)
        self.temperatures.copy_(torch.tensor(temperatures))
        self.neutral.zero_()
        if neutral is not None:
            self.neutral[neutral] = 1.0

    def forward(
        self, speech: Tensor, speech_logits: Tensor, text: Tensor, text_logits: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding (both side by side), logits and gate of two modalities, as `FusionNetwork`.

        The logits are log scores. The gate tells where the scores lie between those of the words alone, 0, and those of
        the voice alone, 1, by total variation distance; a half where all are equal.
        """
        has_speech, weight = present[:, :1], 1 - (1 - present[:, 1:]) ** 3
        log_voice = torch.log_softmax(speech_logits / self.temperatures[0], dim=1)
        log_words = torch.log_softmax(text_logits / self.temperatures[1], dim=1)
        known = speech_logits > UNKNOWN / 2, text_logits > UNKNOWN / 2
        log_prior = _among(self.log_prior.expand_as(log_words), known[1])
        voice, words = log_voice.exp(), log_words.exp()
        told = weight * words + (1 - weight) * log_prior.exp()
        fused = (1 - weight) * voice + weight * self._fuse(log_voice, log_words, known)
        scores = has_speech * fused + (1 - has_speech) * told
        to_voice, to_words = ((scores - alone).abs().sum(1, keepdim=True) / 2 for alone in (voice, words))
        gate = has_speech * (to_words + 1e-6) / (to_words + to_voice + 1e-6 * (1 + weight))
        embedding = nn.functional.normalize(torch.cat([has_speech * speech, weight * text], dim=1), dim=1)
        return embedding, torch.log(scores.clamp(min=_SMALLEST)), gate[:, 0]

    def _fuse(self, log_voice: Tensor, log_words: Tensor, known: tuple[Tensor, Tensor]) -> Tensor:
        """Scores (B, C) where both modalities are there, and the words certain."""
        heard, read = known
        shared = read & (heard | (self.neutral > 0))
        told, prior = (_among(one, shared) for one in (log_words, self.log_prior.expand_as(log_words)))
        ratio = torch.where(shared, self.text_exponent * (told - prior), 0.0)  # log T
        plain = (ratio * self.neutral).sum(1, keepdim=True)
        likelihood = torch.logaddexp(self.log_emotional + ratio, self.log_plain + plain)
        first, may_gain = _first_and_gaining(log_voice, log_words, known)
        likelihood = torch.where(may_gain, likelihood, torch.minimum(likelihood, _greatest(likelihood, first)))
        voice = torch.log_softmax(log_voice + likelihood, dim=1)
        words_only = read & ~heard
        joint = torch.where(words_only, self.log_emotional + log_words, self._expected(log_words, ~words_only) + voice)
        limit = torch.where(words_only & ~may_gain, _greatest(joint, first) - _BELOW, math.inf)
        return torch.softmax(torch.minimum(joint, limit), dim=1)

    def _expected(self, log_words: Tensor, among: Tensor) -> Tensor:
        """Log of m times the words' share of some emotions, (B, 1)."""
        return self.log_plain + torch.where(among, log_words, UNKNOWN).logsumexp(1, keepdim=True)


def _first_and_gaining(log_voice: Tensor, log_words: Tensor, known: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The voice's first emotion, and those that may gain on it: a modality's top two, none where both agree; (B, C)."""
    firsts = [one >= one.amax(1, keepdim=True) for one in (log_voice, log_words)]
    seconds = [torch.topk(one, 2, dim=1).values[:, 1:] for one in (log_voice, log_words)]
    ranked = (log_voice >= seconds[0]) & known[0] | (log_words >= seconds[1]) & known[1]
    both = firsts[0] & firsts[1]
    agree = both.any(1, keepdim=True)
    return agree & both | ~agree & firsts[0], ranked & ~agree


def _among(log_scores: Tensor, chosen: Tensor) -> Tensor:
    """Log scores (B, C) renormalised among some emotions; the others near `UNKNOWN`."""
    return torch.log_softmax(torch.where(chosen, log_scores, UNKNOWN), dim=1)


def _greatest(values: Tensor, among: Tensor) -> Tensor:
    """The largest value of each row among some places, (B, 1)."""
    return torch.where(among, values, -math.inf).amax(1, keepdim=True)
