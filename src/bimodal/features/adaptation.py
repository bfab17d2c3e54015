"""Adapting a speech network to unlabelled recordings; pure functions of arrays, no labels, no torch.

Their statistics replace those of the training corpus, as far as the recordings hold several emotions. From many
recordings, a correction is learnt from the network's own confident answers.

Recordings of mostly one emotion have another mean for that reason alone. Taking this mean for the microphone's destroys
the answers. How mixed the emotions are is told by the scatter of the logits. A shift of the features, such as that of a
microphone, hardly changes this scatter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bimodal.arrays import Floats
from bimodal.errors import ModelFolderError
from bimodal.features.speaker_stats import RunningStats, merge_stats
from bimodal.records import printable

COMMON_EMOTIONS: Final = ("anger", "happiness", "neutral", "sadness")
"""Emotions that most corpora hold; the scatter is measured over their logits."""

LEAST_SCATTER: Final = 0.56
"""With this relative scatter or less, recordings are taken for those of one emotion; see `benchmarks.adapt_skew`."""

FULL_SCATTER: Final = 0.62
"""From this relative scatter on, the statistics of the recordings replace those of the training corpus entirely."""

CORRECTED_SCATTER: Final = 0.65
"""With less relative scatter, no correction is learnt from the network's own answers: they are too often wrong."""

SCATTER_ERROR: Final = 0.43
"""Standard error of the relative scatter of one clip, measured on draws of 20 and 60 clips of RAVDESS and
emotiontts_ko; that of n clips is smaller by sqrt(n)."""

ENOUGH_CLIPS: Final = 200
"""Fewer clips are too few to learn a correction from; see `benchmarks.adapt_skew`."""

ROUNDS: Final = 3
KEPT: Final = 0.8
"""Share of the clips of each emotion, the most confident ones, that the correction is learnt from."""
RIDGE: Final = 1.0
WEIGHT: Final = 4.0
_CLIP: Final = 5.0
_SMALLEST_DEVIATION: Final = 1e-3
_CLIPS_OF_THE_CORPUS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """What a model was adapted to.

    Attributes:
        corpus: Statistics of the unlabelled clips.
        trained_mean: Centre of the pooled statistics that the network was trained on, (P, L, D).
        trained_std: Their deviation, (P, L, D).
        share: How far the statistics replace those of the training corpus, 0 to 1.
        weight: Correction of the logits for each standardised statistic, (P L D, C).
        bias: Its constant part, (C,).
        sharpness: Divides the corrected logits, so that the answers are on average as sure as they were.
    """

    corpus: RunningStats
    trained_mean: Floats
    trained_std: Floats
    weight: Floats
    bias: Floats
    share: float = 1.0
    sharpness: float = 1.0


def plain_adaptation(corpus: RunningStats, trained_mean: Floats, trained_std: Floats, emotions: int) -> Adaptation:
    """An adaptation that puts statistics in place of statistics and corrects nothing."""
    return Adaptation(
        corpus=corpus,
        trained_mean=trained_mean,
        trained_std=trained_std,
        weight=np.zeros((corpus.mean.size, emotions), np.float32),
        bias=np.zeros(emotions, np.float32),
    )


def standardise(statistics: npt.NDArray[Any], stats: RunningStats) -> Floats:
    """Pooled statistics (..., P, L, D) in standard deviations from statistics of at least two clips, clipped at 5."""
    standard = (statistics - stats.mean) / (stats.std + _SMALLEST_DEVIATION)
    return np.clip(standard, -_CLIP, _CLIP).astype(np.float32)


def retell(statistics: npt.NDArray[Any], stats: RunningStats, adaptation: Adaptation) -> Floats:
    """Pooled statistics (..., P, L, D) moved to the training corpus: as many standard deviations from its mean.

    For networks without speaker statistics.
    """
    moved = adaptation.trained_mean + adaptation.trained_std * standardise(statistics, stats)
    return np.asarray(moved, np.float32)


def emotion_columns(emotions: Sequence[str]) -> list[int]:
    """Columns of the logits whose scatter is measured: the common emotions if the model knows two of them, else all.

    Example:
        >>> emotion_columns(["anger", "fear", "sadness"]), emotion_columns(["calm", "anger"])
        ([0, 2], [0, 1])
    """
    common = [column for column, emotion in enumerate(emotions) if emotion in COMMON_EMOTIONS]
    return common if len(common) > 1 else list(range(len(emotions)))


