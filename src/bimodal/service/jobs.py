"""Long recordings: recognised one after the other in the background; results stay in memory for a while."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from typing import IO, Any, Final, Literal

import msgspec

from bimodal.asr.timed_words import Asr, TimedWords
from bimodal.audio.decode import load_signal
from bimodal.errors import BimodalError
from bimodal.inference.stream import TimelineConfig
from bimodal.inference.summary import summarise
from bimodal.inference.timeline import warn_at_end
from bimodal.records import Recognition
from bimodal.service.decoding import LongRecording
from bimodal.service.engine import Engine
from bimodal.service.forms import renamed_field
from bimodal.service.problems import Problem, log_mistake, unexpected_problem
from bimodal.service.transcriptions import timed_words, upload_key

State = Literal["waiting", "running", "done", "failed", "cancelled"]
_HEARTBEAT_SECONDS: Final = 10.0
_SUMMARY_SECONDS: Final = 4.0


class Job:
    """One long recording and its results so far.

    Args:
        upload: The recording; closed when the job ends.
        config: Timeline settings.
        words: Words with times.
        asr: Speech recognition, used if there are no words.
        client: Address of the client.
    """

    def __init__(
        self,
        upload: IO[bytes],
        *,
        config: TimelineConfig,
        words: Sequence[TimedWords] = (),
        asr: Asr | None = None,
        client: str = "",
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.upload, self.config, self.words, self.asr, self.client = upload, config, words, asr, client
        self.recording: LongRecording | None = None
        self.state: State = "waiting"
        self.results: list[Recognition] = []
        self.duration: float | None = None
        self.peaks: list[float] = []
        self.problem: Problem | None = None
        self.ended = 0.0
        self.key = ""  # of its words, where they are shared
        self._news = asyncio.Event()

    @property
    def open(self) -> bool:
        """True while it waits or runs."""
        return self.state in ("waiting", "running")

    @property
    def progress(self) -> float:
        """Share of the recording that is done, 0 to 1."""
        position = (self.results[-1].end or 0.0) if self.results else 0.0
        return 1.0 if self.state == "done" else min(1.0, position / (self.duration or 1.0))

    def to_dict(self) -> dict[str, Any]:
        """The job as the API returns it."""
        return {
            "id": self.id,
            "state": self.state,
            "progress": round(self.progress, 4),
            "duration": self.duration,
            "results": self.results,
            "summary": summarise(self.results) if self.state == "done" else None,
            "peaks": self.peaks,
            "problem": None if self.problem is None else self.problem.to_dict(),
        }

    def stop(self) -> None:
        """End the job within one block: it empties the file, so reading ends."""
        if self.recording is not None:
            self.recording.file.truncate(0)

    def tell(self) -> None:
        """Wake all followers."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def follow(self, seen: int = 0) -> AsyncIterator[tuple[str, int, Any]]:
        """Events as they occur: name, number of results sent, data. `progress` comes at least every ten seconds.

        `progress` has the peaks as soon as they are known, and every few seconds a summary of the results so far.
        """
        peaks_told, summarised = False, time.monotonic()
        while True:
            news = self._news  # before the results are read, so that none is missed
            for result in self.results[seen:]:
                seen += 1
                yield "result", seen, result
            whole = self.to_dict()
            if not self.open:
                yield self.state, seen, {name: whole[name] for name in ("state", "summary", "peaks", "problem")}
                return
            so_far = {name: whole[name] for name in ("state", "progress", "duration")}
            if time.monotonic() - summarised >= _SUMMARY_SECONDS and self.results:
                summarised = time.monotonic()
                so_far["summary"] = summarise(self.results)
            if self.peaks and not peaks_told:
                peaks_told, so_far["peaks"] = True, self.peaks
            yield "progress", seen, so_far
            try:
                await asyncio.wait_for(news.wait(), _HEARTBEAT_SECONDS)
            except TimeoutError:
                continue


