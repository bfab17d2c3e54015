import math
import sys
from functools import partial

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from bimodal import metrics
from bimodal.metrics import (
    accuracy,
    bootstrap_interval,
    brier_score,
    cluster_confusions,
    concordance_correlation,
    confusion_mass,
    confusion_matrix,
    expected_calibration_error,
    fit_temperature,
    macro_f1,
    negative_log_likelihood,
    paired_bootstrap,
    recall_per_class,
    reliability_bins,
    risk_coverage,
    softmax,
    target_positions,
    unweighted_average_recall,
    weighted_f1,
)

EMOTIONS = ["anger", "fear", "joy", "neutral"]
LABELS = st.lists(st.tuples(st.sampled_from(EMOTIONS), st.sampled_from(EMOTIONS)), min_size=1, max_size=60)


def random_scores(rows, emotions=4, seed=0):
    rng = np.random.default_rng(seed)
    return softmax(rng.normal(size=(rows, emotions)) * 2), rng.integers(emotions, size=rows)


def speakers(count, utterances, seed=0):
    """Confusions of speakers who differ: each is recognised at a rate of their own."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(EMOTIONS, size=(count, utterances))
    right = rng.random((count, utterances)) < rng.uniform(0.1, 0.9, size=(count, 1))
    prediction = np.where(right, truth, rng.choice(EMOTIONS, size=truth.shape))
    return truth.ravel().tolist(), prediction.ravel().tolist(), np.repeat(np.arange(count), utterances).tolist()


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
    truth, prediction, clusters = speakers(5, 20)
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


def test_likelihood_and_brier_score_agree_with_scikit_learn():
    scores, targets = random_scores(200)
    assert negative_log_likelihood(scores, targets) == pytest.approx(oracle.log_loss(targets, scores))
    expected = oracle.brier_score_loss(targets, scores, labels=range(4), scale_by_half=False)
    assert brier_score(scores, targets) == pytest.approx(expected)


def test_likelihood_and_brier_score_at_their_ends():
    assert negative_log_likelihood([[1.0, 0.0]], [0]) == 0.0
    assert negative_log_likelihood([[1.0, 0.0]], [1]) == pytest.approx(-math.log(np.finfo(float).eps))
    assert brier_score([[1.0, 0.0]], [0]) == 0.0
    assert brier_score([[1.0, 0.0]], [1]) == 2.0


def test_calibration_error_worked_by_hand():
    # Bins of width 0.5 hold tops 0.5 (upper edge; wrong), and 0.9, 0.7 (one right).
    scores = [[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]]
    found = reliability_bins(scores, [1, 0, 0], bins=2)
    assert found.count.tolist() == [1, 2]
    assert found.confidence == pytest.approx([0.5, 0.8])
    assert found.accuracy == pytest.approx([0.0, 0.5])
    assert expected_calibration_error(scores, [1, 0, 0], bins=2) == pytest.approx((0.5 + 2 * 0.3) / 3)


def test_calibration_error_agrees_with_a_loop_over_bins():
    scores, targets = random_scores(500)
    top, right = scores.max(axis=1), scores.argmax(axis=1) == targets
    expected = 0.0
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        inside = (top > low) & (top <= high)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    assert expected_calibration_error(scores, targets) == pytest.approx(expected)
    assert reliability_bins(scores, targets).count.sum() == 500


def test_scores_drawn_from_themselves_are_calibrated_and_sure_mistakes_are_not():
    rng = np.random.default_rng(2)
    scores = softmax(rng.normal(size=(20_000, 3)))
    targets = (rng.random((20_000, 1)) > scores.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    assert expected_calibration_error(scores, targets) < 0.02
    assert expected_calibration_error([[1.0, 0.0]] * 3, [1, 1, 1]) == 1.0


def test_scores_that_are_no_probabilities_and_targets_that_do_not_fit_are_refused():
    good = [[0.5, 0.5]]
    for scores, targets, message in [
        ([[0.5, 0.6]], [0], "row 0 is .* sum to 1"),
        ([[0.5, 0.5], [1.5, -0.5]], [0, 0], "row 1 is"),
        ([[math.nan, 1.0]], [0], "row 0 holds a number that is not finite"),
        (good, [2], "int64 2 to 2, expected integers 0 to 1"),
        (good, [-1], "expected integers 0 to 1"),
        (good, [0.5], "float64"),
        (good, [0, 1], r"\(1, 2\) and \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), "at least 1"),
    ]:
        for metric in (negative_log_likelihood, brier_score, expected_calibration_error, risk_coverage):
            with pytest.raises(ValueError, match=message):
                metric(scores, targets)
    with pytest.raises(ValueError, match="bins is 0"):
        reliability_bins(good, [0], bins=0)


def test_risk_and_coverage_worked_by_hand():
    # Confidences 0.9 right, 0.8 wrong, 0.8 right, 0.6 wrong.
    curve = risk_coverage([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1, 1])
    assert curve.threshold == pytest.approx([0.9, 0.8, 0.6])
    assert curve.coverage == pytest.approx([0.25, 0.75, 1.0])
    assert curve.risk == pytest.approx([0.0, 1 / 3, 0.5])
    assert curve.area == pytest.approx(0.5 / 3 + 0.5 / 4)


def test_risk_at_full_coverage_is_the_error_and_order_never_matters():
    scores, targets = random_scores(100)
    scores = scores.round(1)
    scores /= scores.sum(axis=1, keepdims=True)
    curve = risk_coverage(scores, targets)
    order = np.random.default_rng(3).permutation(100)
    again = risk_coverage(scores[order], targets[order])
    assert curve.coverage[-1] == 1.0
    assert curve.risk[-1] == pytest.approx((scores.argmax(axis=1) != targets).mean())
    np.testing.assert_array_equal(curve.risk, again.risk)
    assert 0 <= curve.area <= 1
    answered = scores.max(axis=1) >= curve.threshold[3]
    assert curve.coverage[3] == pytest.approx(answered.mean())


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=2, max_size=40))
def test_concordance_agrees_with_audmetric(pairs):
    truth, prediction = np.array(pairs, dtype=float).T / 7
    found, expected = concordance_correlation(truth, prediction), audmetric.concordance_cc(truth, prediction)
    if np.ptp(truth) or np.ptp(prediction):  # two equal constants are NaN in both up to a rounding error
        assert found == pytest.approx(expected, nan_ok=True, abs=1e-9)


def test_concordance_at_its_ends():
    assert concordance_correlation([1, 2, 4], [1, 2, 4]) == pytest.approx(1.0)
    assert concordance_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert math.isnan(concordance_correlation([1.0], [1.0]))
    assert math.isnan(concordance_correlation([2, 2], [2, 2]))
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        concordance_correlation([1, 2], [1, 2, 3])


def test_the_interval_agrees_with_resampling_utterances_one_by_one():
    truth, prediction, clusters = speakers(12, 10)
    found = bootstrap_interval(
        cluster_confusions(truth, prediction, clusters, EMOTIONS), unweighted_average_recall, replicates=4000
    )
    rng = np.random.default_rng(4)
    truth, prediction = np.reshape(truth, (12, 10)), np.reshape(prediction, (12, 10))
    values = []
    for _ in range(1000):
        drawn = rng.integers(12, size=12)
        values.append(
            unweighted_average_recall(
                confusion_matrix(truth[drawn].ravel().tolist(), prediction[drawn].ravel().tolist(), EMOTIONS)
            )
        )
    assert found.value == pytest.approx(oracle.balanced_accuracy_score(truth.ravel(), prediction.ravel()))
    assert [found.low, found.high] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


def test_clustered_utterances_widen_the_interval():
    truth, prediction, clusters = speakers(10, 60)
    by_speaker = bootstrap_interval(cluster_confusions(truth, prediction, clusters, EMOTIONS), accuracy)
    alone = bootstrap_interval(cluster_confusions(truth, prediction, range(600), EMOTIONS), accuracy)
    assert by_speaker.value == alone.value
    assert by_speaker.high - by_speaker.low > 2 * (alone.high - alone.low)


def test_the_interval_of_independent_utterances_is_the_binomial_one():
    confusions = cluster_confusions(["joy"] * 400, ["joy"] * 300 + ["fear"] * 100, range(400), EMOTIONS)
    found = bootstrap_interval(confusions, accuracy)
    width = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert [found.low, found.high] == pytest.approx([0.75 - width, 0.75 + width], abs=0.006)


def test_the_same_seed_gives_the_same_interval_and_more_confidence_a_wider_one():
    confusions = cluster_confusions(*speakers(10, 20), EMOTIONS)
    found = bootstrap_interval(confusions, macro_f1, seed=5)
    assert found == bootstrap_interval(confusions, macro_f1, seed=5)
    assert found != bootstrap_interval(confusions, macro_f1, seed=6)
    narrow = bootstrap_interval(confusions, macro_f1, confidence=0.5, seed=5)
    assert found.low < narrow.low < narrow.value < narrow.high < found.high


def test_chunks_of_replicates_do_not_change_the_interval(monkeypatch):
    confusions = cluster_confusions(*speakers(8, 20), EMOTIONS)
    found = bootstrap_interval(confusions, unweighted_average_recall, replicates=333)
    monkeypatch.setattr(metrics, "REPLICATES_AT_ONCE", 10)
    assert bootstrap_interval(confusions, unweighted_average_recall, replicates=333) == found


def test_one_cluster_has_no_interval():
    matrix = [[[3, 1], [0, 2]]]
    found = bootstrap_interval(matrix, accuracy)
    assert found.value == pytest.approx(5 / 6)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    difference = paired_bootstrap(matrix, matrix, accuracy)
    assert difference.value == 0.0
    assert math.isnan(difference.p)


def test_replicates_without_a_value_are_left_out():
    mass = partial(confusion_mass, pairs=[(0, 1)])
    found = bootstrap_interval([[[1, 1, 0], [1, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0], [0, 0, 4]]], mass)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_identical_systems_do_not_differ():
    confusions = cluster_confusions(*speakers(10, 20), EMOTIONS)
    found = paired_bootstrap(confusions, confusions, unweighted_average_recall)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_steady_gain_is_seen_although_both_intervals_overlap():
    truth, prediction, clusters = speakers(20, 30)
    better = [emotion if index % 12 == 0 else found
              for index, (emotion, found) in enumerate(zip(truth, prediction, strict=True))]  # fmt: skip
    a, b = (cluster_confusions(truth, system, clusters, EMOTIONS) for system in (better, prediction))
    found = paired_bootstrap(a, b, accuracy)
    assert found.value == pytest.approx(float(accuracy(a.sum(axis=0)) - accuracy(b.sum(axis=0))))
    assert 0 < found.low < found.value < found.high
    assert 0 < found.p < 0.01
    assert bootstrap_interval(a, accuracy).low < bootstrap_interval(b, accuracy).high
    mirrored = paired_bootstrap(b, a, accuracy)
    assert mirrored.value == -found.value
    assert mirrored.p == found.p


def test_p_is_about_uniform_where_systems_do_not_differ():
    values = []
    for seed in range(60):
        truth, prediction, clusters = speakers(25, 8, seed)
        rng = np.random.default_rng(seed)
        swap = rng.random(len(truth)) < 0.5  # two systems with errors in different places, equal in the long run
        other = np.where(swap, rng.permutation(prediction), prediction)
        third = np.where(~swap, rng.permutation(prediction), prediction)
        a, b = (cluster_confusions(truth, system.tolist(), clusters, EMOTIONS) for system in (other, third))
        values.append(paired_bootstrap(a, b, accuracy, replicates=300, seed=seed).p)
    assert np.mean(np.array(values) < 0.05) < 0.2
    assert 0.3 < np.mean(values) < 0.7


def test_systems_on_different_utterances_are_refused():
    a = [[[3, 1], [0, 2]], [[1, 0], [0, 1]]]
    with pytest.raises(ValueError, match="do not share clusters"):
        paired_bootstrap(a, a[::-1], accuracy)
    with pytest.raises(ValueError, match="do not share clusters"):
        paired_bootstrap(a, a[:1], accuracy)


def test_bootstrap_numbers_out_of_range_are_refused():
    for confusions, options in [
        ([[1, 0], [0, 1]], {}),
        (np.zeros((0, 2, 2)), {}),
        (np.ones((2, 2, 3)), {}),
        (np.ones((2, 2, 2)), {"replicates": 0}),
        (np.ones((2, 2, 2)), {"confidence": 1.0}),
    ]:
        with pytest.raises(ValueError, match="expected"):
            bootstrap_interval(confusions, accuracy, **options)


def test_softmax_survives_huge_logits_and_refuses_a_temperature_of_0():
    assert softmax([[1e5, 0.0], [-1e5, -1e5]]).tolist() == [[1.0, 0.0], [0.5, 0.5]]
    assert softmax([0.0, 2.0], 2.0) == pytest.approx(softmax([0.0, 1.0]))
    with pytest.raises(ValueError, match="temperature is 0"):
        softmax([0.0], 0)


def test_the_temperature_that_sharpened_logits_is_found_again():
    rng = np.random.default_rng(6)
    logits = rng.normal(size=(4000, 4)) * 2
    targets = (rng.random((4000, 1)) > softmax(logits).cumsum(axis=1)).sum(axis=1).clip(0, 3)
    assert fit_temperature(logits, targets) == pytest.approx(1.0, abs=0.07)
    assert fit_temperature(logits * 3, targets) == pytest.approx(3 * fit_temperature(logits, targets), rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.1, 8.0))
def test_no_temperature_in_the_neighbourhood_is_better(seed, scale):
    rng = np.random.default_rng(seed)
    logits, targets = rng.normal(size=(30, 3)) * scale, rng.integers(3, size=30)
    logits[np.arange(20), targets[:20]] += scale
    best = fit_temperature(logits, targets)
    assert 0.05 <= best <= 20
    least = negative_log_likelihood(softmax(logits, best), targets)
    for other in (0.05, best * 0.9, best * 1.1, 20.0):
        if 0.05 <= other <= 20:
            assert least <= negative_log_likelihood(softmax(logits, other), targets) + 1e-12


def test_temperatures_at_the_bounds():
    assert fit_temperature([[5.0, 0.0], [0.0, 5.0]], [0, 1]) == 0.05
    assert fit_temperature([[5.0, 0.0], [0.0, 5.0]], [1, 0]) == 20.0
    assert fit_temperature([[5.0, 5.0], [1.0, 1.0]], [1, 0]) == 1.0
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature([[math.inf, 0.0]], [0])


def test_the_module_needs_neither_torch_nor_scikit_learn():
    import subprocess

    code = "import sys, bimodal.metrics; print({'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
