"""The emotions of a long recording over time: each segment is encoded once, then judged window by window."""

import heapq
import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from bimodal.audio import Signal, check_signal, iterate_audio, read_header
from bimodal.errors import AudioError, BimodalError, ConfigError
from bimodal.features.backbone import SpeechBlocks
from bimodal.features.baseline import SpeakerBaselines, pooled_statistics
from bimodal.recognizer import Recognizer
from bimodal.records import Clip, Recognition
from bimodal.segments import Segment, SegmentConfig, SegmentStream

NO_SPEECH: Final = "no speech was found"
"""Reason of the one result of a recording, or a channel, in which nobody speaks."""

_FRAME_SECONDS: Final = 0.02  # of the frames that `SpeechBlocks.count` counts


@dataclass(frozen=True, kw_only=True)
class TimelineConfig:
    """How a long recording is judged; lengths in seconds.

    Attributes:
        segments: Where speech begins and ends.
        hop: About how long a stretch one result speaks of; a segment is divided evenly.
        window: Speech that a stretch is judged by: the stretch in its middle, and what is around it in the segment.
        smoothing: Time constant of an exponential average over a speaker's scores, backwards only; 0 for none.
        channels: `mix` hears all channels together; `speakers` takes each for one speaker's, as in a stereo call.
    """

    segments: SegmentConfig = field(default_factory=SegmentConfig)
    hop: float = 2.0
    window: float = 4.0
    smoothing: float = 0.0
    channels: Literal["mix", "speakers"] = "mix"

    def __post_init__(self) -> None:
        """Refuse values that contradict one another."""
        if not 0.2 <= self.hop <= self.window < math.inf:
            raise ConfigError(f"hop {self.hop} s, window {self.window} s: expected 0.2 <= hop <= window")
        if not 0 <= self.smoothing < math.inf:
            raise ConfigError(f"smoothing {self.smoothing} s: expected 0 or more")
        if self.channels not in ("mix", "speakers"):
            raise ConfigError(f"channels '{self.channels}': expected 'mix' or 'speakers'")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedWords:
    """Words that were spoken at a known time: one word, or a whole utterance.

    Attributes:
        start: In seconds.
        end: In seconds.
        text: The words.
        speaker: Who says them; None for whoever is heard then.
    """

    start: float
    end: float
    text: str
    speaker: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A recording as a whole.

    Attributes:
        duration: Where the last result ends, in seconds.
        speech_seconds: Length of all results that claim an emotion; two who speak at once count twice.
        shares: Share of these seconds for each emotion of the model; sums to 1, all 0 where nothing is claimed.
        scores: Mean of the scores, weighted by length; empty where nothing is claimed.
        dominant: The emotion with the largest share; None where nothing is claimed.
        abstained: True where nothing is claimed.
        results: How many results there were.
    """

    duration: float
    speech_seconds: float
    shares: Mapping[str, float]
    scores: Mapping[str, float]
    dominant: str | None
    abstained: bool
    results: int


def recognize_long(
    recognizer: Recognizer,
    path: str | Path,
    *,
    words: Sequence[TimedWords] = (),
    speakers: Sequence[str] = (),
    config: TimelineConfig | None = None,
    baselines: SpeakerBaselines | None = None,
) -> Iterator[Recognition]:
    """Recognise the emotions expressed in a recording of any length, as they come.

    Args:
        recognizer: A model that hears speech.
        path: A file that libsndfile reads.
        words: What is said when, in any order. A stretch is judged by the words that overlap its window by half.
        speakers: Names of the speakers, one a channel; with `channels="mix"` at most one. Channels are called
            `channel 1`, `channel 2`, ... where no names are given.
        config: How to judge.
        baselines: What the speakers, by their names here, have sounded like so far; a segment is judged by it and
            joins it afterwards. With `channels="mix"` only a named speaker has one.

    Yields:
        Results in order of their beginning; those of one speaker do not overlap. A recording, or a channel, in which
        nobody speaks gives one result that abstained.

    Raises:
        AudioError: The recording cannot be used; where it is damaged late, after the results before.
        BimodalError: The model does not hear speech, or the names do not fit the channels.
    """
    config = config or TimelineConfig()
    header = read_header(path)
    names = _speakers(path, speakers, header.channels, config)
    timelines = []
    for channel, name in enumerate(names):
        heard = channel if config.channels == "speakers" else None
        stream = Stream(recognizer, header.sampling_rate, speaker=name, config=config, baselines=baselines)
        stream.hear_words(words)
        timelines.append(_follow(stream, path, heard))
    return heapq.merge(*timelines, key=lambda result: result.start or 0.0)


def summarise(recognitions: Iterable[Recognition]) -> Summary:
    """The results of one recording taken together; a generator is consumed without being held.

    Example:
        >>> calm = Recognition(emotion="neutral", scores={"anger": 0.2, "neutral": 0.8}, start=0.0, end=3.0,
        ...                    speech_scores=None, text_scores=None, gate=None)
        >>> summary = summarise([calm, replace(calm, emotion="anger", start=5.0, end=6.0)])
        >>> summary.dominant, summary.shares, summary.duration
        ('neutral', {'anger': 0.25, 'neutral': 0.75}, 6.0)
    """
    duration, count = 0.0, 0
    seconds: dict[str, float] = {}
    scores: dict[str, float] = {}
    for result in recognitions:
        start, end = result.start or 0.0, result.end or 0.0
        duration, count = max(duration, end), count + 1
        for emotion, score in result.scores.items():
            claimed = 0.0 if result.abstained else end - start
            seconds[emotion] = seconds.get(emotion, 0.0) + (claimed if emotion == result.emotion else 0.0)
            scores[emotion] = scores.get(emotion, 0.0) + claimed * score
    speech = sum(seconds.values())
    return Summary(
        duration=duration,
        speech_seconds=speech,
        shares={emotion: value / (speech or 1.0) for emotion, value in seconds.items()},
        scores={emotion: value / speech for emotion, value in scores.items()} if speech else {},
        dominant=max(seconds, key=seconds.__getitem__) if speech else None,
        abstained=not speech,
        results=count,
    )


def slice_blocks(blocks: SpeechBlocks, first: int, end: int) -> SpeechBlocks:
    """Blocks `first` to `end` of a segment, as `Recognizer.recognize_blocks` takes them."""
    return SpeechBlocks(mean=blocks.mean[first:end], std=blocks.std[first:end], count=blocks.count[first:end])


def _speakers(path: str | Path, given: Sequence[str], channels: int, config: TimelineConfig) -> list[str | None]:
    """Name of each timeline; None where nobody is named."""
    mixed = config.channels == "mix"
    default: list[str | None] = [None] if mixed else [f"channel {number}" for number in range(1, channels + 1)]
    expected = len(default)
    if given and len(given) != expected:
        raise ConfigError(
            f"{path}: {len(given)} names of speakers, expected {expected} with channels={config.channels}"
        )
    if len(set(given)) != len(given):
        raise ConfigError(f"{path}: the names of the speakers are not distinct")
    return list(given) or default


class Stream:
    """One speaker's timeline as it is spoken; `Recognizer.stream` opens one. Not for several threads at once.

    However the samples are cut into pieces, the results are those that `recognize_long` gives of the same samples in a
    file. A segment is judged when a pause, or its greatest length, ends it; memory holds that segment alone.

    Args:
        recognizer: A model that hears speech.
        sampling_rate: Of the samples, in Hz.
        speaker: Who speaks; handed through to the results, and names a baseline.
        config: How to judge; its `channels` is not looked at.
        baselines: As in `recognize_long`; they grow as it goes.

    Raises:
        AudioError: A sampling rate that is not positive.
        BimodalError: The model does not hear speech.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sampling_rate: int,
        *,
        speaker: str | None = None,
        config: TimelineConfig | None = None,
        baselines: SpeakerBaselines | None = None,
    ) -> None:
        recognizer.check_hears()
        self._recognizer, self._sampling_rate = recognizer, sampling_rate
        self._speaker, self._config, self._baselines = speaker, config or TimelineConfig(), baselines
        self._segments = SegmentStream(sampling_rate, self._config.segments)
        self._words, self._smooth = _WordsByTime(), _smoother(self._config.smoothing)
        self._samples = self._results = 0
        self._finished = False

    @property
    def duration(self) -> float:
        """How much was pushed, in seconds."""
        return self._samples / self._sampling_rate

    def push(self, samples: npt.ArrayLike, sampling_rate: int | None = None) -> list[Recognition]:
        """Take the next samples; gives the results that they make known, in order.

        Args:
            samples: Floating point (T,) in [-1, 1]; any number, also none.
            sampling_rate: Of these samples; None for that of the stream.

        Raises:
            AudioError: Samples that are not finite, of another shape or kind, or of another sampling rate; the stream
                goes on as if they had not come.
            BimodalError: The stream was finished.
        """
        return list(self.push_lazily(samples, sampling_rate))

    def push_lazily(self, samples: npt.ArrayLike, sampling_rate: int | None = None) -> Iterator[Recognition]:
        """As `push`, but each result is only made when it is asked for; take all of them before the next samples."""
        for segment in self._segments.push(self._checked(samples, sampling_rate)):
            yield from self._judge(segment)

    def finish(self) -> list[Recognition]:
        """The results that the end makes known; where nobody spoke at all, one that abstained.

        Raises:
            BimodalError: The stream was finished before.
        """
        self._check_open()
        self._finished = True
        found = [result for segment in self._segments.finish() for result in self._judge(segment)]
        if self._results:
            return found
        clip = Clip(start=0.0, end=self.duration, speaker=self._speaker)
        return [replace(self._recognizer.recognize_blocks([None], [clip])[0], reason=NO_SPEECH)]

    def partial(self) -> Recognition | None:
        """What the last `window` seconds of the running segment sound like so far; None where nobody is speaking.

        It is provisional: the same speech is judged again, with what follows, when its segment ends. Nothing else
        depends on whether it was asked for. It is not smoothed.
        """
        segment = None if self._finished else self._segments.running(self._config.window)
        if segment is None:
            return None
        heard = self._recognizer.encode(segment.signal)
        said = self._words.between(segment.start, segment.end)
        clip = Clip(transcript=said, speaker=self._speaker, start=segment.start, end=segment.end)
        return self._recognizer.recognize_blocks([heard], [clip], self._baselines)[0]

    def hear_words(self, words: Iterable[TimedWords]) -> None:
        """Words that were said, in any order; a segment is judged by those that are known when it ends.

        Those of another speaker are passed over.

        Raises:
            ConfigError: Times that are none.
        """
        for item in words:
            if self._speaker is None or item.speaker in (None, self._speaker):
                self._words.add(item)

    def _checked(self, samples: npt.ArrayLike, sampling_rate: int | None) -> Signal:
        self._check_open()
        if sampling_rate not in (None, self._sampling_rate):
            raise AudioError(
                f"stream: the sampling rate changed from {self._sampling_rate} Hz to {sampling_rate} Hz after "
                f"{self.duration:.2f} s; finish this stream and open another"
            )
        if not np.size(samples):
            return np.zeros(0, np.float32)
        signal = check_signal(samples, "stream", first=self._samples)
        self._samples += len(signal)
        return signal

    def _check_open(self) -> None:
        if self._finished:
            raise BimodalError("the stream is finished; open another with Recognizer.stream")

    def _judge(self, segment: Segment) -> Iterator[Recognition]:
        """The results of a segment that ended."""
        heard = self._recognizer.encode(segment.signal)
        blocks, clips = _windows(heard, segment, self._words, self._speaker, self._config)
        results = self._recognizer.recognize_blocks(blocks, clips, self._baselines)
        if self._baselines is not None and heard is not None:
            self._baselines.add(self._speaker, pooled_statistics(heard))
        self._words.forget(segment.end)
        self._results += len(results)
        yield from map(self._smooth, results)


