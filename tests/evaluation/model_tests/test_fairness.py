"""Fairness: fair models pass, a model made unfair fails, groups come from columns, pitch and words."""

from dataclasses import replace

import numpy as np
import pytest

from bimodal.evaluation.model_tests.fairness import check_fairness, groupings
from bimodal.evaluation.model_tests.records import TestOptions, count, pass_rate
from tests.evaluation.model_tests.made_up import right

OPTIONS = TestOptions(runs=2000)


def unfair(targets, rows, rng):
    """Right for men, wrong for half of the women's anger."""
    women = np.array([row.extra["gender"] == "female" for row in rows])
    told = right(0.8)(targets, rows, rng)
    return np.where(women & (targets == 0) & (rng.random(len(targets)) < 0.5), 1, told)


def test_fair_models_pass(make_material):
    outcomes = [
        one
        for seed in range(10)
        for one in check_fairness(make_material(right(0.6), seed=seed), "fused", OPTIONS)
        if one.status != "skipped"
    ]
    assert len(outcomes) > 500
    assert pass_rate(outcomes) > 0.995  # the level is 0.999


def test_a_model_made_unfair_fails_for_that_group(make_material):
    failed = [one for one in check_fairness(make_material(unfair), "fused", OPTIONS) if one.status == "failed"]
    assert any(one.test == "sex: recall" and one.case.startswith("anger, female") for one in failed)
    (told,) = [one.sentence for one in failed if one.test == "sex: recall" and "anger, female" in one.case]
    assert "anger, female, 10 speakers, the recall of anger is" in told
    assert "below that of all clips" in told
    assert not any(one.test.startswith("content") for one in failed)


def test_groups_come_from_the_manifest(make_material):
    found = groupings(make_material(right(0.6)), TestOptions(by=("intensity",)))
    assert set(found["sex"]) == {"female", "male"}
    assert set(found["age"]) == {"below 30", "30 to 44", "45 to 59", "60 and above"}
    assert set(found["content"]) == {"the door is open.", "the window is closed."}
    assert set(found["intensity"]) == {"normal", "strong"}
    assert found["accent"] == "the manifest has no column 'accent' or 'dialect' or 'native_language'"


def test_speakers_are_grouped_by_measured_pitch(make_material):
    material = make_material(right(0.6))
    hertz = np.repeat(np.linspace(100, 240, 20), 30)
    found = groupings(replace(material, pitch=hertz), OPTIONS)["pitch"]
    assert found[0] == "low (up to 145 Hz)"
    assert found[-1] == "high (above 190 Hz)"
    assert "medium" in found


def test_one_group_and_small_groups_are_skipped_with_the_reason(make_material):
    outcomes = check_fairness(make_material(right(0.6), speakers=2, each=9), "fused", OPTIONS)
    reasons = {one.sentence for one in outcomes if one.status == "skipped"}
    assert "all clips are of one group ('en')" in reasons
    assert "too few clips of anger: 3, at least 8" in reasons


def test_nothing_is_counted_twice_when_a_system_answers_some_clips(make_material):
    material = make_material(right(0.6))
    scores = material.predictions.scores["fused"].copy()
    scores[::2] = np.nan
    some = replace(material, predictions=replace(material.predictions, scores={"fused": scores}))
    clips = [one.clips for one in check_fairness(some, "fused", OPTIONS) if one.test == "sex: UAR"]
    assert sum(clips) == 300
    assert count(check_fairness(some, "fused", OPTIONS))[0] > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_is_told(make_material, seed):
    outcomes = check_fairness(make_material(right(0.6)), "fused", TestOptions(runs=500, seed=seed))
    assert {one.source for one in outcomes if one.source} == {f"500 fair random models, quantile 0.999, seed {seed}"}
