import math
import sys
from functools import partial

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from bimodal.evaluation.metrics import (
    accuracy,
    cluster_confusions,
    confusion_mass,
    confusion_matrix,
    count_confusions,
    macro_f1,
    matthews_correlation,
    recall_per_class,
    target_positions,
    unweighted_average_recall,
    weighted_f1,
)

EMOTIONS = ["anger", "fear", "joy", "neutral"]
LABELS = st.lists(st.tuples(st.sampled_from(EMOTIONS), st.sampled_from(EMOTIONS)), min_size=1, max_size=60)


@settings(deadline=None)
@given(LABELS)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label")
def test_all_counts_agree_with_scikit_learn(pairs):
    truth, prediction = zip(*pairs, strict=True)
    matrix = confusion_matrix(truth, prediction, EMOTIONS)
    assert matrix.tolist() == oracle.confusion_matrix(truth, prediction, labels=EMOTIONS).tolist()
    assert unweighted_average_recall(matrix) == pytest.approx(oracle.balanced_accuracy_score(truth, prediction))
    assert accuracy(matrix) == pytest.approx(oracle.accuracy_score(truth, prediction))
    assert macro_f1(matrix) == pytest.approx(oracle.f1_score(truth, prediction, average="macro"))
    assert weighted_f1(matrix) == pytest.approx(oracle.f1_score(truth, prediction, average="weighted"))
    present = sorted(set(truth))
    recalls = oracle.recall_score(truth, prediction, labels=present, average=None)
    assert recall_per_class(matrix)[[EMOTIONS.index(name) for name in present]] == pytest.approx(recalls)


@settings(deadline=None)
@given(LABELS)
def test_all_counts_agree_with_audmetric_where_every_emotion_occurs(pairs):
    truth, prediction = zip(*(pairs + [(name, "joy") for name in EMOTIONS]), strict=True)
    matrix = confusion_matrix(truth, prediction, EMOTIONS)
    assert unweighted_average_recall(matrix) == pytest.approx(audmetric.unweighted_average_recall(truth, prediction))
    assert accuracy(matrix) == pytest.approx(audmetric.accuracy(truth, prediction))
    assert macro_f1(matrix) == pytest.approx(audmetric.unweighted_average_fscore(truth, prediction))
    recalls = list(audmetric.recall_per_class(truth, prediction, EMOTIONS).values())
    assert recall_per_class(matrix) == pytest.approx(recalls)


@settings(deadline=None)
@given(LABELS)
def test_every_metric_of_a_perfect_prediction_is_1(pairs):
    truth = [name for name, _ in pairs]
    matrix = confusion_matrix(truth, truth, EMOTIONS)
    assert [f(matrix) for f in (unweighted_average_recall, accuracy, macro_f1, weighted_f1)] == pytest.approx([1] * 4)


def test_an_emotion_absent_from_truth_is_left_out_and_an_empty_matrix_is_nan():
    matrix = [[3, 1, 1], [0, 5, 0], [0, 0, 0]]
    assert recall_per_class(matrix) == pytest.approx([0.6, 1.0, math.nan], nan_ok=True)
    assert unweighted_average_recall(matrix) == pytest.approx(0.8)
    assert macro_f1(matrix) == pytest.approx((6 / 8 + 10 / 11 + 0) / 3)  # predicted once, so it counts as 0
    for metric in (unweighted_average_recall, accuracy, macro_f1, weighted_f1):
        assert np.isnan(metric(np.zeros((3, 3))))


MASS = partial(confusion_mass, pairs=[(0, 2)])


@pytest.mark.parametrize("metric", [recall_per_class, unweighted_average_recall, accuracy, macro_f1, weighted_f1, MASS])
def test_a_stack_of_matrices_gives_what_each_gives_alone(metric):
    stack = np.random.default_rng(1).integers(0, 4, size=(5, 6, 4, 4))
    stack[0, 0], stack[1, 2, 0] = 0, 0
    alone = np.array([[metric(matrix) for matrix in row] for row in stack])
    np.testing.assert_array_equal(metric(stack), alone)


def test_one_matrix_gives_a_plain_number():
    for metric in (unweighted_average_recall, accuracy, macro_f1, weighted_f1):
        assert isinstance(metric([[1, 0], [0, 1]]), float)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"unknown emotion 'hapy', expected one of \['anger'"):
        confusion_matrix(["joy"], ["hapy"], EMOTIONS)
    with pytest.raises(ValueError, match="2 true emotions, 1 predictions"):
        confusion_matrix(["joy", "joy"], ["joy"], EMOTIONS)
    with pytest.raises(ValueError, match="no labels"):
        confusion_matrix([], [], EMOTIONS)
    with pytest.raises(ValueError, match="1 clusters"):
        cluster_confusions(["joy", "joy"], ["joy", "joy"], ["Ann"], EMOTIONS)
    with pytest.raises(ValueError, match="hold one twice"):
        target_positions(["joy"], ["joy", "joy"])


def test_cluster_confusions_sum_to_the_whole_and_hold_each_cluster_alone():
    rng = np.random.default_rng(0)
    truth, prediction = rng.choice(EMOTIONS, size=(2, 100)).tolist()
    clusters = np.repeat(np.arange(5), 20).tolist()
    found = cluster_confusions(truth, prediction, clusters, EMOTIONS)
    assert found.shape == (5, 4, 4)
    assert found.sum(axis=0).tolist() == confusion_matrix(truth, prediction, EMOTIONS).tolist()
    assert found[2].tolist() == confusion_matrix(truth[40:60], prediction[40:60], EMOTIONS).tolist()


def test_confusion_mass_worked_by_hand():
    matrix = [[6, 2, 2], [1, 4, 0], [0, 0, 0]]
    assert confusion_mass(matrix, [(0, 1)]) == pytest.approx((0.2 + 0.2) / 2)
    assert confusion_mass(matrix, [(0, 1), (2, 0)]) == pytest.approx((0.2 + 0.2 + 0.2) / 3)  # row 2 is empty
    assert np.isnan(confusion_mass([[0, 0], [0, 0]], [(0, 1)]))
    for pairs in ([], [(1, 1)]):
        with pytest.raises(ValueError, match="two different emotions"):
            confusion_mass(matrix, pairs)


def test_the_module_needs_neither_torch_nor_scikit_learn():
    import subprocess

    code = "import sys, bimodal.evaluation.metrics; print({'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_matthews_correlation_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=300)
    guess = np.where(rng.random(300) < 0.4, truth, rng.integers(5, size=300))
    found = matthews_correlation(count_confusions(truth, guess, 5))
    assert float(found) == pytest.approx(oracle.matthews_corrcoef(truth, guess))
    stack = np.stack([count_confusions(truth, one, 5) for one in (guess, truth, np.zeros(300, int))])
    assert matthews_correlation(stack)[1] == pytest.approx(1)
    assert np.isnan(matthews_correlation(stack)[2])
