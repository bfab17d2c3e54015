"""Pairs for the fusion stage where no utterance has both modalities: speech and words of one emotion, of two rows.

Such pairs let the fusion learn how far to trust each modality when the two are independent given the emotion. They
are made from the labels, so whatever a network gains on them it gains by construction: they are no evidence for
anything.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bimodal.config import FusionConfig
from bimodal.data.batches import TARGETS, Examples, Inputs, array_examples, main_emotion, single_emotion
from bimodal.errors import TrainingError
from bimodal.features.cache import cache_key
from bimodal.inference.outputs import ModalityOutputs
from bimodal.training.fusion import fit_fusion, fusion_examples, outputs_digest
from bimodal.training.stage import RunContext

log = logging.getLogger(__name__)


Pool = dict[int, npt.NDArray[np.int64]]  # rows by emotion


@dataclass(frozen=True, kw_only=True)
class _Anchor:
    """A modality of an utterance that keeps its place; the other modality is drawn.

    Attributes:
        row: The utterance.
        is_speech: Whether its own modality is speech.
        emotion: Of the utterance.
        partners: Rows of its emotion that have the other modality, itself left out; may be empty.
        others: Rows of each other emotion that have the other modality.
    """

    row: int
    is_speech: bool
    emotion: int
    partners: npt.NDArray[np.int64]
    others: Pool


def pair_by_label(
    speech: ModalityOutputs, text: ModalityOutputs, targets: npt.NDArray[Any], rows: Sequence[int], *, mismatched: float
) -> Examples:
    """Examples of the fusion stage: each modality of a row with the other modality of another row of its emotion.

    Each reading draws new pairs, by torch's generator. The modalities of a mismatched pair are of two
    emotions, and its target is half of each; so a reading hands over its own targets, and those of the examples are
    the expected ones. An utterance whose emotion the other modality lacks stays alone. Rows of several emotions are
    left out.

    Args:
        speech: What the speech network found in all N utterances; cross-fitted for training rows.
        text: Likewise of the words.
        targets: (N,) or (N, C).
        rows: Utterances to pair.
        mismatched: Share of the pairs whose modalities contradict each other, 0 to 1.

    Returns:
        One example for each modality of each row.

    Raises:
        TrainingError: No emotion is there in speech and in words.
    """
    anchors = _anchors(speech, text, targets, rows)
    _warn_of_lonely(_pools(speech, text, targets, rows))
    one_hot = np.eye(speech.logits.shape[1], dtype=np.float32)

    def read(indices: Sequence[int]) -> Inputs:
        chosen = [anchors[index] for index in indices]
        drawn = [_draw(anchor, mismatched, share) for anchor, share in zip(chosen, _shares(len(chosen)), strict=True)]
        with_speech = [anchor.row if anchor.is_speech else row for anchor, (row, _) in zip(chosen, drawn, strict=True)]
        with_text = [row if anchor.is_speech else anchor.row for anchor, (row, _) in zip(chosen, drawn, strict=True)]
        there = [
            [a.is_speech or row >= 0, not a.is_speech or row >= 0] for a, (row, _) in zip(chosen, drawn, strict=True)
        ]
        own, other = [anchor.emotion for anchor in chosen], [emotion for _, emotion in drawn]
        return {
            "speech": speech.embedding[with_speech],
            "speech_logits": speech.logits[with_speech],
            "text": text.embedding[with_text],
            "text_logits": text.logits[with_text],
            "present": np.array(there, np.float32),
            TARGETS: (one_hot[own] + one_hot[other]) / 2,
        }

    expected = np.array([_expected(anchor, mismatched, one_hot) for anchor in anchors], np.float32)
    return Examples(size=len(anchors), read=read, targets=expected)


def _shares(count: int) -> list[tuple[float, float, float]]:
    """Random numbers of some draws: whether to mismatch, with which emotion, with which row of it."""
    return [(first, second, third) for first, second, third in torch.rand(count, 3).tolist()]


def _draw(anchor: _Anchor, mismatched: float, shares: tuple[float, float, float]) -> tuple[int, int]:
    """The row that the other modality is taken from, and its emotion; -1 and the anchor's own where there is none."""
    emotion, rows = anchor.emotion, anchor.partners
    if anchor.others and shares[0] < mismatched:
        emotion = _pick(sorted(anchor.others), shares[1])
        rows = anchor.others[emotion]
    return (int(_pick(rows, shares[2])), emotion) if len(rows) else (-1, anchor.emotion)


