"""Run a search: trials on inner folds choose, then the chosen and the default settings meet on the outer folds."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bimodal.config import TrainConfig
from bimodal.data.splits import Fold
from bimodal.errors import BimodalError, ConfigError, SplitError, TrainingError
from bimodal.evaluation.fold_store import FOLDS_FOLDER, fold_file, fold_key, load_fold, run_folder, save_fold
from bimodal.evaluation.metrics import count_confusions, unweighted_average_recall
from bimodal.evaluation.predict import Progress, plain
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.evaluation.protocols import check_untouched, predict_rows, train_fold
from bimodal.evaluation.report import Report, evaluate
from bimodal.evaluation.search import trials
from bimodal.evaluation.search.plan import SearchPlan, Study, feature_settings
from bimodal.evaluation.search.space import with_values
from bimodal.features.cache import FeatureCache
from bimodal.files import lock

if TYPE_CHECKING:  # torch, which the evaluation of a model does not need
    from bimodal.training.prepare import Prepared

_SYSTEMS: Final = ("fused", "late", "speech", "text")
_LOCK: Final = ".search.lock"
SEARCHED, DEFAULT = "searched", "default"


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a study chose.

    Attributes:
        name: Of the outer fold, or `all`.
        values: The best values by setting.
        inner_uar: Their UAR on the inner folds, which chose them: too good for new speakers.
        default_uar: That of the default settings; None if the space does not hold them.
        states: Number of trials by state: complete, pruned, fail.
    """

    name: str
    values: Mapping[str, Any]
    inner_uar: float
    default_uar: float | None
    states: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found.

    Attributes:
        studies: Of each outer fold; of several, also of all rows, the last, which gives the settings.
        system: What the figures are of: `fused`, `speech` or `text`.
        report: Searched and default settings on the outer folds.
        predictions: Of both.
        trials: All trials.
    """

    studies: tuple[StudyResult, ...]
    system: str
    report: Report
    predictions: Predictions
    trials: Sequence[Mapping[str, Any]]

    @property
    def values(self) -> Mapping[str, Any]:
        """The settings to use."""
        return self.studies[-1].values


@dataclass(frozen=True, kw_only=True)
class _Search:
    """What all trials share."""

    plan: SearchPlan
    out: Path
    features: FeatureCache
    track: Callable[[Mapping[str, Any]], None]

    @property
    def store(self) -> Path:
        return self.out / FOLDS_FOLDER


def trials_left(plan: SearchPlan, out: Path, count: int) -> list[int]:
    """Trials that are still to run, of each study.

    Raises:
        BimodalError: As `open_studies`.
    """
    if not (out / trials.STORAGE).is_file():
        trials.import_optuna()
        return [count] * len(plan.studies)
    with trials.open_studies(out, [study.name for study in plan.studies], plan.key, plan.space) as studies:
        return [max(0, count - trials.count_finished(studies[study.name])) for study in plan.studies]


def run_search(
    plan: SearchPlan,
    out: Path,
    count: int,
    cache: str | Path | None,
    *,
    progress: Progress = plain,
    track: Callable[[Mapping[str, Any]], None] = lambda trial: None,
) -> SearchResult:
    """Run the trials of all studies, then train and test chosen and default settings on the outer folds.

    Args:
        plan: From `plan_search`.
        out: Folder of the search. Called again, finished trials stay, an interrupted one goes on.
        count: Trials of each study, those of earlier calls among them.
        cache: Folder of the feature cache; None keeps features in memory. Features are encoded once for all trials.
        progress: Wraps iterables with a bar.
        track: Called after each trial with `stage`, `epoch` (the number of the trial) and `dev` (its inner UAR).

    Raises:
        BimodalError: A problem with the data, a folder that holds another search, or no trial that succeeded.
    """
    names = [study.name for study in plan.studies]
    with (
        trials.open_studies(out, names, plan.key, plan.space) as studies,
        _alone(out),
        FeatureCache(cache) as features,
    ):
        search = _Search(plan=plan, out=out, features=features, track=track)
        for config in feature_settings(plan):
            _prepare(search, config, progress)
        left = [max(0, count - trials.count_finished(studies[name])) for name in names]
        todo = [study for study, number in zip(plan.studies, left, strict=True) for _ in range(number)]
        for study in progress(todo, "trials"):
            _trial(search, study, studies[study.name])
        found = tuple(_chosen(plan, studies[name], name) for name in names)
        pooled, system = _outer(search, found, progress)
        listed = [one for name in names for one in trials.list_trials(studies[name], plan.space)]
    notes = (*plan.outer.notes, "inner folds chose the settings of each outer fold; no tested row chose anything")
    report = evaluate(pooled, title="Search of settings", notes=notes)
    report = replace(report, caveat=plan.outer.caveat)
    return SearchResult(studies=found, system=system, report=report, predictions=pooled, trials=listed)


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Refuse a second search in the same folder."""
    with (out / _LOCK).open("ab") as stream:
        if not lock(stream, wait=False):
            raise BimodalError(f"{out}: another search is running in this folder; wait for it, or name another folder")
        yield


