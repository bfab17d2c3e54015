"""Baselines: running statistics of what a speaker (a corpus, a call) has sounded like so far, without labels.

What is kept are count, mean and summed squares around it of the pooled statistics of the clips heard so far, so a
baseline grows clip by clip (Welford 1962), two are merged exactly (Chan et al. 1979), and it holds no speech: 24 KiB a
speaker. It is causal: a clip is judged by the baseline of the clips in front of it, and joins it afterwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bimodal.arrays import Floats
from bimodal.errors import ModelFolderError

INPUTS: Final = ("heard", "own_mean", "own_std")
"""Inputs of a speech network that takes a baseline."""

_PARTS: Final = ("count", "mean", "squares")


@dataclass(frozen=True, kw_only=True)
class RunningStats:
    """Statistics of the clips heard so far.

    Attributes:
        count: Clips n.
        mean: Mean of their pooled statistics, (P, L, D).
        squares: Summed squares around it, (P, L, D).
    """

    count: int
    mean: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]

    @property
    def std(self) -> npt.NDArray[np.float64]:
        """Deviation over the clips, (P, L, D); 0 for fewer than two."""
        return np.sqrt(np.maximum(self.squares, 0.0) / max(1, self.count))


def empty_stats(shape: tuple[int, ...]) -> RunningStats:
    """A baseline of nothing.

    Example:
        >>> empty_stats((2, 3, 4)).count
        0
    """
    return RunningStats(count=0, mean=np.zeros(shape), squares=np.zeros(shape))


def measure_stats(statistics: npt.NDArray[Any]) -> RunningStats:
    """The baseline of clips at once: their pooled statistics (N, P, L, D).

    Example:
        >>> measure_stats(np.array([[1.0], [3.0]])).squares.tolist()
        [2.0]
    """
    values = np.asarray(statistics, np.float64)
    mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1:])
    return RunningStats(count=len(values), mean=mean, squares=((values - mean) ** 2).sum(axis=0))


def merge_stats(one: RunningStats, other: RunningStats) -> RunningStats:
    """The baseline of the clips of both.

    Example:
        >>> both = merge_stats(measure_stats(np.ones((1, 1))), measure_stats(np.full((1, 1), 3.0)))
        >>> both.count, both.mean.tolist(), both.squares.tolist()
        (2, [2.0], [2.0])
    """
    count = one.count + other.count
    step = other.mean - one.mean
    share = other.count / max(1, count)
    squares = one.squares + other.squares + step**2 * (one.count * share)
    return RunningStats(count=count, mean=one.mean + step * share, squares=squares)


def speaker_stats_inputs(speaker_stats: Sequence[RunningStats]) -> dict[str, Floats]:
    """What a speech network is told of B baselines: `heard` (B,), `own_mean` and `own_std` (B, P, L, D)."""
    return {
        "heard": np.array([stats.count for stats in speaker_stats], np.float32),
        "own_mean": np.stack([stats.mean for stats in speaker_stats]).astype(np.float32),
        "own_std": np.stack([stats.std for stats in speaker_stats]).astype(np.float32),
    }


class SpeakerStatsStore:
    """A baseline per speaker, which grows as they are heard; not for several threads at once.

    Args:
        known: Baselines to begin with.
    """

    def __init__(self, known: dict[str, RunningStats] | None = None) -> None:
        self._known = dict(known or {})

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, speaker: str | None) -> bool:
        return speaker in self._known

    @property
    def speakers(self) -> tuple[str, ...]:
        """Whose baselines there are, sorted."""
        return tuple(sorted(self._known))

    def copy(self) -> "SpeakerStatsStore":
        """The same, growing apart from now on."""
        return SpeakerStatsStore(self._known)

    def of(self, speaker: str | None, shape: tuple[int, ...]) -> RunningStats:
        """A speaker's baseline; that of nothing, of a shape, for one who was not heard or is not named."""
        return self._known.get(speaker or "") or empty_stats(shape)

    def join(self, speaker: str | None, statistics: Floats) -> RunningStats:
        """Statistics of a speaker before a segment, which joins them now: what is scored never scores itself.

        Args:
            speaker: Who speaks; None knows nothing before and is not remembered.
            statistics: Of the whole segment, pooled, (P, L, D).
        """
        before = self.of(speaker, statistics.shape)
        self.add(speaker, statistics)
        return before

    def add(self, speaker: str | None, statistics: Floats) -> None:
        """Hear a clip's pooled statistics (P, L, D); of nobody in particular it is forgotten."""
        if speaker:
            heard = measure_stats(statistics[None])
            self._known[speaker] = merge_stats(self.of(speaker, statistics.shape), heard)


def measure_speaker_stats(clips: Iterable[tuple[str | None, Floats]]) -> SpeakerStatsStore:
    """Baselines of all speakers of some clips: who speaks, and the pooled statistics (P, L, D)."""
    speaker_stats = SpeakerStatsStore()
    for speaker, statistics in clips:
        speaker_stats.add(speaker, statistics)
    return speaker_stats


def save_speaker_stats(file: str | Path, speaker_stats: SpeakerStatsStore) -> None:
    """Write baselines as safetensors, so that a user's history outlives a call. It holds statistics, no speech.

    Raises:
        ModelFolderError: The file cannot be written.
    """
    flat = {}
    for speaker in speaker_stats.speakers:
        stats = speaker_stats.of(speaker, ())
        for part in _PARTS:
            flat[f"{part}/{speaker}"] = np.asarray(getattr(stats, part))
    try:
        save_file(flat, file)
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"{file}: cannot be written ({error}); name another file") from error


def load_speaker_stats(file: str | Path) -> SpeakerStatsStore:
    """Read baselines.

    Raises:
        ModelFolderError: Missing, damaged, or something else than baselines.
    """
    try:
        flat = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"{file}: no baselines of speakers can be read ({error})") from error
    speakers = {name.partition("/")[2] for name in flat}
    expected = {f"{part}/{speaker}" for part in _PARTS for speaker in speakers}
    if set(flat) != expected:
        raise ModelFolderError(f"{file}: holds {sorted(flat)[:3]}, expected count, mean and squares of speakers")
    return SpeakerStatsStore({name: _checked(file, name, flat) for name in speakers})


def _checked(file: str | Path, speaker: str, flat: dict[str, npt.NDArray[Any]]) -> RunningStats:
    count, mean, squares = (flat[f"{part}/{speaker}"] for part in _PARTS)
    sound = count.shape == () and count >= 0 and mean.shape == squares.shape and np.isfinite([mean, squares]).all()
    if not sound:
        raise ModelFolderError(f"{file}: the baseline of '{speaker}' is damaged; delete the file to begin anew")
    return RunningStats(count=int(count), mean=mean.astype(np.float64), squares=squares.astype(np.float64))
