"""Batches: order is kept."""

import numpy as np
import pytest

from bimodal.data.batches import array_examples


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
