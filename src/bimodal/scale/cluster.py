"""The engine of several machines: tasks of a Ray cluster. Each process of Ray that gets a task loads the model once.

Plain tasks, not Ray Data: Data places rows in blocks and writes files by itself, in an order that depends on timing, so
that parts would not be equal from run to run, and it gives up a block where one recording kills its worker.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bimodal.errors import BimodalError
from bimodal.scale.queue import Job, Queue
from bimodal.scale.records import Outcome, Setup
from bimodal.scale.work import work

LOCAL: Final = "local"
"""Address of a cluster on this machine that lives as long as the run."""

_PATIENCE: Final = "RAY_raylet_start_wait_time_s"  # a variable of Ray: seconds in which it must have started
_WAITING: Final = 2  # jobs for each core, so that none waits for the next job
_ANSWERS_WITHIN: Final = 10.0  # seconds
_LOOK_EVERY: Final = 5.0  # seconds: machines may join and leave


def run_ray(setup: Setup, workers: int, queue: Queue, address: str = LOCAL) -> Iterator[tuple[Job, Outcome]]:
    """Work on all jobs on a Ray cluster.

    Args:
        setup: Of every worker; the model must be on every machine.
        workers: Most jobs at a time; 0 for one on each core of the cluster.
        queue: The jobs.
        address: Of the cluster's head, `auto` for the one that runs on this machine, or `LOCAL`.

    Yields:
        As `run_local`.

    Raises:
        BimodalError: Ray is not installed, the cluster does not answer, or its machines lack bimodal.
    """
    ray = import_ray()
    with connected(ray, address, workers):
        task = ray.remote(num_cpus=1, max_retries=0)(work)  # the queue counts losses, so Ray must not repeat silently
        given, running = ray.put(setup), dict[Any, Job]()
        most, looked = 0, -_LOOK_EVERY
        while True:
            if time.monotonic() - looked > _LOOK_EVERY:
                most, looked = _room(ray, workers, address), time.monotonic()
            while len(running) < most and (job := queue.take()) is not None:
                running[task.remote(given, list(job.items))] = job
            if not running:
                return
            done, _ = ray.wait(list(running), timeout=1.0)
            for reference in done:
                job = running.pop(reference)
                outcome = _outcome(ray, reference)
                if isinstance(outcome, str):
                    queue.take_back(job, outcome)
                else:
                    queue.done()
                    yield job, outcome


def import_ray() -> Any:
    """The package `ray`.

    Raises:
        BimodalError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers about the cluster
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise BimodalError("--engine ray needs Ray: pip install 'bimodal-emotion[scale]'") from error
    return ray


@contextmanager
def connected(ray: Any, address: str, workers: int) -> Iterator[None]:
    """A connection to the cluster; one that the program has already is used and kept.

    Args:
        ray: From `import_ray`.
        address: As in `run_ray`.
        workers: Cores of a cluster that is started for the run; 0 for those of this machine.

    Raises:
        BimodalError: The cluster does not answer, or cannot be started.
    """
    if ray.is_initialized():
        yield
        return
    _check_answers(address)
    own = {"num_cpus": workers or os.cpu_count(), "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=False, **own)
    except Exception as error:  # Ray raises classes of several libraries here
        raise BimodalError(_why_not(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _why_not(address: str, error: Exception) -> str:
    """Why there is no connection, and what to do.

    Example:
        >>> _why_not("auto", ConnectionError("Could not find any running Ray instance. Please specify ..."))
        "the Ray cluster 'auto' cannot be reached (Could not find any running Ray instance)"
        >>> _why_not(LOCAL, RuntimeError("Timed out waiting for file /tmp/x/metrics_agent_port"))[:64]
        'Ray did not start in time on this machine, which may be too busy'
    """
    if "timed out" in str(error).lower() and address == LOCAL:
        return (
            f"Ray did not start in time on this machine, which may be too busy ({first_line(error)}); try again later, "
            f"set {_PATIENCE}=120, or use --engine local"
        )
    return f"the Ray cluster '{address}' cannot be reached ({first_line(error)})"


def _check_answers(address: str) -> None:
    """Refuse a head that nobody listens at; Ray would try for many minutes.

    Raises:
        BimodalError: Nobody listens there.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise BimodalError(f"the Ray cluster '{address}' cannot be reached ({error}); is its head running?") from error


def _room(ray: Any, workers: int, address: str) -> int:
    """Most jobs that are on the cluster at a time."""
    if workers and address != LOCAL:
        return workers
    return max(1, _WAITING * int(ray.cluster_resources().get("CPU", 0)))


def _outcome(ray: Any, reference: Any) -> Outcome | str:
    """What a task found, or why its worker ended.

    Raises:
        BimodalError: The task could not even begin.
    """
    try:
        found: Outcome = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise BimodalError(
            f"a machine of the cluster cannot run bimodal ({first_line(error.cause or error)}); install the same "
            "version everywhere"
        ) from error
    except ray.exceptions.RayError as error:
        return f"{type(error).__name__}: {first_line(error)}"
    return found


def first_line(error: BaseException) -> str:
    """The first sentence of an error; what Ray says after it is advice about Ray."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].partition(". ")[0][:200] if lines else type(error).__name__
