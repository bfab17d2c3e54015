"""Arousal and valence derived from scores, compared with the ratings of a manifest."""

import math
from typing import Final

import numpy as np

from bimodal.arrays import Doubles
from bimodal.data.dimensions import POSITIONS
from bimodal.evaluation.metrics import concordance_correlation
from bimodal.evaluation.predictions import Predictions

RATINGS_NOTE: Final = (
    "Arousal and valence are derived from the scores and published positions of the emotions, not learnt from ratings."
)
NAMES: Final = ("arousal", "valence")
"""Columns of a manifest with ratings from -1 to 1, and attributes of a position."""


def dimension_agreement(predictions: Predictions, system: str) -> dict[str, float | None]:
    """CCC of a system's derived dimensions with the ratings, over the rows that have both; None where undefined.

    A dimension without usable ratings is missing; all are, where an emotion has no published position.

    Args:
        predictions: With ratings in the extra columns `arousal` and `valence`, from -1 to 1. An empty cell is none.
        system: One of its systems.
    """
    found: dict[str, float | None] = {}
    if not set(predictions.emotions) <= POSITIONS.keys():
        return found
    for name in NAMES:
        ratings = _ratings(predictions, name)
        if ratings is None:
            continue
        places = np.array([getattr(POSITIONS[emotion], name) for emotion in predictions.emotions])
        rows = predictions.answered(system) & ~np.isnan(ratings)
        if rows.any():
            value = concordance_correlation(ratings[rows], predictions.scores[system][rows] @ places)
            found[name] = None if math.isnan(value) else value
    return found


def ratings_problems(predictions: Predictions) -> list[str]:
    """A sentence for each column of ratings that cannot be used.

    Example:
        >>> one = Predictions(ids=("a",), targets=np.array([0]), emotions=("anger", "joy"), clusters=("a",),
        ...                   cluster_name="speaker", scores={"speech": np.array([[0.9, 0.1]])},
        ...                   extra={"arousal": ("4.5",)})
        >>> ratings_problems(one)
        ["The column 'arousal' is not compared: found '4.5', expected numbers from -1 to 1."]
    """
    wrong = {name: _wrong_cell(predictions, name) for name in NAMES if name in predictions.extra}
    return [
        f"The column '{name}' is not compared: found '{cell[:20]}', expected numbers from -1 to 1."
        for name, cell in wrong.items()
        if cell is not None
    ]


def _ratings(predictions: Predictions, name: str) -> Doubles | None:
    """Ratings (N,), NaN where there is none; None without usable ones."""
    cells = predictions.extra.get(name, ())
    if not any(cells) or _wrong_cell(predictions, name) is not None:
        return None
    return np.array([math.nan if not cell else float(cell) for cell in cells])


def _wrong_cell(predictions: Predictions, name: str) -> str | None:
    """The first cell of a column that is no number from -1 to 1; None if there is none."""
    return next((cell for cell in predictions.extra[name] if cell and not _is_rating(cell)), None)


def _is_rating(cell: str) -> bool:
    try:
        return -1 <= float(cell) <= 1
    except ValueError:
        return False
