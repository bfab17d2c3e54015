"""Votes of several annotators as the truth, and a human among them as a system."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss

from bimodal.evaluation.describe import describe
from bimodal.evaluation.figures import Resampling
from bimodal.evaluation.report import evaluate
from bimodal.evaluation.soft_truth import count_votes, human_accuracy, human_majority, soft_truth_of

FEW = Resampling(replicates=200)


def voted(predictions, raters=9, agreement=2.0, seed=0):
    """Each rater draws an emotion from a distribution that favours the truth."""
    rng = np.random.default_rng(seed)
    odds = np.exp(agreement * np.eye(3)[predictions.targets])
    shares = odds / odds.sum(axis=1, keepdims=True)
    words = ("angry", "fear", "joy")
    cells = tuple("|".join(words[one] for one in rng.choice(3, size=raters, p=row)) for row in shares)
    return replace(predictions, extra={"votes": cells})


def test_a_human_is_scored_as_a_loop_over_all_pairs_of_annotators_scores_one():
    rng = np.random.default_rng(0)
    votes = rng.integers(0, 5, size=(30, 4)).astype(float)
    votes[:, 0] += 2
    for row, accuracy, majority in zip(votes, human_accuracy(votes), human_majority(votes), strict=True):
        labels = np.repeat(np.arange(4), row.astype(int))
        pairs, most = [], []
        for rater, label in enumerate(labels):
            others = np.delete(labels, rater)
            pairs.append((others == label).mean())
            counts = np.bincount(others, minlength=4)
            top = np.flatnonzero(counts == counts.max())
            most.append((label in top) / len(top))
        assert accuracy == pytest.approx(np.mean(pairs)) and majority == pytest.approx(np.mean(most))


def test_expected_accuracy_and_cross_entropy_agree_with_scikit_learn_on_every_vote(made_up):
    predictions = voted(made_up((("fused", 1.5),)))
    found = soft_truth_of(predictions, "votes", FEW)
    votes, outside = count_votes(predictions.extra["votes"], predictions.emotions)
    assert outside == 0 and found.votes == 9 and found.rows == 500
    rows = np.repeat(np.arange(500), 9)
    labels = np.concatenate([np.repeat(np.arange(3), row.astype(int)) for row in votes])
    scores = predictions.scores["fused"]
    result = found.systems["fused"]
    assert result.cross_entropy.value == pytest.approx(log_loss(labels, scores[rows]))
    assert result.expected_accuracy.value == pytest.approx((scores.argmax(axis=1)[rows] == labels).mean())
    assert result.expected_accuracy.low < result.expected_accuracy.value < result.expected_accuracy.high


def test_nothing_beats_the_oracle_and_the_entropy_and_a_human_is_below_the_oracle(made_up):
    found = soft_truth_of(voted(made_up((("fused", 1.5),))), "votes", FEW)
    result = found.systems["fused"]
    assert result.expected_accuracy.value <= found.best.value
    assert result.cross_entropy.value >= found.entropy.value
    assert found.human.value < found.best.value


def test_raters_who_agree_are_perfect_and_leave_no_entropy(made_up):
    predictions = made_up((("fused", 1.5),))
    cells = tuple("|".join([predictions.emotions[target]] * 3) for target in predictions.targets)
    found = soft_truth_of(replace(predictions, extra={"votes": cells}), "votes", FEW)
    assert (found.human.value, found.human_majority.value, found.best.value) == (1.0, 1.0, 1.0)
    assert found.entropy.value == 0.0
    (system,) = evaluate(predictions, replicates=50).systems
    assert found.systems["fused"].expected_accuracy.value == pytest.approx(system.metrics["accuracy"].value)
    assert found.systems["fused"].cross_entropy.value == pytest.approx(system.metrics["nll"].value)


def test_rows_with_one_vote_or_none_and_votes_for_other_emotions_are_left_out(by_hand):
    votes = ("anger|anger", "anger", None, "calm|fear", "joy|joy|calm|anger", "")
    found = soft_truth_of(replace(by_hand, extra={"votes": votes}), "votes", FEW)
    assert found.rows == 2 and found.outside == 2
    assert found.systems["speech"].expected_accuracy.value == pytest.approx((1 + 2 / 3) / 2)
    assert soft_truth_of(by_hand, "votes", FEW) is None


def test_votes_are_told_and_labels_alone_have_no_cross_entropy(made_up):
    predictions = voted(made_up((("fused", 1.5),)))
    hard = np.eye(3)[predictions.scores["fused"].argmax(axis=1)]
    report = evaluate(replace(predictions, scores={"fused": hard}), replicates=50)
    assert report.soft_truth.systems["fused"].cross_entropy.value is None
    text = describe(report)
    assert "A human among them agrees with" in text and "cross-entropy -." in text
    assert not math.isnan(report.soft_truth.human.value)
