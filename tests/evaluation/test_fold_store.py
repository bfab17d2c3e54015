"""Finished folds are kept without loss; an interrupted cross-validation gives what an undisturbed one gives."""

from dataclasses import replace

import numpy as np
import pytest

from bimodal.evaluation.fold_store import fold_file, fold_key, load_fold, save_fold
from bimodal.evaluation.plan import plan_folds
from bimodal.evaluation.protocols import evaluate_folds
from bimodal.evaluation.report import evaluate
from bimodal.evaluation.writing import write_report
from bimodal.features.cache import FeatureCache
from bimodal.training.prepare import prepare_modalities
from tests.evaluation.folded import QUICK, write_columns


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp("toy") / "manifest.csv")


def reported(manifest, out, config=QUICK, progress=lambda items, label: items):
    """The bytes of a report, and what was said."""
    said: list[str] = []
    found = evaluate_folds(manifest, "3", config, None, store=out / "folds", tell=said.append, progress=progress)
    report = evaluate(found.predictions, replicates=50, notes=found.notes)
    write_report(out, report, found.predictions, plots=False)
    return {name: (out / name).read_bytes() for name in ("report.json", "report.md", "predictions.csv")}, said


def stopped_after(count):
    """A progress bar under which somebody presses Ctrl-C."""

    def progress(items, label):
        for number, item in enumerate(items):
            if label == "folds" and number == count:
                raise KeyboardInterrupt
            yield item

    return progress


@pytest.fixture(scope="module")
def undisturbed(manifest, tmp_path_factory):
    return reported(manifest, tmp_path_factory.mktemp("undisturbed"))[0]


@pytest.mark.parametrize("count", [0, 2])
def test_an_interrupted_run_ends_byte_for_byte_like_an_undisturbed_one(manifest, undisturbed, tmp_path, count):
    with pytest.raises(KeyboardInterrupt):
        reported(manifest, tmp_path, progress=stopped_after(count))
    assert len(list((tmp_path / "folds").glob("*.safetensors"))) == count
    again, said = reported(manifest, tmp_path)
    assert again == undisturbed
    assert said == (
        [f"{count} of 3 folds are finished in {tmp_path}/folds; they are not trained again"] if count else []
    )
    assert not list((tmp_path / "folds").glob("*.run"))


def test_a_half_written_fold_is_trained_again(manifest, undisturbed, tmp_path, caplog):
    reported(manifest, tmp_path)
    for number, file in enumerate(sorted((tmp_path / "folds").glob("*.safetensors"))):
        file.write_bytes(file.read_bytes()[: 100 * number])
    assert reported(manifest, tmp_path)[0] == undisturbed
    assert sum("damaged or half written" in record.message for record in caplog.records) == 3


def test_other_settings_start_anew_and_say_so(manifest, undisturbed, tmp_path):
    reported(manifest, tmp_path)
    other, said = reported(manifest, tmp_path, replace(QUICK, seed=1))
    assert other != undisturbed
    (sentence,) = said
    assert "also holds 3 folds of other settings or rows: they are kept and not used" in sentence
    assert reported(manifest, tmp_path)[0] == undisturbed  # the first ones are still there


def key(manifest, config=QUICK, cluster="speaker"):
    """The digest of the first of three folds."""
    plan = plan_folds(manifest, "3", config)
    with FeatureCache(None) as features:
        prepared = prepare_modalities(plan.rows, plan.folder, config, features)
    return fold_key(prepared, plan.folds[0], config, cluster)


@pytest.mark.parametrize("change", [("u0,", "u00,"), (",anger,s1", ",sadness,s1"), (",s2,", ",s22,")])
def test_another_id_label_or_speaker_is_another_fold(manifest, change):
    changed = manifest.with_name("changed.csv")
    changed.write_text(manifest.read_text().replace(*change, 1))
    assert key(changed) != key(manifest)


def test_names_and_threads_are_no_other_settings_but_seed_and_cluster_are(manifest):
    same = replace(QUICK, name="other", licence="CC0-1.0", trained_on="x", threads=0)
    assert key(manifest, same) == key(manifest)
    assert len({key(manifest), key(manifest, replace(QUICK, seed=1)), key(manifest, cluster="utterance")}) == 3


def test_predictions_are_kept_without_loss(by_hand, tmp_path):
    given = replace(by_hand, sets={"speech": np.eye(3, dtype=bool)[[0, 1, 2, 0, 1, 2]]})
    save_fold(tmp_path, "key", given)
    found = load_fold(tmp_path, "key")
    assert found is not None
    for name in ("ids", "emotions", "clusters", "cluster_name", "extra"):
        assert getattr(found, name) == getattr(given, name)
    for name, scores in given.scores.items():
        assert np.array_equal(found.scores[name], scores, equal_nan=True)
    assert np.array_equal(found.sets["speech"], given.sets["speech"]) and np.array_equal(found.targets, given.targets)


def test_what_is_not_there_is_none(tmp_path):
    assert load_fold(tmp_path, "key") is None and not fold_file(tmp_path, "key").exists()
