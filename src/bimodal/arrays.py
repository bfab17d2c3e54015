"""Scores from logits; a module of its own, since recognition needs no more of the metrics."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
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
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities
