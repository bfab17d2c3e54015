"""Folds and seeds of a cross-validation side by side: processes of this machine, or a Ray cluster.

What is trained, and on what, is the same as one after another: each worker reads the same features from the cache and
trains a whole fold, and a fold depends on its rows, settings and seed alone. So the predictions are the same bytes.
"""

import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bimodal.errors import BimodalError
from bimodal.evaluation.fold_engines import ENGINES, LostWorkerError
from bimodal.evaluation.fold_jobs import FoldJob, FoldResult, FoldsState, Listener, Shared, Workers, train_prepared
from bimodal.evaluation.fold_store import describe_store, fold_file, fold_key, load_fold, save_fold
from bimodal.evaluation.plan import Plan
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.features.cache import FeatureCache

if TYPE_CHECKING:  # torch, which the evaluation of a model does not need
    from bimodal.training.prepare import Prepared

LOSSES: Final = 3
"""A fold whose machine or process is lost so many times on a cluster ends the run."""


def evaluate_seeds(
    plan: Plan,
    cache: Path | None,
    *,
    seeds: Sequence[int],
    workers: Workers,
    cluster: str = "speaker",
    store: Path | None = None,
    listener: Listener | None = None,
) -> dict[int, Predictions]:
    """Train and test all folds with each seed. The folds and their dev parts are those of the plan for all seeds.

    Args:
        plan: From `plan_folds`.
        cache: Folder of the feature cache; None keeps features in memory, without workers.
        seeds: Of the trainings.
        workers: How many folds at a time, and where.
        cluster: As in `evaluate_model`.
        store: Folder of finished folds, from which an interrupted call continues; None keeps none.
        listener: Is told how far the run is.

    Returns:
        The pooled predictions by seed: the same bytes, whatever the workers.

    Raises:
        BimodalError: A problem with the manifest, a recording or a fold. Finished folds are kept.
    """
    from bimodal.training.prepare import prepare_modalities  # torch, which the evaluation of a model does without

    told = listener or Listener()
    if cache is None and not workers.in_turn:
        raise BimodalError("workers need a feature cache on the disk: leave out --no-cache, or --workers")
    with FeatureCache(cache) as features:
        prepared = prepare_modalities(plan.rows, plan.folder, plan.config, features, told.progress)
        jobs = list_jobs(prepared, plan, seeds, cluster)
        shared = _shared(plan, jobs, cache, cluster, store, workers)
        found = _finished(store, jobs, told)
        left = [job for job in jobs if job not in found]
        if workers.in_turn:
            _train_in_turn(shared, prepared, left, _Run(jobs, found, store, told))
    if not workers.in_turn:
        del prepared, features  # the workers have their own
        found |= train_side_by_side(shared, jobs, found, workers, told)
    return {seed: concatenate(*(found[job] for job in jobs if job.seed == seed)) for seed in seeds}


def _train_in_turn(shared: Shared, prepared: "Prepared", jobs: Sequence[FoldJob], run: "_Run") -> None:
    """Train folds in this process, one after another."""
    for job in jobs:
        run.begin(job)
        try:
            run.take(job, train_prepared(shared, prepared, job, run.listener.on_epoch), tell=False)
        except BimodalError as error:
            raise _failure(job, error, run.found, shared.store) from error


def count_workers(workers: Workers) -> int:
    """How many folds are trained at a time, as far as that is known before a cluster is asked."""
    return workers.count or os.cpu_count() or 1


def list_jobs(prepared: "Prepared", plan: Plan, seeds: Sequence[int], cluster: str) -> list[FoldJob]:
    """All trainings of a run: seed by seed, the folds in their order."""
    several = len(seeds) > 1
    return [
        FoldJob(
            seed=seed,
            fold=place,
            key=fold_key(prepared, fold, replace(plan.config, seed=seed), cluster),
            name=f"fold {fold.name}" + f" of seed {seed}" * several,
        )
        for seed in seeds
        for place, fold in enumerate(plan.folds)
    ]


