"""The few-shot head: the packaged model without labels, a penalised regression with them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from bimodal.labelling.head import (
    BIAS_STRENGTH,
    HeadSettings,
    choose_settings,
    class_weights,
    fit_head,
    log_softmax,
    plain_head,
)


def clusters(count=120, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, count)
    features = np.eye(3)[kinds] * 2 + spread * rng.normal(size=(count, 3))
    return features, np.eye(3)[kinds]


def test_without_labels_the_head_is_the_packaged_model():
    prior = log_softmax(np.random.default_rng(0).normal(size=(4, 3)))
    assert np.allclose(plain_head(5, 3).log_scores(np.ones((4, 5)), prior), prior)


def test_the_head_equals_scikit_learns_where_both_say_the_same():
    features, targets = clusters()
    features = features - features.mean(axis=0)
    head = fit_head(features, np.zeros((120, 3)), targets, HeadSettings(strength=2.0))
    wide = np.hstack([features, np.full((120, 1), np.sqrt(2.0 / BIAS_STRENGTH))])  # a bias with its own penalty
    oracle = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-8, max_iter=5000)
    oracle.fit(wide, targets.argmax(axis=1), sample_weight=class_weights(targets))
    assert np.allclose(head.scores(features, np.zeros((120, 3))), oracle.predict_proba(wide), atol=2e-3)


def test_a_strong_penalty_keeps_the_prior_and_a_weak_one_follows_the_labels():
    features, targets = clusters(spread=0.5)
    prior = np.tile(np.log([0.8, 0.1, 0.1]), (120, 1))
    strong = fit_head(features, prior, targets, HeadSettings(strength=1e6)).scores(features, prior)
    weak = fit_head(features, prior, targets, HeadSettings(strength=0.1)).scores(features, prior)
    assert (strong.argmax(axis=1) == 0).mean() > 0.9
    assert (weak.argmax(axis=1) == targets.argmax(axis=1)).mean() > 0.9


def test_votes_of_several_raters_are_shares():
    features = np.zeros((20, 2))
    targets = np.tile([0.75, 0.25], (20, 1))
    scores = fit_head(features, np.zeros((20, 2)), targets, HeadSettings(strength=1.0)).scores(features, 0)
    assert 0.5 < scores[0, 0] < 0.76


def test_cross_validation_leaves_a_wrong_prior_and_keeps_a_right_one():
    features, targets = clusters(60, spread=0.3)
    wrong = log_softmax(-8 * targets)
    right = log_softmax(4 * targets)
    noise = np.random.default_rng(1).normal(size=features.shape)
    assert choose_settings(features, wrong, targets).prior_weight == 0.0
    assert choose_settings(noise, right, targets).prior_weight == 1.0


def test_folds_keep_speakers_together():
    """Features that tell the speaker alone must not look useful."""
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(10), 6)
    targets = np.eye(2)[rng.integers(0, 2, 10)[speakers]]
    features = rng.normal(size=(10, 8))[speakers]
    prior = np.zeros((60, 2))
    apart = choose_settings(features, prior, targets, groups=[str(one) for one in speakers])
    mixed = choose_settings(features, prior, targets)
    assert apart.strength > mixed.strength


def test_no_clips_or_no_strength_are_refused():
    with pytest.raises(ValueError, match="at least one clip"):
        fit_head(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2)), HeadSettings())
    with pytest.raises(ValueError, match="strength"):
        fit_head(np.zeros((1, 2)), np.zeros((1, 2)), np.eye(2)[:1], HeadSettings(strength=0.0))
