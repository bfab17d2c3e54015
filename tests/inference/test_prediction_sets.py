"""Prediction sets of results: what is in them, and what a table or a caller may not say."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimodal.errors import BimodalError, ModelFolderError
from bimodal.inference.fit_prediction_sets import (
    LEAST_CLUSTERS,
    LEAST_ROWS,
    CalibrationRows,
    cluster_rows,
    fit_prediction_sets,
    label_shares,
    sets_of_scores,
)
from bimodal.inference.prediction_sets import (
    COVERAGES,
    PredictionSets,
    check_coverage,
    choose_set,
    describe_sets,
    kinds_of,
    load_prediction_sets,
    save_prediction_sets,
)
from bimodal.records import Recognition, Utterance

EMOTIONS = ("anger", "fear", "happiness", "neutral")


def rows(speakers: int, each: int, seed: int = 0, labels: int = 4) -> CalibrationRows:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, labels, speakers * each)
    logits = rng.normal(0, 1, (len(targets), 4)) + 2 * np.eye(4)[targets]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = tuple(f"speaker {number}" for number in np.arange(speakers).repeat(each))
    return CalibrationRows(scores=scores, shares=np.eye(4)[targets], clusters=names, unit="speakers")


def result(scores, *, speech=True, text=False, confidence=None) -> Recognition:
    named = dict(zip(EMOTIONS, scores, strict=True))
    return Recognition(
        emotion=max(named, key=named.__getitem__), scores=named, speech_scores=named if speech else None,
        text_scores=named if text else None, gate=None, transcript_confidence=confidence,
    )  # fmt: skip


TABLE = fit_prediction_sets({"speech": rows(60, 20), "text": rows(60, 20, 1), "both": rows(60, 20, 2)}, EMOTIONS)
FEW = fit_prediction_sets({"speech": rows(10, 20)}, EMOTIONS)
shares = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4).map(lambda one: [part / sum(one) for part in one])


@given(shares, st.tuples(st.floats(0.02, 0.999), st.floats(0.02, 0.999)), st.sampled_from(["emotion", "marginal"]))
@settings(max_examples=150, deadline=None)
def test_a_higher_coverage_takes_no_emotion_away(scores, coverages, by):
    for table in (TABLE, FEW):
        low, high = (choose_set(result(scores), table, one, by).prediction_set.emotions for one in sorted(coverages))
        assert set(low) <= set(high)


@given(shares, st.floats(0.02, 0.999), st.booleans(), st.booleans(), st.sampled_from([None, 0.0, 0.4, 1.0]))
@settings(max_examples=150, deadline=None)
def test_the_answer_comes_first_and_the_rest_by_score(scores, coverage, speech, text, confidence):
    one = result(scores, speech=speech, text=text, confidence=confidence)
    found = choose_set(one, TABLE, coverage).prediction_set
    told = [one.scores[name] for name in found.emotions]
    assert found.emotions[0] == one.emotion and told == sorted(told, reverse=True)
    assert found.coverage == coverage and found.by == "emotion"


@pytest.mark.parametrize("by", ["emotion", "marginal"])
def test_sets_of_arrays_are_those_of_results(by):
    held = rows(5, 40, seed=9)
    results = [result(scores) for scores in held.scores]
    whole = sets_of_scores(TABLE, held.scores, [kinds_of(one) for one in results], EMOTIONS, 0.85, by)
    for row, one in zip(whole, results, strict=True):
        chosen = choose_set(one, TABLE, 0.85, by).prediction_set.emotions
        assert {name for name, inside in zip(EMOTIONS, row, strict=True) if inside} == set(chosen)


def test_new_speakers_are_covered_and_each_emotion_alone_is():
    held = rows(300, 20, seed=5)
    truth = held.shares.argmax(axis=1)
    for by in ("emotion", "marginal"):
        sets = sets_of_scores(TABLE, held.scores, [["speech"]] * len(truth), EMOTIONS, 0.9, by)
        hit = sets[np.arange(len(truth)), truth]
        assert hit.mean() > 0.88  # 60 calibration speakers: the threshold itself is off by a point or so
        if by == "emotion":
            assert min(hit[truth == place].mean() for place in range(4)) > 0.86


def test_few_speakers_cannot_support_a_high_coverage():
    assert choose_set(result([0.97, 0.01, 0.01, 0.01]), FEW, 0.9).prediction_set.note is None
    found = choose_set(result([0.97, 0.01, 0.01, 0.01]), FEW, 0.95).prediction_set
    assert set(found.emotions) == set(EMOTIONS)
    assert (
        found.note == "the calibration on 10 speakers supports a coverage of at most 0.9, so the set holds all emotions"
    )
    assert "at most 0.98" in choose_set(result([0.97, 0.01, 0.01, 0.01]), TABLE, 0.999).prediction_set.note


def test_an_emotion_of_few_speakers_has_the_threshold_of_all():
    rare = rows(60, 20)
    rare = replace(rare, shares=rare.shares.copy())
    place = {name: number for number, name in enumerate(EMOTIONS)}["fear"]
    kept = [name in {f"speaker {number}" for number in range(LEAST_CLUSTERS - 1)} for name in rare.clusters]
    rare.shares[(rare.shares[:, place] == 1) & ~np.array(kept)] = 0
    table = fit_prediction_sets({"speech": rare}, EMOTIONS)
    assert set(table.kinds["speech"].emotions) == set(EMOTIONS) - {"fear"}
    (sentence,) = describe_sets(table)
    assert "fear" not in sentence and "anger (60 speakers)" in sentence


def test_where_an_emotion_alone_has_too_few_speakers_for_the_coverage_the_set_says_so():
    mixed = rows(40, 20)
    place = EMOTIONS.index("fear")
    late = np.array([int(name.split()[1]) >= 12 for name in mixed.clusters])
    mixed.shares[(mixed.shares[:, place] == 1) & late] = 0
    table = fit_prediction_sets({"speech": mixed}, EMOTIONS)
    assert (
        table.kinds["speech"].emotions["fear"].clusters == 12
        and table.kinds["speech"].emotions["fear"].rows >= LEAST_ROWS
    )
    assert choose_set(result([0.7, 0.1, 0.1, 0.1]), table, 0.92).prediction_set.note is None
    told = choose_set(result([0.7, 0.1, 0.1, 0.1]), table, 0.95).prediction_set.note
    assert told == "too few speakers for 0.95 of fear alone; the threshold of all emotions stands in"


def test_a_kind_of_input_without_rows_gets_all_emotions_and_the_reason():
    found = choose_set(result([0.97, 0.01, 0.01, 0.01], speech=False, text=True), FEW, 0.9).prediction_set
    assert len(found.emotions) == 4
    assert found.note == "the model has no calibration rows for words alone, so the set holds all emotions"


def test_unsure_words_make_a_set_no_smaller_than_either_kind():
    scores = [0.55, 0.3, 0.1, 0.05]
    for coverage in (0.6, 0.8, 0.9):
        sets = {
            confidence: set(
                choose_set(result(scores, text=True, confidence=confidence), TABLE, coverage).prediction_set.emotions
            )
            for confidence in (0.0, 0.5, 1.0)
        }
        assert sets[0.5] == sets[0.0] | sets[1.0]
        assert sets[0.0] == set(choose_set(result(scores), TABLE, coverage).prediction_set.emotions)


def test_a_result_that_abstained_has_no_set():
    silent = replace(result([0.25] * 4), emotion=None, abstained=True, reason="the recording is silent")
    assert choose_set(silent, TABLE, 0.9).prediction_set is None


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, math.nan, math.inf, "a", "0.9", True, None, [0.9]])
def test_what_is_no_coverage_is_refused_in_one_sentence(value):
    with pytest.raises(BimodalError, match=r"^coverage is .*, expected a number above 0 and below 1, such as 0\.9$"):
        check_coverage(value)
    with pytest.raises(BimodalError, match="expected one of emotion, marginal"):
        check_coverage(0.9, "both")


def test_a_table_is_read_as_it_was_written(tmp_path):
    save_prediction_sets(tmp_path / "sets.json", TABLE)
    assert load_prediction_sets(tmp_path / "sets.json") == TABLE
    assert TABLE.coverages == COVERAGES and COVERAGES[0] == 0.5 and COVERAGES[-1] == 0.99


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one.update(coverages=[0.9, 0.5]), "do not rise"),
        (lambda one: one.update(coverages=[0.9]), "thresholds for 1 coverages"),
        (lambda one: one.update(schema=2), "schema 2, expected 1"),
        (lambda one: one["kinds"]["text"]["marginal"]["thresholds"].reverse(), "thresholds that fall"),
        (lambda one: one["kinds"].update(smell=one["kinds"]["text"]), "damaged"),
        (lambda one: one.clear(), "damaged"),
    ],
)
def test_a_damaged_table_is_refused_in_one_sentence(tmp_path, change, told):
    plain = msgspec.to_builtins(TABLE)
    plain = msgspec.json.decode(msgspec.json.encode(plain))
    change(plain)
    (tmp_path / "sets.json").write_bytes(msgspec.json.encode(plain))
    with pytest.raises(ModelFolderError, match=told):
        load_prediction_sets(tmp_path / "sets.json")


def test_several_labels_count_by_share():
    held = rows(20, 10)
    soft = replace(held, shares=held.shares * 0.5 + 0.125)
    table = fit_prediction_sets({"speech": soft}, EMOTIONS)
    assert table.kinds["speech"].marginal.rows == 200
    assert sum(one.rows for one in table.kinds["speech"].emotions.values()) == pytest.approx(200)


def test_no_rows_give_no_kind():
    empty = CalibrationRows(scores=np.zeros((0, 4)), shares=np.zeros((0, 4)), clusters=(), unit="rows")
    assert fit_prediction_sets({"speech": empty}, EMOTIONS) == PredictionSets(coverages=COVERAGES, kinds={})


def test_rows_belong_to_speakers_and_words_alone_to_dialogues():
    said = [
        Utterance(id="a", speaker="Ann", dialogue="d1", transcript="Yes!"),
        Utterance(id="b", speaker="Ann", transcript="yes"),
        Utterance(id="c", transcript="no"),
    ]
    assert cluster_rows(said, "speech") == (("speaker Ann", "speaker Ann", "row c"), "speakers and rows")
    assert cluster_rows(said, "text") == (("dialogue d1", "text yes", "text no"), "dialogues and texts")


def test_targets_become_shares():
    assert label_shares(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    soft = np.array([[0.5, 0.5]], np.float32)
    assert label_shares(soft, 2).tolist() == [[0.5, 0.5]]
