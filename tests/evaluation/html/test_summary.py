"""The headline a stranger reads."""

from dataclasses import replace

import numpy as np

from bimodal.evaluation.html.summary import headline, weakness


def test_the_verdict_names_figure_interval_chance_and_weakness(scored, material):
    found = material(scored())
    uar = found.system.metrics["uar"]
    told = headline(found)
    for value in (uar.value, uar.low, uar.high):
        assert f"{100 * value:.1f}" in told.verdict
    assert "better than guessing (33.3 %)" in told.verdict
    assert told.figure == f"{100 * uar.value:.1f}"
    assert "over 25 speakers" in told.interval
    assert told.weakness in told.verdict


def test_the_weakness_is_the_lowest_recall_and_what_it_is_taken_for(scored, material):
    predictions = scored(rows=90, signals={"speech": 9.0})
    scores = predictions.scores["speech"].copy()
    scores[predictions.targets == 1] = [0.1, 0.1, 0.8]
    found = weakness(material(replace(predictions, scores={"speech": scores})))
    assert (found.emotion, found.recall, found.rows, found.taken_for, found.share) == ("fear", 0.0, 30, "joy", 1.0)


def test_a_rare_emotion_is_no_weakness_beside_frequent_ones(scored, material):
    predictions = scored(rows=90)
    targets = np.where(np.arange(90) == 0, 2, np.arange(90) % 2)
    assert weakness(material(replace(predictions, targets=targets))).emotion != "joy"


def test_a_figure_that_reaches_down_to_chance_is_called_guessing(scored, material):
    assert "cannot be told from guessing" in headline(material(scored(signals={"speech": 0.0}))).verdict
