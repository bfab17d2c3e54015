"""What trains several folds at a time: `ENGINES` is the table of them.

An engine is a context manager of a run, its number of folds and `Workers`. It gives three functions: one begins a
training, one waits for some of them, one says how many may run at a time.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from multiprocessing.connection import wait as wait_for_handles
from typing import Any, Final

from bimodal.errors import BimodalError
from bimodal.evaluation.fold_jobs import FoldJob, FoldResult, Shared, Workers, train_job
from bimodal.scale.connection import connected, first_line, import_ray

_LOOK_EVERY: Final = 1.0  # seconds: how often the caller may show how far the run is


class LostWorkerError(Exception):
    """A machine or process of a cluster is gone; another one may train its fold."""


Submit = Callable[[FoldJob], Any]
Wait = Callable[[Iterable[Any]], "list[tuple[Any, FoldResult | Exception]]"]
Room = Callable[[], int]
Opened = AbstractContextManager[tuple[Submit, Wait, Room]]


@contextlib.contextmanager
def _in_processes(shared: Shared, folds: int, workers: Workers) -> Iterator[tuple[Submit, Wait, Room]]:
    """Processes of this machine. They end with this one, however it ends.

    Raises:
        BimodalError: A process was killed, by which all of the pool are lost.
    """
    count = min(workers.count or os.cpu_count() or 1, folds)
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
    before = set(multiprocessing.active_children())
    with _environment(shared.threads):
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin)

        def submit(job: FoldJob) -> "Future[FoldResult]":
            return pool.submit(train_job, shared, job)

        def wait(handles: Iterable[Any]) -> list[tuple[Any, FoldResult | Exception]]:
            done, _ = wait_for(list(handles), timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED)
            return [(handle, _result(handle)) for handle in done]

        try:
            yield submit, wait, lambda: count
        except BaseException:
            for process in set(multiprocessing.active_children()) - before:
                process.kill()  # its fold goes on from the last stage that it has kept
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _result(handle: "Future[FoldResult]") -> FoldResult | Exception:
    """What a process gave.

    Raises:
        BimodalError: A process was killed.
    """
    try:
        return handle.result()
    except BimodalError as error:
        return error
    except BrokenProcessPool as error:
        raise BimodalError(
            "a worker process was killed, as systems do that run out of memory; finished folds are kept: give the "
            "command again with fewer --workers"
        ) from error
    except MemoryError:
        return BimodalError("needs more memory than there is; give the command again with fewer --workers")


@contextlib.contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Processes that are started meanwhile begin with so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(max(1, threads))))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _begin() -> None:
    """Let a worker process end with its parent, and not with Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the parent decides
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when its parent has ended; otherwise it would train on beside a command that is given again."""
    wait_for_handles([sentinel])
    os._exit(1)


@contextlib.contextmanager
def _on_ray(shared: Shared, folds: int, workers: Workers) -> Iterator[tuple[Submit, Wait, Room]]:
    """Tasks of a Ray cluster, one core each; on GPUs, one GPU each.

    Raises:
        BimodalError: Ray is not installed, or the cluster does not answer or lacks what the settings need.
    """
    ray = import_ray()
    with connected(ray, workers.address, workers.count):
        gpus = int(shared.plan.config.device.startswith("cuda"))
        if gpus and not ray.cluster_resources().get("GPU", 0):
            raise BimodalError(f"no machine of the Ray cluster '{workers.address}' has a GPU; leave out device=cuda")
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(train_job)  # losses are counted here, and told
        given = ray.put(shared)

        def wait(handles: Iterable[Any]) -> list[tuple[Any, FoldResult | Exception]]:
            done, _ = ray.wait(list(handles), timeout=_LOOK_EVERY)
            return [(handle, _ray_result(ray, handle)) for handle in done]

        def room() -> int:
            cores = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 0))
            return max(1, min(workers.count, cores) if workers.count else cores)

        yield (lambda job: task.remote(given, job)), wait, room


def _ray_result(ray: Any, handle: Any) -> FoldResult | Exception:
    try:
        found: FoldResult = ray.get(handle)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause or error
        told = str(cause) if isinstance(cause, BimodalError) else first_line(cause)
        unable = f"a machine of the cluster cannot train it ({told}); install the same version everywhere"
        return BimodalError(told if isinstance(cause, BimodalError) else unable)
    except ray.exceptions.RayError as error:
        return LostWorkerError(f"{type(error).__name__}: {first_line(error)}")
    return found


ENGINES: Final[Mapping[str, Callable[[Shared, int, Workers], Opened]]] = {"local": _in_processes, "ray": _on_ray}
