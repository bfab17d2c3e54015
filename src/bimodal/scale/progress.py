"""Throughput of a run: how much is done, how fast, how long it will take, what it costs."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bimodal.scale.records import Outcome

HOUR: Final = 3600.0


@dataclass(kw_only=True)
class Throughput:
    """What a call has done so far.

    Attributes:
        workers: How many work; 0 if the cluster decides.
        todo: Recordings that this call has to do.
        recordings: Recordings done.
        failed: How many of them failed.
        audio_seconds: Length of the audio.
        compute_seconds: Time of all workers in decoder and model.
        busy_seconds: Time of all workers.
        lost: Workers that ended.
        memory: Most resident bytes of a worker.
        memory_now: Resident bytes of the worker that answered last.
        seen: Workers that have answered.
        begun: When the first batch was given away, in seconds of a clock.
    """

    workers: int
    todo: int
    recordings: int = 0
    failed: int = 0
    audio_seconds: float = 0.0
    compute_seconds: float = 0.0
    busy_seconds: float = 0.0
    lost: int = 0
    memory: int = 0
    memory_now: int = 0
    seen: set[str] = field(default_factory=set)
    begun: float = field(default_factory=time.perf_counter)

    def add(self, outcome: Outcome) -> None:
        """Count a batch."""
        self.recordings += outcome.recordings
        self.failed += outcome.failed
        self.audio_seconds += outcome.audio_seconds
        self.compute_seconds += outcome.compute_seconds
        self.busy_seconds += outcome.busy_seconds
        self.memory, self.memory_now = max(self.memory, outcome.memory), outcome.memory
        if outcome.worker:
            self.seen.add(outcome.worker)

    @property
    def seconds(self) -> float:
        """Wall time."""
        return time.perf_counter() - self.begun

    def record(self) -> dict[str, Any]:
        """The figures, for a log."""
        left_out = {"seen", "begun", "todo", "memory_now"}
        known = {name: value for name, value in asdict(self).items() if name not in left_out}
        return {**known, "workers_seen": len(self.seen), "seconds": self.seconds}


def describe_progress(run: Throughput, seconds: float) -> str:
    """How far a run is, in one line.

    Args:
        run: So far.
        seconds: Wall time so far.

    Example:
        >>> run = Throughput(workers=2, todo=4000, recordings=1000, audio_seconds=7200.0)
        >>> describe_progress(run, 60.0)
        '1,000 of 4,000 recordings, 2.0 h of audio, RTFx 120, 0 failed, about 3 min left'
    """
    left = seconds * (run.todo - run.recordings) / max(1, run.recordings)
    return (
        f"{run.recordings:,} of {run.todo:,} recordings, {_time(run.audio_seconds)} of audio, "
        f"RTFx {run.audio_seconds / max(seconds, 1e-9):.0f}, {run.failed:,} failed, about {_time(left)} left"
    )


def describe_end(run: Throughput, seconds: float, price: float | None) -> str:
    """What a run has done, in one line.

    Args:
        run: The whole call.
        seconds: Wall time.
        price: Of a core hour, in any currency; None to say nothing of cost.

    Example:
        >>> run = Throughput(workers=2, todo=4000, recordings=4000, audio_seconds=36_000.0)
        >>> describe_end(run, 360.0, 0.05)
        '4,000 recordings, 10.0 h of audio in 6 min: RTFx 100, 0.2 core hours, cost 0.01 (1.00 per 1,000 h of audio)'
    """
    cores = (run.workers or len(run.seen)) * seconds / HOUR
    hours = run.audio_seconds / HOUR
    told = (
        f"{counted(run.recordings, 'recording')}, {_time(run.audio_seconds)} of audio in {_time(seconds)}: "
        f"RTFx {run.audio_seconds / max(seconds, 1e-9):.0f}, {cores:.3g} core hours"
    )
    if price is not None:
        told += f", cost {cores * price:.2f}"
        told += f" ({1000 * cores * price / hours:.2f} per 1,000 h of audio)" if hours else ""
    return told


def counted(number: int, thing: str) -> str:
    """A number of things in words.

    Example:
        >>> counted(1, "part"), counted(4000, "recording")
        ('1 part', '4,000 recordings')
    """
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _time(seconds: float) -> str:
    """A length of time in words.

    Example:
        >>> _time(45), _time(600), _time(9000)
        ('45 s', '10 min', '2.5 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"
