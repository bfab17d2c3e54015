"""Words with times, given or from speech recognition, and the turns of a conversation before them. No torch."""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from bimodal.asr.whisper import Task, Transcriber, Transcription
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.audio.segmentation import Segment
from bimodal.errors import AudioError, ConfigError
from bimodal.records import Turn

_PACK_SECONDS: Final = 28.0  # Whisper encodes 30 s at once, however short the speech: segments share one call
_GAP_SECONDS: Final = 0.3  # silence between segments of one call, at most
_SURE: Final = 0.5  # probability from which a detected language is kept for the rest of a recording


@dataclass(frozen=True, kw_only=True, slots=True)
class Asr:
    """Speech recognition as `SegmentTranscriber` calls it.

    Attributes:
        words: Transcribes a signal (T,) at 16 kHz; the language is an ISO 639-1 code, or None to detect it.
        at_once: Number of signals that it transcribes at the same time, called from as many threads.
    """

    words: Callable[[Signal, str | None], Transcription]
    at_once: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedWords:
    """Words with their time in a recording: one word, or a whole utterance.

    Attributes:
        start: In seconds.
        end: In seconds.
        transcript: The words.
        speaker: Who says them; None for any speaker at that time.
        confidence: Confidence of a speech recogniser in the words, 0 to 1; None if a person wrote them.
        language: ISO 639-1 code; None if unknown.
    """

    start: float
    end: float
    transcript: str
    speaker: str | None = None
    confidence: float | None = None
    language: str | None = None


class WordsByTime:
    """Timed words, found by a stretch of time without looking at all of them."""

    def __init__(self) -> None:
        self._words: list[TimedWords] = []
        self._longest = 0.0

    def add(self, item: TimedWords) -> None:
        """Take words at any time, in any order.

        Raises:
            ConfigError: Invalid time range, or a confidence that is none.
        """
        if item.confidence is not None and not 0 <= item.confidence <= 1:
            raise ConfigError(f"words {item.transcript!r:.80}: confidence {item.confidence}, expected 0 to 1")
        if not 0 <= item.start <= item.end < math.inf:
            raise ConfigError(
                f"words {item.transcript!r:.80}: from {item.start} s to {item.end} s, expected 0 <= start <= end"
            )
        insort(self._words, item, key=_start)
        self._longest = max(self._longest, item.end - item.start)

    def between(self, start: float, end: float) -> list[TimedWords]:
        """The words that overlap a stretch by half of the shorter of both."""
        left = bisect_left(self._words, start - self._longest, key=_start)
        near = self._words[left : bisect_left(self._words, end, key=_start)]
        return [
            item
            for item in near
            if min(item.end, end) - max(item.start, start) >= min(item.end - item.start, end - start) / 2
        ]

    def forget(self, end: float) -> None:
        """Drop the words that begin before a time and cannot reach beyond it."""
        del self._words[: bisect_left(self._words, end - self._longest, key=_start)]


def _start(words: TimedWords) -> float:
    return words.start


def clip_words(words: Sequence[TimedWords]) -> dict[str, Any]:
    """Transcript, its confidence and its language, as the fields of a `Clip`.

    Example:
        >>> first = TimedWords(start=0, end=1, transcript="Oh", confidence=0.25)
        >>> clip_words([first, TimedWords(start=1, end=2, transcript="no", confidence=1)])
        {'transcript': 'Oh no', 'transcript_confidence': 0.5, 'language': None}
    """
    sure = [item.confidence for item in words if item.confidence is not None]
    return {
        "transcript": " ".join(item.transcript for item in words) or None,
        "transcript_confidence": _geometric_mean(sure) if sure else None,
        "language": next((item.language for item in words if item.language), None),
    }


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if min(values) > 0 else 0.0


class Conversation:
    """The last turns of all speakers, for text models that read the context.

    Args:
        length: Number of turns that are kept.
    """

    def __init__(self, length: int) -> None:
        self._turns: deque[Turn] = deque(maxlen=length)

    def add(self, words: Sequence[TimedWords], speaker: str | None) -> None:
        """Add the words of a segment; a change of speaker begins another turn."""
        self._turns.extend(_turns(words, speaker))

    def before(self, words: Sequence[TimedWords], speaker: str | None) -> tuple[Turn, ...]:
        """The turns before a window, oldest first; `words` are those of its own segment that precede it."""
        return (*self._turns, *_turns(words, speaker)) if self._turns.maxlen else ()


def _turns(words: Sequence[TimedWords], speaker: str | None) -> Iterator[Turn]:
    spoken: list[str] = []
    last = speaker
    for item in words:
        if spoken and (item.speaker or speaker) != last:
            yield Turn(transcript=" ".join(spoken), speaker=last)
            spoken = []
        spoken.append(item.transcript)
        last = item.speaker or speaker
    if spoken:
        yield Turn(transcript=" ".join(spoken), speaker=last)


