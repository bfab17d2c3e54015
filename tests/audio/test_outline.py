"""The outline of a recording: largest samples of equal intervals, also where the length was not known."""

import numpy as np
import pytest

from bimodal.audio.outline import Outline


@pytest.mark.parametrize(("promised", "size"), [(0, 8), (900, 9), (1000, 10), (50_000, 500)])
def test_the_outline_is_that_of_the_samples_whatever_length_was_promised(promised, size):
    signal = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    outline = Outline(promised, points=100)
    for begin in range(0, 1000, 7):
        outline.add(signal[begin : begin + 7])
    expected = [np.abs(signal[begin : begin + size]).max() for begin in range(0, 1000, size)]
    assert outline.samples == 1000
    assert outline.peaks().tolist() == pytest.approx(expected)
