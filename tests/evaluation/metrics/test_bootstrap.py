import math
from functools import partial

import numpy as np
import pytest
from sklearn import metrics as oracle

from bimodal.evaluation.metrics import (
    accuracy,
    bootstrap,
    bootstrap_interval,
    cluster_confusions,
    confusion_mass,
    confusion_matrix,
    macro_f1,
    paired_bootstrap,
    unweighted_average_recall,
)

EMOTIONS = ["anger", "fear", "joy", "neutral"]


def speakers(count, utterances, seed=0):
    """Confusions of speakers who differ: each is recognised at a rate of their own."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(EMOTIONS, size=(count, utterances))
    right = rng.random((count, utterances)) < rng.uniform(0.1, 0.9, size=(count, 1))
    prediction = np.where(right, truth, rng.choice(EMOTIONS, size=truth.shape))
    return truth.ravel().tolist(), prediction.ravel().tolist(), np.repeat(np.arange(count), utterances).tolist()


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
    monkeypatch.setattr(bootstrap, "REPLICATES_AT_ONCE", 10)
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


def test_clusters_that_look_alike_are_drawn_as_often_as_any_others():
    confusions = np.repeat([[[3, 1], [0, 2]], [[0, 4], [3, 1]]], [30, 10], axis=0)
    found = bootstrap_interval(confusions, accuracy, replicates=4000)
    rng = np.random.default_rng(7)
    values = [accuracy(confusions[rng.integers(40, size=40)].sum(axis=0)) for _ in range(4000)]
    assert [found.low, found.high] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.01)