def logit_variance(logits: npt.NDArray[Any], groups: npt.NDArray[Any] | None = None) -> float:
    """Variance of logits (n, C) around their mean over the emotions, within groups (n,), summed over the emotions.

    Example:
        >>> logit_variance(np.array([[1.0, -1.0], [-1.0, 1.0]])), logit_variance(np.array([[7.0, 5.0], [5.0, 7.0]]))
        (2.0, 2.0)
    """
    apart = logits - logits.mean(axis=1, keepdims=True)
    return float(_centred(apart, groups).var(axis=0).sum())


def relative_scatter(
    logits: npt.NDArray[Any], standard: npt.NDArray[Any], trained: float, groups: npt.NDArray[Any] | None = None
) -> float:
    """Scatter of the logits for that of the features, relative to the training data; about 1 for mixed emotions.

    Args:
        logits: Of the unadapted network, its emotion columns alone, (n, C).
        standard: Statistics in the training data's standard deviations, (n, P, L, D).
        trained: `logit_variance` of the training data.
        groups: Speaker of each clip where each is standardised by their own clips, (n,).
    """
    features = _centred(standard.reshape(len(standard), -1), groups).var(axis=0).mean()
    return float(logit_variance(logits, groups) / max(1e-12, float(features)) / trained)


def sure_scatter(scatter: float, clips: int) -> float:
    """A relative scatter less one standard error: few clips must look more mixed than many.

    Args:
        scatter: As `relative_scatter` gives it.
        clips: Number of clips that it was measured on, at least 1.

    Example:
        >>> round(sure_scatter(0.7, 1849), 3), round(sure_scatter(0.7, 25), 3)
        (0.69, 0.614)
    """
    return scatter - SCATTER_ERROR / math.sqrt(clips)


def share_for(scatter: float) -> float:
    """How far to replace the training corpus's statistics, 0 to 1, by the `sure_scatter` of the recordings.

    Example:
        >>> share_for(0.5), share_for(0.59), share_for(1.0)
        (0.0, 0.5, 1.0)
    """
    share = (scatter - LEAST_SCATTER) / (FULL_SCATTER - LEAST_SCATTER)
    return round(min(1.0, max(0.0, share)), 6)


