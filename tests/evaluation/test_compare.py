"""Two systems on the same utterances: exact tests, corrected for how many there are, and refusals where they differ."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from bimodal.errors import BimodalError
from bimodal.evaluation.compare import compare_systems, holm, join_runs, mcnemar_p
from bimodal.evaluation.figures import Resampling
from bimodal.evaluation.predictions import write_predictions
from bimodal.evaluation.report import evaluate
from bimodal.evaluation.writing import write_report

FEW = Resampling(replicates=200)


@pytest.mark.parametrize("counts", [(0, 0), (0, 1), (3, 3), (1, 9), (40, 60), (700, 800)])
def test_mcnemar_is_the_exact_binomial_test_of_scipy(counts):
    expected = binomtest(counts[0], sum(counts)).pvalue if sum(counts) else 1.0
    assert mcnemar_p(*counts) == pytest.approx(expected)


def test_holm_rises_is_never_below_p_and_takes_no_more_than_bonferroni():
    values = [0.001, 0.04, 0.011, None, 0.02, 0.9]
    found = holm(values)
    assert found[3] is None
    pairs = [(one, other) for one, other in zip(values, found, strict=True) if one is not None]
    assert all(one <= other <= min(1, 5 * one) for one, other in pairs)
    assert [other for _, other in sorted(pairs)] == pytest.approx([0.005, 0.044, 0.06, 0.08, 0.9])
    assert holm([]) == ()


def test_our_best_system_is_compared_with_each_other_one_and_others_among_themselves(made_up):
    three = (("speech", 0.5), ("fused", 2.0), ("wavlm", 1.0), ("hubert", 0.2))
    pairs = [(one.system, one.other) for one in compare_systems(made_up(three), FEW)]
    assert pairs == [("fused", "speech"), ("fused", "wavlm"), ("fused", "hubert")]
    pairs = [(one.system, one.other) for one in compare_systems(made_up((("a", 1), ("b", 1), ("c", 1))), FEW)]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]


def test_mcnemar_counts_what_one_alone_has_right(made_up):
    predictions = made_up((("a", 2.0), ("b", 0.0)))
    (found,) = compare_systems(predictions, FEW)
    right = {name: predictions.scores[name].argmax(axis=1) == predictions.targets for name in ("a", "b")}
    assert found.mcnemar.first == (right["a"] & ~right["b"]).sum()
    assert found.mcnemar.second == (right["b"] & ~right["a"]).sum()
    assert found.mcnemar.p == mcnemar_p(found.mcnemar.first, found.mcnemar.second) == found.mcnemar.p_holm
    assert found.uar.value > 0 and found.uar.low > 0 and found.uar_p_holm == found.uar.p


def test_one_speaker_gives_counts_but_no_interval(made_up):
    (found,) = compare_systems(made_up((("a", 2.0), ("b", 0.0)), speakers=1), FEW)
    assert found.uar.low is None and found.uar_p_holm is None and found.mcnemar.first > 0


@pytest.fixture
def runs(tmp_path, made_up):
    folders = []
    for name, signal in (("one", 1.0), ("two", 2.0)):
        folders.append(tmp_path / name)
        predictions = made_up((("speech", 0.5), ("fused", signal)))
        write_report(folders[-1], evaluate(predictions, replicates=10), predictions, plots=False)
    return folders


def test_runs_stand_side_by_side_by_the_names_of_their_folders(runs):
    found, notes = join_runs(runs)
    assert found.systems == ("one", "two")
    assert notes[1] == f"two: system 'fused' of {runs[1] / 'predictions.csv'}"
    assert evaluate(found, replicates=100).comparisons[0].uar.value < 0
    speech, _ = join_runs(runs, system="speech")
    assert np.array_equal(speech.scores["one"], speech.scores["two"])
    with pytest.raises(BimodalError, match=r"no system 'late', expected one of \['speech', 'fused'\]"):
        join_runs(runs, system="late")


def test_runs_meet_by_id_and_emotion_whatever_their_order(tmp_path, runs, made_up):
    whole = made_up((("fused", 2.0),))
    order, turn = np.arange(len(whole.ids))[::-1], [2, 0, 1]
    turned = replace(
        whole,
        ids=tuple(whole.ids[row] for row in order),
        targets=np.array([turn.index(target) for target in whole.targets[order]]),
        emotions=("happy", "angry", "fear"),
        clusters=tuple(whole.clusters[row] for row in order),
        scores={"fused": whole.scores["fused"][order][:, turn]},
    )
    write_predictions(tmp_path / "turned.csv", turned)
    write_predictions(tmp_path / "whole.csv", whole)
    found, _ = join_runs([tmp_path / "whole.csv", tmp_path / "turned.csv"])
    assert np.allclose(found.scores["whole"], found.scores["turned"])
    assert evaluate(found, replicates=50).comparisons[0].mcnemar.p == 1.0


def test_other_clips_are_refused_with_counts_and_common_takes_the_common_ones(tmp_path, runs, made_up):
    part = made_up((("fused", 2.0),), speakers=10, seed=1)
    write_predictions(tmp_path / "part.csv", part)
    with pytest.raises(BimodalError, match=r"different utterances \(.*one 500, .*part.csv 200; 200 common\); --common"):
        join_runs([runs[0], tmp_path / "part.csv"])
    with pytest.raises(BimodalError, match=r"the truth of .* utterances differs"):
        join_runs([runs[0], tmp_path / "part.csv"], common=True)
    again = made_up((("fused", 2.0),))
    keep = range(100)
    cut = replace(
        again, ids=again.ids[:100], targets=again.targets[:100], clusters=again.clusters[:100],
        scores={"fused": again.scores["fused"][list(keep)]},
    )  # fmt: skip
    write_predictions(tmp_path / "part.csv", cut)
    found, notes = join_runs([runs[0], tmp_path / "part.csv"], common=True)
    assert len(found.ids) == 100 and "100 common utterances of 500, 100" in notes
    write_predictions(tmp_path / "part.csv", replace(cut, ids=tuple(f"x{row}" for row in keep)))
    with pytest.raises(BimodalError, match="no utterance in common"):
        join_runs([runs[0], tmp_path / "part.csv"], common=True)


def test_half_written_and_missing_runs_are_refused(tmp_path, runs):
    with pytest.raises(BimodalError, match="expected two or more"):
        join_runs(runs[:1])
    (runs[1] / "predictions.csv").unlink()
    with pytest.raises(BimodalError, match=r"no predictions.csv .*half-written"):
        join_runs(runs)
    (runs[1] / "predictions.csv").write_text((runs[0] / "predictions.csv").read_text()[:2000])
    with pytest.raises(BimodalError, match=r"predictions\.csv"):
        join_runs(runs)
    with pytest.raises(BimodalError, match="cannot be read"):
        join_runs([runs[0], tmp_path / "absent"])
