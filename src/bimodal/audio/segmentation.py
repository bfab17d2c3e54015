"""Speech cut at its pauses as it comes, from a file or a stream, so that memory stays flat. Imports no torch.

`bimodal.audio.voice_activity` gives the probability of speech of each frame.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, Signal, iterate_audio
from bimodal.audio.rates import check_rate
from bimodal.audio.voice_activity import VAD_FRAME, VAD_FRAME_SECONDS, SpeechDetector, iterate_probabilities
from bimodal.errors import ConfigError, tell

_LONGEST: Final = 600.0  # seconds

NO_SPEECH: Final = tell("no-speech")
"""Reason of the one result of a recording, or a channel, in which nobody speaks."""


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """Where speech begins and ends; lengths in seconds.

    Attributes:
        threshold: Probability of speech at which a segment begins.
        release: Probability below which a frame counts as pause; below `threshold`, so that segments do not flutter.
        min_pause: A pause this long ends a segment.
        min_speech: Segments with less speech than this are dropped.
        max_seconds: Longer segments are cut where speech is least probable in their second half.
        padding: What is kept before and after speech; shorter than `min_pause`.
    """

    threshold: float = 0.5
    release: float = 0.35
    min_pause: float = 0.3
    min_speech: float = 0.25
    max_seconds: float = 12.0
    padding: float = 0.03

    def __post_init__(self) -> None:
        """Refuse values that contradict one another."""
        if not 0 < self.release <= self.threshold < 1:
            raise ConfigError(
                f"release {self.release}, threshold {self.threshold}: expected 0 < release <= threshold < 1"
            )
        if not 0 <= self.padding < self.min_pause <= _LONGEST:
            raise ConfigError(
                f"padding {self.padding} s, min_pause {self.min_pause} s: expected 0 <= padding < min_pause <= "
                f"{_LONGEST:g}"
            )
        if not 0 < self.min_speech < self.max_seconds <= _LONGEST or self.max_seconds < 1:
            raise ConfigError(
                f"min_speech {self.min_speech} s, max_seconds {self.max_seconds} s: expected 0 < min_speech < "
                "max_seconds, and max_seconds from 1 to 600"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Segment:
    """A stretch of speech between two pauses.

    Attributes:
        start: Where it begins in the recording, in seconds.
        end: Where it ends, in seconds.
        signal: Its samples (T,) at 16 kHz.
    """

    start: float
    end: float
    signal: Signal


class PauseFinder:
    """Turns probabilities of speech, one frame after the other, into stretches between pauses.

    Example:
        >>> finder = PauseFinder(SegmentConfig(padding=0.0, min_pause=0.1))
        >>> probabilities = [0.0] * 10 + [0.9] * 20 + [0.0] * 10
        >>> [stretch for value in probabilities for stretch in finder.push(value)]
        [(10, 30)]
    """

    def __init__(self, config: SegmentConfig) -> None:
        self._config = config
        self._pause, self._speech, self._longest, self._padding = (
            round(seconds / VAD_FRAME_SECONDS)
            for seconds in (config.min_pause, config.min_speech, config.max_seconds, config.padding)
        )
        self._pause = max(self._pause, self._padding + 1)
        self._seen = self._free = 0  # frames seen; first frame that no stretch has taken
        self._start: int | None = None
        self._probabilities: list[float] = []  # from the start of the open stretch

    @property
    def needed(self) -> int:
        """The first frame that a later stretch may still contain."""
        return max(self._free, self._seen - self._padding) if self._start is None else self._start

    @property
    def running(self) -> tuple[int, int] | None:
        """First frame of the open stretch, and the one after its speech so far; None without enough of either."""
        last = None if self._start is None else self._last_voiced()
        if last is None:
            return None
        kept = self._kept(self._start or 0, min(last + self._padding, self._seen), self._probabilities)
        return kept[0] if kept else None

    def push(self, probability: float) -> list[tuple[int, int]]:
        """Take the next frame; gives the stretches (first frame, frame after the last) that it completes."""
        frame, self._seen = self._seen, self._seen + 1
        if self._start is None:
            if probability >= self._config.threshold:
                self._start = max(self._free, frame - self._padding)
                self._probabilities = [0.0] * (frame - self._start) + [probability]
            return []
        self._probabilities.append(probability)
        last = self._last_voiced()
        if last is None or self._seen - last > self._pause:
            return self._close()
        return self._cut() if len(self._probabilities) >= self._longest else []

    def finish(self) -> list[tuple[int, int]]:
        """The stretch that the end of the recording completes, if any."""
        return [] if self._start is None else self._close()

    def _last_voiced(self) -> int | None:
        """Frame after the last one with speech in the open stretch; a pause longer than `_pause` closed it before."""
        first = self._start or 0
        for index in range(len(self._probabilities) - 1, -1, -1):
            if self._probabilities[index] >= self._config.release:
                return first + index + 1
        return None

    def _close(self) -> list[tuple[int, int]]:
        last = self._last_voiced()
        first, self._start = self._start or 0, None
        if last is None:
            return []
        self._free = min(last + self._padding, self._seen)
        return self._kept(first, self._free, self._probabilities)

    def _cut(self) -> list[tuple[int, int]]:
        """Cut at the least probable third of a second in the second half of a stretch that grew too long."""
        first = self._start or 0
        width = min(10, len(self._probabilities))
        smooth = np.convolve(self._probabilities, np.ones(width) / width, mode="same")
        half = len(smooth) // 2
        cut = half + int(np.argmin(smooth[half:-1])) if len(smooth) > 2 else len(smooth)
        done, self._probabilities = self._probabilities[:cut], self._probabilities[cut:]
        self._start = self._free = first + cut
        return self._kept(first, first + cut, done)

    def _kept(self, first: int, end: int, probabilities: list[float]) -> list[tuple[int, int]]:
        voiced = sum(probability >= self._config.release for probability in probabilities)
        return [(first, end)] if voiced >= self._speech else []


def segment_audio(
    path: str | Path,
    config: SegmentConfig | None = None,
    *,
    channel: int | None = None,
    block_seconds: float = 30.0,
) -> Iterator[Segment]:
    """Cut a recording of any length at its pauses.

    Args:
        path: A file, as `iterate_audio` reads it.
        config: Where speech begins and ends.
        channel: Number of the channel to read, from 0; None for the mean of all.
        block_seconds: How much is decoded at once; has no influence on the segments.

    Yields:
        Segments in order, without overlap; none where nobody speaks.

    Raises:
        AudioError: As in `iterate_audio`; in a damaged file, after the segments that were still whole.
    """
    stream: SegmentStream | None = None
    for signal, rate in iterate_audio(path, block_seconds=block_seconds, channel=channel):
        stream = stream or SegmentStream(rate, config or SegmentConfig())
        yield from stream.push(signal)
    yield from stream.finish() if stream is not None else []


class SegmentStream:
    """Cuts a stream at its pauses; how it is cut into pieces has no influence on the segments.

    Args:
        sampling_rate: Of the stream, in Hz.
        config: Where speech begins and ends.

    Raises:
        AudioError: As in `check_rate`.
    """

    def __init__(self, sampling_rate: int, config: SegmentConfig) -> None:
        self._resampler = Resampler(sampling_rate)
        self._detector, self._finder = SpeechDetector(), PauseFinder(config)
        self._rest = np.zeros(0, np.float32)  # less than a frame
        self._held: deque[Signal] = deque()
        self._first = 0  # number of the first held frame

    def push(self, signal: Signal) -> list[Segment]:
        """Take the next samples, any number; gives the segments whose end they make known."""
        return self._take(self._resampler.push(signal))

    def finish(self) -> list[Segment]:
        """The segment that the end of the stream completes, if any."""
        found = self._take(self._resampler.finish())
        if len(self._rest):
            filled = np.pad(self._rest, (0, VAD_FRAME - len(self._rest)))
            found += self._push_frame(self._rest, self._detector.push(filled))
            self._rest = self._rest[:0]
        return found + self._segments(self._finder.finish())

    def running(self, seconds: float) -> Segment | None:
        """The last seconds of the segment that has not ended yet; None where nobody is speaking."""
        stretch = self._finder.running
        if stretch is None:
            return None
        first = max(stretch[0], stretch[1] - round(seconds / VAD_FRAME_SECONDS))
        return self._segments([(first, stretch[1])])[0]

    def _take(self, signal: Signal) -> list[Segment]:
        self._rest = np.concatenate([self._rest, signal])
        whole = len(self._rest) // VAD_FRAME * VAD_FRAME
        frames, self._rest = self._rest[:whole], self._rest[whole:].copy()
        found = []
        for number, probability in enumerate(self._detector.push_all(frames)):
            found += self._push_frame(frames[number * VAD_FRAME : (number + 1) * VAD_FRAME].copy(), probability)
        return found

    def _push_frame(self, frame: Signal, probability: float) -> list[Segment]:
        """Take one frame with its probability of speech; only the stream's last one may be shorter than `VAD_FRAME`."""
        self._held.append(frame)
        found = self._segments(self._finder.push(probability))
        while self._first < self._finder.needed and self._held:
            self._held.popleft()
            self._first += 1
        return found

    def _segments(self, stretches: Sequence[tuple[int, int]]) -> list[Segment]:
        segments = []
        for start, end in stretches:
            last = min(end, self._first + len(self._held))
            signal = np.concatenate([self._held[index - self._first] for index in range(start, last)])
            first = start * VAD_FRAME
            # Whole samples, divided once: where long speech is cut, one segment ends exactly where the next begins.
            times = first / SAMPLING_RATE, (first + len(signal)) / SAMPLING_RATE
            segments.append(Segment(start=times[0], end=times[1], signal=signal))
        return segments


def holds_segment(signal: Signal) -> bool:
    """Whether speech lasts long enough in a signal (T,) at 16 kHz to be a segment; stricter than `holds_speech`.

    Raises:
        BimodalError: As in `load_detector`.
    """
    finder = PauseFinder(SegmentConfig())
    return any(finder.push(one) or finder.running for one in iterate_probabilities(signal)) or bool(finder.finish())


class Resampler:
    """Brings a stream to 16 kHz; libsoxr gives the same samples, however the stream is cut into pieces."""

    def __init__(self, sampling_rate: int) -> None:
        rate = check_rate(sampling_rate)
        self._stream: Any = None
        if rate != SAMPLING_RATE:
            import soxr

            self._stream = soxr.ResampleStream(rate, SAMPLING_RATE, 1, dtype="float32")

    def push(self, signal: Signal) -> Signal:
        """What the next samples make known."""
        return signal if self._stream is None else self._stream.resample_chunk(signal)

    def finish(self) -> Signal:
        """What the end makes known."""
        nothing = np.zeros(0, np.float32)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)
