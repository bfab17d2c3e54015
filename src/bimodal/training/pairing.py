"""Pairs for the fusion stage where no utterance has both sides: speech and words of one emotion, of different rows.

Such pairs let the fusion learn how far to trust each side when the two are independent given the emotion. They are made
from the labels, so whatever a network gains on them it gains by construction: they are no evidence for anything.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bimodal.config import FusionConfig
from bimodal.data import Examples, Inputs, array_examples, main_emotion, single_emotion
from bimodal.errors import TrainingError
from bimodal.models.fusion import FusionNetwork
from bimodal.training.stages import Evidence, Where, evidence_digest, fit_fusion, fusion_examples

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Anchor:
    """A side of an utterance that keeps its place, and where the other side is drawn from.

    Attributes:
        row: The utterance.
        hears: Whether its own side is speech, not words.
        emotions: Its own, and that of its partners; another one for a mismatched pair.
        partners: Utterances to draw the other side from; empty where the other side lacks the emotion.
    """

    row: int
    hears: bool
    emotions: tuple[int, int]
    partners: npt.NDArray[np.int64]


def pair_by_label(
    speech: Evidence, text: Evidence, targets: npt.NDArray[Any], rows: Sequence[int], *, mismatched: float, seed: int
) -> Examples:
    """Examples of the fusion stage: each side of each row beside the other side of another row of the same emotion.

    The partner is drawn anew at each reading, by torch's generator. Which pairs are mismatched is drawn once: their
    sides are of two emotions, and the target is half of each. An utterance whose emotion the other side lacks stays
    alone. Rows of several emotions are left out.

    Args:
        speech: What the speech network found in all N utterances; cross-fitted for training rows.
        text: Likewise of the words.
        targets: (N,) or (N, C).
        rows: Utterances to pair.
        mismatched: Share of the pairs whose sides contradict each other, 0 to 1.
        seed: Decides which.

    Returns:
        One example for each side of each row, with distributions (A, C) as targets.

    Raises:
        TrainingError: No emotion is there in speech and in words.
    """
    anchors = _anchors(speech, text, targets, rows, mismatched, seed)

    def read(indices: Sequence[int]) -> Inputs:
        chosen = [anchors[index] for index in indices]
        partners = [
            _draw(anchor, share) for anchor, share in zip(chosen, torch.rand(len(chosen)).tolist(), strict=True)
        ]
        heard = [anchor.row if anchor.hears else other for anchor, other in zip(chosen, partners, strict=True)]
        said = [other if anchor.hears else anchor.row for anchor, other in zip(chosen, partners, strict=True)]
        there = [[a.hears or len(a.partners) > 0, not a.hears or len(a.partners) > 0] for a in chosen]
        return {
            "speech": speech.embedding[heard],
            "speech_logits": speech.logits[heard],
            "text": text.embedding[said],
            "text_logits": text.logits[said],
            "present": np.array(there, np.float32),
        }

    one_hot = np.eye(speech.logits.shape[1], dtype=np.float32)
    both = np.array([one_hot[list(anchor.emotions)].mean(axis=0) for anchor in anchors])
    return Examples(size=len(anchors), read=read, targets=both)


def pairable(speech: Evidence, text: Evidence, targets: npt.NDArray[Any], rows: Sequence[int]) -> bool:
    """Whether any emotion is there in speech and in words of some rows."""
    heard, said = _pools(speech, text, targets, rows)
    return bool(set(heard) & set(said))


Pool = dict[int, npt.NDArray[np.int64]]  # rows by emotion


def _pools(speech: Evidence, text: Evidence, targets: npt.NDArray[Any], rows: Sequence[int]) -> tuple[Pool, Pool]:
    """Rows of one emotion that have speech, and that have words."""
    alone, names = single_emotion(targets), main_emotion(targets)
    chosen = [np.array([row for row in rows if side.present[row] and alone[row]], np.int64) for side in (speech, text)]
    heard, said = ({int(name): side[names[side] == name] for name in np.unique(names[side])} for side in chosen)
    return heard, said


def _draw(anchor: _Anchor, share: float) -> int:
    """A partner that is not the utterance itself; the utterance where there is none (its other side is then absent)."""
    if not len(anchor.partners):
        return anchor.row
    place = min(int(share * len(anchor.partners)), len(anchor.partners) - 1)
    if anchor.partners[place] == anchor.row:
        place = (place + 1) % len(anchor.partners)
    return int(anchor.partners[place])


def _anchors(
    speech: Evidence, text: Evidence, targets: npt.NDArray[Any], rows: Sequence[int], mismatched: float, seed: int
) -> list[_Anchor]:
    rng = np.random.default_rng(seed)
    heard, said = _pools(speech, text, targets, rows)
    if not set(heard) & set(said):
        raise TrainingError(
            "speech and words share no emotion among the training rows, so nothing can be paired by label; give "
            "both sides of at least two emotions"
        )
    _warn_of_lonely((heard, said))
    anchors = []
    for hears, own, pool in ((True, heard, said), (False, said, heard)):
        for emotion, members in own.items():
            for row in members.tolist():
                other = _other(emotion, pool, rng) if rng.random() < mismatched else emotion
                anchors.append(_anchor(row, hears, (emotion, other), pool))
    return anchors


def _anchor(row: int, hears: bool, emotions: tuple[int, int], pool: Pool) -> _Anchor:
    partners = pool.get(emotions[1], np.zeros(0, np.int64))
    if len(partners) == 1 and partners[0] == row:  # itself alone
        partners = partners[:0]
    return _Anchor(row=row, hears=hears, emotions=emotions if len(partners) else (emotions[0],) * 2, partners=partners)


def _other(emotion: int, known: Iterable[int], rng: np.random.Generator) -> int:
    """Another emotion that the other side has; the same where it has none."""
    others = sorted(set(known) - {emotion})
    return others[int(rng.integers(len(others)))] if others else emotion


def _warn_of_lonely(pools: tuple[Pool, Pool]) -> None:
    lonely = set(pools[0]) ^ set(pools[1])
    rows = sum(len(pool[emotion]) for pool in pools for emotion in lonely & set(pool))
    if rows:
        log.warning("pairing by label: %d rows of %d emotions have no partner and stay one-sided", rows, len(lonely))


def draw_once(examples: Examples, seed: int) -> Examples:
    """Examples as one reading of all of them gives them, the same whenever it is called."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return array_examples(examples.read(range(examples.size)), examples.targets)


def train_fusion_by_label(
    speech: Evidence,
    text: Evidence,
    targets: npt.NDArray[Any],
    parts: tuple[Sequence[int], Sequence[int]],
    config: FusionConfig,
    where: Where,
) -> FusionNetwork:
    """Train the third network on pairs by label, in place of utterances with both sides.

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
    pairs = pair_by_label(speech, text, targets, train, mismatched=config.mismatched, seed=where.seed)
    chosen = list(dev) if config.patience else []
    identity = evidence_digest(whole, [*train, *chosen])
    return fit_fusion(pairs, whole.subset(chosen) if chosen else None, config, where, identity)[0]
