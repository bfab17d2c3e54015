"""Correctness: does the model recognise the emotions, overall, per emotion and per speaker?

Tests and thresholds are those of the published suite; one more compares the model with guessing.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from bimodal.arrays import Doubles, Integers, ratio
from bimodal.evaluation.metrics import recall_per_class, unweighted_average_recall
from bimodal.evaluation.model_tests.records import (
    LEAST_CLIPS,
    PUBLISHED,
    Material,
    Outcome,
    TestOptions,
    answers,
    judged,
    skipped,
)
from bimodal.evaluation.model_tests.thresholds import LEVEL, chance_uar, group_confusions

CATEGORY: Final = "correctness"
LEAST_RECALL: Final = 0.5  # and precision, and the mean of each over the emotions
MOST_SHARE_ERROR: Final = 0.15
MOST_SPEAKER_ERROR: Final = 0.1
LEAST_RANK_CORRELATION: Final = 0.7
LEAST_SPEAKERS: Final = 5
"""Fewest speakers that a ranking is tested on; with fewer, the correlation takes a handful of values."""


def check_correctness(material: Material, system: str, options: TestOptions) -> list[Outcome]:
    """All tests of correctness of one system, on the clips that it answered."""
    predictions = material.predictions
    rows = np.flatnonzero(predictions.answered(system))
    if not len(rows):
        return [skipped(CATEGORY, "UAR", "", f"{system} answered no clip")]
    told, targets = answers(predictions.scores[system][rows]), material.targets[rows]
    names = predictions.emotions
    matrix = group_confusions(targets, told, np.zeros(len(rows), np.int64), len(names))[0]
    speakers = [material.utterances[row].speaker for row in rows.tolist()]
    return [
        *_averages(matrix),
        _above_chance(matrix, options),
        *_per_emotion(matrix, names),
        *_shares(matrix, names),
        *_speakers(targets, told, speakers, names),
    ]


def precision_per_class(matrix: Integers) -> Doubles:
    """Share of each answer that is right, (C,), 0 to 1; NaN for an answer that was never given.

    Example:
        >>> precision_per_class(np.array([[3, 1], [0, 2]])).round(2).tolist()
        [1.0, 0.67]
    """
    return ratio(np.diagonal(matrix), matrix.sum(axis=0))


def _averages(matrix: Integers) -> Iterator[Outcome]:
    """Means over the emotions. An emotion that is never answered has precision 0."""
    here, clips = matrix.sum(axis=1) > 0, int(matrix.sum())
    precision = float(np.nan_to_num(precision_per_class(matrix))[here].mean())
    found = {
        "UAR": (float(unweighted_average_recall(matrix)), "mean recall"),
        "UAP": (precision, "mean precision"),
    }
    for test, (value, name) in found.items():
        sentence = (
            f"The {name} over {here.sum()} emotions is {_percent(value)}, expected at least {_percent(LEAST_RECALL)}."
        )
        yield judged(
            CATEGORY, test, "", value, LEAST_RECALL, sentence=sentence, clips=clips, source=f"{PUBLISHED}, 4 emotions"
        )


def _above_chance(matrix: Integers, options: TestOptions) -> Outcome:
    """Whether the mean recall is above what guessing with the same shares of answers reaches."""
    value, clips = float(unweighted_average_recall(matrix)), int(matrix.sum())
    shares = matrix.sum(axis=0) / clips
    chance = chance_uar(matrix.sum(axis=1), shares, runs=options.runs, seed=options.seed)
    return judged(
        CATEGORY,
        "UAR above chance",
        "",
        value,
        chance,
        sentence=f"The mean recall is {_percent(value)}; guessing stays below {_percent(chance)}.",
        clips=clips,
        source=f"{options.runs} random models, quantile {LEVEL:g}, seed {options.seed}",
    )


def _per_emotion(matrix: Integers, names: tuple[str, ...]) -> Iterator[Outcome]:
    recall, precision = recall_per_class(matrix), precision_per_class(matrix)
    for test, values, counts in (("recall", recall, matrix.sum(1)), ("precision", precision, matrix.sum(0))):
        for name, value, clips, known in zip(names, values, counts, matrix.sum(1), strict=True):
            if not known:
                yield skipped(CATEGORY, test, name, f"no clip is labelled {name}")
            elif known < LEAST_CLIPS:
                yield skipped(CATEGORY, test, name, f"too few clips of {name}: {known}, at least {LEAST_CLIPS}", known)
            else:
                yield _one_emotion(test, name, float(np.nan_to_num(value)), int(clips))


def _one_emotion(test: str, name: str, value: float, clips: int) -> Outcome:
    """Recall or precision of an emotion."""
    what = {
        "recall": f"{_percent(value)} of {clips} clips of {name} are recognised",
        "precision": f"{_percent(value)} of {clips} answers '{name}' are right",
    }[test]
    if test == "precision" and not clips:
        what = f"no clip is answered '{name}', which counts as a precision of 0"
    sentence = f"{what[0].upper()}{what[1:]}, expected at least {_percent(LEAST_RECALL)}."
    return judged(CATEGORY, test, name, value, LEAST_RECALL, sentence=sentence, clips=clips, source=PUBLISHED)


def _shares(matrix: Integers, names: tuple[str, ...]) -> Iterator[Outcome]:
    """Share of each answer against the share of the emotion."""
    clips = int(matrix.sum())
    truth, told = matrix.sum(axis=1) / clips, matrix.sum(axis=0) / clips
    for name, true, given in zip(names, truth, told, strict=True):
        yield judged(
            CATEGORY,
            "share of answers",
            name,
            float(given - true),
            MOST_SHARE_ERROR,
            sentence=f"{_percent(given)} of the answers are {name}, {_percent(true)} of the clips are; expected a "
            f"difference of at most {100 * MOST_SHARE_ERROR:g} points.",
            clips=clips,
            source=PUBLISHED,
            at_least=False,
        )


def _speakers(
    targets: Integers, told: Integers, speakers: list[str | None], names: tuple[str, ...]
) -> Iterator[Outcome]:
    """Shares of answers of each speaker, and the ranking of the speakers by them."""
    known = sorted({name for name in speakers if name is not None})
    position = {name: number for number, name in enumerate(known)}
    groups = np.array([position.get(name, len(known)) if name else len(known) for name in speakers])
    matrices = group_confusions(targets, told, groups, len(names))[: len(known)]
    for emotion, name in enumerate(names):
        chosen = matrices[matrices[:, emotion].sum(axis=1) >= LEAST_CLIPS]
        if len(chosen) < LEAST_SPEAKERS:
            reason = f"{len(chosen)} speakers have {LEAST_CLIPS} clips of {name}, at least {LEAST_SPEAKERS} are needed"
            yield skipped(CATEGORY, "share per speaker", name, reason)
            yield skipped(CATEGORY, "ranking of speakers", name, reason)
        else:
            sizes = chosen.sum(axis=(1, 2))
            yield from _one_ranking(name, chosen[:, emotion].sum(1) / sizes, chosen[:, :, emotion].sum(1) / sizes)


def _one_ranking(name: str, truth: Doubles, told: Doubles) -> Iterator[Outcome]:
    """Error and rank correlation of the shares of one answer over speakers, (S,) each."""
    error, speakers = float(np.abs(truth - told).mean()), len(truth)
    yield judged(
        CATEGORY,
        "share per speaker",
        name,
        error,
        MOST_SPEAKER_ERROR,
        sentence=f"The share of answers {name} is off by {100 * error:.1f} points in the mean of {speakers} speakers, "
        f"expected at most {100 * MOST_SPEAKER_ERROR:g}.",
        clips=speakers,
        source=PUBLISHED,
        at_least=False,
    )
    if np.ptp(truth) < _EQUAL:
        reason = f"all {speakers} speakers have the same share of {name}, so there is no true ranking"
        yield skipped(CATEGORY, "ranking of speakers", name, reason, speakers)
        return
    value = rank_correlation(truth, told)
    yield judged(
        CATEGORY,
        "ranking of speakers",
        name,
        value,
        LEAST_RANK_CORRELATION,
        sentence=f"The ranks of {speakers} speakers by their share of {name} correlate by {value:.2f}, expected at "
        f"least {LEAST_RANK_CORRELATION:g}.",
        clips=speakers,
        source=PUBLISHED,
    )


_EQUAL: Final = 1e-9


def rank_correlation(first: Doubles, second: Doubles) -> float:
    """Spearman's rank correlation, -1 to 1, with mean ranks for ties; 0 if one side is constant.

    Example:
        >>> round(rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 9.0])), 6)
        1.0
    """
    ranks = np.stack([_mean_ranks(values) for values in (first, second)])
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    scale = float(np.sqrt((centred**2).sum(axis=1).prod()))
    return float((centred[0] * centred[1]).sum() / scale) if scale else 0.0


def _mean_ranks(values: Doubles) -> Doubles:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks: Doubles = (last - (counts - 1) / 2)[place]
    return ranks


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
