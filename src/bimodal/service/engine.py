"""The model behind the server: clips share a queue, live streams have their own threads."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import IO, Any, Final, TypeVar

from bimodal.arrays import Floats
from bimodal.asr.timed_words import make_asr
from bimodal.asr.whisper import Transcriber
from bimodal.errors import BimodalError
from bimodal.inference.recognizer import Recognizer
from bimodal.inference.stream import TimelineConfig
from bimodal.inference.timeline import warn_at_end
from bimodal.records import Clip, Recognition
from bimodal.service.decoding import Decoders
from bimodal.service.limits import Limits
from bimodal.service.measuring import Measures
from bimodal.service.problems import Problem
from bimodal.service.transcriptions import Transcriptions, upload_key

Answer = TypeVar("Answer")
_PARTIAL_SECONDS: Final = 0.5
_SEGMENT_SECONDS: Final = 12.0  # as long as the longest stretch between pauses: one result for each


class Engine:
    """The model and its threads.

    Args:
        recognizer: The model, with one thread per operator: several clips at once use the cores better.
        limits: Limits of the server.
        measures: Counters.
        transcriber: Speech recogniser for clients that ask for it, or None.
    """

    def __init__(
        self, recognizer: Recognizer, limits: Limits, measures: Measures, transcriber: Transcriber | None = None
    ) -> None:
        self.recognizer, self.limits, self.measures, self.transcriber = recognizer, limits, measures, transcriber
        self.transcriptions = None if transcriber is None else Transcriptions(transcriber)
        self.decoders = Decoders(limits, limits.workers + 1)
        self.ready = False
        self.stopping = False
        self._clips = ThreadPoolExecutor(limits.workers, "clip")
        self._others = ThreadPoolExecutor(limits.streams + 2, "stream")
        self._turns = asyncio.Semaphore(limits.workers)
        self._waiting = self._streams = 0
        self._usual_seconds = 0.5

    def warm_up(self) -> None:
        """Load all networks, so that the first request is as fast as the others."""
        for clip in (Clip(audio=_tone(), sampling_rate=16_000, transcript="hello"), Clip(transcript="hello")):
            try:
                self.recognizer.recognize_batch([clip])
            except BimodalError:  # a model of one modality
                continue
        self.ready = True

    async def recognize(
        self, clip: Clip, upload: IO[bytes] | None, *, transcribe: bool, options: Mapping[str, Any]
    ) -> Recognition:
        """Recognise one clip when a thread is free.

        Args:
            clip: What to recognise, without its audio.
            upload: Its audio; None for words alone.
            transcribe: Recognise its words.
            options: Of `Recognizer.recognize_batch`: `explain`, `coverage`, `coverage_by`.

        Raises:
            Problem: The clip cannot be used, or the server is busy.
        """
        async with self._turn():
            return await self.run(lambda: self._recognize(clip, upload, transcribe, options), self._clips)

    def _recognize(
        self, clip: Clip, upload: IO[bytes] | None, transcribe: bool, options: Mapping[str, Any]
    ) -> Recognition:
        if upload is not None:
            decoded = self.decoders.decode_clip(upload, clip.start, clip.end)
            clip = replace(clip, audio=decoded)
            self.measures.audio_seconds.inc(len(decoded.signal) / decoded.sampling_rate)
            if transcribe and self.transcriptions is not None:
                key, signal = upload_key(upload, clip.start, clip.end), decoded.signal
                recognised = self.transcriptions.words(key, lambda: signal)
                clip = replace(
                    clip,
                    transcript=recognised.text or None,
                    transcript_confidence=recognised.confidence,
                    language=recognised.language,
                )
        result = self.recognizer.recognize_batch([clip], **options)[0]
        if result.abstained:
            self.measures.abstained.inc()
        return result

    async def transcribe(self, upload: IO[bytes], language: str | None) -> tuple[list[Recognition], float]:
        """The words and emotions of a recording, one result for each stretch between pauses; and its length in seconds.

        Args:
            upload: The recording; this server must have a speech recogniser.
            language: Of the words, as ISO 639-1 code; None to detect it.

        Raises:
            Problem: As in `recognize`.
        """
        async with self._turn():
            return await self.run(lambda: self._transcribe(upload, language), self._clips)

    def _transcribe(self, upload: IO[bytes], language: str | None) -> tuple[list[Recognition], float]:
        asr = None if self.transcriber is None else make_asr(self.transcriber, language=language)
        recording = self.decoders.decode_long(upload, mix=True, max_seconds=self.limits.transcription_seconds)
        with closing(recording.file):
            config = TimelineConfig(hop=_SEGMENT_SECONDS, window=_SEGMENT_SECONDS)
            results = self.recognizer.recognize_long(recording.path, asr=asr, config=config)
            found = list(warn_at_end(results, lambda: recording.warnings))
        self.measures.audio_seconds.inc(recording.duration)
        return found, recording.duration

    async def embed(self, upload: IO[bytes] | None, words: str | None) -> Floats:
        """The emotion embedding (E,) of a recording or of words.

        Args:
            upload: The recording; None for words.
            words: The words; None for a recording.

        Raises:
            Problem: As in `recognize`; or the model cannot use the input.
        """
        async with self._turn():
            return await self.run(lambda: self._embed(upload, words), self._clips)

    def _embed(self, upload: IO[bytes] | None, words: str | None) -> Floats:
        audio = None if upload is None else self.decoders.decode_clip(upload, None, None)
        outputs = self.recognizer.extract([Clip(audio=audio, transcript=words)])
        kinds = (outputs.fused, outputs.speech if words is None else outputs.text)
        found = next((one for one in kinds if one is not None and one.present[0]), None)
        if found is None:
            what = "words" if words is not None else "recording"
            raise Problem("unusable", f"the model finds nothing to embed in the {what}")
        embedding: Floats = found.embedding[0]
        return embedding

    async def run(self, work: Callable[[], Answer], threads: ThreadPoolExecutor | None = None) -> Answer:
        """Run work in a thread.

        Raises:
            Problem: The input cannot be used.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(threads or self._others, work)
        except BimodalError as error:
            raise Problem("unusable", str(error)) from error

    @property
    def partial_seconds(self) -> float:
        """Least time between partial results, in seconds of clock and of audio; longer if streams outnumber cores."""
        return _PARTIAL_SECONDS * max(1.0, self._streams / self.limits.workers)

    def open_stream(self) -> bool:
        """Reserve a place for a live stream; False if all are taken."""
        if self._streams >= self.limits.streams or self.stopping:
            return False
        self._streams += 1
        self.measures.streams.set(self._streams)
        return True

    def close_stream(self) -> None:
        """Free the place of a live stream."""
        self._streams -= 1
        self.measures.streams.set(self._streams)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a free thread. Refuse if the queue is full or the wait is too long."""
        limits = self.limits
        if self._turns.locked() and self._waiting >= limits.waiting:
            raise Problem(
                "busy", f"{self._waiting} requests are already waiting; try again later", retry_after=self._wait()
            )
        self._waiting += 1
        self.measures.waiting.set(self._waiting)
        try:
            async with asyncio.timeout(limits.deadline):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Problem(
                "busy",
                f"the request waited for {limits.deadline:g} s without a free thread; try again later",
                retry_after=self._wait(),
            ) from error
        finally:
            self._waiting -= 1
            self.measures.waiting.set(self._waiting)
        began = time.perf_counter()
        self.measures.running.inc()
        try:
            yield
        finally:
            self._turns.release()
            self.measures.running.dec()
            self._usual_seconds = 0.9 * self._usual_seconds + 0.1 * (time.perf_counter() - began)

    def _wait(self) -> float:
        """Seconds until about half of the waiting clips are done."""
        return min(60.0, math.ceil(self._usual_seconds * self._waiting / self.limits.workers / 2))

    def close(self) -> None:
        """Stop threads and processes."""
        self.stopping = True
        self.decoders.close()
        self._clips.shutdown(wait=True, cancel_futures=True)
        self._others.shutdown(wait=True, cancel_futures=True)


def _tone() -> Any:
    import numpy as np

    return (0.1 * np.sin(np.arange(16_000) * 0.1)).astype(np.float32)
