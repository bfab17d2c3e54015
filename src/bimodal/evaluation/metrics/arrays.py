"""Array types and the two divisions by a count that may be 0, shared by the metrics."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    """The quotient, NaN where the whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        above, below = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
        return np.where(below > 0, above / below, np.nan)


def mean_of_known(values: Floats) -> Floats:
    """Mean over the last axis without its NaN; NaN where all are."""
    known = ~np.isnan(values)
    mean: Floats = ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1))[()]
    return mean
