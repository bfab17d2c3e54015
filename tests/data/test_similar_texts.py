"""Near-duplicates are found by their common words, and counted across train and test."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from bimodal.data.similar_texts import similar_pairs, text_groups, text_overlaps
from bimodal.data.splits import Fold

TEXTS = st.lists(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=8).map(" ".join), max_size=12, unique=True)


def jaccard(one: str, other: str) -> float:
    first, second = set(one.split()), set(other.split())
    return len(first & second) / len(first | second)


@given(TEXTS, st.sampled_from([0.5, 0.6, 0.75, 0.8, 1.0]))
def test_the_pairs_are_those_that_a_comparison_of_all_with_all_finds(texts, least):
    expected = {pair for pair in combinations(sorted(texts), 2) if jaccard(*pair) >= least}
    assert {tuple(sorted(pair)) for pair in similar_pairs(texts, least)} == expected


def test_a_chain_of_near_duplicates_is_one_group_and_silence_is_like_nothing():
    chain = ["a b c d e f g h i", "a b c d e f g h i j", "a b c d e f g h i j k", "...", "?!", "x"]
    groups = text_groups(chain)
    assert len(set(groups[:3])) == 1 and len(set(groups)) == 4


def test_equal_texts_and_near_duplicates_are_counted_apart():
    texts = [
        "I have had quite enough of you",
        "i have had quite enough of you!",
        "I have had quite enough of",
        "No",
        None,
    ]
    equal, near = text_overlaps(texts, [Fold(name="1", train=(0,), test=(1, 2, 3, 4))])
    assert (equal.shared, equal.share_of_rows, equal.unknown_rows) == (1, 0.25, 1)
    assert (near.shared, near.share_of_rows) == (1, 0.25)


def test_the_dev_part_counts_as_training():
    equal, _ = text_overlaps(["yes", "no", "yes"], [Fold(name="1", train=(1,), dev=(0,), test=(2,))])
    assert equal.shared == 1
