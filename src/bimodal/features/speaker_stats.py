"""Speaker statistics: running statistics of the clips of a speaker (a corpus, a call) so far, without labels.

They are count, mean and summed squares around the mean of the pooled statistics. So they grow clip by clip (Welford
1962), two are merged exactly (Chan et al. 1979), and they hold no speech: 24 KiB a speaker. They are causal: a clip is
scored with the statistics of the clips before it, and joins them afterwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bimodal.arrays import Floats
from bimodal.errors import ModelFolderError
from bimodal.files import atomic_write

_PARTS: Final = ("count", "mean", "squares")
_LAST: Final = "last"  # key of a file's metadata


@dataclass(frozen=True, kw_only=True)
class RunningStats:
    """Statistics of the clips so far.

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
    """Statistics of no clips.

    Example:
        >>> empty_stats((2, 3, 4)).count
        0
    """
    return RunningStats(count=0, mean=np.zeros(shape), squares=np.zeros(shape))


def measure_stats(statistics: npt.NDArray[Any]) -> RunningStats:
    """Statistics of N clips at once, from their pooled statistics (N, P, L, D).

    Example:
        >>> measure_stats(np.array([[1.0], [3.0]])).squares.tolist()
        [2.0]
    """
    values = np.asarray(statistics, np.float64)
    mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1:])
    return RunningStats(count=len(values), mean=mean, squares=((values - mean) ** 2).sum(axis=0))


def merge_stats(one: RunningStats, other: RunningStats) -> RunningStats:
    """Statistics of the clips of both.

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
    """Network inputs of B utterances, by name: `clip_count` (B,), `own_mean` and `own_std` (B, P, L, D)."""
    return {
        "clip_count": np.array([stats.count for stats in speaker_stats], np.float32),
        "own_mean": np.stack([stats.mean for stats in speaker_stats]).astype(np.float32),
        "own_std": np.stack([stats.std for stats in speaker_stats]).astype(np.float32),
    }


class SpeakerStatsStore:
    """Statistics of several speakers, which grow clip by clip; not safe to use from several threads.

    Args:
        known: Statistics by speaker to begin with.
        last: Name of the recording that was added last, for a call that continues an interrupted one; empty for none.
    """

    def __init__(self, known: dict[str, RunningStats] | None = None, last: str = "") -> None:
        self._known, self.last = dict(known or {}), last

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, speaker: str | None) -> bool:
        return speaker in self._known

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers with statistics, sorted."""
        return tuple(sorted(self._known))

    def copy(self) -> "SpeakerStatsStore":
        """An independent copy."""
        return SpeakerStatsStore(self._known, self.last)

    def of(self, speaker: str | None, shape: tuple[int, ...]) -> RunningStats:
        """A speaker's statistics; those of no clips, with this shape, for an unknown speaker or None.

        Raises:
            ModelFolderError: They have another shape.
        """
        known = self._known.get(speaker or "") or empty_stats(shape)
        if shape and known.mean.shape != shape:
            raise ModelFolderError(
                f"the speaker statistics of '{speaker}' have the shape {known.mean.shape}, this model gives {shape}; "
                "they belong to another model"
            )
        return known

    def join(self, speaker: str | None, statistics: Floats) -> RunningStats:
        """A speaker's statistics before a segment; then add the segment. So a segment is never scored with itself.

        Args:
            speaker: Who speaks; None gives statistics of no clips, and adds nothing.
            statistics: Of the whole segment, pooled, (P, L, D).
        """
        before = self.of(speaker, statistics.shape)
        self.add(speaker, statistics)
        return before

    def add(self, speaker: str | None, statistics: Floats) -> None:
        """Add a clip's pooled statistics (P, L, D) to a speaker's; nothing for None."""
        if speaker:
            added = measure_stats(statistics[None])
            self._known[speaker] = merge_stats(self.of(speaker, statistics.shape), added)


def measure_speaker_stats(clips: Iterable[tuple[str | None, Floats]]) -> SpeakerStatsStore:
    """Statistics of the speakers of some clips, each given as speaker and pooled statistics (P, L, D)."""
    speaker_stats = SpeakerStatsStore()
    for speaker, statistics in clips:
        speaker_stats.add(speaker, statistics)
    return speaker_stats


def save_speaker_stats(file: str | Path, speaker_stats: SpeakerStatsStore) -> None:
    """Write speaker statistics as safetensors, for a later call. The file holds no speech.

    Raises:
        ModelFolderError: The file cannot be written.
    """
    flat = {}
    for speaker in speaker_stats.speakers:
        stats = speaker_stats.of(speaker, ())
        for part in _PARTS:
            flat[f"{part}/{speaker}"] = np.asarray(getattr(stats, part))
    try:
        with atomic_write(Path(file)) as unfinished:
            save_file(flat, unfinished, metadata={_LAST: speaker_stats.last} if speaker_stats.last else None)
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"{file}: cannot be written ({error}); name another file") from error


def load_speaker_stats(file: str | Path) -> SpeakerStatsStore:
    """Read speaker statistics.

    Raises:
        ModelFolderError: The file is missing or damaged, or holds no speaker statistics.
    """
    try:
        with safe_open(file, framework="numpy") as held:
            flat = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 (no mapping)
            last = (held.metadata() or {}).get(_LAST, "")
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"{file}: no speaker statistics can be read ({error}); name another file") from error
    speakers = {name.partition("/")[2] for name in flat}
    expected = {f"{part}/{speaker}" for part in _PARTS for speaker in speakers}
    if set(flat) != expected:
        raise ModelFolderError(f"{file}: holds {sorted(flat)[:3]}, expected count, mean and squares of speakers")
    return SpeakerStatsStore({name: _checked(file, name, flat) for name in speakers}, last)


def _checked(file: str | Path, speaker: str, flat: dict[str, npt.NDArray[Any]]) -> RunningStats:
    count, mean, squares = (flat[f"{part}/{speaker}"] for part in _PARTS)
    sound = count.shape == () and 0 <= count < np.inf and mean.shape == squares.shape
    sound = sound and bool(np.isfinite([mean, squares]).all()) and bool((squares >= 0).all())
    if not sound:
        raise ModelFolderError(f"{file}: the statistics of '{speaker}' are damaged; delete the file to start again")
    return RunningStats(count=int(count), mean=mean.astype(np.float64), squares=squares.astype(np.float64))
