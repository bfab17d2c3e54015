"""Made-up models, for the tests of the tests."""

from collections.abc import Callable

import numpy as np

EMOTIONS = 3


def right(share: float) -> Callable:
    """Answers that are right in a share of the clips, whoever speaks, and another emotion in the rest."""

    def told(targets, rows, rng):
        wrong = (targets + rng.integers(1, EMOTIONS, len(targets))) % EMOTIONS
        return np.where(rng.random(len(targets)) < share, targets, wrong)

    return told
