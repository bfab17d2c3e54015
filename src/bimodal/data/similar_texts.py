"""Texts that say nearly the same: found by the words that they share."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bimodal.data.splits import Fold, Overlap, comparable_text

NEAR: Final = 0.8
"""Share of common words (Jaccard index) from which two texts count as near-duplicates."""


def similar_pairs(texts: Iterable[str], least: float = NEAR) -> list[tuple[str, str]]:
    """Pairs of different texts of which so many words are common.

    The measure is the Jaccard index of their sets of words. Only texts that share one of their rarest words are
    compared (prefix filtering, Bayardo et al. 2007), so that 10,000 texts take seconds.

    Args:
        texts: As `comparable_text` gives them.
        least: Least Jaccard index, above 0 and at most 1.

    Returns:
        Pairs in alphabetical order.

    Example:
        >>> similar_pairs(["i have had enough of you", "i have had enough of this", "no"], 0.7)
        [('i have had enough of this', 'i have had enough of you')]
    """
    words = {text: frozenset(text.split()) for text in sorted(set(texts)) if text}
    common = Counter(word for found in words.values() for word in found)
    places: dict[str, list[str]] = defaultdict(list)
    pairs = []
    for text, own in words.items():
        rarest = sorted(own, key=lambda word: (common[word], word))[: len(own) - math.ceil(least * len(own)) + 1]
        candidates = {other for word in rarest for other in places[word]}
        pairs += [(other, text) for other in candidates if _jaccard(own, words[other]) >= least]
        for word in rarest:
            places[word].append(text)
    return sorted(pairs)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def text_groups(texts: Sequence[str], least: float = NEAR) -> tuple[str, ...]:
    """A name for each text; equal texts and near-duplicates have the same one.

    Two texts also share a name if a chain of near-duplicates leads from one to the other. A text without a letter or a
    digit is like no other.

    Args:
        texts: One per utterance, in any spelling.
        least: As in `similar_pairs`.

    Example:
        >>> text_groups(["Oh, my God!", "oh my god", "No.", "...", "..."])
        ('oh my god', 'oh my god', 'no', '#3', '#4')
    """
    plain = [comparable_text(text) or f"#{row}" for row, text in enumerate(texts)]
    root: dict[str, str] = {}

    def find(text: str) -> str:
        while root.setdefault(text, text) != text:
            root[text] = text = root[root[text]]
        return text

    for first, second in similar_pairs(plain, least):
        one, other = sorted((find(first), find(second)))
        root[other] = one
    return tuple(find(text) for text in plain)


def text_overlaps(texts: Sequence[str | None], folds: Sequence[Fold]) -> tuple[Overlap, Overlap]:
    """How many texts of the test parts stand in their training parts, too: the same, and near-duplicates.

    Args:
        texts: One per utterance; None without words.
        folds: Of these utterances; their dev part counts as training.

    Returns:
        Equal texts; texts that have a near-duplicate but no equal one.

    Example:
        >>> folds = [Fold(name="1", train=(0,), test=(1, 2))]
        >>> [one.shared for one in text_overlaps(["Go away now!", "go away now", "Stay."], folds)]
        [1, 0]
    """
    plain = [comparable_text(text) if text else "" for text in texts]
    near: dict[str, set[str]] = defaultdict(set)
    for first, second in similar_pairs(plain):
        near[first].add(second)
        near[second].add(first)
    tested = [row for fold in folds for row in fold.test]
    equal, alike = set[int](), set[int]()
    for fold in folds:
        trained = {plain[row] for row in (*fold.train, *(fold.dev or ()))} - {""}
        equal |= {row for row in fold.test if plain[row] in trained}
        alike |= {row for row in fold.test if plain[row] not in trained and _has_near(plain[row], near, trained)}
    unknown = sum(not plain[row] for row in tested)
    return (
        _overlap("texts in train and test", equal, plain, len(tested), unknown),
        _overlap(f"texts in test with a near-duplicate in train ({NEAR:.0%} common words)", alike, plain, len(tested)),
    )


def _has_near(text: str, near: Mapping[str, set[str]], trained: set[str]) -> bool:
    return not near.get(text, set()).isdisjoint(trained)


def _overlap(what: str, rows: set[int], plain: Sequence[str], tested: int, unknown: int = 0) -> Overlap:
    shared, share = len({plain[row] for row in rows}), len(rows) / max(1, tested)
    return Overlap(what=what, shared=shared, share_of_rows=share, unknown_rows=unknown)
