"""The colour of each emotion, the same in plots and on the page (`service/static/drawing.js`; a test compares both)."""

from typing import Final

COLOURS: Final = {
    "anger": "#d9483b", "angry": "#d9483b", "disgust": "#7d9b2c", "fear": "#8b5fd0", "fearful": "#8b5fd0",
    "happiness": "#e5a50a", "happy": "#e5a50a", "joy": "#e5a50a", "excited": "#f28c28", "neutral": "#8d96a7",
    "calm": "#3fa796", "sadness": "#3b82d6", "sad": "#3b82d6", "surprise": "#e26aa5", "surprised": "#e26aa5",
    "contempt": "#a0682d", "frustrated": "#b5532f", "trust": "#4caf72", "anticipation": "#f28c28", "love": "#e26aa5",
    "positive": "#4caf72", "negative": "#d9483b", "other": "#6b7280",
}  # fmt: skip
OTHERS: Final = ("#0e9aa7", "#a0682d", "#4caf72", "#c026d3", "#65758b", "#f28c28")
"""Colours of emotions without one of their own, by the sum of their letters' code points."""


def emotion_colour(emotion: str) -> str:
    """Colour of an emotion as `#rrggbb`.

    Example:
        >>> emotion_colour("anger"), emotion_colour("boredom")
        ('#d9483b', '#0e9aa7')
    """
    return COLOURS.get(emotion) or OTHERS[sum(map(ord, emotion)) % len(OTHERS)]
