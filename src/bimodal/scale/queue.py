"""Batches that wait for a worker, and what happens to those whose worker ended."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bimodal.errors import BimodalError
from bimodal.scale.records import Batch, Item

RETRIES: Final = 3
"""A recording whose worker ends so many times is a failure."""

MOST_LOST: Final = 30
"""So many workers that end one after the other, with no batch done between, stop the run."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Job:
    """A batch with its recordings.

    Attributes:
        batch: Where they stand.
        items: The recordings.
        lost: How many workers have ended while they worked on these recordings.
    """

    batch: Batch
    items: Sequence[Item]
    lost: int = 0


class Queue:
    """Jobs in order. A job whose worker ended comes back: as it is, then in halves, until one recording is left.

    Args:
        jobs: Made when they are asked for.
        say: Tells a person what happened.
    """

    def __init__(self, jobs: Iterator[Job], say: Callable[[str], None]) -> None:
        self._jobs, self._say = jobs, say
        self._again, self._in_a_row = deque[Job](), 0
        self.hopeless = deque[tuple[Job, str]]()
        """Jobs of one recording that no worker survives, and why."""
        self.lost = 0
        """Workers that have ended."""

    def take(self) -> Job | None:
        """The next job; None if none waits."""
        return self._again.popleft() if self._again else next(self._jobs, None)

    def done(self) -> None:
        """A worker has finished a job."""
        self._in_a_row = 0

    def take_back(self, job: Job, reason: str) -> None:
        """A worker ended while it worked on a job.

        Args:
            job: It will be given to another worker.
            reason: Why it ended, such as `it was killed by signal 9`.

        Raises:
            BimodalError: Workers end again and again, so that no end is in sight.
        """
        self.lost, self._in_a_row = self.lost + 1, self._in_a_row + 1
        if self._in_a_row > MOST_LOST:
            raise BimodalError(
                f"{self._in_a_row} workers have ended one after the other (the last: {reason}); is there enough memory "
                "for so many workers? finished work is kept: give the command again with fewer --workers"
            )
        halves = _halves(job)
        if len(job.items) == 1 and job.lost + 1 >= RETRIES:
            self.hopeless.append((job, f"a worker ended {job.lost + 1} times while it worked on it ({reason})"))
            self._say(f"a worker ended ({reason}); {job.items[0].name}, its only recording, is a failure now")
        else:
            self._again.extendleft(reversed(halves))
            again = "again" if len(halves) == 1 else "in halves"
            self._say(f"a worker ended ({reason}); its batch of {len(job.items)} recordings is done {again}")


def _halves(job: Job) -> list[Job]:
    """A job as it is after its first loss, its halves after the second."""
    batch, middle = job.batch, len(job.items) // 2
    if job.lost == 0 or middle == 0:
        return [Job(batch=batch, items=job.items, lost=job.lost + 1)]
    border = batch.start + middle
    return [
        Job(batch=Batch(part=batch.part, start=batch.start, end=border), items=job.items[:middle], lost=1),
        Job(batch=Batch(part=batch.part, start=border, end=batch.end), items=job.items[middle:], lost=1),
    ]