class SegmentTranscriber:
    """Transcribes one speaker's segments in order, several in one call; keeps the language once it is certain.

    Args:
        asr: Speech recognition.
        language: ISO 639-1 code of the spoken language; None detects it.
        known_until: Segments that end before this time, in seconds, are given without words, unless they share a call
            with a later one. The language must be certain by then: it decides the words that follow.
    """

    def __init__(self, asr: Asr, language: str | None = None, known_until: float = 0.0) -> None:
        self._asr, self.language, self._known_until = asr, language, known_until

    def listen(self, segments: Iterable[Segment]) -> Iterator[tuple[Segment, list[TimedWords]]]:
        """Each segment with its words, as soon as the segments that share its call have come.

        Once the language is certain, `asr.at_once` calls run at the same time; the words do not depend on it.
        """
        waiting: deque[tuple[Sequence[Segment], Future[Transcription] | None]] = deque()
        damage: AudioError | None = None
        with ThreadPoolExecutor(self._asr.at_once) as threads:
            try:
                for pack in _packs(segments):
                    waiting.append((pack, self._begin(pack, threads)))
                    while len(waiting) >= (self._asr.at_once if self.language else 1):
                        yield from self._timed(*waiting.popleft())
            except AudioError as error:  # a recording that is damaged late keeps what was whole
                damage = error
            while waiting:
                yield from self._timed(*waiting.popleft())
        if damage is not None:
            raise damage

    def _begin(self, pack: Sequence[Segment], threads: ThreadPoolExecutor) -> Future[Transcription] | None:
        """Transcribe segments in one call; None if their words are known."""
        if self.language is not None and pack[-1].end <= self._known_until:
            return None
        parts = [part for one, gap in zip(pack, _gaps(pack), strict=True) for part in (one.signal, _silence(gap))]
        return threads.submit(self._asr.words, np.concatenate(parts[:-1]), self.language)

    def _timed(
        self, pack: Sequence[Segment], pending: Future[Transcription] | None
    ) -> Iterator[tuple[Segment, list[TimedWords]]]:
        if pending is None:
            yield from ((segment, []) for segment in pack)
            return
        found = pending.result()
        if found.language_probability >= _SURE and found.words:
            self.language = self.language or found.language
        offset, words = 0.0, list(found.words)
        for segment, gap in zip(pack, _gaps(pack), strict=True):
            border = offset + len(segment.signal) / SAMPLING_RATE + gap / 2
            own = [word for word in words if (word.start + word.end) / 2 < border]
            words = words[len(own) :]
            yield segment, list(_placed(own, found, segment, segment.start - offset))
            offset = border + gap / 2


def _placed(words: Sequence[Any], found: Transcription, segment: Segment, shift: float) -> Iterator[TimedWords]:
    """Words with their times in the recording, kept within their segment; those of a loop get confidence 0."""
    for word in words:
        start = min(max(word.start + shift, segment.start), segment.end)
        end = min(max(word.end + shift, start), segment.end)
        confidence = min(1.0, max(0.0, word.probability)) if found.confidence else 0.0
        yield TimedWords(start=start, end=end, transcript=word.text, confidence=confidence, language=found.language)


def _packs(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Segments that share a call; at an error in the recording, those before it come first."""
    pack: list[Segment] = []
    try:
        for segment in segments:
            if pack and _length([*pack, segment]) > _PACK_SECONDS:
                yield pack
                pack = []
            pack.append(segment)
    except AudioError:
        if pack:
            yield pack
        raise
    if pack:
        yield pack


def _length(segments: Sequence[Segment]) -> float:
    return sum(len(segment.signal) for segment in segments) / SAMPLING_RATE + sum(_gaps(segments))


def _gaps(segments: Sequence[Segment]) -> list[float]:
    """Seconds of silence after each segment: 0 if long speech was cut, so that no word is split."""
    between = [max(0.0, min(_GAP_SECONDS, other.start - one.end)) for one, other in pairwise(segments)]
    return [*between, _GAP_SECONDS]


def _silence(seconds: float) -> Signal:
    return np.zeros(round(seconds * SAMPLING_RATE), np.float32)


def make_asr(transcriber: Transcriber, task: Task = "transcribe", language: str | None = None) -> Asr:
    """Speech recognition as `SegmentTranscriber` calls it; a language that is given here is not detected."""

    def words(signal: Signal, detected: str | None) -> Transcription:
        return transcriber.transcribe(signal, task=task, language=language or detected, words=True)

    return Asr(words=words, at_once=transcriber.at_once)
