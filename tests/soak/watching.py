"""Memory and handles of a process over time, and whether they grow."""

import re
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MORE_MEMORY = 0.05
"""Share by which the median memory of the last third may exceed that of the middle third."""

MORE_HANDLES = 4
"""The same for the number of open files, in absolute numbers."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A process and the processes that it started, at a moment.

    Attributes:
        seconds: Since the watch began.
        memory: Resident megabytes.
        handles: Open files and sockets.
        threads: Number of threads.
    """

    seconds: float
    memory: float
    handles: int
    threads: int


@contextmanager
def watched(pid: int, every: float = 2.0) -> Iterator[list[Sample]]:
    """Sample a process until the block ends."""
    samples: list[Sample] = []
    ended, begun = threading.Event(), time.monotonic()

    def watch() -> None:
        while not ended.wait(every):
            with suppress(OSError, TypeError):
                samples.append(_sample(pid, time.monotonic() - begun))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _sample(pid: int, seconds: float) -> Sample:
    memory, handles, threads = 0.0, 0, 0
    for one in _family(pid):
        with suppress(OSError, TypeError):
            status = Path(f"/proc/{one}/status").read_text()
            memory += int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
            threads += int(re.search(r"Threads:\s+(\d+)", status)[1])  # type: ignore[index]
            handles += len(list(Path(f"/proc/{one}/fd").iterdir()))
    return Sample(seconds=seconds, memory=memory, handles=handles, threads=threads)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def judge(samples: Sequence[Sample]) -> dict[str, Any]:
    """First, median of the middle third and of the last third of memory and handles; `grows` names what grows."""
    third = len(samples) // 3
    if third < 1:
        return {"grows": ["too few samples"], "samples": len(samples)}
    told: dict[str, Any] = {"samples": len(samples), "minutes": round(samples[-1].seconds / 60, 1), "grows": []}
    for name, tolerance in (("memory", MORE_MEMORY), ("handles", MORE_HANDLES), ("threads", MORE_HANDLES)):
        values = [asdict(sample)[name] for sample in samples]
        middle, last = statistics.median(values[third : 2 * third]), statistics.median(values[-third:])
        told[name] = {"first": round(values[0], 1), "middle": round(middle, 1), "last": round(last, 1)}
        told[name]["most"] = round(max(values), 1)
        if last > (middle * (1 + tolerance) if name == "memory" else middle + tolerance):
            told["grows"].append(name)
    return told
