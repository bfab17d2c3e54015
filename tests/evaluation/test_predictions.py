from dataclasses import replace

import numpy as np
import pytest

from bimodal.errors import BimodalError
from bimodal.evaluation.predictions import Predictions, concatenate, late_fusion, read_predictions, write_predictions

NAN = np.nan


def same(one: Predictions, other: Predictions) -> None:
    for name in ("ids", "emotions", "clusters", "cluster_name", "systems"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.targets.tolist() == other.targets.tolist()
    assert dict(one.extra) == dict(other.extra)
    for system in one.systems:
        np.testing.assert_array_equal(one.scores[system], other.scores[system])


def test_late_fusion_worked_by_hand():
    # 0.6 * 0.3 / 0.5, 0.3 * 0.3 / 0.25, 0.1 * 0.4 / 0.25 = 0.36, 0.36, 0.16
    found = late_fusion([[0.6, 0.3, 0.1]], [[0.3, 0.3, 0.4]], [0.5, 0.25, 0.25])
    assert found[0] == pytest.approx(np.array([0.36, 0.36, 0.16]) / 0.88)


def test_late_fusion_of_independent_sides_is_the_rule_of_bayes():
    rng = np.random.default_rng(0)
    prior, speech_given, text_given = rng.dirichlet([1] * 4), *rng.dirichlet([1] * 5, size=(2, 4))
    speech, text = (given.T * prior / (given.T @ prior)[:, None] for given in (speech_given, text_given))
    joint = speech_given[:, 2] * text_given[:, 3] * prior
    assert late_fusion(speech[[2]], text[[3]], prior)[0] == pytest.approx(joint / joint.sum())


def test_in_late_fusion_an_uninformed_side_changes_nothing_and_an_absent_one_lets_the_other_stand():
    prior, scores = [0.7, 0.2, 0.1], [[0.2, 0.5, 0.3]]
    assert late_fusion(scores, [prior], prior)[0] == pytest.approx(scores[0])
    absent = [[NAN] * 3]
    assert late_fusion(scores, absent, prior).tolist() == scores
    assert late_fusion(absent, scores, prior).tolist() == scores
    assert np.isnan(late_fusion(absent, absent, prior)).all()


def test_late_fusion_of_sides_that_are_sure_of_different_emotions_is_a_draw():
    assert late_fusion([[1.0, 0.0]], [[0.0, 1.0]], [0.5, 0.5])[0] == pytest.approx([0.5, 0.5])


def test_late_fusion_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"\(1, 2\), \(1, 3\)"):
        late_fusion([[0.5, 0.5]], [[0.5, 0.5, 0.0]], [0.5, 0.5])
    for priors in ([1.0, 0.0], [0.5, 0.6]):
        with pytest.raises(ValueError, match="shares above 0 that sum to 1"):
            late_fusion([[0.5, 0.5]], [[0.5, 0.5]], priors)


def test_predictions_read_back_as_they_were_written(tmp_path, by_hand, made_up):
    for number, predictions in enumerate([by_hand, made_up(), replace(by_hand, cluster_name="dialogue")]):
        file = tmp_path / f"{number}.csv"
        write_predictions(file, predictions)
        same(read_predictions(file), predictions)


def test_the_file_holds_truth_and_predictions_in_words_and_empty_cells_where_there_was_no_input(tmp_path, by_hand):
    write_predictions(tmp_path / "p.csv", replace(by_hand, extra={}))
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0].startswith("id,cluster:speaker,truth,speech,text,fused,speech:anger,speech:fear,speech:joy,text:")
    assert lines[2] == "u2,Ann,anger,fear,,fear,0.1,0.8,0.1,,,,0.1,0.8,0.1"


