"""A search: killed equals undisturbed, outer folds choose nothing, failures and wrong folders are sentences."""

import csv
import json
from dataclasses import replace

import pytest

from bimodal.config import TrainConfig, read_config
from bimodal.errors import BimodalError, SplitError
from bimodal.evaluation.search import run, trials
from bimodal.evaluation.search.plan import ALL, plan_search
from bimodal.evaluation.search.result import BEST, describe_search, write_search
from bimodal.evaluation.search.run import run_search, trials_left
from bimodal.files import lock

TRIALS = 5


@pytest.fixture(scope="module")
def plan(numbers, config, space):
    return plan_search(numbers, config, space, folds="2", inner=2)


@pytest.fixture(scope="module")
def one_fold(plan):
    """The same with one outer fold, whose study gives the settings."""
    return replace(plan, outer=replace(plan.outer, folds=plan.outer.folds[:1]), studies=plan.studies[:1])


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    """A search that nothing disturbs; its folder and its result."""
    out = tmp_path_factory.mktemp("whole")
    found = run_search(plan, out, TRIALS, None)
    write_search(out, plan, found)
    return out, found


class KilledError(Exception):
    """The process is stopped here."""


def killed_at(monkeypatch, module, name: str, call: int) -> None:
    """Let a function of a module stop the process at one of its calls."""
    real, calls = getattr(module, name), []

    def function(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise KilledError
        return real(*arguments)

    monkeypatch.setattr(module, name, function)


@pytest.mark.parametrize(("name", "call"), [("_suggest", 8), ("finish", 5)])
def test_a_search_that_was_killed_has_the_same_trials_and_repeats_none(
    one_fold, tmp_path, monkeypatch, name, call, undisturbed
):
    with monkeypatch.context() as patched, pytest.raises(KilledError):
        killed_at(patched, trials, name, call)
        run_search(one_fold, tmp_path, TRIALS, None)
    left, trained = trials_left(one_fold, tmp_path, TRIALS), []
    real = run.train_fold
    monkeypatch.setattr(run, "train_fold", lambda *arguments: trained.append(arguments) or real(*arguments))
    found = run_search(one_fold, tmp_path, TRIALS, None)
    assert found.trials == undisturbed.trials
    assert found.studies == undisturbed.studies
    assert found.report == undisturbed.report
    assert 0 < left[0] < TRIALS and len(trained) <= 2 * left[0] + 2


@pytest.fixture(scope="module")
def undisturbed(one_fold, tmp_path_factory):
    return run_search(one_fold, tmp_path_factory.mktemp("undisturbed"), TRIALS, None)


def test_each_outer_fold_is_searched_by_itself_and_the_last_study_has_all_rows(plan, whole):
    _, found = whole
    assert [one.name for one in found.studies] == ["1", "2", ALL]
    assert {one["study"] for one in found.trials} == {"1", "2", ALL}
    for study in plan.studies[:-1]:
        assert not set(study.rows) & set(study.outer.test)
        assert len(study.rows) + len(study.outer.test) == len(plan.outer.rows.utterances)
    speakers = [row.speaker for row in plan.outer.rows.utterances]
    for study in plan.studies:
        for fold in study.inner:
            tested = {speakers[row] for row in fold.test}
            assert not tested & {speakers[row] for row in (*fold.train, *fold.dev)}


def test_the_first_trial_has_the_default_settings_and_the_best_is_no_worse(whole):
    _, found = whole
    for study in found.studies:
        first = next(one for one in found.trials if one["study"] == study.name)
        assert (first["speech.learning_rate"], first["speech.dropout"]) == (1e-3, 0.4)
        assert study.default_uar == first["uar"] <= study.inner_uar


def test_the_result_is_written_and_train_takes_the_settings(whole, plan):
    out, found = whole
    chosen = read_config(TrainConfig(), out / BEST)
    assert chosen.speech.learning_rate == found.values["speech.learning_rate"]
    assert (chosen.speech.columns, chosen.threads) == (("feature_*",), 1)
    told = json.loads((out / "search.json").read_text())
    assert told["best"] == found.values and [one["system"] for one in told["outer"]["systems"]] == [
        "searched",
        "default",
    ]
    with (out / "trials.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == TRIALS * 3
    text = describe_search(plan, found)
    assert "outer folds (speaker intervals)" in text and "searched is" in text
    assert (out / "search.md").read_text().startswith("# Search of settings")
    comparison = found.report.comparisons[0]
    assert (comparison.system, comparison.other, comparison.rows) == ("searched", "default", 108)


def test_trials_are_pruned_and_more_can_be_added(whole, plan, tmp_path_factory):
    out, found = whole
    assert sum(one.states["pruned"] for one in found.studies) > 0
    assert trials_left(plan, out, TRIALS) == [0, 0, 0]
    assert trials_left(plan, out, TRIALS + 2) == [2, 2, 2]
    again = run_search(plan, out, TRIALS, None)
    assert (again.trials, again.report) == (found.trials, found.report)


def test_a_row_that_is_reported_and_chooses_is_refused(one_fold, tmp_path):
    study = one_fold.studies[0]
    leaking = replace(study.inner[0], test=(*study.inner[0].test, study.outer.test[0]))
    wrong = replace(one_fold, studies=(replace(study, inner=(leaking, *study.inner[1:])),))
    with pytest.raises(SplitError, match="outer fold 1: 1 test rows are also in train or dev"):
        run_search(wrong, tmp_path, 1, None)


def test_a_folder_of_another_search_is_refused(whole, plan):
    out, _ = whole
    with pytest.raises(BimodalError, match="holds a search of another space, manifest, folds or settings"):
        run_search(replace(plan, space=plan.space[:1]), out, TRIALS, None)


def test_two_searches_in_one_folder_are_refused(one_fold, tmp_path):
    with (tmp_path / ".search.lock").open("ab") as stream:
        assert lock(stream, wait=False)
        with pytest.raises(BimodalError, match="another search is running in this folder"):
            run_search(one_fold, tmp_path, 1, None)


def test_a_damaged_file_of_trials_is_a_sentence(one_fold, tmp_path):
    (tmp_path / trials.STORAGE).write_bytes(b"no database" * 100)
    with pytest.raises(BimodalError, match=r"search\.sqlite3: the trials cannot be read or written"):
        run_search(one_fold, tmp_path, 1, None)


def test_a_trial_that_fails_is_told_and_the_search_goes_on(numbers, config, tmp_path):
    lines = ("classification = ['focal', 'logit_adjusted']", "class_weights = ['none', 'sqrt']")
    (tmp_path / "space.toml").write_text("\n".join(f"speech.loss.{line}" for line in lines))
    plan = plan_search(numbers, config, tmp_path / "space.toml", folds="3", inner=2)
    alone = replace(plan, outer=replace(plan.outer, folds=plan.outer.folds[:1]), studies=plan.studies[:1])
    found = run_search(alone, tmp_path / "out", 5, None)
    failed = [one for one in found.trials if one["state"] == "fail"]
    assert failed and all("set loss.class_weights to 'none'" in one["error"] for one in failed)
    assert found.studies[0].states["complete"] + found.studies[0].states["pruned"] == 5 - len(failed)


def test_too_few_speakers_are_a_sentence(numbers, config, space):
    with pytest.raises(SplitError, match=r"inner folds of outer fold '1': .*set --inner or --folds"):
        plan_search(numbers, config, space, folds="3", inner=7)
