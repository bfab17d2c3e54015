"""One speaker's speech, recognised while it is spoken: each segment is encoded once, then scored window by window."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from bimodal.asr.timed_words import Conversation, TimedWords, WordsByTime, clip_words
from bimodal.audio.decode import Signal, check_signal
from bimodal.audio.rates import check_rate
from bimodal.audio.segmentation import NO_SPEECH, Segment, SegmentConfig, SegmentStream
from bimodal.errors import AudioError, BimodalError, ConfigError
from bimodal.features.pooling import BACKBONE_FRAME_SECONDS, SpeechFrames, pool
from bimodal.features.quality import describe_quality
from bimodal.features.speaker_stats import RunningStats, SpeakerStatsStore
from bimodal.inference.explain import explain
from bimodal.inference.model import Model
from bimodal.inference.outputs import dimensions_of
from bimodal.inference.prediction_sets import check_coverage
from bimodal.records import MOST_SPEAKERS, Clip, CoverageBy, Recognition


@dataclass(frozen=True, kw_only=True)
class TimelineConfig:
    """How a long recording is recognised; lengths in seconds.

    Attributes:
        segments: Where speech begins and ends.
        hop: Approximate length of the stretch that one result covers. A segment is divided into equal stretches.
        window: Length of the speech that scores a stretch: the stretch in the middle, and its surroundings in the
            segment.
        smoothing: Time constant of an exponential average over a speaker's earlier scores; 0 for none.
        explain: Fill `explanation` of each result, for the scores before smoothing. It is several times slower.
        channels: `mix` averages all channels; `speakers` takes each channel for one speaker, as in a stereo call.
        track: Number of the sound track of a file, from 1; None for the one that the file marks as default.
        coverage: Of the prediction set of each result; None for no sets. With smoothing it is not promised.
        coverage_by: As in `Recognizer.recognize_batch`.
        speakers: How many people speak in the mix, or `auto` to find their number: each result says who speaks. None
            to tell nobody apart. For files alone.
        segmentation: ONNX file of the segmentation network that `speakers` needs; None for the file that the
            environment variable `BIMODAL_SEGMENTATION` names.
    """

    segments: SegmentConfig = field(default_factory=SegmentConfig)
    hop: float = 2.0
    window: float = 4.0
    smoothing: float = 0.0
    explain: bool = False
    channels: Literal["mix", "speakers"] = "mix"
    track: int | None = None
    coverage: float | None = None
    coverage_by: CoverageBy = "emotion"
    speakers: int | Literal["auto"] | None = None
    segmentation: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that contradict one another."""
        if not 0.2 <= self.hop <= self.window < math.inf:
            raise ConfigError(f"hop {self.hop} s, window {self.window} s: expected 0.2 <= hop <= window")
        if not 0 <= self.smoothing < math.inf:
            raise ConfigError(f"smoothing {self.smoothing} s: expected 0 or more")
        if self.channels not in ("mix", "speakers"):
            raise ConfigError(f"channels '{self.channels}': expected 'mix' or 'speakers'")
        if self.coverage is not None:
            check_coverage(self.coverage, self.coverage_by)
        self._check_speakers()

    def _check_speakers(self) -> None:
        if self.speakers is None:
            return
        number = 1 if self.speakers == "auto" else self.speakers
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_SPEAKERS:
            raise ConfigError(f"speakers {self.speakers!r:.40}: expected auto, or a number from 1 to {MOST_SPEAKERS}")
        if self.channels == "speakers":
            raise ConfigError(
                "speakers: each channel is one speaker already with channels='speakers'; give one of both"
            )


