"""The engine of one machine: processes of its own, each with one thread and one model.

`concurrent.futures` loses all running jobs when one process is killed, and `multiprocessing.Pool` waits forever. Here a
killed process costs its own batch, and another takes its place.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from bimodal.scale.queue import Job, Queue
from bimodal.scale.records import Outcome, Setup

_LEAVES_WITHIN: Final = 5.0  # seconds
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_local(setup: Setup, workers: int, queue: Queue) -> Iterator[tuple[Job, Outcome]]:
    """Work on all jobs in processes of this machine.

    Args:
        setup: Of every worker.
        workers: How many processes; 0 for one per core.
        queue: The jobs.

    Yields:
        Jobs with their outcomes, as they come.
    """
    pool = [_Process(setup) for _ in range(workers or os.cpu_count() or 1)]
    try:
        while True:
            for process in pool:
                if process.job is None and (job := queue.take()) is not None:
                    process.give(job)
            busy = {process.connection: process for process in pool if process.job is not None}
            if not busy:
                return
            for connection in wait(list(busy)):
                process = busy[connection]  # type: ignore[index]
                job, outcome = process.job, process.outcome()
                assert job is not None  # noqa: S101
                process.job = None
                if outcome is not None:
                    queue.done()
                    yield job, outcome
                    continue
                pool[pool.index(process)] = _Process(setup)
                queue.take_back(job, process.end())
    finally:
        for process in pool:
            process.stop()


class _Process:
    """A worker process, as its parent sees it; it is started when it gets its first job.

    Args:
        setup: Of the worker.

    Attributes:
        job: What it works on; None if it waits.
    """

    def __init__(self, setup: Setup) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        self.connection, self._theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._theirs, setup), daemon=True)
        self.job: Job | None = None

    def give(self, job: Job) -> None:
        """Let it work on a job."""
        if self._process.pid is None:
            with _one_thread():
                self._process.start()
            self._theirs.close()
        self.job = job
        with suppress(OSError):  # it has ended; `outcome` will tell
            self.connection.send(list(job.items))

    def outcome(self) -> Outcome | None:
        """What it found; None if it has ended."""
        try:
            found: Outcome = self.connection.recv()
        except (EOFError, OSError):
            return None
        return found

    def end(self) -> str:
        """Why it has ended."""
        self._process.join()
        code = self._process.exitcode or 0
        if code >= 0:
            return f"it ended with code {code}"
        hint = ", as systems do that run out of memory" if -code == signal.SIGKILL else ""
        return f"it was killed by signal {-code}{hint}"

    def stop(self) -> None:
        """End it, whatever it does; one that waits ends by itself when its connection is closed."""
        self.connection.close()
        if self._process.pid is not None:
            self._process.join(0 if self.job else _LEAVES_WITHIN)
            self._process.terminate()
            self._process.join()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let libraries in processes that are started meanwhile use one thread: there is a process for each core."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, setup: Setup) -> None:
    """Work until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the parent decides
    from bimodal.scale.work import work

    with suppress(EOFError, OSError):
        while True:
            items: Any = connection.recv()
            connection.send(work(setup, items))
