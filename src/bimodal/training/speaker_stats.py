"""Speaker statistics in training and testing: draw the earlier clips of each utterance, without using labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bimodal.data.batches import Examples, Inputs
from bimodal.errors import TrainingError
from bimodal.features.speaker_stats import RunningStats, empty_stats, measure_stats, speaker_stats_inputs
from bimodal.records import Utterance

Groups = Sequence[str | None]
Earlier = Sequence[Sequence[int]]
_ROWS_AT_ONCE = 256


def group_by_column(utterances: Sequence[Utterance], column: str) -> list[str | None]:
    """The speaker (or other group) of each utterance.

    Raises:
        TrainingError: No utterance has a value in the column.
    """
    named = [
        utterance.speaker if column == "speaker" else utterance.extra.get(column) or None for utterance in utterances
    ]
    if not any(named):
        raise TrainingError(
            f"no utterance has a '{column}', which speech.speaker_stats needs to group the clips; "
            "fill the column, or leave speech.speaker_stats empty"
        )
    return named


def draw_earlier(groups: Groups, amount: int, seed: int) -> list[list[int]]:
    """For each row up to `amount` others of its group, at random; an empty list for a row without a group.

    Example:
        >>> draw_earlier(["ann", "ann", "bob", None], 5, seed=0)
        [[1], [0], [], []]
    """
    rng = np.random.default_rng(seed)
    members = _members(groups)
    drawn = []
    for row, group in enumerate(groups):
        others = [other for other in members.get(group or "", []) if other != row]
        drawn.append(sorted(rng.choice(others, min(amount, len(others)), replace=False).tolist()) if others else [])
    return drawn


def order_earlier(groups: Groups, seed: int, most: int | None = None) -> list[list[int]]:
    """For each row those of its group that come before it in a random order; with `most` only the last ones.

    Example:
        >>> sorted(order_earlier(["ann", "ann", None], seed=0), key=len)[1:]
        [[], [0]]
    """
    rng = np.random.default_rng(seed)
    earlier: list[list[int]] = [[] for _ in groups]
    for members in _members(groups).values():
        order = rng.permutation(members).tolist()
        for place, row in enumerate(order):
            earlier[row] = order[0 if most is None else max(0, place - most) : place]
    return earlier


def _members(groups: Groups) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        if group:
            members.setdefault(group, []).append(row)
    return members


def with_speaker_stats(examples: Examples, earlier: Earlier) -> Examples:
    """The same examples of whole segments, each with the statistics of its earlier rows."""
    statistics = _all_statistics(examples)

    def read(indices: Sequence[int]) -> Inputs:
        speaker_stats = [_stats(statistics, earlier[index]) for index in indices]
        return examples.read(indices) | speaker_stats_inputs(speaker_stats)

    return Examples(size=examples.size, read=read, targets=examples.targets)


def _all_statistics(examples: Examples) -> npt.NDArray[np.float16]:
    """Statistics (N, P, L, D) of all examples."""
    parts = []
    for first in range(0, examples.size, _ROWS_AT_ONCE):
        batch = examples.read(range(first, min(examples.size, first + _ROWS_AT_ONCE)))
        parts.append(batch["statistics"].astype(np.float16))
    return np.concatenate(parts)


def _stats(statistics: npt.NDArray[np.float16], rows: Sequence[int]) -> RunningStats:
    return measure_stats(statistics[list(rows)]) if rows else empty_stats(statistics.shape[1:])
