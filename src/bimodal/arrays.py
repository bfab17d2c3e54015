"""Names of array types, softmax, and the two divisions by a count that may be 0."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
"""What networks read and give."""

Doubles = NDArray[np.float64]
"""What metrics compute with."""

Integers = NDArray[np.int64]


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Doubles:
    """Probabilities from logits over the last axis; a temperature above 1 makes them less sure.

    Raises:
        ValueError: If the temperature is not above 0.

    Example:
        >>> softmax([0.0, np.log(3.0)]).round(4).tolist()
        [0.25, 0.75]
    """
    if not temperature > 0:
        msg = f"temperature is {temperature}, expected above 0"
        raise ValueError(msg)
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: Doubles = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def ratio(part: ArrayLike, whole: ArrayLike) -> Doubles:
    """The quotient, NaN if the whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        above, below = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
        return np.where(below > 0, above / below, np.nan)


def mean_of_known(values: Doubles) -> Doubles:
    """Mean over the last axis without its NaN; NaN if all are."""
    known = ~np.isnan(values)
    mean: Doubles = ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1))[()]
    return mean
