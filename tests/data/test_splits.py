"""Splits keep speakers apart, or say how far they do not."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimodal.data.manifest import read_manifest
from bimodal.data.splits import (
    check_disjoint,
    comparable_text,
    count_overlap,
    count_text_overlap,
    crossed_folds,
    inner_dev,
    joined_groups,
    named_folds,
    speaker_folds,
)
from bimodal.errors import SplitError

SPEAKERS = [name for name, size in {"a": 50, "b": 30, "c": 30, "d": 20, "e": 10, "f": 10}.items() for _ in range(size)]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60), st.data())
def test_every_row_is_tested_once_and_no_speaker_stands_on_both_sides(speakers, data):
    count = len(set(speakers))
    if count < 2:
        return
    folds = speaker_folds(speakers, data.draw(st.integers(2, count)), seed=data.draw(st.integers(0, 9)))
    assert sorted(row for fold in folds for row in fold.test) == list(range(len(speakers)))
    for fold in folds:
        assert sorted((*fold.train, *fold.test)) == list(range(len(speakers)))
        assert not {speakers[row] for row in fold.train} & {speakers[row] for row in fold.test}


def test_folds_are_about_equally_long_and_the_seed_decides_between_equals():
    assert sorted(len(fold.test) for fold in speaker_folds(SPEAKERS, 3)) == [50, 50, 50]
    assert speaker_folds(SPEAKERS, 3, seed=1) == speaker_folds(SPEAKERS, 3, seed=1)
    many = [str(number) for number in range(20)]
    assert speaker_folds(many, 4, seed=1) != speaker_folds(many, 4, seed=2)


def test_folds_do_not_depend_on_the_order_of_the_rows():
    members = [
        {rows[row] for row in fold.test}
        for rows in (SPEAKERS, SPEAKERS[::-1])
        for fold in speaker_folds(rows, 3, seed=5)
    ]
    assert members[:3] == members[3:]


def test_one_speaker_out_gives_a_fold_for_each_by_name():
    folds = speaker_folds(["b", "a", "b", "c"], "loso")
    assert [(fold.name, fold.test) for fold in folds] == [("a", (1,)), ("b", (0, 2)), ("c", (3,))]


@pytest.mark.parametrize("k", [-1, 0, 1, 7])
def test_a_number_of_folds_that_cannot_be_is_refused(k):
    with pytest.raises(SplitError, match=f"{k} folds of 6 speakers"):
        speaker_folds(SPEAKERS, k)


def test_one_speaker_cannot_be_folded_and_a_missing_one_is_counted():
    with pytest.raises(SplitError, match=r"there is one speaker \('a'\), so none can be held out"):
        speaker_folds(["a", "a"], "loso")
    with pytest.raises(SplitError, match="1 of 3 utterances have no speaker"):
        speaker_folds(["a", None, "b"], 2)
    with pytest.raises(SplitError, match="1 of 2 utterances have no speaker"):
        named_folds(["a", ""], {"x": ["a"], "y": [""]})


@pytest.mark.parametrize(
    ("folds", "complaint"),
    [
        ({"x": ["a"], "y": ["b"]}, "'c' is in no fold"),
        ({"x": ["a", "b"], "y": ["b", "c"]}, r"'b' is in \['x', 'y'\]"),
        ({"x": ["a", "b", "c"]}, "fold 'x' has 3 rows to test and 0 to train on"),
        ({"x": ["a", "b", "c"], "y": ["z"]}, "0 to train on"),
    ],
)
def test_named_folds_that_lose_or_repeat_a_speaker_are_refused(folds, complaint):
    with pytest.raises(SplitError, match=complaint):
        named_folds(["a", "b", "c"], folds)


def test_a_development_part_has_whole_speakers_about_the_share_and_every_emotion():
    emotions = [("joy", "fear", "anger")[row % 3] for row in range(len(SPEAKERS))]
    for seed in range(5):
        chosen = set(inner_dev(SPEAKERS, emotions, share=0.2, seed=seed))
        inside = {SPEAKERS[row] for row in chosen}
        assert chosen == {row for row, speaker in enumerate(SPEAKERS) if speaker in inside}
        assert {emotions[row] for row in chosen} == set(emotions)
        assert len(chosen) == 30


def test_a_development_part_goes_over_its_share_to_have_a_rare_emotion():
    speakers = ["a"] * 10 + ["b"] * 10 + ["c"] * 10 + ["d"] * 10
    emotions = (["joy"] * 9 + ["fear"]) + ["joy"] * 10 + (["joy"] * 9 + ["fear"]) + (["joy"] * 9 + ["anger"])
    for seed in range(5):
        chosen = inner_dev(speakers, emotions, share=0.25, seed=seed)
        assert "fear" in {emotions[row] for row in chosen}
        assert "fear" in {emotions[row] for row in set(range(40)) - set(chosen)}


def test_a_development_part_seeks_out_emotions_that_few_speakers_have():
    speakers = [str(number) for number in range(200)]
    rare = {3: "fear", 50: "fear", 77: "anger", 90: "anger", 120: "disgust", 180: "disgust"}
    emotions = [rare.get(number, "joy") for number in range(200)]
    for seed in range(5):
        assert {emotions[row] for row in inner_dev(speakers, emotions, share=0.05, seed=seed)} == set(emotions)


def test_a_development_part_does_not_take_the_last_speaker_of_an_emotion():
    speakers, emotions = ["a", "b", "c"] * 4, ["fear", "fear", "joy"] * 2 + ["joy"] * 6
    for seed in range(20):
        chosen = inner_dev(speakers, emotions, share=2 / 3, seed=seed)
        assert "fear" in {emotion for row, emotion in enumerate(emotions) if row not in chosen}


def test_a_development_part_is_the_same_for_the_same_seed_and_another_for_another():
    many = [str(row // 5) for row in range(100)]
    parts = [inner_dev(many, ["joy"] * 100, seed=seed) for seed in (3, 3, 4)]
    assert parts[0] == parts[1] != parts[2]


def test_one_speaker_has_no_development_part_unless_utterances_are_asked_for():
    emotions = ["joy"] * 20 + ["fear"] * 10
    with pytest.raises(SplitError, match=r"there is one speaker \('a'\), so none.*split_by=utterance"):
        inner_dev(["a"] * 30, emotions)
    with pytest.raises(SplitError, match=r"30 of 30 utterances have no speaker.*split_by=utterance"):
        inner_dev([None] * 30, emotions)
    chosen = inner_dev([None] * 30, emotions, share=0.2, by="utterance")
    assert Counter(emotions[row] for row in chosen) == {"joy": 4, "fear": 2}


def test_a_random_choice_leaves_one_of_each_emotion_on_either_side():
    emotions = ["joy", "joy", "fear", "fear", "anger"]
    chosen = inner_dev([None] * 5, emotions, share=0.01, by="utterance")
    assert sorted(emotions[row] for row in chosen) == ["fear", "joy"]
    with pytest.raises(SplitError, match="too few"):
        inner_dev([None], ["joy"], by="utterance")


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(SplitError, match="expected a number between 0 and 1"):
        inner_dev(["a", "b"], ["joy", "joy"], share=share)


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(SplitError, match="2 speakers but 1 emotions"):
        inner_dev(["a", "b"], ["joy"])
    with pytest.raises(SplitError, match="expected equal lengths"):
        joined_groups(["a"], ["x", "y"])


def test_joined_groups_follow_chains_and_keep_equal_words_of_two_columns_apart():
    speakers, texts = ["a", "b", "c", "b", "x"], ["x", "y", "z", "z", "w"]
    groups = joined_groups(speakers, texts)
    assert groups == ("0", "1", "1", "1", "2")
    for fold in speaker_folds(groups, "loso"):
        for column in (speakers, texts):
            assert not {column[row] for row in fold.train} & {column[row] for row in fold.test}


def test_a_leak_is_refused_with_count_and_share_unless_the_official_split_is_named():
    train, test = ["ann", "bob", None], ["bob", "bob", "eve", "bob"]
    with pytest.raises(SplitError, match=r"speakers in train and test: 1 shared, 75\.0 % .*1 rows have none given"):
        check_disjoint(train, test, "speakers in train and test")
    found = check_disjoint(train, test, "speakers in train and test", allowed="MELD")
    assert (found.shared, found.share_of_rows, found.allowed) == (1, 0.75, "MELD")
    assert "accepted as the official split 'MELD'" in str(found)


def test_disjoint_parts_pass_and_missing_values_never_match():
    found = check_disjoint(["ann", None], ["bob", None], "speakers", allowed="MELD")
    assert (found.shared, found.share_of_rows, found.unknown_rows, found.allowed) == (0, 0.0, 2, None)
    assert count_overlap([], [], "speakers").share_of_rows == 0.0


def test_texts_are_compared_without_case_punctuation_and_width():
    assert comparable_text("Oh... MY—God!!") == comparable_text("ｏｈ my god")
    assert comparable_text("Straße") == comparable_text("STRASSE")
    assert comparable_text("कि") != comparable_text("की")
    assert comparable_text("?!… 😀") == ""
    assert count_text_overlap(["?!", None, "No."], ["...", None, "no", "yes"], "texts").shared == 1


def test_melds_official_split_shares_speakers_with_96_percent_of_its_test_rows(corpus_data):
    rows = read_manifest(corpus_data / "meld_text_prosody" / "manifest.csv").utterances
    train, test = ([row for row in rows if row.split == part] for part in ("train", "test"))
    found = count_overlap([row.speaker for row in train], [row.speaker for row in test], "speakers")
    assert round(100 * found.share_of_rows) == 96
    texts = count_text_overlap([row.transcript for row in train], [row.transcript for row in test], "texts")
    assert 0 < texts.share_of_rows < 0.5


def test_korean_scripts_can_be_split_by_speaker_and_text_at_once(corpus_data):
    rows = read_manifest(corpus_data / "emotiontts_ko" / "manifest.csv").utterances
    texts = [comparable_text(row.transcript) for row in rows]
    assert len(set(texts)) == 28  # of 29 spellings: three sentences keep a variant that differs by a letter or two
    groups = joined_groups([row.speaker for row in rows], texts)
    assert {(group, row.extra["script"]) for group, row in zip(groups, rows, strict=True)} == {
        ("0", "emotional"),
        ("1", "plain"),
    }


@given(st.integers(2, 6), st.integers(2, 6), st.integers(2, 4), st.integers(0, 5), st.data())
def test_crossed_folds_test_every_row_once_and_share_neither_speaker_nor_text(speakers, texts, k, seed, data):
    k = min(k, speakers, texts)
    everyone = [(f"s{one}", f"t{other}") for one in range(speakers) for other in range(texts)]
    rows = everyone + data.draw(st.lists(st.sampled_from(everyone), max_size=10))
    who, what = [one for one, _ in rows], [other for _, other in rows]
    folds = crossed_folds(who, what, k, seed=seed)
    assert sorted(row for fold in folds for row in fold.test) == list(range(len(rows)))
    for fold in folds:
        assert fold.train and list(fold.train) == sorted(fold.train)
        assert not {who[row] for row in fold.train} & {who[row] for row in fold.test}
        assert not {what[row] for row in fold.train} & {what[row] for row in fold.test}


def test_crossed_folds_deal_speakers_and_texts_evenly_by_strata():
    texts = [f"{emotion}{number}" for emotion in ("joy", "fear") for number in range(4)]
    rows = [(speaker, text) for speaker in "abcdef" for text in texts]
    strata = [text[:-1] for _, text in rows]
    folds = crossed_folds([one for one, _ in rows], [other for _, other in rows], 2, strata=strata, seed=3)
    for fold in folds:
        assert Counter(strata[row] for row in fold.test) == {"joy": 6, "fear": 6}
        assert len(fold.train) == 12


def test_crossed_folds_need_as_many_speakers_and_texts_as_parts():
    with pytest.raises(SplitError, match="3 parts of 2 speakers or texts"):
        crossed_folds(["a", "b", "a"], ["x", "y", "z"], 3)
    with pytest.raises(SplitError, match="no training row is left"):
        crossed_folds(["a", "a", "b"], ["x", "y", "x"], 2)