def test_files_that_do_not_fit_are_refused_with_the_place(tmp_path):
    header = "id,cluster:speaker,truth,speech,speech:a,speech:b\n"
    file = tmp_path / "p.csv"
    for text, message in [
        (header + "1,Ann,c,a,1,0\n", r"p.csv:2: unknown emotion 'c', expected one of \['a', 'b'\]"),
        (header + "1,Ann,a,a,1,0\n2,Ann,a,a,one,0\n", "p.csv:3: speech:a is 'one', expected a number"),
        (header + "1,Ann,a,a,1\n", "p.csv:2: expected 6 cells"),
        (header + "1,Ann,a,a,1,0,0\n", "p.csv:2: expected 6 cells"),
        (header + "1,Ann,a,a,1,1\n", "speech scores of '1' are"),
        (header + "1,Ann,a,a,1,\n", "all NaN"),
        (header + "1,Ann,a,a,1,0\n1,Ann,a,a,1,0\n", "1 ids occur more than once, the first is '1'"),
        (header, "at least one"),
        ("", "columns are"),
        ("id,truth\n1,a\n", "columns are"),
        (header.replace("speaker", "planet") + "1,Ann,a,a,1,0\n", "cluster_name 'planet'"),
        (header.replace("\n", ",text:a\n") + "1,Ann,a,a,1,0,1\n", "columns are"),
    ]:
        file.write_text(text)
        with pytest.raises(BimodalError, match=message):
            read_predictions(file)
    with pytest.raises(BimodalError, match="cannot be read"):
        read_predictions(tmp_path / "absent.csv")


def test_folds_are_pooled_and_what_one_lacks_is_absent_there(by_hand):
    other = replace(
        by_hand,
        ids=tuple(f"v{row}" for row in range(6)),
        scores={"speech": by_hand.scores["speech"], "late": by_hand.scores["fused"]},
        extra={"fold": ("3",) * 6},
    )
    pooled = concatenate(by_hand, other)
    assert pooled.systems == ("speech", "text", "late", "fused")
    assert pooled.ids == by_hand.ids + other.ids
    assert pooled.answered("text").tolist() == [True, False, True, True, True, True] + [False] * 6
    assert pooled.extra["fold"][4:8] == ("2", "2", "3", "3")
    assert pooled.extra["transcript"][6:] == (None,) * 6
    same(concatenate(by_hand), by_hand)


def test_folds_that_share_an_utterance_or_differ_in_emotions_are_not_pooled(by_hand):
    with pytest.raises(ValueError, match="6 ids occur more than once"):
        concatenate(by_hand, by_hand)
    with pytest.raises(ValueError, match="the same in every part"):
        concatenate(by_hand, replace(by_hand, emotions=("anger", "joy", "fear")))
    with pytest.raises(ValueError, match="at least one"):
        concatenate()


def test_predictions_that_do_not_fit_are_refused(by_hand):
    for change, message in [
        ({"clusters": ("Ann",)}, r"6 ids but \{'clusters': 1\}"),
        ({"extra": {"fold": ("1",)}}, r"\{'fold': 1\}"),
        ({"targets": np.array([0, 0, 1, 1, 2, 3])}, "expected integers 0 to 2"),
        ({"targets": np.zeros(6)}, "float64"),
        ({"scores": {}}, "expected at least one"),
        ({"scores": {"a:b": by_hand.scores["speech"]}}, "without ':'"),
        ({"scores": {"fold": by_hand.scores["speech"]}}, "are reserved"),
        ({"scores": {"speech": np.ones((6, 2)) / 2}}, r"shape \(6, 2\), expected \(6, 3\)"),
        ({"scores": {"speech": np.ones((6, 3))}}, "speech scores of 'u1'"),
        ({"emotions": ("anger", "anger", "joy")}, "expected each once"),
        ({"extra": {"truth": ("x",) * 6}}, "are reserved"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(by_hand, **change)


def test_single_precision_scores_pass(by_hand):
    scores = {system: values.astype(np.float32) for system, values in by_hand.scores.items()}
    assert replace(by_hand, scores=scores).answered("speech").sum() == 5


def test_late_fusion_leaves_an_emotion_that_the_voice_never_scores_to_the_words():
    prior = np.array([0.5, 0.3, 0.2])
    told = late_fusion([[0.7, 0.3, 0.0], [0.2, 0.8, 0.0]], [[0.1, 0.1, 0.8], [0.5, 0.3, 0.2]], prior)
    assert told[:, 2] == pytest.approx([0.8 / (0.8 + 0.1 * 0.56 / 0.5 + 0.1 * 0.24 / 0.3), 0.2 / (0.16 + 0.64 + 0.2)])