def _shared(
    plan: Plan, jobs: Sequence[FoldJob], cache: Path | None, cluster: str, store: Path | None, workers: Workers
) -> Shared:
    each = max(1, (os.cpu_count() or 1) // workers.count) if workers.count and workers.engine == "local" else 1
    return Shared(
        key=" ".join([jobs[0].key, str(store), str(cache)]),
        plan=plan,
        cache=cache,
        cluster=cluster,
        store=store,
        folder=Path.cwd(),
        threads=plan.config.threads or (0 if workers.in_turn else each),
    )


def _finished(store: Path | None, jobs: Sequence[FoldJob], listener: Listener) -> dict[FoldJob, Predictions]:
    """The folds that are in the store."""
    if store is None:
        return {}
    for sentence in describe_store(store, [job.key for job in jobs]):
        listener.tell(sentence)
    known = ((job, load_fold(store, job.key)) for job in jobs)
    return {job: predictions for job, predictions in known if predictions is not None}


class _Run:
    """What is done and what runs.

    Args:
        jobs: All of the run.
        found: Predictions of finished jobs; grows.
        store: Folder of finished folds; None keeps none.
        listener: Is told how far the run is.
    """

    def __init__(
        self, jobs: Sequence[FoldJob], found: dict[FoldJob, Predictions], store: Path | None, listener: Listener
    ) -> None:
        self.found, self._store, self.listener = found, store, listener
        self._total, self._earlier, self._begun = len(jobs), len(found), time.monotonic()
        self._running = list[FoldJob]()

    def begin(self, job: FoldJob) -> None:
        """A training begins."""
        self._running.append(job)
        self.show()

    def end(self, job: FoldJob) -> None:
        """A training has ended, well or not."""
        self._running.remove(job)

    def take(self, job: FoldJob, result: FoldResult, *, tell: bool = True) -> None:
        """A fold is finished; it is kept, wherever it was trained."""
        self.end(job)
        if self._store is not None and not fold_file(self._store, job.key).is_file():
            save_fold(self._store, job.key, result.predictions)
        self.found[job] = result.predictions
        for entry in result.epochs if tell else ():
            self.listener.on_epoch(entry)
        self.show()

    def show(self) -> None:
        """Say how far the run is."""
        self.listener.watch(
            FoldsState(
                total=self._total,
                earlier=self._earlier,
                done=len(self.found),
                running=tuple(job.name for job in self._running),
                seconds=time.monotonic() - self._begun,
            )
        )


def train_side_by_side(
    shared: Shared, jobs: Sequence[FoldJob], found: dict[FoldJob, Predictions], workers: Workers, listener: Listener
) -> dict[FoldJob, Predictions]:
    """Train the jobs that are not found yet, several at a time.

    After a failure no further fold begins; those that run are finished and kept.

    Args:
        shared: Of the run.
        jobs: All jobs.
        found: Predictions of those that are finished.
        workers: How many, and where.
        listener: Is told how far the run is.

    Raises:
        BimodalError: A fold failed, the first one that did; or workers were lost.
    """
    left = [job for job in jobs if job not in found]
    run = _Run(jobs, dict(found), shared.store, listener)
    if not left:
        return run.found
    failed: tuple[FoldJob, Exception] | None = None
    with ENGINES[workers.engine](shared, len(left), workers) as (submit, wait, room):
        waiting, running, lost = deque(left), dict[Any, FoldJob](), dict[FoldJob, int]()
        while running or (waiting and failed is None):
            while waiting and failed is None and len(running) < room():
                job = waiting.popleft()
                running[submit(job)] = job
                run.begin(job)
            for handle, result in wait(running):
                job = running.pop(handle)
                if isinstance(result, FoldResult):
                    run.take(job, result)
                    continue
                run.end(job)
                if isinstance(result, LostWorkerError) and lost.get(job, 0) + 1 < LOSSES:
                    lost[job] = lost.get(job, 0) + 1
                    waiting.appendleft(job)
                    listener.tell(f"a worker ended ({result}); {job.name} is trained again")
                    continue
                if failed is None and running:
                    listener.tell(f"{job.name} failed; the folds that run are finished, then the command ends")
                failed = failed or (job, result)
            run.show()
    if failed is not None:
        raise _failure(*failed, run.found, shared.store)
    return run.found


def _failure(job: FoldJob, error: Exception, found: dict[FoldJob, Predictions], store: Path | None) -> BimodalError:
    """Why a fold failed, and what is kept."""
    many = f"{len(found)} finished folds are" if len(found) > 1 else "1 finished fold is"
    kept = f"; {many} kept in {store}" if store is not None and found else ""
    why = f"its worker ended {LOSSES} times ({error})" if isinstance(error, LostWorkerError) else str(error)
    named = why if why.startswith(job.name) else f"{job.name}: {why}"
    made = BimodalError(named + kept)
    made.__cause__ = error
    return made
