"""Correctness: figures of scikit-learn and SciPy, thresholds as published, skips with their reason."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import precision_score, recall_score

from bimodal.evaluation.model_tests.correctness import check_correctness, rank_correlation
from bimodal.evaluation.model_tests.records import TestOptions
from tests.evaluation.model_tests.made_up import right

OPTIONS = TestOptions(runs=1000)


def found(material, test, case=""):
    (one,) = [one for one in check_correctness(material, "fused", OPTIONS) if (one.test, one.case) == (test, case)]
    return one


@pytest.mark.parametrize(("share", "status"), [(0.9, "passed"), (0.34, "failed")])
def test_a_good_model_passes_and_a_guessing_one_fails(make_material, share, status):
    material = make_material(right(share))
    for test in ("UAR", "UAP", "UAR above chance"):
        assert found(material, test).status == status


def test_recall_and_precision_are_those_of_scikit_learn(make_material):
    material = make_material(right(0.6))
    truth, told = material.predictions.targets, material.predictions.scores["fused"].argmax(axis=1)
    for name, score in (("recall", recall_score), ("precision", precision_score)):
        expected = score(truth, told, average=None)
        values = [found(material, name, emotion).value for emotion in material.predictions.emotions]
        assert values == pytest.approx(expected)


def test_a_model_with_one_answer_fails_by_its_shares(make_material):
    material = make_material(lambda targets, rows, rng: np.zeros(len(targets), np.int64))
    assert found(material, "share of answers", "anger").value == pytest.approx(2 / 3)
    assert found(material, "share of answers", "anger").status == "failed"
    assert found(material, "precision", "joy").value == 0.0


def test_speakers_are_ranked_by_what_they_say(make_material):
    def told(targets, rows, rng):
        return targets

    ranking = found(make_material(told, each=60), "ranking of speakers", "joy")
    assert ranking.value == pytest.approx(1.0)
    assert ranking.status == "passed"


def test_rank_correlation_is_that_of_scipy_with_ties():
    rng = np.random.default_rng(0)
    first, second = rng.integers(5, size=40).astype(float), rng.integers(5, size=40).astype(float)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)


def test_few_clips_are_skipped_with_their_number(make_material):
    few = found(make_material(right(0.9), speakers=2, each=6), "recall", "anger")
    assert few.status == "skipped"
    assert few.sentence == "too few clips of anger: 4, at least 8"