class _WordsByTime:
    """Timed words, found by a stretch of time without looking at all of them."""

    def __init__(self) -> None:
        self._words: list[TimedWords] = []
        self._longest = 0.0

    def add(self, item: TimedWords) -> None:
        """Take words at any time, in any order."""
        if not 0 <= item.start <= item.end < math.inf:
            raise ConfigError(f"words {item.text!r}: from {item.start} s to {item.end} s, expected 0 <= start <= end")
        insort(self._words, item, key=_start)
        self._longest = max(self._longest, item.end - item.start)

    def between(self, start: float, end: float) -> str | None:
        """The words that overlap a stretch by half of the shorter of both; None where there are none."""
        left = bisect_left(self._words, start - self._longest, key=_start)
        near = self._words[left : bisect_left(self._words, end, key=_start)]
        said = [
            item.text
            for item in near
            if min(item.end, end) - max(item.start, start) >= min(item.end - item.start, end - start) / 2
        ]
        return " ".join(said) or None

    def forget(self, end: float) -> None:
        """Drop the words that begin before a time and cannot reach beyond it."""
        del self._words[: bisect_left(self._words, end - self._longest, key=_start)]


def _start(words: TimedWords) -> float:
    return words.start


def _follow(stream: Stream, path: str | Path, channel: int | None) -> Iterator[Recognition]:
    """The results of a file, or of one channel of it, as they come."""
    for signal, _ in iterate_audio(path, channel=channel):
        yield from stream.push_lazily(signal)
    yield from stream.finish()


