"""Stretches in which one set of people speaks, as a recording comes: windows of 10 s with 5 s of overlap.

Each window is decided in its middle, where the network sees speech on both sides. So memory holds one window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from bimodal.arrays import Floats
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.audio.segmentation import Resampler
from bimodal.diarisation.networks import FRAME, SHORTEST_UNIT, Networks

WINDOW_SECONDS: Final = 10.0
"""Length of a window, for which the network was trained."""

STEP_SECONDS: Final = 5.0
"""From one window to the next."""

_WINDOW: Final = round(WINDOW_SECONDS * SAMPLING_RATE)
_STEP: Final = round(STEP_SECONDS * SAMPLING_RATE)
_MARGIN: Final = (_WINDOW - _STEP) // 2
_SHORT_GAP: Final = 0.3  # seconds; a breath does not end a stretch


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stretch:
    """A stretch of a recording in which the same people speak.

    Attributes:
        start: In seconds.
        end: In seconds.
        window: Number of the window that it was found in.
        speakers: Numbers of those who speak, within this window alone: one, or two who speak at once.
        embedding: Direction of the voice (D,); None where two speak, or where the stretch is too short.
    """

    start: float
    end: float
    window: int
    speakers: tuple[int, ...]
    embedding: Floats | None

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.start


class StretchFinder:
    """Finds the stretches of a stream; how it is cut into pieces has no influence on them.

    Args:
        networks: Both networks.
        sampling_rate: Of the stream, in Hz.

    Raises:
        AudioError: No sampling rate that can be used.
    """

    def __init__(self, networks: Networks, sampling_rate: int) -> None:
        self._networks, self._resampler = networks, Resampler(sampling_rate)
        self._held = np.zeros(0, np.float32)  # from the beginning of the next window
        self._window = 0

    def push(self, signal: Signal) -> list[Stretch]:
        """Take the next samples, any number; gives the stretches of the windows that they complete."""
        return self._take(self._resampler.push(signal))

    def finish(self) -> list[Stretch]:
        """The stretches of the last window."""
        found = self._take(self._resampler.finish())
        decided = _MARGIN if self._window else 0  # the window before has decided so much of what is held
        return found + (self._decide(self._held, last=True) if len(self._held) > decided else [])

    def _take(self, signal: Signal) -> list[Stretch]:
        self._held = np.concatenate([self._held, signal])
        found: list[Stretch] = []
        while len(self._held) > _WINDOW:  # more, so that the last window is known as such
            found += self._decide(self._held[:_WINDOW], last=False)
            self._held = self._held[_STEP:].copy()
            self._window += 1
        return found

    def _decide(self, window: Signal, *, last: bool) -> list[Stretch]:
        """Stretches of the middle of a window; of the first one also its beginning, of the last one also its end."""
        active = self._networks.active_speakers(np.pad(window, (0, _WINDOW - len(window))))
        first = _MARGIN if self._window else 0
        end = len(window) if last else _WINDOW - _MARGIN
        begin = self._window * _STEP
        runs = _joined(_runs(active, first, end))
        return [self._stretch(window, begin, run) for run in runs if run[1] - run[0] >= SHORTEST_UNIT * SAMPLING_RATE]

    def _stretch(self, window: Signal, begin: int, run: "_Run") -> Stretch:
        first, end, speakers = run
        alone = len(speakers) == 1
        return Stretch(
            start=(begin + first) / SAMPLING_RATE,
            end=(begin + end) / SAMPLING_RATE,
            window=self._window,
            speakers=speakers,
            embedding=self._networks.embed(window[first:end]) if alone else None,
        )


_Run = tuple[int, int, tuple[int, ...]]
"""First sample of a window, the one after the last, and who speaks."""


def _runs(active: Floats, first: int, end: int) -> Iterator[_Run]:
    """Runs of equal sets of speakers between two samples of a window; pauses are left out."""
    codes = (active @ (1 << np.arange(active.shape[1]))).astype(np.int64)
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for left, right in pairwise(borders):
        speakers = tuple(np.flatnonzero(active[left]).tolist())
        # The frames of the network end a little before the window does.
        stop = end if right == len(codes) else min(end, right * FRAME)
        begin = max(first, left * FRAME)
        if speakers and begin < stop:
            yield begin, stop, speakers


def _joined(runs: Iterator[_Run]) -> list[_Run]:
    """Runs of the same speakers with a short pause between them as one.

    Example:
        >>> _joined(iter([(0, 16000, (0,)), (17000, 32000, (0,)), (32000, 40000, (1,))]))
        [(0, 32000, (0,)), (32000, 40000, (1,))]
    """
    found: list[_Run] = []
    for run in runs:
        before = found[-1] if found else None
        if before is not None and before[2] == run[2] and run[0] - before[1] < _SHORT_GAP * SAMPLING_RATE:
            found[-1] = (before[0], run[1], run[2])
        else:
            found.append(run)
    return found
