"""Several annotators as the truth: expected accuracy and cross-entropy, and what a human among them would reach."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bimodal.arrays import Doubles
from bimodal.data.labels import split_labels
from bimodal.evaluation.figures import Estimate, Resampling, mean_estimate
from bimodal.evaluation.predictions import LEAST_SCORE, Predictions
from bimodal.evaluation.score_table import canonical

VOTES = "votes"
"""Column of a manifest with one label per annotator, such as `anger|anger|neutral`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftResult:
    """One system against the votes.

    Attributes:
        rows: Utterances with votes that the system answered.
        expected_accuracy: Mean share of the annotators who gave the predicted emotion.
        cross_entropy: Mean of -sum(share * ln score), in nats; undefined for labels alone.
        majority_accuracy: Share of the utterances on which it gives an emotion with the most votes.
    """

    rows: int
    expected_accuracy: Estimate
    cross_entropy: Estimate
    majority_accuracy: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftTruth:
    """Results against the votes of several annotators.

    Attributes:
        column: Of the manifest.
        rows: Utterances with at least two votes.
        votes: Mean number of votes of these.
        outside: Votes for emotions that are not among those of the report; they are left out.
        systems: Results by system.
        human: Expected accuracy of one annotator against the others of the same utterance.
        human_majority: How often one annotator gives an emotion that most of the others give; k such emotions count
            1 / k.
        best: Expected accuracy of an oracle that always gives the emotion with the most votes.
        entropy: The least cross-entropy that any system can reach, in nats.
    """

    column: str
    rows: int
    votes: float
    outside: int
    systems: Mapping[str, SoftResult]
    human: Estimate
    human_majority: Estimate
    best: Estimate
    entropy: Estimate


def count_votes(cells: Sequence[str | None], emotions: Sequence[str]) -> tuple[Doubles, int]:
    """Votes (N, C) for each emotion, and how many are for others.

    Example:
        >>> votes, outside = count_votes(["anger|angry|joy|calm", None], ["anger", "happiness"])
        >>> votes.tolist(), outside
        ([[2.0, 1.0], [0.0, 0.0]], 1)
    """
    places = {canonical(name): place for place, name in enumerate(emotions)}
    votes, outside = np.zeros((len(cells), len(emotions))), 0
    for row, cell in enumerate(cells):
        for label, count in Counter(map(canonical, split_labels(cell) if cell else ())).items():
            if label in places:
                votes[row, places[label]] += count
            else:
                outside += count
    return votes, outside


def soft_truth_of(predictions: Predictions, column: str, resampling: Resampling) -> SoftTruth | None:
    """Results against a column of votes; None if no utterance has two votes or more.

    The votes are compared as they are. They may be of other annotators than those of the column `emotion`.
    """
    votes, outside = count_votes(predictions.extra.get(column, (None,) * len(predictions.ids)), predictions.emotions)
    rows = votes.sum(axis=1) >= 2
    if not rows.any():
        return None
    clusters = [predictions.clusters[row] for row in np.flatnonzero(rows)]
    given = votes[rows]
    shares = given / given.sum(axis=1, keepdims=True)

    def mean(values: Doubles) -> Estimate:
        return mean_estimate(values, clusters, resampling)

    return SoftTruth(
        column=column,
        rows=int(rows.sum()),
        votes=float(given.sum(axis=1).mean()),
        outside=outside,
        systems={
            system: _result(predictions, system, votes, resampling)
            for system in predictions.systems
            if (predictions.answered(system) & rows).any()
        },
        human=mean(human_accuracy(given)),
        human_majority=mean(human_majority(given)),
        best=mean(shares.max(axis=1)),
        entropy=mean(-(shares * np.log(np.maximum(shares, LEAST_SCORE))).sum(axis=1)),
    )


def human_accuracy(votes: Doubles) -> Doubles:
    """Share of the other annotators who agree with one of them, the mean over all of them, (N,).

    Args:
        votes: (N, C), at least two in each row.

    Example:
        >>> human_accuracy(np.array([[2.0, 1.0], [3.0, 0.0]])).round(3).tolist()
        [0.333, 1.0]
    """
    total = votes.sum(axis=1)
    agreeing: Doubles = (votes * (votes - 1)).sum(axis=1) / (total * (total - 1))
    return agreeing


def human_majority(votes: Doubles) -> Doubles:
    """How often an annotator gives an emotion with the most votes of the others, the mean over all, (N,).

    Args:
        votes: (N, C), at least two in each row.

    Example:
        >>> human_majority(np.array([[2.0, 1.0], [3.0, 0.0]])).round(3).tolist()
        [0.333, 1.0]
    """
    emotions = votes.shape[1]
    right = np.zeros(len(votes))
    for emotion in range(emotions):
        others = votes - np.eye(emotions)[emotion]
        most = others == others.max(axis=1, keepdims=True)
        right += np.where(votes[:, emotion] > 0, votes[:, emotion] * most[:, emotion] / most.sum(axis=1), 0.0)
    share: Doubles = right / votes.sum(axis=1)
    return share


def _result(predictions: Predictions, system: str, votes: Doubles, resampling: Resampling) -> SoftResult:
    rows = np.flatnonzero(predictions.answered(system) & (votes.sum(axis=1) >= 2))
    given, scores = votes[rows], predictions.scores[system][rows]
    shares = given / given.sum(axis=1, keepdims=True)
    guesses = np.arange(len(rows)), scores.argmax(axis=1)
    clusters = [predictions.clusters[row] for row in rows]
    losses = -(shares * np.log(np.clip(scores, np.finfo(np.float64).eps, 1.0))).sum(axis=1)
    soft = mean_estimate(losses, clusters, resampling)
    return SoftResult(
        rows=len(rows),
        expected_accuracy=mean_estimate(shares[guesses], clusters, resampling),
        cross_entropy=Estimate(value=None) if predictions.labels_only(system) else soft,
        majority_accuracy=mean_estimate((given[guesses] == given.max(axis=1)).astype(np.float64), clusters, resampling),
    )