def _pick(items: Sequence[Any] | npt.NDArray[Any], share: float) -> Any:
    """The item that a random number from 0 to 1 falls on."""
    return items[min(int(share * len(items)), len(items) - 1)]


def _expected(anchor: _Anchor, mismatched: float, one_hot: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean target of an anchor over all draws."""
    mean: npt.NDArray[np.float32] = one_hot[anchor.emotion]
    if anchor.others:
        half = (mean + one_hot[sorted(anchor.others)].mean(axis=0)) / 2
        mean = (1 - mismatched) * mean + mismatched * half
    return mean


def paired_speech_rows(
    speech: ModalityOutputs, text: ModalityOutputs, targets: npt.NDArray[Any], rows: Sequence[int]
) -> list[int]:
    """The rows whose speech keeps its place in the first examples of `pair_by_label`, in their order."""
    return [anchor.row for anchor in _anchors(speech, text, targets, rows) if anchor.is_speech]


def pairable(speech: ModalityOutputs, text: ModalityOutputs, targets: npt.NDArray[Any], rows: Sequence[int]) -> bool:
    """Whether any emotion is there in speech and in words of some rows."""
    with_speech, with_text = _pools(speech, text, targets, rows)
    return bool(set(with_speech) & set(with_text))


def _pools(
    speech: ModalityOutputs, text: ModalityOutputs, targets: npt.NDArray[Any], rows: Sequence[int]
) -> tuple[Pool, Pool]:
    """Rows of one emotion that have speech, and that have words."""
    alone, names = single_emotion(targets), main_emotion(targets)
    chosen = [np.array([row for row in rows if one.present[row] and alone[row]], np.int64) for one in (speech, text)]
    with_speech, with_text = (
        {int(name): some[names[some] == name] for name in np.unique(names[some])} for some in chosen
    )
    return with_speech, with_text


def _anchors(
    speech: ModalityOutputs, text: ModalityOutputs, targets: npt.NDArray[Any], rows: Sequence[int]
) -> list[_Anchor]:
    with_speech, with_text = _pools(speech, text, targets, rows)
    if not set(with_speech) & set(with_text):
        raise TrainingError(
            "speech and words share no emotion among the training rows, so nothing can be paired by label; give "
            "both modalities of at least two emotions"
        )
    anchors = []
    for is_speech, own, pool in ((True, with_speech, with_text), (False, with_text, with_speech)):
        for emotion, members in own.items():
            others = {name: partners for name, partners in pool.items() if name != emotion}
            partners = pool.get(emotion, np.zeros(0, np.int64))
            both = set(members.tolist()) & set(partners.tolist())  # rows with both modalities must not meet themselves
            for row in members.tolist():
                mine = partners[partners != row] if row in both else partners
                anchors.append(_Anchor(row=row, is_speech=is_speech, emotion=emotion, partners=mine, others=others))
    return anchors


def _warn_of_lonely(pools: tuple[Pool, Pool]) -> None:
    lonely = set(pools[0]) ^ set(pools[1])
    rows = sum(len(pool[emotion]) for pool in pools for emotion in lonely & set(pool))
    if rows:
        log.warning(
            "pairing by label: %d rows of %d emotions have no partner and stay of one modality", rows, len(lonely)
        )


def draw_once(examples: Examples, seed: int) -> Examples:
    """Examples as one reading of all of them gives them, the same whenever it is called."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inputs = examples.read(range(examples.size))
    return array_examples(inputs, inputs.pop(TARGETS))


def train_fusion_by_label(
    speech: ModalityOutputs,
    text: ModalityOutputs,
    targets: npt.NDArray[Any],
    parts: tuple[Sequence[int], Sequence[int]],
    config: FusionConfig,
    where: RunContext,
) -> nn.Module:
    """Train the third network on pairs by label, in place of utterances with both modalities.

    Args:
        speech: As in `pair_by_label`.
        text: As in `pair_by_label`.
        targets: (N,) or (N, C).
        parts: Rows to train on, and rows as they are whose UAR decides which epoch is kept.
        config: How to train; `mismatched` is the share of pairs that contradict each other.
        where: Where it runs.

    Raises:
        TrainingError: As `pair_by_label`.
    """
    train, dev = parts
    whole = fusion_examples(speech, text, targets)
    pairs = pair_by_label(speech, text, targets, train, mismatched=config.mismatched)
    chosen = list(dev) if config.patience else []
    rows, made = [*train, *chosen], [speech.identity, text.identity]
    identity = cache_key(*made, *rows) if all(made) else outputs_digest(whole, rows)
    return fit_fusion(pairs, whole.subset(chosen) if chosen else None, config, where, identity)[0]
