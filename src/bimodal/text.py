"""Words as the text backbone reads them."""

import unicodedata


def normalise_transcript(transcript: str | None) -> str | None:
    r"""Compatibility-normalised words with single spaces; None where nothing is left to read.

    Example:
        >>> normalise_transcript("  Well,\u00a0 that\u2019s  it. ")
        'Well, that\u2019s it.'
        >>> normalise_transcript(" \n") is None
        True
    """
    if transcript is None:
        return None
    folded = unicodedata.normalize("NFKC", transcript)
    printable = "".join(" " if unicodedata.category(character) in {"Cc", "Cf"} else character for character in folded)
    return " ".join(printable.split()) or None