class Jobs:
    """All jobs of a server. One runs at a time, so that clips and streams keep a core."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: dict[str, Job] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def check_room(self, client: str) -> None:
        """Refuse a job if there are too many.

        Raises:
            Problem: Too many jobs of this client or of all clients.
        """
        limits = self._engine.limits
        waiting = [job for job in self._jobs.values() if job.open]
        if sum(job.client == client for job in waiting) >= limits.jobs_per_client:
            raise Problem(
                "too-many",
                f"this client has {limits.jobs_per_client} unfinished jobs; wait for one to finish",
                retry_after=10,
            )
        if len(waiting) >= limits.jobs:
            raise Problem("busy", f"the server has {len(waiting)} unfinished jobs; try again later", retry_after=30)

    def add(self, job: Job) -> None:
        """Add a job to the queue.

        Raises:
            Problem: As in `check_room`.
        """
        self.check_room(job.client)
        self._forget()
        self._jobs[job.id] = job
        self._engine.measures.jobs.inc()
        task = asyncio.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def find(self, name: str) -> Job:
        """The job of that id.

        Raises:
            Problem: There is no such job, or it has been deleted.
        """
        self._forget()
        if name not in self._jobs:
            kept = self._engine.limits.kept_seconds
            raise Problem("not-found", f"job not found; finished jobs are kept for {kept:g} s")
        return self._jobs[name]

    def drop(self, name: str) -> None:
        """Stop a job and delete it with its results.

        Raises:
            Problem: There is no such job.
        """
        job = self.find(name)
        if job.open:
            job.state = "cancelled"
            job.stop()
        if self._engine.transcriptions is not None:
            self._engine.transcriptions.forget(job.key)
        del self._jobs[name]
        job.tell()

    def close(self) -> None:
        """End all jobs; nobody can ask for them after the server has stopped."""
        for job in [job for job in self._jobs.values() if job.open]:
            self.drop(job.id)

    async def _run(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with self._turn:
                if job.state == "waiting":
                    job.state = "running"
                    job.tell()
                    await self._engine.run(lambda: self._score(job, loop))
                    job.state = "done" if job.state == "running" else job.state
        except Problem as problem:
            if job.state != "cancelled":
                job.state, job.problem = "failed", problem
        except Exception as error:  # nobody would see an error in a background task
            log_mistake(error)
            job.state, job.problem = "failed", unexpected_problem(error)
        finally:
            job.upload.close()
            job.ended = time.monotonic()
            self._engine.measures.jobs.dec()
            job.tell()

    def _score(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: decode, then recognise. Results are added one by one."""
        engine = self._engine
        recording = engine.decoders.decode_long(job.upload, mix=job.config.channels == "mix")
        with closing(recording.file):
            job.duration, job.peaks = recording.duration, recording.peaks
            loop.call_soon_threadsafe(job.tell)
            job.recording = recording
            words, asr = self._words(job, recording)
            results = engine.recognizer.recognize_long(recording.path, words=words, asr=asr, config=job.config)
            for result in warn_at_end(results, lambda: recording.warnings):
                job.results.append(result)
                loop.call_soon_threadsafe(job.tell)
            job.recording = None
        engine.measures.audio_seconds.inc(recording.duration)

    def _words(self, job: Job, recording: LongRecording) -> tuple[Sequence[TimedWords], Asr | None]:
        """Words of a job, or what recognises them. Those of a short recording are shared with `/v1/recognize`."""
        engine = self._engine
        short = recording.duration <= engine.limits.clip_seconds and job.config.channels == "mix"
        if job.asr is None or job.words or not short or engine.transcriptions is None:
            return job.words, job.asr
        job.key = upload_key(job.upload)
        return timed_words(engine.transcriptions.words(job.key, lambda: load_signal(recording.path))), None

    def _forget(self) -> None:
        """Drop finished jobs that are too old or too many."""
        limits, now = self._engine.limits, time.monotonic()
        finished = sorted((job for job in self._jobs.values() if not job.open and job.ended), key=lambda job: job.ended)
        for number, job in enumerate(reversed(finished)):
            if number >= limits.kept_jobs or now - job.ended > limits.kept_seconds:
                del self._jobs[job.id]


def spoken_words(listed: Any) -> list[TimedWords]:
    """Timed words of a request.

    Raises:
        Problem: Not a list of words with times.
    """
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and (told := renamed_field(item)):
            raise Problem("unusable", f"words: {told}")
    try:
        return msgspec.convert(listed, list[TimedWords])
    except (msgspec.ValidationError, BimodalError) as error:
        raise Problem("unusable", f"words: {error}") from error
