"""Metrics of dimensions such as arousal and valence."""

import math

import numpy as np
from numpy.typing import ArrayLike


def concordance_correlation(truth: ArrayLike, prediction: ArrayLike) -> float:
    r"""CCC of a dimension such as arousal, -1 to 1 (Lin 1989), with population variances, as audmetric.

    $$\rho_c = \frac{2\,\mathrm{cov}(x, y)}{\sigma_x^2 + \sigma_y^2 + (\mu_x - \mu_y)^2}$$

    Returns:
        NaN for a single value, or where both are one and the same constant.

    Raises:
        ValueError: If shapes differ or are not (N,), or there are no values.

    Example:
        >>> round(concordance_correlation([0, 1, 2], [0, 1, 1]), 4)
        0.6667
    """
    x, y = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        msg = f"shapes are {x.shape} and {y.shape}, expected (N,) twice with N of at least 1"
        raise ValueError(msg)
    spread = float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    if x.size < 2 or spread == 0:
        return math.nan
    return float(2 * ((x - x.mean()) * (y - y.mean())).mean() / spread)
