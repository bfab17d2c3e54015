"""Thresholds reach what was asked on rows that did not choose them, and each abstention has its reason."""

from dataclasses import replace

import numpy as np
import pytest

from bimodal.errors import BimodalError, ConfigError
from bimodal.evaluation.abstention import (
    NO_ANSWER,
    Rule,
    abstain,
    choose_thresholds,
    cost_threshold,
    coverage_threshold,
    read_costs,
)
from bimodal.evaluation.describe import describe
from bimodal.evaluation.figures import Resampling
from bimodal.evaluation.predictions import read_predictions, write_predictions
from bimodal.evaluation.report import Options, evaluate, evaluate_further

FEW = Resampling(replicates=200)


def test_a_stated_coverage_is_reached_on_other_speakers_and_lowers_the_error(made_up):
    predictions = made_up((("fused", 2.0),), speakers=40)
    (found,), _ = abstain(predictions, Rule(coverage=0.7), FEW)
    assert found.coverage.low < 0.7 < found.coverage.high
    assert found.error.value < found.error_of_all.value
    assert found.chosen_on == "the other speakers, 5 folds (cross-fitting)" and len(found.thresholds) == 5
    assert found.answered == round(found.coverage.value * found.rows)


def test_no_row_has_a_part_in_its_own_threshold(made_up):
    predictions = made_up((("fused", 2.0),), speakers=10)
    before = choose_thresholds(predictions, "fused", Rule(coverage=0.5))
    mine = [row for row, name in enumerate(predictions.clusters) if name == "s3"]
    changed = predictions.scores["fused"].copy()
    changed[mine] = [0.98, 0.01, 0.01]
    after = choose_thresholds(replace(predictions, scores={"fused": changed}), "fused", Rule(coverage=0.5))
    assert np.array_equal(before.each[mine], after.each[mine])
    assert not np.array_equal(before.each, after.each)


def renamed(predictions):
    """The same as if they were other rows of other speakers."""
    ids, clusters = (tuple(f"x{name}" for name in names) for names in (predictions.ids, predictions.clusters))
    return replace(predictions, ids=ids, clusters=clusters)


def test_reported_rows_never_choose_a_threshold_and_speakers_of_both_are_told(made_up):
    predictions = made_up((("fused", 2.0),))
    with pytest.raises(BimodalError, match="split 'test': 500 rows to choose thresholds on are reported, too"):
        abstain(predictions, Rule(coverage=0.8), FEW, predictions, "split 'test'")
    again = replace(renamed(predictions), clusters=predictions.clusters)
    (found,), _ = abstain(predictions, Rule(coverage=0.8), FEW, again, "split 'dev'")
    assert found.chosen_on == "split 'dev', with 25 speakers of the reported rows"


def test_held_out_rows_choose_one_threshold_for_all(made_up):
    held_out, predictions = renamed(made_up((("fused", 2.0),), seed=1)), made_up((("fused", 2.0),))
    (found,), _ = abstain(predictions, Rule(coverage=0.8), FEW, held_out, "split 'dev'")
    expected = coverage_threshold(held_out.scores["fused"].max(axis=1), 0.8)
    assert found.chosen_on == "split 'dev'" and found.thresholds[0]["joy"] == expected


def test_a_system_that_the_held_out_rows_lack_is_cross_fitted(made_up):
    found, _ = abstain(
        made_up((("fused", 2.0), ("wavlm", 1.0))), Rule(coverage=0.8), FEW, renamed(made_up((("fused", 2.0),)))
    )
    assert ["cross-fitting" in one.chosen_on for one in found] == [False, True]


def test_costs_are_least_at_the_threshold_of_a_search_over_all(made_up):
    rng = np.random.default_rng(0)
    confidence = rng.random(200).round(2)
    wrong = np.where(rng.random(200) < confidence, 0.0, 2.0)
    found = cost_threshold(confidence, wrong, 0.5)

    def cost(threshold):
        return np.where(confidence >= threshold, wrong, 0.5).sum()

    assert cost(found) == pytest.approx(min(cost(level) for level in [*np.unique(confidence), np.inf]))
    assert cost_threshold(confidence, np.full(200, 1.0), 0.5) == np.inf


