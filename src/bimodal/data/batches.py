"""Batches for the networks: the only place that pads. Arrays only, no torch, so that recognition can use it too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Floats

Inputs = dict[str, npt.NDArray[Any]]
TARGETS: Final = "targets"  # what a reading of `Examples` may hand over beside a network's inputs


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What a stage trains on or predicts: N examples that are read a batch at a time.

    Attributes:
        size: N.
        read: Inputs of a network for chosen examples, by input name; the first axis is the batch. Where a reading
            draws examples, it hands over their `TARGETS`, too.
        targets: Emotion index of each example, (N,) int64, or a distribution over emotions, (N, C) float32.
        lengths: Length of each example before padding, (N,); batches group similar lengths. None without padding.
    """

    size: int
    read: Callable[[Sequence[int]], Inputs]
    targets: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64] | None = None

    def subset(self, indices: Sequence[int]) -> "Examples":
        """The examples at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Examples(
            size=len(chosen),
            read=lambda places: self.read(chosen[list(places)].tolist()),
            targets=self.targets[chosen],
            lengths=None if self.lengths is None else self.lengths[chosen],
        )


def array_examples(arrays: Mapping[str, npt.NDArray[Any]], targets: npt.NDArray[Any]) -> Examples:
    """Examples in memory: arrays with N rows each.

    Example:
        >>> examples = array_examples({"columns": np.eye(3)}, np.zeros(3, np.int64))
        >>> examples.read([2])["columns"].tolist()
        [[0.0, 0.0, 1.0]]
    """
    held = dict(arrays)
    return Examples(
        size=len(targets),
        read=lambda indices: {name: array[list(indices)] for name, array in held.items()},
        targets=targets,
    )


def token_examples(tokens: Sequence[Sequence[int]], targets: npt.NDArray[Any]) -> Examples:
    """Examples of texts as token ids.

    Example:
        >>> token_examples([[7, 8], [9]], np.zeros(2, np.int64)).read([1])["tokens"].tolist()
        [[9]]
    """
    return Examples(
        size=len(targets),
        read=lambda indices: pad_tokens([tokens[i] for i in indices]),
        targets=targets,
        lengths=np.array([len(ids) for ids in tokens], np.int64),
    )


def pad_tokens(items: Sequence[Sequence[int]]) -> Inputs:
    """Several texts as one batch: tokens (B, T) and mask (B, T), int64; the mask is 1 if a token is real.

    Example:
        >>> batch = pad_tokens([[7, 8], [9]])
        >>> batch["tokens"].tolist(), batch["mask"].tolist()
        ([[7, 8], [9, 0]], [[1, 1], [1, 0]])
    """
    shape = (len(items), max(1, *map(len, items)) if items else 1)
    batch: Inputs = {"tokens": np.zeros(shape, np.int64), "mask": np.zeros(shape, np.int64)}
    for row, ids in enumerate(items):
        batch["tokens"][row, : len(ids)] = ids
        batch["mask"][row, : len(ids)] = 1
    return batch


def single_emotion(targets: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which targets name one emotion alone, (N,); those of several emotions are no truth to count hits against.

    Args:
        targets: Emotion indices (N,), or distributions (N, C).

    Example:
        >>> single_emotion(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist(), single_emotion(np.array([1])).tolist()
        ([True, False], [True])
    """
    alone: npt.NDArray[np.bool_] = np.ones(len(targets), bool) if targets.ndim == 1 else (targets > 0).sum(axis=1) == 1
    return alone


def main_emotion(targets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The index of each target's largest share, the first of equal ones, (N,).

    Example:
        >>> main_emotion(np.array([[0.25, 0.75], [0.5, 0.5]])).tolist()
        [1, 0]
    """
    return (targets if targets.ndim == 1 else targets.argmax(axis=1)).astype(np.int64)


def count_targets(targets: npt.NDArray[Any], emotions: int) -> npt.NDArray[np.float64]:
    """Utterances of each emotion, (C,); those of several emotions count by share.

    Example:
        >>> count_targets(np.array([[1.0, 0.0], [0.5, 0.5]]), 2).tolist(), count_targets(np.array([1, 1]), 2).tolist()
        ([1.5, 0.5], [0.0, 2.0])
    """
    counts = np.bincount(targets, minlength=emotions) if targets.ndim == 1 else targets.sum(axis=0, dtype=np.float64)
    return counts.astype(np.float64)


def frame_examples(
    read_frames: Callable[[int], npt.NDArray[Any]], lengths: npt.NDArray[np.int64], targets: npt.NDArray[Any]
) -> Examples:
    """Examples of encoder inputs: `read_frames` gives those of one example, (T, ...), or of it a stretch."""
    return Examples(
        size=len(targets),
        read=lambda indices: pad_frames([read_frames(i) for i in indices]),
        targets=targets,
        lengths=lengths,
    )


def pad_frames(items: Sequence[npt.NDArray[Any]]) -> Inputs:
    """Frames (T_i, ...) of several utterances as one batch: inputs (B, T, ...) float32, count (B,).

    Example:
        >>> batch = pad_frames([np.ones((2, 3)), np.ones((1, 3))])
        >>> batch["inputs"].shape, batch["count"].tolist()
        ((2, 2, 3), [2, 1])
    """
    count = np.array([len(item) for item in items], np.int64)
    inputs = np.zeros((len(items), count.max(), *items[0].shape[1:]), np.float32)
    for row, item in zip(inputs, items, strict=True):
        row[: len(item)] = item
    return {"inputs": inputs, "count": count}


@dataclass(frozen=True, kw_only=True)
class Window:
    """An utterance with those before it in its dialogue.

    Attributes:
        pooled: Pooled layers (S, L, D), the utterance itself last.
        same: Which were said by the utterance's own speaker, (S,).
    """

    pooled: Floats
    same: Sequence[bool]


def pad_windows(items: Sequence[Window], length: int) -> Inputs:
    """Several windows as one batch: pooled (B, length, L, D), same and there (B, length) float32; padded in front.

    Example:
        >>> batch = pad_windows([Window(pooled=np.ones((1, 3, 4), np.float32), same=[True])], 3)
        >>> batch["pooled"].shape, batch["there"].tolist()
        ((1, 3, 3, 4), [[0.0, 0.0, 1.0]])
    """
    batch: Inputs = {
        "pooled": np.zeros((len(items), length, *items[0].pooled.shape[1:]), np.float32),
        "same": np.zeros((len(items), length), np.float32),
        "there": np.zeros((len(items), length), np.float32),
    }
    for row, item in enumerate(items):
        first = length - len(item.pooled)
        for name, values in (("pooled", item.pooled), ("same", item.same), ("there", 1)):
            batch[name][row, first:] = values
    return batch


def window_examples(read_window: Callable[[int], Window], length: int, targets: npt.NDArray[Any]) -> Examples:
    """Examples of utterances with those before them; `read_window` gives one of up to `length`."""
    return Examples(
        size=len(targets), read=lambda indices: pad_windows([read_window(i) for i in indices], length), targets=targets
    )