def _windows(
    heard: SpeechBlocks | None,
    segment: Segment,
    words: _WordsByTime,
    speaker: str | None,
    config: TimelineConfig,
) -> tuple[list[SpeechBlocks | None], list[Clip]]:
    """Speech and words of each stretch of a segment; stretches divide it evenly at the borders of blocks."""
    clip = partial(Clip, speaker=speaker)
    if heard is None:
        said = words.between(segment.start, segment.end)
        return [None], [clip(transcript=said, start=segment.start, end=segment.end)]
    times = segment.start + np.append(0, np.cumsum(heard.count)) * _FRAME_SECONDS
    times[-1] = segment.end  # the last frame may reach beyond the last sample
    blocks: list[SpeechBlocks | None] = []
    clips = []
    for first, end, left, right in _stretches(times.tolist(), config):
        blocks.append(slice_blocks(heard, left, right))
        said = words.between(times[left], times[right])
        clips.append(clip(transcript=said, start=float(times[first]), end=float(times[end])))
    return blocks, clips


def _stretches(times: Sequence[float], config: TimelineConfig) -> Iterator[tuple[int, int, int, int]]:
    """First block and end of each stretch, and of the window around it; `times` are the borders of the blocks."""
    count = len(times) - 1
    length = (times[-1] - times[0]) / count
    parts = min(count, max(1, round((times[-1] - times[0]) / config.hop)))
    borders = np.linspace(0, count, parts + 1).round().astype(int).tolist()
    width = min(count, max(1, round(config.window / length)))
    for first, end in pairwise(borders):
        size = max(width, end - first)
        left = min(max(0, (first + end - size) // 2), count - size)
        yield first, end, left, left + size


def _smoother(constant: float) -> Callable[[Recognition], Recognition]:
    """Averages the scores of one speaker with those before, the less the longer ago they were."""
    before: dict[str, float] = {}
    when = 0.0

    def smooth(result: Recognition) -> Recognition:
        nonlocal before, when
        if constant == 0 or result.abstained:
            return result
        middle = ((result.start or 0.0) + (result.end or 0.0)) / 2
        kept = math.exp(-(middle - when) / constant) if before else 0.0
        before = {
            emotion: kept * before.get(emotion, 0.0) + (1 - kept) * score for emotion, score in result.scores.items()
        }
        when = middle
        return replace(result, emotion=max(before, key=before.__getitem__), scores=before)

    return smooth