def test_dear_errors_of_an_emotion_make_abstaining_cheaper_than_answering_all(made_up):
    predictions = made_up((("fused", 1.0),), speakers=40)
    (found,), _ = abstain(predictions, Rule(abstain_cost=0.4, wrong_costs={"angry": 5.0}), FEW)
    assert found.cost.value < found.cost_of_all.value
    with pytest.raises(ConfigError, match="costs of 'calm', expected emotions of"):
        abstain(predictions, Rule(abstain_cost=0.4, wrong_costs={"calm": 5.0}), FEW)


def test_reasons_stand_in_the_predictions_and_survive_the_file(tmp_path, made_up):
    predictions = made_up((("fused", 2.0),))
    scores = predictions.scores["fused"].copy()
    scores[7] = np.nan
    report, told = evaluate_further(
        replace(predictions, scores={"fused": scores}), replicates=50, options=Options(rule=Rule(coverage=0.5))
    )
    reasons = told.extra["abstained_fused"]
    assert reasons[7] == NO_ANSWER
    silent = {"abstained_fused": ("too short",) * 500}
    _, again = evaluate_further(
        replace(predictions, scores={"fused": scores}, extra=silent),
        replicates=50,
        options=Options(rule=Rule(coverage=1)),
    )
    assert [reason for reason in again.extra["abstained_fused"] if reason == "too short"] == ["too short"]
    assert sum(reason is None for reason in reasons) == report.abstention[0].answered
    assert all(reason is None or reason == NO_ANSWER or reason.startswith("confidence 0.") for reason in reasons)
    write_predictions(tmp_path / "p.csv", told)
    assert read_predictions(tmp_path / "p.csv").extra["abstained_fused"] == reasons
    assert "threshold chosen on the other speakers" in describe(report)


def test_one_speaker_is_told_that_nothing_can_be_held_out(made_up):
    predictions = made_up((("fused", 2.0),), speakers=1)
    with pytest.raises(BimodalError, match=r"one speaker only, so no threshold .* --threshold-split"):
        abstain(predictions, Rule(coverage=0.8), FEW)


def test_labels_alone_have_no_confidence_to_abstain_by(made_up):
    predictions = made_up((("fused", 2.0),))
    hard = np.eye(3)[predictions.scores["fused"].argmax(axis=1)]
    found, _ = abstain(replace(predictions, scores={"fused": hard}), Rule(coverage=0.8), FEW)
    assert found == ()
    (system,) = evaluate(replace(predictions, scores={"fused": hard}), replicates=50).systems
    assert system.metrics["nll"].value is None and system.metrics["uar"].value > 0 and system.reliability == ()


def test_rules_and_costs_that_are_none_are_refused(tmp_path):
    for wrong in ({}, {"coverage": 0.5, "abstain_cost": 1.0}, {"coverage": 0.0}, {"coverage": 80}):
        with pytest.raises(ConfigError):
            Rule(**wrong)
    file = tmp_path / "costs.toml"
    file.write_text("abstain = 0.3\n[wrong]\nanger = 5\n")
    assert read_costs(file) == Rule(abstain_cost=0.3, wrong_costs={"anger": 5.0})
    for text, message in [
        ("[wrong]\nanger = 5\n", "expected 'abstain = 0.3'"),
        ("abstain = 'x'", "abstain is 'x', expected a cost"),
        ("abstain = 1\n[wrong]\nanger = -1", "anger is -1, expected a cost"),
        ("abstain = inf", "abstain is inf"),
        ("abstain", "not a TOML file"),
        ("abstain = 1\nmore = 2", "expected 'abstain = 0.3'"),
    ]:
        file.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_costs(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_costs(tmp_path / "absent.toml")
