"""The emotions of a long recording over time: each segment is encoded once, then judged window by window."""

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import numpy as np

from bimodal.audio import read_header
from bimodal.errors import ConfigError
from bimodal.features.backbone import SpeechBlocks
from bimodal.features.baseline import SpeakerBaselines, pooled_statistics
from bimodal.recognizer import Recognizer
from bimodal.records import Clip, Recognition
from bimodal.segments import Segment, SegmentConfig, load_detector, segment_audio

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
    header, detector = read_header(path), load_detector()
    names = _speakers(path, speakers, header.channels, config)
    timelines = []
    for channel, name in enumerate(names):
        heard = channel if config.channels == "speakers" else None
        segments = segment_audio(path, config.segments, channel=heard, detector=detector)
        said = _WordsByTime([item for item in words if name is None or item.speaker in (None, name)])
        results = _recognize_segments(recognizer, segments, said, name, config, baselines)
        timelines.append(_or_abstained(results, recognizer, header.duration, name))
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


class _WordsByTime:
    """Timed words, found by a stretch of time without looking at all of them."""

    def __init__(self, words: Iterable[TimedWords]) -> None:
        self._words = sorted(words, key=lambda item: item.start)
        for item in self._words:
            if not 0 <= item.start <= item.end < math.inf:
                raise ConfigError(
                    f"words {item.text!r}: from {item.start} s to {item.end} s, expected 0 <= start <= end"
                )
        self._starts = [item.start for item in self._words]
        self._longest = max((item.end - item.start for item in self._words), default=0.0)

    def between(self, start: float, end: float) -> str | None:
        """The words that overlap a stretch by half of the shorter of both; None where there are none."""
        near = self._words[bisect_left(self._starts, start - self._longest) : bisect_left(self._starts, end)]
        said = [
            item.text
            for item in near
            if min(item.end, end) - max(item.start, start) >= min(item.end - item.start, end - start) / 2
        ]
        return " ".join(said) or None


def _recognize_segments(
    recognizer: Recognizer,
    segments: Iterable[Segment],
    words: _WordsByTime,
    speaker: str | None,
    config: TimelineConfig,
    baselines: SpeakerBaselines | None,
) -> Iterator[Recognition]:
    smooth = _smoother(config.smoothing)
    for segment in segments:
        heard = recognizer.encode(segment.signal)
        blocks, clips = _windows(heard, segment, words, speaker, config)
        results = recognizer.recognize_blocks(blocks, clips, baselines)
        if baselines is not None and heard is not None:
            baselines.add(speaker, pooled_statistics(heard))
        yield from map(smooth, results)


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


def _or_abstained(
    results: Iterable[Recognition], recognizer: Recognizer, duration: float, speaker: str | None
) -> Iterator[Recognition]:
    """The results, or one that abstained where there are none."""
    found = False
    for result in results:
        found = True
        yield result
    if not found:
        clip = Clip(start=0.0, end=duration, speaker=speaker)
        yield replace(recognizer.recognize_blocks([None], [clip])[0], reason=NO_SPEECH)
