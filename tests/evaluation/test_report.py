import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from bimodal.data.splits import Overlap
from bimodal.evaluation.report import evaluate


def width(estimate):
    return estimate.high - estimate.low


def test_figures_worked_by_hand_over_the_utterances_each_system_had_input_for(by_hand):
    speech, text, fused = evaluate(by_hand, replicates=200).systems
    assert [system.rows for system in (speech, text, fused)] == [5, 5, 6]
    assert speech.confusion == ((1, 1, 0), (1, 1, 0), (0, 0, 1))
    assert speech.recalls == {"anger": 0.5, "fear": 0.5, "joy": 1.0}
    assert speech.metrics["uar"].value == pytest.approx(2 / 3)
    assert speech.metrics["accuracy"].value == pytest.approx(3 / 5)
    assert speech.metrics["macro_f1"].value == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert speech.metrics["weighted_f1"].value == pytest.approx((2 * 0.5 + 2 * 0.5 + 1) / 5)
    assert speech.metrics["nll"].value == pytest.approx(-(3 * math.log(0.8) + 2 * math.log(0.1)) / 5)
    assert speech.metrics["brier"].value == pytest.approx((3 * (0.04 + 0.02) + 2 * (0.64 + 0.81 + 0.01)) / 5)
    assert speech.metrics["ece"].value == pytest.approx(0.8 - 0.6)
    assert text.metrics["uar"].value == pytest.approx(2 / 3)
    assert fused.metrics["uar"].value == pytest.approx(2.5 / 3)


def test_systems_are_compared_on_the_utterances_that_both_had_input_for(by_hand):
    first, second = evaluate(by_hand, replicates=200).comparisons
    assert (first.system, first.other, first.rows) == ("fused", "speech", 5)
    assert first.uar.value == pytest.approx((0.5 + 1 + 1) / 3 - (0.5 + 0.5 + 1) / 3)
    assert (second.other, second.rows) == ("text", 5)
    assert second.uar.value == pytest.approx((1 + 1 + 1) / 3 - (1 + 0 + 1) / 3)
    # F1: all right (1) against anger 2/4, fear 0, joy 1, weighted 1, 2, 2
    assert second.weighted_f1.value == pytest.approx(1 - (0.5 + 0 + 2) / 5)


def test_clusters_widen_the_intervals_and_leave_the_figures(made_up):
    predictions = made_up(each=40)
    alone = replace(predictions, clusters=predictions.ids, cluster_name="utterance")
    by_speaker, by_utterance = evaluate(predictions).systems[0], evaluate(alone).systems[0]
    assert by_speaker.metrics["uar"].value == by_utterance.metrics["uar"].value
    assert width(by_speaker.metrics["uar"]) > 1.3 * width(by_utterance.metrics["uar"])
    assert by_speaker.metrics["uar"].low < by_speaker.metrics["uar"].value < by_speaker.metrics["uar"].high


def test_a_better_fusion_is_told_with_interval_and_p_and_no_warning(made_up):
    report = evaluate(made_up(each=40))
    assert [comparison.other for comparison in report.comparisons] == ["speech", "text", "late"]
    assert all(0 < comparison.uar.low < comparison.uar.value for comparison in report.comparisons)
    assert all(0 < comparison.uar.p < 0.05 for comparison in report.comparisons)
    assert report.warnings == ()


def test_fusion_below_a_side_is_said_plainly(made_up):
    report = evaluate(made_up((("speech", 0.2), ("text", 2.0), ("fused", 1.0))), replicates=200)
    lost = -100 * report.comparisons[1].uar.value
    assert lost > 0
    assert report.warnings == (
        f"Fusion does not help here: its UAR is {lost:.1f} points below text alone, "
        "on the 500 utterances with input for both.",
    )


def test_warnings_name_what_limits_the_results(by_hand):
    report = evaluate(by_hand, replicates=100)
    assert report.warnings == (
        "The intervals are too narrow: there are 2 speakers, fewer than 20.",
        "Recalls from fewer than 10 utterances: anger (2), fear (2), joy (2).",
        "The systems had input for different utterances: compare them by the paired differences, not by the table.",
    )
    alone = replace(by_hand, clusters=by_hand.ids, cluster_name="utterance")
    assert any("utterances as independent" in warning for warning in evaluate(alone, replicates=100).warnings)


def test_one_speaker_and_an_emotion_that_nobody_shows_leave_gaps_and_say_so(by_hand):
    report = evaluate(replace(by_hand, clusters=("Ann",) * 6, targets=np.array([0, 0, 1, 1, 1, 1])), replicates=100)
    assert report.warnings[-3:-1] == (
        "No utterance is labelled joy: UAR is the mean over the other emotions.",
        "Recalls from fewer than 10 utterances: anger (2), fear (4).",
    )
    assert "There is only one speaker, so there are no intervals." in report.warnings
    assert report.systems[0].recalls["joy"] is None
    assert report.systems[0].metrics["uar"].low is None
    assert report.comparisons[0].uar.p is None
    assert report.counts == {"anger": 2, "fear": 4, "joy": 0}


def test_a_system_that_never_had_input_is_left_out_and_named(by_hand):
    nothing = np.full((6, 3), np.nan)
    report = evaluate(replace(by_hand, scores={**by_hand.scores, "text": nothing}), replicates=100)
    assert [system.system for system in report.systems] == ["speech", "fused"]
    assert [comparison.other for comparison in report.comparisons] == ["speech"]
    assert "text is left out: it had no input for any utterance." in report.warnings
    with pytest.raises(ValueError, match="no system of"):
        evaluate(replace(by_hand, scores={"speech": nothing}))


def test_the_same_seed_gives_the_same_report_and_notes_pass_through(by_hand):
    note = str(Overlap(what="speakers in train and test", shared=6, share_of_rows=0.96, allowed="MELD"))
    report = evaluate(by_hand, replicates=100, seed=3, title="MELD test", notes=[note])
    assert report == evaluate(by_hand, replicates=100, seed=3, title="MELD test", notes=[note])
    assert report.notes == (note,)
    assert (report.title, report.replicates, report.seed, report.clusters) == ("MELD test", 100, 3, 2)


def test_evaluation_needs_neither_torch_nor_matplotlib():
    code = "import sys, bimodal.evaluation; print({'torch', 'matplotlib', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
