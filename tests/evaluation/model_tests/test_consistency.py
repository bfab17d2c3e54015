"""Consistency: models that look at what they should not fail the test that is about it, and no other."""

import numpy as np

from bimodal.evaluation.model_tests.consistency import check_consistency, largest_distance
from bimodal.evaluation.model_tests.records import TestOptions
from tests.evaluation.model_tests.made_up import right

OPTIONS = TestOptions(runs=2000)


def statuses(material, test):
    return [one.status for one in check_consistency(material, "fused", OPTIONS) if one.test == test]


def by_words(targets, rows, rng):
    """Another recall for each of two sentences."""
    first = np.array([row.transcript.startswith("The door") for row in rows])
    return np.where(first, right(0.9)(targets, rows, rng), right(0.4)(targets, rows, rng))


def by_weakness(targets, rows, rng):
    """Strong emotions are recognised worse than weak ones."""
    strong = np.array([row.extra["intensity"] == "strong" for row in rows])
    return np.where(strong, right(0.4)(targets, rows, rng), right(0.9)(targets, rows, rng))


def by_speaker(targets, rows, rng):
    """An emotion of a speaker always gets the same answer."""
    kinds = {(row.speaker, target): rng.integers(3) for row, target in zip(rows, targets, strict=True)}
    return np.array([kinds[row.speaker, target] for row, target in zip(rows, targets, strict=True)])


def test_a_good_model_passes(make_material):
    material = make_material(right(0.8))
    for test in ("expected emotion", "strong emotion", "scores over sentences"):
        assert statuses(material, test) == ["passed"] * 3


def test_scores_that_depend_on_the_sentence_fail(make_material):
    assert "failed" in statuses(make_material(by_words, speakers=40), "scores over sentences")


def test_strong_emotions_that_are_missed_fail(make_material):
    assert "failed" in statuses(make_material(by_weakness), "strong emotion")


def test_takes_agree_if_the_answer_depends_on_the_speaker_and_not_by_accident(make_material):
    assert statuses(make_material(by_speaker), "takes of the same sentence") == ["passed"]
    assert statuses(make_material(right(0.5)), "takes of the same sentence") == ["failed"]


def test_an_emotion_that_is_mostly_called_another_fails(make_material):
    material = make_material(lambda targets, rows, rng: np.where(targets == 1, 2, targets))
    (told,) = [one for one in check_consistency(material, "fused", OPTIONS) if one.name == "expected emotion: fear"]
    assert told.status == "failed"
    assert told.sentence == "0 of 200 clips are answered fear, 200 joy; expected fear most often."


def test_the_distance_is_that_of_scipy():
    from scipy.spatial.distance import jensenshannon

    rng = np.random.default_rng(0)
    scores, groups = rng.dirichlet(np.ones(4), 30), np.arange(30) % 3
    expected = max(jensenshannon(scores[groups == one].mean(0), scores.mean(0), base=2) for one in range(3))
    assert abs(largest_distance(scores, groups) - expected) < 1e-9
