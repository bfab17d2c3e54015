"""Robustness: what stays the same passes, what changes fails, no answer counts as a wrong one, words are told apart."""

import re
from dataclasses import replace

import numpy as np
import pytest

from bimodal.evaluation.model_tests.conditions import CONDITIONS
from bimodal.evaluation.model_tests.records import Disturbed, TestOptions
from bimodal.evaluation.model_tests.robustness import UAR, UNCHANGED, check_robustness
from bimodal.evaluation.model_tests.words import WORD_CONDITIONS
from tests.evaluation.model_tests.made_up import right

ROWS = np.arange(0, 600, 3)


def outcomes(material, name, scores, system="fused", **more):
    clean = {one: values[ROWS] for one, values in material.predictions.scores.items()}
    disturbed = {name: Disturbed(rows=ROWS, scores=clean | {system: scores}, **more)}
    found = check_robustness(replace(material, disturbed=disturbed), system, TestOptions())
    return {one.case: one for one in found if one.test == name}


def test_every_condition_passes_when_nothing_changes(make_material):
    material = make_material(right(0.8))
    same = {name: scores[ROWS] for name, scores in material.predictions.scores.items()}
    disturbed = {name: Disturbed(rows=ROWS, scores=same) for name in CONDITIONS}
    found = check_robustness(replace(material, disturbed=disturbed), "speech", TestOptions())
    assert {one.status for one in found if one.test in CONDITIONS} == {"passed"}
    assert {one.status for one in found if one.test in WORD_CONDITIONS} == {"skipped"}


def test_shuffled_answers_fail(make_material):
    material = make_material(right(0.8))
    scores = np.random.default_rng(0).permutation(material.predictions.scores["fused"][ROWS])
    found = outcomes(material, "white noise, 20 dB", scores, detail="synthetic")
    assert {case: one.status for case, one in found.items()} == {UAR: "failed", UNCHANGED: "failed"}
    assert found[UAR].sentence.startswith("With white noise, 20 dB (synthetic), UAR is ")


def test_a_clip_without_an_answer_counts_as_not_recognised(make_material):
    material = make_material(right(1.0))
    scores = material.predictions.scores["fused"][ROWS].copy()
    scores[::2] = np.nan
    found = outcomes(material, "white noise, 10 dB", scores)
    assert found[UAR].value == pytest.approx(-0.5, abs=0.05)


def test_false_words_are_compared_with_the_voice_alone(make_material):
    material = make_material(right(0.8))  # fused answers equal those of speech
    found = outcomes(material, "words of another emotion", material.predictions.scores["fused"][ROWS])
    assert found[UAR].value == 0.0
    text = outcomes(material, "words of another emotion", material.predictions.scores["text"][ROWS])
    assert text[UAR].status == "failed"


def test_the_text_system_is_not_tested_on_changes_of_recordings(make_material):
    found = check_robustness(make_material(right(0.8)), "text", TestOptions())
    assert {one.status for one in found} == {"skipped"}


def test_a_condition_that_was_not_run_is_skipped_with_its_reason(make_material):
    material = replace(make_material(right(0.8)), unusable={"a cough, 10 dB": "no recordings of cough were given"})
    found = {one.test: one for one in check_robustness(material, "fused", TestOptions())}
    assert found["a cough, 10 dB"].sentence == "no recordings of cough were given"


def test_the_interval_of_a_loss_stands_in_its_sentence(make_material):
    material = make_material(right(0.8))
    found = outcomes(material, "babble, 10 dB", material.predictions.scores["text"][ROWS])
    low, high = re.search(r"\(change ([+-][\d.]+) to ([+-][\d.]+)\)", found[UAR].sentence).groups()
    assert float(low) < 100 * found[UAR].value < float(high) < 0
