"""The trials of a search in optuna's storage: what is tried next depends on finished trials and the seed alone."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bimodal.errors import BimodalError
from bimodal.evaluation.search.space import Dimension

STORAGE: Final = "search.sqlite3"
"""File of all trials in the folder of a search."""

_KEY: Final = "key"
_ERROR: Final = "error"
_UNPRUNED: Final = 4  # trials of a study that are never pruned, so that there is a median
_AT_RANDOM: Final = 8  # trials of a study before the sampler learns from earlier ones


def import_optuna() -> Any:
    """The package `optuna`, without its log lines.

    Raises:
        BimodalError: It is not installed.
    """
    try:
        import optuna  # half a second
    except ModuleNotFoundError as error:
        raise BimodalError("a search needs 'optuna': pip install 'bimodal-emotion[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@contextmanager
def open_studies(out: Path, names: Sequence[str], key: str, space: Sequence[Dimension]) -> Iterator[dict[str, Any]]:
    """The studies of a search, new ones or those of an interrupted call.

    Args:
        out: Folder of the search; made if missing.
        names: Of the studies.
        key: Digest of the search.
        space: What is tried. The first trial of each study has the default values that the space holds.

    Raises:
        BimodalError: The folder holds another search or cannot be used, or optuna is not installed.
    """
    optuna, file = import_optuna(), out / STORAGE
    from sqlalchemy.exc import SQLAlchemyError  # comes with optuna

    try:
        out.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of features that optuna calls experimental
            storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
            yield {name: _open_study(optuna, storage, name, key, space, out) for name in names}
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise BimodalError(
            f"{file}: the trials cannot be read or written ({reason}); free some space, or name another folder"
        ) from error
    except OSError as error:
        raise BimodalError(f"{out}: cannot be written ({error.strerror}); name another folder") from error


def _open_study(optuna: Any, storage: Any, name: str, key: str, space: Sequence[Dimension], out: Path) -> Any:
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED)
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
    )
    if study.user_attrs.get(_KEY, key) != key:
        raise BimodalError(
            f"{out}: holds a search of another space, manifest, folds or settings; name another folder, or delete it"
        )
    study.set_user_attr(_KEY, key)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial({one.name: _encoded(one, one.default) for one in space if one.holds_default})
    return study


def count_finished(study: Any) -> int:
    """Trials of a study that need nothing more: complete, pruned or failed."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def next_trial(study: Any, space: Sequence[Dimension], seed: int) -> tuple[Any, dict[str, Any]]:
    """The trial that was interrupted, else a new one, and its values by setting.

    A value depends on the finished trials, the seed, the trial's number and the setting alone, so a search that was
    killed goes on with the same trials.

    Args:
        study: From `open_studies`.
        space: What is tried.
        seed: Of the search.
    """
    optuna = import_optuna()
    states = optuna.trial.TrialState
    begun = [one for one in study.get_trials(deepcopy=False) if one.state == states.RUNNING]
    trial = optuna.trial.Trial(study, begun[0]._trial_id) if begun else study.ask()
    values = {}
    for one in space:
        drawn = hashlib.sha256(f"{seed} {study.study_name} {trial.number} {one.name}".encode()).digest()
        study.sampler = optuna.samplers.TPESampler(
            seed=int.from_bytes(drawn[:4], "big"), n_startup_trials=_AT_RANDOM, multivariate=False
        )
        values[one.name] = _decoded(one, _suggest(trial, one))
    return trial, values


def _suggest(trial: Any, one: Dimension) -> Any:
    if one.choices:
        return trial.suggest_categorical(one.name, [_encoded(one, value) for value in one.choices])
    if one.whole:
        return trial.suggest_int(one.name, int(one.low), int(one.high), step=int(one.step) or 1, log=one.log)
    return trial.suggest_float(one.name, one.low, one.high, step=one.step or None, log=one.log)


def _encoded(one: Dimension, value: Any) -> Any:
    """A value as optuna keeps it: choices as JSON, for some are lists."""
    return json.dumps(value) if one.choices else value


def _decoded(one: Dimension, value: Any) -> Any:
    return json.loads(value) if one.choices else value


def report_step(study: Any, trial: Any, step: int, value: float) -> bool:
    """Tell how good a trial is after some inner folds; whether it may stop here, as it is worse than the median."""
    known = study.get_trials(deepcopy=False)[trial.number].intermediate_values
    if known and step < max(known):  # of an interrupted trial, which was not pruned here
        return False
    if step not in known:
        trial.report(value, step)
    return bool(trial.should_prune())


def finish(study: Any, trial: Any, value: float | None, error: str = "") -> None:
    """Record the end of a trial: its value, None for a pruned one, or the sentence of its failure."""
    states = import_optuna().trial.TrialState
    if error:
        trial.set_user_attr(_ERROR, error)
        study.tell(trial, state=states.FAIL)
    elif value is None:
        study.tell(trial, state=states.PRUNED)
    else:
        study.tell(trial, value)


def best_values(study: Any, space: Sequence[Dimension]) -> dict[str, Any]:
    """The values of the best trial of a study, by setting."""
    return values_of(study.best_trial, space)


def values_of(trial: Any, space: Sequence[Dimension]) -> dict[str, Any]:
    """The values of a trial, by setting; those that were never drawn are left out."""
    return {one.name: _decoded(one, trial.params[one.name]) for one in space if one.name in trial.params}


def default_value(study: Any, space: Sequence[Dimension]) -> float | None:
    """The inner figure of the default settings; None if the space does not hold them all."""
    if not all(one.holds_default for one in space):
        return None
    first = study.get_trials(deepcopy=False)[0]
    return None if first.value is None else float(first.value)


def list_trials(study: Any, space: Sequence[Dimension]) -> list[Mapping[str, Any]]:
    """All trials of a study as plain values: study, number, state, uar, error, and the values by setting."""
    return [
        {
            "study": study.study_name,
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "uar": _last(trial),
            "error": trial.user_attrs.get(_ERROR, ""),
            **values_of(trial, space),
        }
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished()
    ]


def _last(trial: Any) -> float | None:
    """The value of a trial; of a pruned one, what it had when it stopped."""
    steps = trial.intermediate_values
    return float(steps[max(steps)]) if steps else None
