"""Prediction sets: what is promised is kept for new speakers, by simulation; oracles and invariants."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from bimodal.evaluation.metrics.conformal import cluster_quantiles, coverage_per_class, label_sets


def speakers(rng, count, rows, classes=4):
    """Scores (count * rows, C), true emotions and speaker of clips whose speakers differ much in how clear they are."""
    clear = rng.gamma(1.5, 1.5, count).repeat(rows)
    lean = rng.normal(0, 1, (count, classes)).repeat(rows, axis=0)
    truth = rng.choice(classes, count * rows, p=[0.55, 0.25, 0.15, 0.05])
    logits = rng.normal(0, 1, (count * rows, classes)) + lean
    logits[np.arange(len(truth)), truth] += clear
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), truth, np.arange(count).repeat(rows).astype(str)


def own_scores(scores, truth):
    return 1 - scores[np.arange(len(truth)), truth]


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("count", [10, 40])
def test_a_clip_of_a_new_speaker_is_covered_as_often_as_asked(count, coverage):
    rng, trials, hits, within = np.random.default_rng(7), 1500, 0, 0
    for _ in range(trials):
        scores, truth, names = speakers(rng, count + 1, 6)
        known = names != str(count)
        (limit,) = cluster_quantiles(own_scores(scores, truth)[known], names[known].tolist(), [coverage])
        sets = label_sets(scores[~known], np.full(4, limit))
        hits += int(sets[0, truth[~known][0]])
        within += int(own_scores(scores, truth)[~known][0] <= limit)
    assert hits >= within >= binom.ppf(0.001, trials, coverage)
    # nor are the sets larger than they must be: one speaker of whom nothing is known, and some rounding up
    assert within <= binom.ppf(0.999, trials, min(1.0, coverage + 1.2 / (count + 1)))


def test_speakers_of_many_clips_do_not_outweigh_the_others():
    strange = [0.9] * 1000 + [0.1, 0.2, 0.3]
    names = ["loud"] * 1000 + ["a", "b", "c"]
    assert cluster_quantiles(strange, names, [0.5]).tolist() == [0.3]


def test_with_one_clip_a_speaker_it_is_split_conformal():
    strange = np.random.default_rng(0).random(19)
    names = [str(number) for number in range(19)]
    for coverage in (0.5, 0.8, 0.9, 0.95):
        place = math.ceil(coverage * 20 - 1e-9)  # the textbook's rank: ceil((n + 1) coverage)
        assert cluster_quantiles(strange, names, [coverage]) == np.sort(strange)[place - 1]
    assert cluster_quantiles(strange, names, [0.951]) == math.inf


def test_split_conformal_covers_as_its_beta_distribution_says():
    rng = np.random.default_rng(3)
    covered = [cluster_quantiles(rng.random(19), list(map(str, range(19))), [0.9])[0] for _ in range(2000)]
    assert np.mean(covered) == pytest.approx(beta(18, 2).mean(), abs=4 * beta(18, 2).std() / 2000**0.5)


def test_shares_weigh_as_repeated_rows():
    once = cluster_quantiles([0.2, 0.5, 0.4], ["a", "a", "b"], [0.4, 0.6], [0.75, 0.25, 1.0])
    repeated = cluster_quantiles([0.2, 0.2, 0.2, 0.5, 0.4], list("aaaab"), [0.4, 0.6])
    assert once.tolist() == repeated.tolist()


def test_what_weighs_nothing_is_no_row_and_no_speaker():
    assert cluster_quantiles([0.2, 0.9], ["a", "b"], [0.5], [1.0, 0.0]).tolist() == [0.2]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abcde")), min_size=1, max_size=40),
    st.lists(st.floats(0.01, 0.99), min_size=2, max_size=2).map(sorted),
)
@settings(max_examples=200, deadline=None)
def test_a_higher_coverage_gives_no_smaller_threshold(rows, coverages):
    low, high = cluster_quantiles([row[0] for row in rows], [row[1] for row in rows], coverages)
    assert low <= high


@given(st.permutations(range(12)))
@settings(max_examples=50, deadline=None)
def test_the_order_of_rows_does_not_matter(order):
    strange = np.random.default_rng(1).random(12)
    names = np.array(list("abcdabcdabcd"))
    places = list(order)
    found = [cluster_quantiles(strange[rows], names[rows].tolist(), [0.3, 0.7]) for rows in (range(12), places)]
    assert found[0].tolist() == found[1].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1, 0.2], ["a"], [0.5]), "expected one number a row"),
        (([math.nan], ["a"], [0.5]), "not finite"),
        (([0.1], ["a"], [0.5], [1.0, 1.0]), "expected one number a row"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cluster_quantiles(*arguments)


def test_the_top_answer_is_in_every_set():
    sets = label_sets([[0.4, 0.35, 0.25], [0.1, 0.1, 0.8]], [0.0, 0.0, 0.0])
    assert sets.tolist() == [[True, False, False], [False, False, True]]


def test_coverage_of_each_emotion_is_its_share_of_hits():
    found = coverage_per_class([[True, False, False], [True, True, False]], [0, 2])
    assert found[[0, 2]].tolist() == [1.0, 0.0] and math.isnan(found[1])
