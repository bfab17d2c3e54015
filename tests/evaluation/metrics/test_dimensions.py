import math

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimodal.evaluation.metrics import (
    concordance_correlation,
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=2, max_size=40))
def test_concordance_agrees_with_audmetric(pairs):
    truth, prediction = np.array(pairs, dtype=float).T / 7
    found, expected = concordance_correlation(truth, prediction), audmetric.concordance_cc(truth, prediction)
    if np.ptp(truth) or np.ptp(prediction):  # two equal constants are NaN in both up to a rounding error
        assert found == pytest.approx(expected, nan_ok=True, abs=1e-9)


def test_concordance_at_its_ends():
    assert concordance_correlation([1, 2, 4], [1, 2, 4]) == pytest.approx(1.0)
    assert concordance_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert math.isnan(concordance_correlation([1.0], [1.0]))
    assert math.isnan(concordance_correlation([2, 2], [2, 2]))
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        concordance_correlation([1, 2], [1, 2, 3])
