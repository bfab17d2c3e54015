"""One training of a fold, wherever it is done, and how far a run of many is."""

import contextlib
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from bimodal.config import TrainConfig
from bimodal.errors import BimodalError
from bimodal.evaluation.estimate import describe_seconds
from bimodal.evaluation.fold_store import fold_key, run_folder, save_fold
from bimodal.evaluation.plan import Plan
from bimodal.evaluation.predict import Progress, plain
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.protocols import OnEpoch, Tell, cross_validate_fold
from bimodal.features.cache import FeatureCache
from bimodal.scale.connection import LOCAL

if TYPE_CHECKING:  # torch, which the evaluation of a model does not need
    from bimodal.training.prepare import Prepared

Engine = Literal["local", "ray"]

_NAMED: Final = 4  # folds that run


@dataclass(frozen=True, kw_only=True)
class Workers:
    """What folds are trained by.

    Attributes:
        count: Folds at a time; 1 trains them in this process, one after another, unless `engine` is `ray`.
        engine: `local` for processes of this machine, `ray` for a cluster.
        address: Of the cluster's head, as in `bimodal.scale.connection.run_ray`.
    """

    count: int = 1
    engine: Engine = "local"
    address: str = LOCAL

    @property
    def in_turn(self) -> bool:
        """Whether folds are trained one after another in this process."""
        return self.engine == "local" and self.count == 1


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all folds of a run have in common, sent to each worker once. The `key` says whether two are the same.

    Attributes:
        key: Digest of the run.
        plan: Rows, folds and settings.
        cache: Folder of the feature cache, in which all features are; None only without workers.
        cluster: Unit of the intervals.
        store: Folder of finished folds; None keeps none.
        folder: Where relative paths begin.
        threads: Of a training; 0 for those that torch chooses.
    """

    key: str
    plan: Plan = field(compare=False, repr=False)
    cache: Path | None = field(compare=False)
    cluster: str = field(compare=False)
    store: Path | None = field(compare=False)
    folder: Path = field(compare=False)
    threads: int = field(compare=False, default=0)


@dataclass(frozen=True, kw_only=True)
class FoldJob:
    """One training.

    Attributes:
        seed: Of the training.
        fold: Its place in the plan, from 0.
        key: From `fold_key`.
        name: For people, such as `fold 3` or `fold 3 of seed 1`.
    """

    seed: int
    fold: int
    key: str
    name: str


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """What a training gives.

    Attributes:
        predictions: Of the fold's test rows.
        epochs: What it told of each epoch, as `on_epoch` takes it.
    """

    predictions: Predictions
    epochs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class FoldsState:
    """How far a run is.

    Attributes:
        total: Folds of all seeds.
        earlier: Folds that were finished before the run.
        done: Folds that are finished, with those of `earlier`.
        running: Names of the folds that are being trained.
        seconds: Since the first training began.
    """

    total: int
    earlier: int
    done: int
    running: tuple[str, ...]
    seconds: float


Watch = Callable[[FoldsState], None]


def _nobody(state: FoldsState) -> None:
    """Show nothing."""


def _silent(sentence: str) -> None:
    """Say nothing."""


def _no_epochs(entry: dict[str, Any]) -> None:
    """Tell nobody of an epoch."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who is told what.

    Attributes:
        tell: Takes sentences.
        watch: Takes how far the run is, whenever that changes and about every second.
        on_epoch: As in `evaluate_plan`; of workers, all epochs of a fold at its end.
        progress: Wraps iterables with a bar, while features are computed.
    """

    tell: Tell = _silent
    watch: Watch = _nobody
    on_epoch: OnEpoch = _no_epochs
    progress: Progress = plain


def train_prepared(shared: Shared, prepared: "Prepared", job: FoldJob, on_epoch: OnEpoch) -> FoldResult:
    """Train a fold, and put its predictions into the store.

    Args:
        shared: Of the run.
        prepared: Inputs of all rows.
        job: The fold.
        on_epoch: As in `evaluate_plan`.

    Raises:
        BimodalError: As `cross_validate_fold`.
    """
    import torch  # the evaluation of a model does without

    if shared.threads:
        torch.set_num_threads(shared.threads)
    fold, config, store = shared.plan.folds[job.fold], replace(shared.plan.config, seed=job.seed), shared.store
    told = list[dict[str, Any]]()

    def take(entry: dict[str, Any]) -> None:
        named = entry | {"stage": _stage(shared.plan.config, job, str(entry.get("stage", "")))}
        told.append(named)
        on_epoch(named)

    run = None if store is None else run_folder(store, job.key)
    predictions = cross_validate_fold(prepared, fold, config, shared.cluster, run, take)
    if store is not None:
        save_fold(store, job.key, predictions)
    return FoldResult(predictions=predictions, epochs=tuple(told))


def _stage(config: TrainConfig, job: FoldJob, stage: str) -> str:
    """The stage of an epoch, with the seed where it is not that of the settings."""
    return stage if job.seed == config.seed else f"seed {job.seed}/{stage}"


def train_job(shared: Shared, job: FoldJob) -> FoldResult:
    """Train a fold in a worker, on this machine or another one.

    Args:
        shared: Of the run. Its inputs are read once in a process.
        job: The fold.

    Raises:
        BimodalError: As `cross_validate_fold`; or this machine lacks the recordings or the cache, or has others.
    """
    for place, what in ((shared.folder, "the folder of the command"), (shared.cache, "the feature cache")):
        if place is not None and not (shared.folder / place).is_dir():
            raise BimodalError(
                f"{platform.node()} does not see {what} ({place}): machines of a cluster need recordings and --cache "
                "at the same path, such as on a shared disk"
            )
    with contextlib.chdir(shared.folder):
        prepared = _prepared_once(shared)
        config = replace(shared.plan.config, seed=job.seed)
        if fold_key(prepared, shared.plan.folds[job.fold], config, shared.cluster) != job.key:
            raise BimodalError(
                f"{platform.node()} has other recordings, backbones or another version of bimodal than the machine "
                "that began; make them the same"
            )
        return train_prepared(shared, prepared, job, _no_epochs)


@lru_cache(maxsize=1)
def _prepared_once(shared: Shared) -> "Prepared":
    """The inputs of all rows, from the cache."""
    from bimodal.training.prepare import prepare_modalities  # torch, as above

    with FeatureCache(shared.cache) as features:
        return prepare_modalities(shared.plan.rows, shared.plan.folder, shared.plan.config, features)


def describe_folds(state: FoldsState) -> str:
    """How far a run is, in one line.

    Example:
        >>> state = FoldsState(total=6, earlier=1, done=3, running=("fold 4", "fold 5"), seconds=60.0)
        >>> describe_folds(state)
        '3 of 6 folds done, fold 4 and fold 5 run, about 2 min left'
    """
    told = [f"{state.done} of {state.total} folds done"]
    if state.running:
        *most, last = state.running[:_NAMED] if len(state.running) <= _NAMED else (*state.running[:_NAMED], "others")
        names = f"{', '.join(most)} and {last}" if most else last
        told.append(f"{names} run{'s' * (not most)}")
    trained = state.done - state.earlier
    if trained and state.done < state.total:
        told.append(f"about {describe_seconds(state.seconds / trained * (state.total - state.done))} left")
    return ", ".join(told)
