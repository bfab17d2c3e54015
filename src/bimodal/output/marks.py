"""Marks on a recording: times, tiers and texts as the formats of annotation programs take them."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from bimodal.errors import BimodalError
from bimodal.records import Recognition

_LATEST: Final = 1e7
"""Latest time that subtitles and annotations may have, in seconds: 115 days."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def times_of(result: Recognition, kind: str) -> tuple[int, int]:
    """Start and end in whole milliseconds; the difference is at least 1."""
    if result.start is None or result.end is None:
        raise BimodalError(f"the format '{kind}' needs results with times; use 'jsonl' or 'csv' for words alone")
    if not (0 <= result.start <= _LATEST and 0 <= result.end <= _LATEST):
        raise BimodalError(
            f"the format '{kind}' needs times from 0 to {_LATEST:g} s, found {result.start:g} to {result.end:g} s"
        )
    start = round(result.start * 1000)
    return start, max(start + 1, round(result.end * 1000))


def gapless(marks: Iterable[tuple[int, int, str]], last: int) -> Iterator[tuple[int, int, str]]:
    """Intervals from 0 to `last`, with empty ones in the gaps. Overlaps are cut at the end of the earlier interval."""
    free = 0
    for start, end, text in marks:
        begin = max(start, free)
        if begin > free:
            yield free, begin, ""
        if end > begin:
            yield begin, end, text
        free = max(begin, end)
    if free < last:
        yield free, last, ""


def tier_prefix(speaker: str, known: dict[str, str]) -> str:
    r"""Beginning of the names of a speaker's tiers. Praat needs names that differ: who looks alike gets a number.

    Example:
        >>> known: dict[str, str] = {}
        >>> [tier_prefix(speaker, known) for speaker in ("", "Anna", "Anna\n", "Anna")]
        ['', 'Anna ', 'Anna (2) ', 'Anna ']
    """
    if speaker not in known:
        name, number = one_line(speaker), 1
        prefix = f"{name} " if name else ""
        while prefix in known.values():
            number += 1
            prefix = f"{name} ({number}) ".lstrip()
        known[speaker] = prefix
    return known[speaker]


def encodable(text: str | None) -> str | None:
    """The text with lone surrogates, which UTF-8 cannot encode, replaced by question marks."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str | None) -> str:
    r"""Text on one line, without control characters: an empty line would end a cue, XML forbids the rest.

    Example:
        >>> one_line("one\n\n two\x00")
        'one two'
    """
    return " ".join(_CONTROL.sub(" ", encodable(text) or "").split())