def _centred(values: npt.NDArray[Any], groups: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """Values (n, F) less the mean of their group."""
    if groups is None:
        return np.asarray(values - values.mean(axis=0))
    centred = np.array(values, np.float64)
    for group in np.unique(groups):
        centred[groups == group] -= centred[groups == group].mean(axis=0)
    return centred


def take_part(stats: RunningStats, adaptation: Adaptation) -> RunningStats:
    """Statistics between those of the training corpus and the given ones, by the adaptation's share."""
    if adaptation.share == 1.0:
        return stats
    mean = adaptation.trained_mean + adaptation.share * (stats.mean - adaptation.trained_mean)
    std = adaptation.trained_std + adaptation.share * (stats.std - adaptation.trained_std)
    return RunningStats(count=stats.count, mean=mean, squares=std * std * max(1, stats.count))


def shrink_to_corpus(own: RunningStats, corpus: RunningStats) -> RunningStats:
    """A speaker's statistics with those of the corpus as prior, worth a few clips, so that one clip decides little."""
    few = min(corpus.count, _CLIPS_OF_THE_CORPUS)
    squares = corpus.squares * (few / max(1, corpus.count))
    return merge_stats(own, RunningStats(count=few, mean=corpus.mean, squares=squares))


def self_train(
    standard: npt.NDArray[Any], logits: npt.NDArray[Any], *, rounds: int = ROUNDS, kept: float = KEPT
) -> tuple[Floats, Floats]:
    """A linear correction of logits, learnt from a network's own answers (self-training, Scudder 1965).

    Each round takes the answers that are most confident within each emotion, fits a class-balanced ridge regression
    to them, and adds it to the network's logits. The share of each emotion in the answers is
    kept, since its true frequency is unknown.

    Args:
        standard: Standardised statistics (N, F).
        logits: The network's, of the same clips, (N, C).
        rounds: Number of rounds.
        kept: Share of each emotion's answers that is learnt from.

    Returns:
        Weight (F, C) and bias (C,).
    """
    values = standard.reshape(len(standard), -1).astype(np.float64)
    said = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    weight, bias = np.zeros((values.shape[1], logits.shape[1])), np.zeros(logits.shape[1])
    for _ in range(rounds):
        answers = said + values @ weight + bias
        chosen = _confident(answers, kept)
        weight, bias = _fit_ridge(values[chosen], answers[chosen].argmax(axis=1), logits.shape[1])
        weight, bias = WEIGHT * weight, WEIGHT * bias
    return weight.astype(np.float32), bias.astype(np.float32)


def _confident(answers: npt.NDArray[Any], kept: float) -> npt.NDArray[np.int64]:
    """Rows whose best answer is furthest from the second best, a share of each emotion's."""
    ordered = np.sort(answers, axis=1)
    margin, emotions = ordered[:, -1] - ordered[:, -2], answers.argmax(axis=1)
    rows = []
    for emotion in np.unique(emotions):
        own = np.flatnonzero(emotions == emotion)
        rows.append(own[np.argsort(-margin[own], kind="stable")[: max(1, round(kept * len(own)))]])
    return np.sort(np.concatenate(rows))


def _fit_ridge(
    values: npt.NDArray[Any], emotions: npt.NDArray[Any], count: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Class-balanced ridge regression of one-hot emotions on values (n, F), in its dual form."""
    share = 1.0 / np.bincount(emotions, minlength=count)[emotions]
    share /= share.mean()
    centre = (share[:, None] * values).mean(axis=0)
    wanted = np.eye(count)[emotions]
    level = (share[:, None] * wanted).mean(axis=0)
    root = np.sqrt(share)[:, None]
    rows = root * (values - centre)
    kernel = rows @ rows.T
    ridge = RIDGE * np.trace(kernel) / len(rows)
    weight = rows.T @ np.linalg.solve(kernel + ridge * np.eye(len(rows)), root * (wanted - level))
    return weight, -centre @ weight


def correct_logits(standard: npt.NDArray[Any], logits: npt.NDArray[Any], adaptation: Adaptation) -> Floats:
    """Logits (N, C) with the correction for standardised statistics (N, P, L, D)."""
    if not adaptation.weight.any():
        return np.asarray(logits, np.float32)
    values = standard.reshape(len(standard), -1)
    said = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return np.asarray((said + values @ adaptation.weight + adaptation.bias) / adaptation.sharpness, np.float32)


def equal_sharpness(corrected: npt.NDArray[Any], logits: npt.NDArray[Any]) -> float:
    """What corrected logits (N, C) are divided by to be on average as unsure (in entropy) as the logits were.

    Example:
        >>> logits = np.array([[0.0, 1.0], [2.0, 0.0]])
        >>> round(equal_sharpness(3 * logits, logits), 3)
        3.0
    """
    wanted, low, high = _entropy(logits), 1e-2, 1e2
    for _ in range(50):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if _entropy(corrected / middle) < wanted else (low, middle)
    return low


def _entropy(logits: npt.NDArray[Any]) -> float:
    said = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return float(-(np.exp(said) * said).sum(axis=1).mean())


_ARRAYS: Final = ("trained_mean", "trained_std", "weight", "bias")
_NUMBERS: Final = ("share", "sharpness")


def save_adaptation(file: Path, adaptation: Adaptation) -> None:
    """Write an adaptation as safetensors.

    Raises:
        OSError: The file cannot be written.
    """
    corpus = adaptation.corpus
    arrays = {name: np.ascontiguousarray(getattr(adaptation, name)) for name in _ARRAYS}
    parts = {"corpus_count": np.array(corpus.count), "corpus_mean": corpus.mean, "corpus_squares": corpus.squares}
    numbers = {name: np.array(getattr(adaptation, name)) for name in _NUMBERS}
    save_file(arrays | parts | numbers, file)


def load_adaptation(file: Path) -> Adaptation:
    """Read an adaptation.

    Raises:
        ModelFolderError: Missing or damaged; NaN, or shapes that do not fit each other.
    """
    try:
        held = load_file(file)
        corpus = RunningStats(count=int(held["corpus_count"]), mean=held["corpus_mean"], squares=held["corpus_squares"])
        arrays = {name: held[name] for name in _ARRAYS}
        share, sharpness = float(held.get("share", 1.0)), float(held["sharpness"])  # earlier versions had no share
        found = Adaptation(corpus=corpus, share=share, sharpness=sharpness, **arrays)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise ModelFolderError(
            f"{file}: no adaptation can be read ({printable(str(error))[:200]}); adapt the model again"
        ) from error
    if not _is_sound(found):
        raise ModelFolderError(f"{file}: its arrays are not finite, or do not fit each other; adapt the model again")
    return found


def _is_sound(adaptation: Adaptation) -> bool:
    corpus, shape = adaptation.corpus, adaptation.trained_mean.shape
    parts = (adaptation.trained_mean, adaptation.trained_std, corpus.mean, corpus.squares)
    arrays = (*parts, adaptation.weight, adaptation.bias, adaptation.sharpness)
    positive = adaptation.sharpness > 0 and corpus.count >= 0 and 0 <= adaptation.share <= 1
    fits = all(part.shape == shape for part in parts)
    fits = fits and adaptation.weight.shape == (adaptation.trained_mean.size, *adaptation.bias.shape)
    return positive and fits and all(np.isfinite(array).all() for array in arrays)
