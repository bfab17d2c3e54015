"""The estimate is about right, says what it rests on, and changes nothing of the result."""

from collections import Counter
from dataclasses import replace

import pytest

from bimodal.evaluation import estimate as module
from bimodal.evaluation.estimate import PlanEstimate, estimate_plan
from bimodal.evaluation.plan import plan_folds
from bimodal.evaluation.protocols import evaluate_plan
from bimodal.features.cache import FeatureCache
from bimodal.training.prepare import prepare_modalities
from bimodal.training.rows import Parts
from bimodal.training.stage import RunContext
from bimodal.training.train import train_stages
from tests.evaluation.folded import QUICK, write_columns

LONGER = replace(QUICK, speech=replace(QUICK.speech, epochs=400))


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_folds(write_columns(tmp_path_factory.mktemp("toy") / "m.csv", speakers=8), "4", LONGER)


def test_one_epoch_is_timed_and_counted_as_often_as_it_is_trained(plan):
    """How long an epoch takes depends on the machine. How many there are does not, and training has just as many."""
    found = estimate_plan(plan, None, None)
    assert found.folds == 4 and found.missing == 0 and found.training_seconds > 0
    told: list[dict] = []
    prepared = prepare_modalities(plan.rows, plan.folder, plan.config, FeatureCache(None))
    fold = plan.folds[0]
    parts = Parts(train=list(fold.train), dev=list(fold.dev or ()), overlaps=())
    train_stages(prepared, parts, plan.config, RunContext(seed=0, on_epoch=told.append))
    trained = Counter(entry["stage"] for entry in told)
    assert trained["speech"] == 400
    assert {stage: module._epochs(plan.config, stage, len(fold.train)) for stage in trained} == trained


def test_finished_folds_cost_nothing(plan, tmp_path):
    store = tmp_path / "folds"
    quick = replace(plan, config=QUICK)
    before = estimate_plan(quick, None, store)
    evaluate_plan(quick, None, store=store)
    after = estimate_plan(quick, None, store)
    assert (before.folds, after.folds, after.training_seconds) == (4, 0, 0.0)
    assert "all is finished" in after.sentences()[0]


def test_recordings_and_words_that_are_not_cached_are_counted_and_the_measured_ones_kept(tiny_manifest, tmp_path):
    config = replace(QUICK, speech=replace(QUICK.speech, columns=()))
    wanted = plan_folds(tiny_manifest, "2", config)
    first = estimate_plan(wanted, tmp_path / "cache", None)
    assert first.missing == 54 + 9 and first.feature_seconds > 0 and first.cache_bytes > 54 * 1000
    second = estimate_plan(wanted, tmp_path / "cache", None)
    assert 54 - 5 - 4 <= second.missing <= 54 - 5  # one clip to warm up, four timed, up to four to train on


def test_a_small_disk_is_a_warning(tmp_path, monkeypatch):
    found = PlanEstimate(
        missing=3,
        feature_seconds=10,
        folds=2,
        training_seconds=100,
        cache_bytes=5e6,
        out_bytes=1e3,
        cache=tmp_path / "a" / "b",
        out=tmp_path,
    )
    assert found.sentences() == [
        "estimate: about 2 min (10 s for features of 3 inputs, 2 min for 2 trainings), measured on the first clips and "
        "one epoch on this machine",
        "estimate: about 5 MB for the feature cache and 1 MB for the report on disk",
    ]
    monkeypatch.setattr(module.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 1e6}))
    assert found.sentences()[2] == f"warning: only 1 MB are free in {tmp_path}/a/b, about 5 MB are needed"
