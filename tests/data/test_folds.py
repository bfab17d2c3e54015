"""Each protocol divides as it says; what cannot be divided is one sentence."""

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from bimodal.cli import app
from bimodal.data.folds import PROTOCOLS, make_folds, read_protocol
from bimodal.data.similar_texts import text_groups
from bimodal.errors import SplitError
from bimodal.records import Utterance

EMOTIONS = ("joy", "fear")


def rows(speakers: int = 6, texts: int = 4, **columns: str) -> list[Utterance]:
    """Every speaker says every text."""
    return [
        Utterance(
            id=f"{speaker}-{text}",
            speaker=f"s{speaker}",
            transcript=f"sentence number {text}",
            split=("train", "dev", "test")[speaker % 3],
            extra={"session": str(speaker // 2), **columns},
        )
        for speaker in range(speakers)
        for text in range(texts)
    ]


def divide(folds: str, utterances: list[Utterance], seed: int = 0):
    return make_folds(folds, utterances, [EMOTIONS[row % 2] for row in range(len(utterances))], seed=seed)


@pytest.mark.parametrize(("folds", "count"), [("loso", 6), ("3", 3), ("session", 3), ("script", 4), ("script:2", 2)])
def test_every_row_is_tested_once_and_trains_elsewhere(folds, count):
    found = divide(folds, rows())
    assert len(found) == count
    assert sorted(row for fold in found for row in fold.test) == list(range(24))
    for fold in found:
        assert sorted((*fold.train, *fold.test)) == list(range(24))


def test_a_group_is_left_out_whole():
    utterances = rows()
    for fold in divide("session", utterances):
        assert {utterances[row].extra["session"] for row in fold.test} == {fold.name}
        assert fold.name not in {utterances[row].extra["session"] for row in fold.train}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("vwxyz")), min_size=8, max_size=40, unique=True))
def test_unseen_texts_and_speakers_never_cross(pairs):
    utterances = [
        Utterance(id=f"{speaker}{text}", speaker=speaker, transcript=f"{text} {text}") for speaker, text in pairs
    ]
    try:
        found = divide("script+speaker", utterances)
    except SplitError:
        return
    for fold in found:
        for values in ([row.speaker for row in utterances], [row.transcript for row in utterances]):
            assert not {values[row] for row in fold.train} & {values[row] for row in fold.test}
    assert sorted(row for fold in found for row in fold.test) == list(range(len(utterances)))


def test_near_duplicates_stay_on_one_side():
    words = ["i have had quite enough of you", "i have had quite enough of", "what a day", "get out of my house now"]
    utterances = [Utterance(id=str(row), speaker=f"s{row}", transcript=text) for row, text in enumerate(words * 2)]
    groups = text_groups([row.transcript or "" for row in utterances])
    assert len(set(groups)) == 3
    for fold in divide("script", utterances):
        assert not {groups[row] for row in fold.train} & {groups[row] for row in fold.test}


def test_texts_and_speakers_that_fall_apart_lose_no_row():
    utterances = [Utterance(id=str(row), speaker=f"s{row}", transcript=f"text {row}") for row in range(10)]
    found = divide("script+speaker", utterances)
    assert len(found) == 5 and all(len(fold.train) + len(fold.test) == 10 for fold in found)


def test_the_official_split_is_one_fold_with_its_own_dev_part():
    utterances = rows()
    (fold,) = divide("official", utterances)
    for name, part in (("train", fold.train), ("dev", fold.dev or ()), ("test", fold.test)):
        assert part == tuple(row for row, utterance in enumerate(utterances) if utterance.split == name)


def test_the_seed_decides_between_equals():
    tests = [{fold.test for fold in divide("script:2", rows(), seed)} for seed in range(6)]
    assert tests[0] == {fold.test for fold in divide("script:2", rows(), 0)} and len(set(map(frozenset, tests))) > 1


def test_a_column_named_like_a_protocol_is_named_with_column():
    utterances = rows(script="x")
    with pytest.raises(SplitError, match="'script' has one value"):
        divide("column:script", utterances)


@pytest.mark.parametrize(
    ("folds", "change", "sentence"),
    [
        ("sesion", {}, "no protocol, no column of the manifest and no file.*the columns are speaker, split, session"),
        ("session", {"extra": {}}, "24 of 24 rows have no value|no protocol"),
        ("column:gender", {}, "24 of 24 rows have no value in the column 'gender', such as '0-0'"),
        ("script", {"transcript": None}, "24 of 24 rows have no transcript, such as '0-0'"),
        ("script:x", {}, "expected a number behind the colon"),
        ("script:9", {}, "9 folds of 4 texts: expected 2 to 4 folds"),
        ("official", {"split": "train"}, "no labelled row has the split 'test'"),
        ("loso", {"speaker": "ann"}, r"there is one speaker \('ann'\)"),
        ("7", {}, "7 folds of 6 speakers"),
    ],
)
def test_what_cannot_be_divided_is_a_sentence(folds, change, sentence):
    from dataclasses import replace

    with pytest.raises(SplitError, match=sentence):
        divide(folds, [replace(row, **change) for row in rows()])


def test_every_protocol_can_be_written_and_stands_in_the_help_and_in_the_docs(tmp_path):
    from pathlib import Path

    (tmp_path / "splits.json").touch()
    command = typer.main.get_command(app).commands["evaluate"]
    shown = next(one.help for one in command.params if one.name == "folds")
    page = (Path(__file__).parents[2] / "docs/how-to/evaluate.md").read_text(encoding="utf-8")
    for name, protocol in PROTOCOLS.items():
        assert protocol.form in shown or name == "number"
        assert f"| `{protocol.form}` | {protocol.summary} |" in page
        form = str(tmp_path / protocol.form) if name == "file" else protocol.form
        assert read_protocol(form, ["session"])[0] == name
