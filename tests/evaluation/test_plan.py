"""The plan takes dev parts from training parts, refuses what leaks, and says what it accepts in the first lines."""

from dataclasses import replace

import pytest

from bimodal.data.splits import Fold
from bimodal.errors import BimodalError, SplitError
from bimodal.evaluation.describe import describe
from bimodal.evaluation.plan import fold_overlap, plan_folds, save_plan
from bimodal.evaluation.protocols import evaluate_plan
from bimodal.evaluation.report import evaluate
from tests.conftest import write_tiny_corpus
from tests.evaluation.folded import QUICK, write_columns


@pytest.fixture
def manifest(tmp_path):
    return write_columns(tmp_path / "toy" / "manifest.csv")


@pytest.mark.parametrize("folds", ["loso", "3", "session"])
def test_the_dev_part_comes_from_the_training_part_and_shares_no_speaker(manifest, folds):
    plan = plan_folds(manifest, folds, QUICK)
    for fold in plan.folds:
        parts = [fold.train, fold.dev or (), fold.test]
        assert all(parts) and sorted(row for part in parts for row in part) == list(range(54))
        speakers = [{plan.rows.utterances[row].speaker for row in part} for part in parts]
        assert not speakers[0] & speakers[1] and not speakers[2] & (speakers[0] | speakers[1])
    assert plan.caveat == "" and "no tested row chose anything" in plan.notes[0]


def test_without_a_dev_share_nothing_is_held_out(manifest):
    plan = plan_folds(manifest, "loso", replace(QUICK, dev_share=0.0))
    assert {fold.dev for fold in plan.folds} == {()} and "no dev part" in plan.notes[0]


def test_the_official_dev_part_is_kept(manifest):
    (fold,) = plan_folds(manifest, "official", QUICK).folds
    assert len(fold.train) == len(fold.dev or ()) == len(fold.test) == 18


def test_splits_that_were_saved_give_the_same_folds(manifest, tmp_path):
    plan = plan_folds(manifest, "3", QUICK)
    save_plan(plan, tmp_path / "out")
    again = plan_folds(manifest, str(tmp_path / "out" / "splits.json"), replace(QUICK, seed=5))
    assert again.folds == plan.folds


def crossing(manifest, tmp_path):
    """Splits by utterance: every speaker is on both sides."""
    ids = [line.split(",")[0] for line in manifest.read_text().splitlines()[1:]]
    path = tmp_path / "crossing.csv"
    path.write_text("id,fold\n" + "".join(f"{name},{row % 2}\n" for row, name in enumerate(ids)))
    return path


def test_speakers_in_train_and_test_are_refused(manifest, tmp_path):
    with pytest.raises(SplitError, match=r"speakers in train and test: 6 shared, 100.0 %.*--allow-overlap NAME"):
        plan_folds(manifest, str(crossing(manifest, tmp_path)), QUICK)


def test_what_a_name_allows_stands_in_the_first_lines_of_the_report(manifest, tmp_path):
    plan = plan_folds(manifest, str(crossing(manifest, tmp_path)), QUICK, "random folds")
    found = evaluate_plan(plan, None)
    report = replace(evaluate(found.predictions, replicates=50, notes=found.notes), caveat=found.caveat)
    first = describe(report).splitlines()[0]
    assert first.startswith("WARNING: speakers in train and test: 6 shared, 100.0 %") and "'random folds'" in first


def test_rows_without_a_speaker_are_told_first(manifest, tmp_path):
    text = manifest.read_text().replace(",s0,", ",,")
    (tmp_path / "some.csv").write_text(text)
    plan = plan_folds(tmp_path / "some.csv", "official", QUICK)
    assert plan.caveat.startswith("WARNING: 9 of 54 rows have no speaker")


def test_one_recording_in_train_and_test_is_refused_by_whatever_path(tmp_path):
    manifest = write_tiny_corpus(tmp_path, speakers=3, per_emotion=2)
    copy = tmp_path / "audio" / "s1-anger-0.wav"
    copy.write_bytes((tmp_path / "audio" / "s0-anger-0.wav").read_bytes())
    with pytest.raises(SplitError, match="train and test share 1 recording"):
        plan_folds(manifest, "loso", replace(QUICK, speech=replace(QUICK.speech, columns=())))
    allowed = plan_folds(manifest, "loso", QUICK, "known copies")
    assert "share 1 recording" in allowed.caveat and "'known copies'" in allowed.caveat


def test_one_speaker_is_a_sentence(tmp_path):
    manifest = write_columns(tmp_path / "toy" / "one.csv", speakers=1)
    for folds, sentence in {"loso": "one speaker", "3": "one speaker", "session": "one value"}.items():
        with pytest.raises(SplitError, match=sentence):
            plan_folds(manifest, folds, QUICK)


def test_an_empty_manifest_is_a_sentence(tmp_path):
    (tmp_path / "none.csv").write_text("id,transcript,emotion,speaker\n")
    with pytest.raises(BimodalError, match="no utterance below it"):
        plan_folds(tmp_path / "none.csv", "loso", QUICK)


def test_a_fold_overlap_counts_rows_of_its_own_fold_alone():
    folds = [Fold(name="1", train=(0,), test=(1,)), Fold(name="2", train=(2,), test=(3,))]
    found = fold_overlap(["ann", "bob", "bob", "bob"], folds, "speakers")
    assert (found.shared, found.share_of_rows) == (1, 0.5)
