"""The emotions of a long recording over time: each segment is encoded once, then judged window by window."""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from bimodal.asr.timed_words import Asr, Conversation, SegmentTranscriber, TimedWords, WordsByTime, clip_words
from bimodal.audio.decode import Signal, check_signal, iterate_audio, read_header
from bimodal.audio.segmentation import NO_SPEECH, Segment, SegmentConfig, SegmentStream
from bimodal.errors import AudioError, BimodalError, ConfigError
from bimodal.features.pooling import BACKBONE_FRAME_SECONDS, SpeechFrames, pool
from bimodal.features.quality import describe_quality
from bimodal.features.speaker_stats import SpeakerStatsStore
from bimodal.inference.explain import explain
from bimodal.inference.recognizer import Recognizer
from bimodal.records import Clip, Recognition


@dataclass(frozen=True, kw_only=True)
class TimelineConfig:
    """How a long recording is judged; lengths in seconds.

    Attributes:
        segments: Where speech begins and ends.
        hop: About how long a stretch one result speaks of; a segment is divided evenly.
        window: Speech that a stretch is judged by: the stretch in its middle, and what is around it in the segment.
        smoothing: Time constant of an exponential average over a speaker's scores, backwards only; 0 for none.
        explain: Say in each result's `explanation` why it is so, before any smoothing; several times as slow.
        channels: `mix` hears all channels together; `speakers` takes each for one speaker's, as in a stereo call.
    """

    segments: SegmentConfig = field(default_factory=SegmentConfig)
    hop: float = 2.0
    window: float = 4.0
    smoothing: float = 0.0
    explain: bool = False
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
    asr: Asr | None = None,
    speakers: Sequence[str] = (),
    config: TimelineConfig | None = None,
    speaker_stats: SpeakerStatsStore | None = None,
    after: Mapping[str | None, float] | None = None,
) -> Iterator[Recognition]:
    """Recognise the emotions expressed in a recording of any length, as they come.

    Args:
        recognizer: A model that hears speech.
        path: A file, as `iterate_audio` reads it.
        words: What is said when, in any order. A stretch is judged by the words that overlap its window by half, and
            by what was said before where the model reads that.
        asr: Speech recognition, for the words instead.
        speakers: Names of the speakers, one a channel; with `channels="mix"` at most one. Channels are called
            `channel 1`, `channel 2`, ... where no names are given.
        config: How to judge.
        speaker_stats: What the speakers, by their names here, have sounded like so far; a segment is judged by it and
            joins it afterwards. With `channels="mix"` only a named speaker has one.
        after: Where each speaker's results of an earlier, interrupted call ended, in seconds: those that follow are
            given. Neither for smoothing nor for baselines, which would have to know the ones before.

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
    conversation = Conversation(recognizer.context)
    timelines = []
    for channel, name in enumerate(names):
        heard = channel if config.channels == "speakers" else None
        stream = Stream(recognizer, header.sampling_rate, speaker=name, config=config, speaker_stats=speaker_stats)
        stream.join(conversation)
        known = (after or {}).get(name, 0.0) if recognizer.context == 0 else 0.0  # else what was said before is read
        listener = None if asr is None else SegmentTranscriber(asr, known_until=known)
        stream.add_words(words)
        timelines.append(_cut(stream, path, heard, listener))
    judged = _judged(heapq.merge(*timelines, key=lambda cut: cut.start), after or {})
    return chain.from_iterable(judged) if len(names) == 1 else _in_order(judged)


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
        speaker_stats: As in `recognize_long`; they grow as it goes.

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
        speaker_stats: SpeakerStatsStore | None = None,
    ) -> None:
        recognizer.check_hears()
        self._recognizer, self._sampling_rate = recognizer, sampling_rate
        self.speaker, self._config, self._speaker_stats = speaker, config or TimelineConfig(), speaker_stats
        self._segments = SegmentStream(sampling_rate, self._config.segments)
        self._words, self._smooth = WordsByTime(), _smoother(self._config.smoothing)
        self._conversation = Conversation(recognizer.context)
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
        return [result for segment in self.cut(samples, sampling_rate) for result in self.score_segment(segment)]

    def finish(self) -> list[Recognition]:
        """The results that the end makes known; where nobody spoke at all, one that abstained.

        Raises:
            BimodalError: The stream was finished before.
        """
        found = [result for segment in self.cut_rest() for result in self.score_segment(segment)]
        return found if self._results else [self.nothing()]

    def cut(self, samples: npt.ArrayLike, sampling_rate: int | None = None) -> list[Segment]:
        """As `push`, but gives the segments, for `judge`."""
        return self._segments.push(self._checked(samples, sampling_rate))

    def cut_rest(self) -> list[Segment]:
        """As `finish`, but gives the segment that the end completes, if any, for `judge`."""
        self._check_open()
        self._finished = True
        return self._segments.finish()

    def score_segment(self, segment: Segment) -> list[Recognition]:
        """The results of a segment that ended; segments are judged in their order."""
        heard = self._recognizer.encode(segment.signal)
        frames, clips = _windows(heard, segment, self._words, self._conversation, self.speaker, self._config)
        warnings = describe_quality(segment.signal) if heard is not None else ()
        results = self._recognizer.recognize_frames(frames, clips, self._speaker_stats, warnings)
        if self._config.explain:
            results = [self._explained(*parts) for parts in zip(frames, clips, results, strict=True)]
        if self._speaker_stats is not None and heard is not None:
            self._speaker_stats.add(self.speaker, pool(heard, self._recognizer.pooling))
        self.skip(segment)
        self._results += len(results)
        return [self._smooth(result) for result in results]

    def _explained(self, frames: SpeechFrames | None, clip: Clip, result: Recognition) -> Recognition:
        views = [] if frames is None else [frames]
        return replace(result, explanation=explain(self._recognizer, views, clip, result, self._speaker_stats))

    def skip(self, segment: Segment) -> None:
        """Take note of what was said in a segment, and no more."""
        self._conversation.add(self._words.between(segment.start, segment.end), self.speaker)
        self._words.forget(segment.end)

    def nothing(self) -> Recognition:
        """The result of a stream in which nobody spoke."""
        clip = Clip(start=0.0, end=self.duration, speaker=self.speaker)
        return replace(self._recognizer.recognize_frames([None], [clip])[0], reason=NO_SPEECH)

    def join(self, conversation: Conversation) -> None:
        """Share what was said before with the streams of the other speakers."""
        self._conversation = conversation

    def partial(self) -> Recognition | None:
        """What the last `window` seconds of the running segment sound like so far; None where nobody is speaking.

        It is provisional: the same speech is judged again, with what follows, when its segment ends. Nothing else
        depends on whether it was asked for. It is not smoothed.
        """
        segment = None if self._finished else self._segments.running(self._config.window)
        if segment is None:
            return None
        heard = self._recognizer.encode(segment.signal)
        clip = _clip(segment, self._words, self._conversation, self.speaker, *((segment.start, segment.end),) * 2)
        return self._recognizer.recognize_frames([heard], [clip], self._speaker_stats)[0]

    def add_words(self, words: Iterable[TimedWords]) -> None:
        """Words that were said, in any order; a segment is judged by those that are known when it ends.

        Those of another speaker are passed over.

        Raises:
            ConfigError: Times that are none.
        """
        for item in words:
            if self.speaker is None or item.speaker in (None, self.speaker):
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """A segment of one stream, or that the stream has none."""

    start: float
    segment: Segment | None
    stream: Stream


def _cut(stream: Stream, path: str | Path, channel: int | None, listener: SegmentTranscriber | None) -> Iterator[_Cut]:
    """The segments of a file, or of one channel of it, as they come, their words heard."""
    segments = _segments(stream, path, channel)
    found = False
    for segment in segments if listener is None else _listened(stream, segments, listener):
        found = True
        yield _Cut(start=segment.start, segment=segment, stream=stream)
    if not found:
        yield _Cut(start=0.0, segment=None, stream=stream)


def _segments(stream: Stream, path: str | Path, channel: int | None) -> Iterator[Segment]:
    for signal, _ in iterate_audio(path, channel=channel):
        yield from stream.cut(signal)
    yield from stream.cut_rest()


def _listened(stream: Stream, segments: Iterator[Segment], listener: SegmentTranscriber) -> Iterator[Segment]:
    for segment, words in listener.listen(segments):
        stream.add_words(words)
        yield segment


def _judged(cuts: Iterable[_Cut], after: Mapping[str | None, float]) -> Iterator[list[Recognition]]:
    """Results of each segment, but for those that end before their speaker's time `after`."""
    for cut in cuts:
        done = after.get(cut.stream.speaker, 0.0)
        if cut.segment is None:
            yield [] if done else [cut.stream.nothing()]
        elif cut.segment.end <= done:
            cut.stream.skip(cut.segment)
        else:
            yield [result for result in cut.stream.score_segment(cut.segment) if (result.start or 0.0) >= done]


