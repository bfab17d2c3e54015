"""Orders of clips: each gives different clips, the unsure and the unlike first."""

import numpy as np
import pytest

from bimodal.labelling.order import STRATEGIES, entropy, margin, pick_diverse, pick_informative


def clips(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 5)), rng.dirichlet(np.ones(3), count)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize(("count", "labelled"), [(20, 0), (20, 7), (60, 3), (100, 3), (1, 1), (0, 4)])
def test_every_order_picks_as_many_different_clips_as_there_are(name, count, labelled):
    features, scores = clips()
    picks = STRATEGIES[name](features, scores, features[:labelled], count, np.random.default_rng(0))
    assert len(picks) == len({*picks}) == min(count, 60)
    assert all(0 <= one < 60 for one in picks)


@pytest.mark.parametrize("name", ["margin", "entropy"])
def test_unsure_clips_come_first(name):
    features, _ = clips(3)
    scores = np.array([[0.9, 0.05, 0.05], [0.4, 0.35, 0.25], [0.6, 0.3, 0.1]])
    assert STRATEGIES[name](features, scores, features[:0], 3, np.random.default_rng(0)) == [1, 2, 0]


def test_copies_of_a_picked_clip_come_last():
    features = np.array([[0.0, 0.0]] * 5 + [[3.0, 0.0], [0.0, 3.0]])
    scores = np.full((7, 2), 0.5)
    assert {*pick_diverse(features, scores, features[:1], 2, np.random.default_rng(0))} == {5, 6}


def test_informative_clips_lower_the_variance_most():
    """Each pick has the lowest weighted variance after it, by an inverse that is computed anew."""
    features, scores = clips(30)
    labelled, unsure = features[:6], entropy(scores)
    picks = pick_informative(features, scores, labelled, 4, np.random.default_rng(0))
    precision = np.eye(5) + 0.25 * labelled.T @ labelled
    for pick in picks:
        left = {}
        for number in {*range(30)} - {*picks[: picks.index(pick)]}:
            with_it = precision + unsure[number] * np.outer(features[number], features[number])
            left[number] = unsure @ ((features @ np.linalg.inv(with_it)) * features).sum(axis=1)
        assert min(left, key=left.__getitem__) == pick
        precision = precision + unsure[pick] * np.outer(features[pick], features[pick])


def test_of_a_large_folder_informative_clips_are_picked_among_some():
    features, scores = clips(5000)
    picks = pick_informative(features, scores, features[:9], 60, np.random.default_rng(0))
    assert len({*picks}) == 60 and max(picks) > 4000


def test_the_mixed_order_is_half_random():
    features, scores = clips()
    first, second = (STRATEGIES["mixed"](features, scores, features[:5], 20, np.random.default_rng(s)) for s in (0, 1))
    diverse = pick_diverse(features, scores, features[:5], 10, np.random.default_rng(0))
    assert first[::2] == second[::2] == diverse
    assert first[1::2] != second[1::2]


def test_identical_clips_are_no_error():
    features, scores = np.zeros((9, 3)), np.full((9, 2), 0.5)
    for pick in STRATEGIES.values():
        assert len(pick(features, scores, features[:2], 9, np.random.default_rng(0))) == 9
    assert margin(scores).tolist() == [1.0] * 9