class Stream:
    """One speaker's timeline as it is spoken; `Recognizer.stream` opens one. Not for several threads at once.

    The results do not depend on how the samples are cut into pieces: `recognize_long` gives the same for a file. A
    segment ends at a pause or at its maximum length, and is scored then. Memory holds one segment only.

    Args:
        model: A model that uses recordings.
        sampling_rate: Of the samples, in Hz.
        speaker: Who speaks. The results repeat it, and it is the key of the speaker statistics.
        config: Settings; its `channels` and `track` are not used.
        speaker_stats: As in `recognize_long`; they grow.

    Raises:
        AudioError: No sampling rate in Hz.
        BimodalError: The model uses no recordings, or no speaker statistics.
    """

    def __init__(
        self,
        model: Model,
        sampling_rate: int,
        *,
        speaker: str | None = None,
        config: TimelineConfig | None = None,
        speaker_stats: SpeakerStatsStore | None = None,
    ) -> None:
        model.check_takes_audio()
        if speaker_stats is not None:
            model.check_uses_speaker_stats()
        self._model, self._sampling_rate = model, check_rate(sampling_rate)
        self.speaker, self._config, self._speaker_stats = speaker, config or TimelineConfig(), speaker_stats
        self._segments = SegmentStream(sampling_rate, self._config.segments)
        self._words, self._smooth = WordsByTime(), _smoother(self._config.smoothing)
        self._choose = model.set_chooser(self._config.coverage, self._config.coverage_by)
        self._conversation = Conversation(model.context)
        self._samples = self._results = 0
        self._finished = False

    @property
    def duration(self) -> float:
        """Length of the samples so far, in seconds."""
        return self._samples / self._sampling_rate

    def push(self, samples: npt.ArrayLike, sampling_rate: int | None = None) -> list[Recognition]:
        """Take the next samples, and give the results that they complete, in order.

        Args:
            samples: Floating point (T,) in [-1, 1]; any number, also none.
            sampling_rate: Of these samples; None for that of the stream.

        Raises:
            AudioError: Samples that are not finite, of another shape or kind, or of another sampling rate. The stream
                ignores them and stays usable.
            BimodalError: The stream was finished.
        """
        return [result for segment in self.cut(samples, sampling_rate) for result in self.score_segment(segment)]

    def finish(self) -> list[Recognition]:
        """The remaining results; if nobody spoke at all, one that abstained.

        Raises:
            BimodalError: The stream was already finished.
        """
        found = [result for segment in self.cut_rest() for result in self.score_segment(segment)]
        return found if self._results else [self.nothing()]

    def cut(self, samples: npt.ArrayLike, sampling_rate: int | None = None) -> list[Segment]:
        """As `push`, but gives the segments, for `score_segment`."""
        return self._segments.push(self._checked(samples, sampling_rate))

    def cut_rest(self) -> list[Segment]:
        """As `finish`, but gives the segment that the end completes, if any, for `score_segment`."""
        self._check_open()
        self._finished = True
        return self._segments.finish()

    def score_segment(self, segment: Segment) -> list[Recognition]:
        """The results of a finished segment. Call it for the segments in order."""
        frames = self._model.encode_frames(segment.signal)
        before = None
        if frames is not None and self._speaker_stats is not None:
            before = self._speaker_stats.join(self.speaker, pool(frames, self._model.pooling))
        windows, clips = _windows(frames, segment, self._words, self._conversation, self.speaker, self._config)
        results = self._score(
            windows, clips, before, () if frames is None else describe_quality(segment.signal, frames.mel)
        )
        if self._config.explain:
            results = [self._explained(*parts, before) for parts in zip(windows, clips, results, strict=True)]
        self.skip(segment)
        self._results += len(results)
        return [self._choose(self._smooth(result)) for result in results]

    def _score(
        self,
        windows: Sequence[SpeechFrames | None],
        clips: Sequence[Clip],
        before: RunningStats | None = None,
        warnings: Sequence[str] = (),
    ) -> list[Recognition]:
        """Results of the windows of one segment, all with the speaker statistics before it."""
        durations = [(clip.end or 0.0) - (clip.start or 0.0) for clip in clips]
        encoded = [self._model.pool(*parts, warnings) for parts in zip(windows, durations, strict=True)]
        return self._model.score(clips, encoded, None if self._speaker_stats is None else [before] * len(clips))

    def _explained(
        self, frames: SpeechFrames | None, clip: Clip, result: Recognition, before: RunningStats | None
    ) -> Recognition:
        kept = [] if frames is None else [frames]
        return replace(result, explanation=explain(self._model, kept, clip, result, before))

    def skip(self, segment: Segment) -> None:
        """Remember the words of a segment as context, without scoring it."""
        self._conversation.add(self._words.between(segment.start, segment.end), self.speaker)
        self._words.forget(segment.end)

    def nothing(self) -> Recognition:
        """The result of a stream in which nobody spoke."""
        clip = Clip(start=0.0, end=self.duration, speaker=self.speaker)
        return replace(self._score([None], [clip])[0], reason=NO_SPEECH)

    def join(self, conversation: Conversation) -> None:
        """Share the earlier utterances with the streams of the other speakers."""
        self._conversation = conversation

    def partial(self) -> Recognition | None:
        """A provisional result for the last `window` seconds of the running segment; None if nobody is speaking.

        The same speech is scored again when its segment ends. A call changes no later result. The scores are not
        smoothed.
        """
        segment = None if self._finished else self._segments.running(self._config.window)
        if segment is None:
            return None
        frames = self._model.encode_frames(segment.signal)
        clip = _clip(segment, self._words, self._conversation, self.speaker, *((segment.start, segment.end),) * 2)
        before = None
        if frames is not None and self._speaker_stats is not None:
            before = self._speaker_stats.of(self.speaker, pool(frames, self._model.pooling).shape)
        return self._choose(self._score([frames], [clip], before)[0])

    def add_words(self, words: Iterable[TimedWords]) -> None:
        """Add words with times, in any order. A segment is scored with the words that were added before it ended.

        Words of another speaker are skipped.

        Raises:
            ConfigError: Invalid times.
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


def _windows(
    encoded: SpeechFrames | None,
    segment: Segment,
    words: WordsByTime,
    conversation: Conversation,
    speaker: str | None,
    config: TimelineConfig,
) -> tuple[list[SpeechFrames | None], list[Clip]]:
    """Speech and words of each stretch of a segment; stretches divide it evenly."""
    clip = partial(_clip, segment, words, conversation, speaker)
    if encoded is None:
        return [None], [clip((segment.start, segment.end), (segment.start, segment.end))]
    times = segment.start + np.arange(len(encoded) + 1) * BACKBONE_FRAME_SECONDS
    times[-1] = segment.end  # the last frame may reach beyond the last sample
    times = times.tolist()
    frames: list[SpeechFrames | None] = []
    clips = []
    for first, end, left, right in _stretches(times, config):
        frames.append(encoded.slice(left, right))
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
    """A stretch with the words of its window and the earlier words."""
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
    """Exponential average of one speaker's scores over time."""
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
        emotion = max(before, key=before.__getitem__)
        return replace(result, emotion=emotion, scores=before, **dimensions_of(before))

    return smooth