def _in_order(judged: Iterable[Sequence[Recognition]]) -> Iterator[Recognition]:
    """Results of segments that overlap, of several speakers, by their beginning."""
    waiting: list[tuple[float, int, Recognition]] = []
    numbers = count()
    try:
        for results in judged:
            while waiting and results and waiting[0][0] < (results[0].start or 0.0):
                yield heapq.heappop(waiting)[2]
            for result in results:
                heapq.heappush(waiting, (result.start or 0.0, next(numbers), result))
    except AudioError:
        yield from (result for _, _, result in sorted(waiting))
        raise
    yield from (result for _, _, result in sorted(waiting))


def _windows(
    heard: SpeechFrames | None,
    segment: Segment,
    words: WordsByTime,
    conversation: Conversation,
    speaker: str | None,
    config: TimelineConfig,
) -> tuple[list[SpeechFrames | None], list[Clip]]:
    """Speech and words of each stretch of a segment; stretches divide it evenly."""
    clip = partial(_clip, segment, words, conversation, speaker)
    if heard is None:
        return [None], [clip((segment.start, segment.end), (segment.start, segment.end))]
    times = segment.start + np.arange(len(heard) + 1) * BACKBONE_FRAME_SECONDS
    times[-1] = segment.end  # the last frame may reach beyond the last sample
    times = times.tolist()
    frames: list[SpeechFrames | None] = []
    clips = []
    for first, end, left, right in _stretches(times, config):
        frames.append(heard.slice(left, right))
        clips.append(clip((times[first], times[end]), (times[left], times[right])))
    return frames, clips


def _clip(
    segment: Segment,
    words: WordsByTime,
    conversation: Conversation,
    speaker: str | None,
    stretch: tuple[float, float],
    window: tuple[float, float],
) -> Clip:
    """A stretch with the words of its window and what was said before that."""
    said = words.between(*window)
    earlier = [item for item in words.between(segment.start, window[0]) if item not in said]
    before = conversation.before(earlier if window[0] > segment.start else [], speaker)
    return Clip(speaker=speaker, start=stretch[0], end=stretch[1], before=before, **clip_words(said))


def _stretches(times: Sequence[float], config: TimelineConfig) -> Iterator[tuple[int, int, int, int]]:
    """First frame and end of each stretch, and of the window around it; `times` are the borders of the frames."""
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
