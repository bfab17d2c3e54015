"""A bulk run: plan the recordings, give batches to an engine, keep what comes back, finish part after part."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from bimodal.errors import BimodalError
from bimodal.files import append_line, delete_leftovers, lock
from bimodal.scale.listing import list_items
from bimodal.scale.local import run_local
from bimodal.scale.plan import Growth, Part, check_settings, cut_batches, extend_plan, read_plan
from bimodal.scale.progress import Throughput
from bimodal.scale.queue import Job, Queue
from bimodal.scale.records import Batch, Outcome, Setup
from bimodal.scale.results import finish_part, finished_ranges, is_finished, keep_piece

CALLS: Final = "calls.jsonl"
"""File of the folder of results with one line for each call: what it did, and how fast."""

_LOCK: Final = ".lock"

Engine = Callable[[Setup, int, Queue], Iterator[tuple[Job, Outcome]]]
EngineName = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the work is divided.

    Attributes:
        part_size: Recordings in a new part.
        batch_size: Most recordings that a worker has at a time.
        workers: Processes; 0 for one on each core.
        engine: `local`, or `ray`.
        address: Of the Ray cluster.
        root: As in `list_items`.
    """

    part_size: int = 10_000
    batch_size: int = 32
    workers: int = 0
    engine: EngineName = "local"
    address: str = "local"
    root: str | None = None


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who is told how a run goes.

    Attributes:
        say: Takes a sentence.
        listed: Takes the number of recordings that are listed so far.
        done: Takes the throughput after each batch.
    """

    say: Callable[[str], None] = lambda line: None
    listed: Callable[[int], None] = lambda count: None
    done: Callable[[Throughput], None] = lambda run: None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a call of `run_bulk` has done.

    Attributes:
        growth: What the listing found.
        parts: Parts of the plan, all of them finished now.
        earlier: Recordings that earlier calls had done.
        throughput: Of this call.
    """

    growth: Growth
    parts: int
    earlier: int
    throughput: Throughput


@dataclass(kw_only=True)
class _Open:
    """Parts that are being worked on.

    Attributes:
        folder: Of the results.
        left: Recordings that are missing in each part.
    """

    folder: Path
    left: dict[int, int] = field(default_factory=dict)

    def keep(self, batch: Batch, outcome: Outcome) -> None:
        """Keep what a batch gave; the last one of a part finishes it."""
        keep_piece(self.folder, batch, outcome)
        self.left[batch.part] -= batch.end - batch.start
        if not self.left[batch.part]:
            finish_part(self.folder, batch.part)
            del self.left[batch.part]


def run_bulk(
    sources: Sequence[str],
    folder: Path,
    setup: Setup,
    settings: dict[str, str],
    options: RunOptions,
    listener: Listener | None = None,
) -> Summary:
    """Work on all recordings that some sources name. A second call continues an interrupted one.

    Args:
        sources: As in `list_items`.
        folder: Of the results; created if missing.
        setup: Of every worker.
        settings: What decides the results; a folder with other settings is refused.
        options: How the work is divided.
        listener: Who is told how it goes.

    Raises:
        BimodalError: A problem with the sources, the folder, the model or the engine. Finished work is kept.
        OSError: The folder cannot be written, for example because the disk is full. Finished work is kept.
    """
    listener = listener or Listener()
    if folder.exists() and not folder.is_dir():
        raise BimodalError(f"{folder}: is a file; name a folder for the results")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        delete_leftovers(folder)
        check_settings(folder, {**settings, "batch size": str(options.batch_size)})
        growth = extend_plan(folder, list_items(sources, options.root), options.part_size, listener.listed)
        parts = read_plan(folder)
        todo, earlier = _count(folder, parts)
        for told in _about(growth, earlier):
            listener.say(told)
        run = Throughput(workers=options.workers, todo=todo)
        if todo:
            _work(folder, parts, setup, options, listener, run)
            append_line(folder / CALLS, json.dumps({"engine": options.engine, **run.record()}).encode())
        return Summary(growth=growth, parts=len(parts), earlier=earlier, throughput=run)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second call from working on the same folder."""
    with (folder / _LOCK).open("ab") as stream:
        if not lock(stream, wait=False):
            raise BimodalError(f"{folder}: another call is working on this folder; wait for it, or choose another one")
        yield


def _count(folder: Path, parts: Iterable[Part]) -> tuple[int, int]:
    """Recordings that are left, and those that are done."""
    todo = done = 0
    for part in parts:
        finished = part.count
        if not is_finished(folder, part.number):
            finished = sum(end - start for start, end in finished_ranges(folder, part.number))
        done, todo = done + finished, todo + part.count - finished
    return todo, done


def _about(growth: Growth, earlier: int) -> Iterator[str]:
    """What the listing found, as far as a person should know it."""
    if earlier:
        yield f"{earlier:,} of {growth.known + growth.new + growth.gone:,} recordings are finished already"
    if earlier and growth.new:
        yield f"{growth.new:,} recordings are new since the last call; they make new parts"
    if growth.gone:
        yield f"{growth.gone:,} recordings of earlier calls are not among the sources any more; their results are kept"
    if growth.changed:
        yield (
            f"warning: {growth.changed:,} recordings have another size than when they were planned; finished results "
            "are those of the earlier content (choose a new folder to do them again)"
        )


def _work(
    folder: Path, parts: Sequence[Part], setup: Setup, options: RunOptions, listener: Listener, run: Throughput
) -> None:
    """Let an engine do what is left."""
    unfinished = _Open(folder=folder)
    queue = Queue(_jobs(parts, options.batch_size, unfinished), listener.say)
    for job, outcome in _engine(options)(setup, options.workers, queue):
        if outcome.fatal:
            raise BimodalError(outcome.fatal)
        unfinished.keep(job.batch, outcome)
        _give_up(queue, setup, unfinished, run)
        run.add(outcome)
        run.lost = queue.lost
        listener.done(run)
    _give_up(queue, setup, unfinished, run)


def _engine(options: RunOptions) -> Engine:
    if options.engine == "local":
        return run_local
    from bimodal.scale.cluster import run_ray  # Ray takes a second

    return partial(run_ray, address=options.address)


def _jobs(parts: Iterable[Part], size: int, unfinished: _Open) -> Iterator[Job]:
    """What is left of all parts, in order; one part is in memory at a time."""
    for part in parts:
        if is_finished(unfinished.folder, part.number):
            continue
        items, done = part.items(), finished_ranges(unfinished.folder, part.number)
        batches = cut_batches(part.number, items, done, size)
        if not batches:  # killed between its last batch and the end
            finish_part(unfinished.folder, part.number)
            continue
        unfinished.left[part.number] = sum(batch.end - batch.start for batch in batches)
        for batch in batches:
            yield Job(batch=batch, items=items[batch.start : batch.end])


def _give_up(queue: Queue, setup: Setup, unfinished: _Open, run: Throughput) -> None:
    """Recordings that no worker survives become failures."""
    while queue.hopeless:
        from bimodal.scale.work import load_worker, unable  # the model is loaded for the names of the columns alone

        job, reason = queue.hopeless.popleft()
        outcome: Any = unable(load_worker(setup), job.items[0], reason)
        unfinished.keep(job.batch, outcome)
        run.add(outcome)
