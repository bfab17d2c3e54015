"""Statistics over time of a speech backbone's frames: the input of the speech network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Floats
from bimodal.audio.decode import Signal
from bimodal.records import Statistic

STATISTICS: Final[tuple[Statistic, ...]] = ("mean", "std", "p10", "p50", "p90")
BACKBONE_FRAME_SECONDS: Final = 0.02
"""Length of a frame of a speech backbone; a frame of the voice activity detector has another, `VAD_FRAME_SECONDS`."""

SPEECH_RANGE_DB: Final = 35.0
"""A frame that is so much quieter than the loud ones is a pause."""

_FRAME_SAMPLES: Final = 320
_LOUD: Final = 95  # percentile of the frames' levels that stands for the loud ones
_LEAST_POWER: Final = 1e-10


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """Which statistics a network is shown.

    Attributes:
        statistics: Mean, deviation or percentiles over the frames, P of them.
        speech_only: Whether pauses are left out.
    """

    statistics: tuple[Statistic, ...] = ("mean", "std")
    speech_only: bool = False


@dataclass(frozen=True, kw_only=True)
class SpeechFrames:
    """A stretch of speech as its backbone encodes it.

    Attributes:
        states: Hidden states (T, L, D), one frame in 20 ms.
        level: Level of each frame, (T,), in dB of full scale, the whole brought to one level before.
        mel: Log-mel spectrogram (80, T) that the backbone was given, in frames of 10 ms; None for a backbone over bare
            samples, and for a part of a stretch or several joined ones.
    """

    states: Floats
    level: Floats
    mel: Floats | None = None

    def __len__(self) -> int:
        return len(self.level)

    def slice(self, first: int, end: int) -> "SpeechFrames":
        """Frames `first` to `end`, the latter not among them."""
        return SpeechFrames(states=self.states[first:end], level=self.level[first:end])


def join_frames(parts: Sequence[SpeechFrames]) -> SpeechFrames:
    """The frames of several stretches as those of one."""
    if len(parts) == 1:
        return parts[0]
    return SpeechFrames(
        states=np.concatenate([part.states for part in parts]), level=np.concatenate([part.level for part in parts])
    )


def frame_levels(signal: Signal, frames: int) -> Floats:
    """Level in dB of full scale of each of the 20 ms frames of a 16 kHz signal, (T,).

    Example:
        >>> frame_levels(np.full(960, 0.1, np.float32), 3).round().tolist()
        [-20.0, -20.0, -20.0]
    """
    whole = signal[: max(1, len(signal) // _FRAME_SAMPLES) * _FRAME_SAMPLES]
    power = (whole * whole).reshape(max(1, len(whole) // _FRAME_SAMPLES), -1).mean(axis=1)[:frames]
    if len(power) < frames:
        power = np.pad(power, (0, frames - len(power)), mode="edge")
    return np.asarray(10 * np.log10(power + _LEAST_POWER), np.float32)


def pool(frames: SpeechFrames, pooling: Pooling) -> Floats:
    """Statistics (P, L, D) over the frames.

    Example:
        >>> frames = SpeechFrames(states=np.arange(11.0).reshape(11, 1, 1), level=np.append(np.zeros(10), -90.0))
        >>> pool(frames, Pooling(statistics=("mean", "p90"))).ravel().tolist()
        [5.0, 9.0]
        >>> pool(frames, Pooling(statistics=("mean",), speech_only=True)).ravel().tolist()
        [4.5]
    """
    kept = _speech(frames.level) if pooling.speech_only else None
    states = frames.states if kept is None or kept.all() else frames.states[kept]
    return _measure(states, pooling.statistics)


def pool_all(frames: SpeechFrames) -> Floats:
    """Every statistic over all frames, and over those with speech, (2, 5, L, D); `select` takes what is wanted."""
    return np.stack([pool(frames, Pooling(statistics=STATISTICS, speech_only=only)) for only in (False, True)])


def select(held: npt.NDArray[Any], pooling: Pooling) -> npt.NDArray[Any]:
    """Of what `pool_all` gave the statistics (P, L, D) of a pooling."""
    return held[int(pooling.speech_only), [STATISTICS.index(name) for name in pooling.statistics]]


def _speech(level: Floats) -> npt.NDArray[np.bool_]:
    loud = _percentiles(level, [_LOUD])[0]  # np.percentile imports numpy.ma, 20 ms
    return np.asarray(level >= loud - SPEECH_RANGE_DB)


def _measure(states: Floats, names: Sequence[Statistic]) -> Floats:
    wanted = [int(name[1:]) for name in names if name.startswith("p")]
    found: dict[str, Floats] = {}
    if "mean" in names:
        found["mean"] = states.mean(axis=0)
    if wanted:
        found |= zip((f"p{rank}" for rank in wanted), _percentiles(states, wanted), strict=True)
    if "std" in names:
        found["std"] = states.std(axis=0)
    return np.stack([found[name] for name in names]).astype(np.float32)


def _percentiles(states: Floats, ranks: Sequence[int]) -> Floats:
    """Percentiles over the first axis, as numpy's; sorting rows that lie together is ten times faster."""
    rows = np.array(np.moveaxis(states, 0, -1), order="C").reshape(-1, len(states))
    rows.sort(axis=1)
    places = np.array(ranks) / 100 * (len(states) - 1)
    low, high = np.floor(places).astype(int), np.ceil(places).astype(int)
    share = (places - low).astype(rows.dtype)
    found: Floats = (1 - share) * rows[:, low] + share * rows[:, high]
    return found.T.reshape(len(ranks), *states.shape[1:])
