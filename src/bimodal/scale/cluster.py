"""The engine of several machines: tasks of a Ray cluster. Each process of Ray that gets a task loads the model once.

Plain tasks, not Ray Data: Data places rows in blocks and writes files by itself, in an order that depends on timing, so
that parts would not be equal from run to run, and it gives up a block where one recording kills its worker.
"""

import time
from collections.abc import Iterator
from typing import Any, Final

from bimodal.errors import BimodalError
from bimodal.scale.connection import LOCAL, connected, first_line, import_ray
from bimodal.scale.queue import Job, Queue
from bimodal.scale.records import Outcome, Setup
from bimodal.scale.work import work

_WAITING: Final = 2  # jobs for each core, so that none waits for the next job
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
