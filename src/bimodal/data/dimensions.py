"""Arousal and valence of emotions, from published means, and of scores as the position that they lead one to expect."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Position(NamedTuple):
    """Where an emotion lies, each number from -1 to 1.

    Attributes:
        arousal: -1 for sleepy, 1 for excited.
        valence: -1 for unpleasant, 1 for pleasant.
        term: The word that was rated.
    """

    arousal: float
    valence: float
    term: str


POSITIONS: Final[Mapping[str, Position]] = {
    "anger": Position(0.59, -0.51, "angry"),
    "boredom": Position(-0.62, -0.65, "bored"),
    "disgust": Position(0.35, -0.60, "disgusted"),
    "excitement": Position(0.75, 0.62, "excited"),
    "fear": Position(0.60, -0.64, "fearful"),
    "frustration": Position(0.52, -0.64, "frustrated"),
    "happiness": Position(0.51, 0.81, "happy"),
    "joy": Position(0.48, 0.76, "joyful"),
    "sadness": Position(-0.27, -0.63, "sad"),
    "surprise": Position(0.67, 0.40, "surprised"),
    "neutral": Position(0.0, 0.0, "the middle of both scales"),
}
"""Mean ratings of emotion words (pleasure is valence): Russell and Mehrabian 1977, "Evidence for a three-factor theory
of emotions", Journal of Research in Personality 11(3), 273-294. They rate
what a word means to people, no recording. `neutral` is none of their words: it is the middle by definition."""


def expected_position(scores: Mapping[str, float]) -> tuple[float, float] | None:
    """Expected arousal and valence under some scores: the mean of `POSITIONS`, each weighted by its score.

    Args:
        scores: Probability of each emotion, sum 1.

    Returns:
        Each from -1 to 1; None without scores, or where an emotion has no published position.

    Example:
        >>> expected_position({"anger": 0.5, "neutral": 0.5})
        (0.295, -0.255)
        >>> expected_position({"anger": 0.5, "calm": 0.5})
    """
    if not scores or not scores.keys() <= POSITIONS.keys():
        return None
    known = [(score, POSITIONS[name]) for name, score in scores.items()]
    arousal = sum(score * place.arousal for score, place in known)
    return _within(arousal), _within(sum(score * place.valence for score, place in known))


def _within(value: float) -> float:
    """A number from -1 to 1; scores may sum to a little more than 1."""
    return min(1.0, max(-1.0, value))
