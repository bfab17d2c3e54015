"""Batches: padding marks itself, order is kept."""

import numpy as np
import pytest

from bimodal.data import array_examples, pad_blocks, speech_examples
from bimodal.features.backbone import SpeechBlocks

RNG = np.random.default_rng(0)


def blocks(count: int, dtype=np.float16) -> SpeechBlocks:
    shape = (count, 3, 4)
    return SpeechBlocks(
        mean=RNG.normal(size=shape).astype(dtype),
        std=RNG.random(size=shape).astype(dtype),
        count=RNG.integers(1, 11, count).astype(np.int32),
    )


def test_padding_keeps_every_value_and_has_count_zero():
    items = [blocks(2), blocks(5), blocks(1)]
    batch = pad_blocks(items)
    assert {name: array.shape for name, array in batch.items()} == {
        "mean": (3, 5, 3, 4),
        "std": (3, 5, 3, 4),
        "count": (3, 5),
    }
    for row, item in enumerate(items):
        size = len(item.count)
        for name, array in batch.items():
            assert array.dtype == np.float32
            assert np.array_equal(array[row, :size], getattr(item, name).astype(np.float32))
            assert not array[row, size:].any()


def test_a_batch_of_one_is_not_padded():
    item = blocks(3)
    assert pad_blocks([item])["count"].tolist() == [item.count.tolist()]


def test_examples_are_read_in_the_order_asked_for_even_twice():
    items = [blocks(size) for size in (1, 2, 3, 4)]
    examples = speech_examples(items.__getitem__, np.arange(4))
    batch = examples.read([3, 0, 3])
    assert batch["count"][:, :4].astype(int).tolist() == [
        items[3].count.tolist(),
        [*items[0].count.tolist(), 0, 0, 0],
        items[3].count.tolist(),
    ]


@pytest.mark.parametrize("targets", [np.array([2, 0, 1, 2, 0]), np.eye(3, dtype=np.float32)[[2, 0, 1, 2, 0]]])
def test_a_subset_of_a_subset_reads_the_right_rows_and_targets(targets):
    examples = array_examples({"columns": np.arange(10.0).reshape(5, 2)}, targets)
    subset = examples.subset([4, 2, 0]).subset([2, 1])
    assert subset.size == 2
    assert np.array_equal(subset.targets, targets[[0, 2]])
    assert subset.read([0, 1])["columns"].tolist() == [[0.0, 1.0], [4.0, 5.0]]
    assert subset.read(range(1, 2))["columns"].tolist() == [[4.0, 5.0]]


def test_an_empty_subset_has_no_rows():
    empty = array_examples({"columns": np.ones((3, 2))}, np.zeros(3, np.int64)).subset([])
    assert (empty.size, empty.targets.shape, empty.read([])["columns"].shape) == (0, (0,), (0, 2))