def _prepare(search: _Search, config: TrainConfig, progress: Progress = plain) -> "Prepared":
    """The inputs of all rows under some settings; encoded once, then read from the cache."""
    from bimodal.evaluation.estimate import quiet
    from bimodal.training.prepare import prepare_modalities  # torch, which the evaluation of a model does without

    outer = search.plan.outer
    with contextlib.nullcontext() if progress is not plain else quiet():
        return prepare_modalities(outer.rows, outer.folder, config, search.features, progress)


def _trial(search: _Search, study: Study, known: Any) -> None:
    """One trial: train and test some settings on one inner fold after the other, as long as they are no worse."""
    config = search.plan.outer.config
    trial, values = trials.next_trial(known, search.plan.space, config.seed)
    value: float | None = None
    try:
        value, keys = _inner_figure(search, study, known, trial, with_values(config, values))
        trials.finish(known, trial, value)
    except SplitError as error:
        more = "more --inner or --folds leave more speakers to train on"
        raise SplitError(f"inner folds of study '{study.name}': {error}; {more}") from error
    except (TrainingError, ConfigError) as error:
        of_files = isinstance(error, TrainingError) and error.__cause__ is not None  # a full disk, a damaged file
        if trial.number == 0 or of_files:
            raise
        keys = []
        trials.finish(known, trial, None, str(error))
    for key in keys:
        fold_file(search.store, key).unlink(missing_ok=True)
    told = {} if value is None else {"dev": value}
    search.track({"stage": f"search/{study.name}", "epoch": trial.number, **told})


def _inner_figure(
    search: _Search, study: Study, known: Any, trial: Any, config: TrainConfig
) -> tuple[float | None, list[str]]:
    """UAR of settings on the pooled inner folds, None if the trial is pruned; and the keys of the finished folds."""
    prepared, found, keys = _prepare(search, config), list[Predictions](), list[str]()
    for step, fold in enumerate(study.inner):
        key = fold_key(prepared, fold, config, search.plan.cluster)
        keys.append(key)
        found.append(_fold(search, prepared, (fold, study.outer), config, key))
        pooled = concatenate(*found)
        value = uar_of(pooled, system_of(pooled))
        if trials.report_step(known, trial, step, value) and step + 1 < len(study.inner):
            return None, keys
    return value, keys


def _fold(
    search: _Search, prepared: "Prepared", folds: tuple[Fold, Fold | None], config: TrainConfig, key: str
) -> Predictions:
    """Predictions of a fold, kept until the trial ends; no row of the outer test part decides anything."""
    fold, outer = folds
    found = load_fold(search.store, key)
    if found is None:
        trained, parts = train_fold(prepared, fold, config, run_folder(search.store, key))
        if outer is not None and outer is not fold:
            decided = {**trained.used, "inner test": fold.test, "weights": parts.train, "choices": parts.dev}
            check_untouched(decided, outer.test, f"outer fold {outer.name}")
        found = predict_rows(trained, prepared, parts, fold.test, search.plan.cluster)
        save_fold(search.store, key, found)
    return found


def _chosen(plan: SearchPlan, known: Any, name: str) -> StudyResult:
    """What a study chose."""
    listed = trials.list_trials(known, plan.space)
    states = {state: sum(one["state"] == state for one in listed) for state in ("complete", "pruned", "fail")}
    if not states["complete"]:
        reason = next((one["error"] for one in listed if one["error"]), "give more --trials")
        raise BimodalError(f"no trial of study {name!r} succeeded: {reason}")
    return StudyResult(
        name=name,
        values=trials.best_values(known, plan.space),
        inner_uar=float(known.best_value),
        default_uar=trials.default_value(known, plan.space),
        states=states,
    )


def _outer(search: _Search, found: Sequence[StudyResult], progress: Progress) -> tuple[Predictions, str]:
    """Chosen and default settings on the outer folds, pooled as two systems; and the system of the fold."""
    base = search.plan.outer.config
    reported = [(study, one) for study, one in zip(search.plan.studies, found, strict=True) if study.outer]
    both: dict[str, list[Predictions]] = {SEARCHED: [], DEFAULT: []}
    for study, one in progress(reported, "outer folds"):
        for name, values in ((SEARCHED, one.values), (DEFAULT, {})):
            config, fold = with_values(base, values), study.outer
            assert fold is not None  # noqa: S101
            prepared = _prepare(search, config)
            key = fold_key(prepared, fold, config, search.plan.cluster)
            both[name].append(_fold(search, prepared, (fold, fold), config, key))
    searched, default = (concatenate(*both[name]) for name in (SEARCHED, DEFAULT))
    system = system_of(default)
    scores = {SEARCHED: searched.scores[system], DEFAULT: default.scores[system]}
    return replace(default, scores=scores, sets={}), system


def system_of(predictions: Predictions) -> str:
    """The system that a search improves: the fusion where there is one, else speech or text.

    Raises:
        BimodalError: No system answered.
    """
    for name in _SYSTEMS:
        if name in predictions.scores and predictions.answered(name).any():
            return name
    raise BimodalError("no row of the test parts has speech or words")


def uar_of(predictions: Predictions, system: str) -> float:
    """Unweighted average recall of a system, 0 to 1, over the emotions that occur."""
    rows = predictions.answered(system)
    guesses = predictions.scores[system][rows].argmax(axis=1)
    matrix = count_confusions(predictions.targets[rows], np.asarray(guesses), len(predictions.emotions))
    return float(unweighted_average_recall(matrix))
