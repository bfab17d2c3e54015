"""Counts of a corpus against the published ones: parts, other versions, renamed files."""

from dataclasses import replace
from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA, prepare_corpus
from bimodal.data.corpora.counts import Published, difference
from bimodal.records import Utterance

ROWS = (
    Utterance(id="a", emotion="joy", speaker="1", split="train"),
    Utterance(id="b", emotion="fear", speaker="2", split="test"),
)
WHOLE = Published(utterances=2, emotions={"joy": 1, "fear": 1}, splits={"train": 1, "test": 1}, speakers=2)


def test_the_whole_corpus_has_nothing_to_tell():
    assert difference(ROWS, WHOLE) is None


@pytest.mark.parametrize(
    ("rows", "published", "told"),
    [
        (ROWS[:1], WHOLE, "1 of 2 published utterances found; the others are missing"),
        ((*ROWS, *ROWS), WHOLE, "4 utterances found, 2 were published; this is another version"),
        (ROWS, replace(WHOLE, emotions={"joy": 2}), "but 1 of 'joy', 2 were published"),
        (ROWS, replace(WHOLE, splits={"dev": 1}), "but 0 of 'dev', 1 were published"),
        (ROWS, replace(WHOLE, speakers=3), "but 2 speakers, 3 were published"),
    ],
)
def test_each_difference_is_one_sentence(rows, published, told):
    found = difference(rows, published)
    assert told in str(found) and "\n" not in str(found)


def test_a_half_downloaded_corpus_is_prepared_with_a_warning(tmp_path: Path, caplog):
    (tmp_path / "baved" / "0").mkdir(parents=True)
    (tmp_path / "baved" / "0" / "0-m-21-0-1-105.wav").touch()
    prepare_corpus("baved", tmp_path / "baved", tmp_path / "out")
    assert "baved: 1 of 1,935 published utterances found" in caplog.text


def test_published_emotions_sum_up_to_the_corpus():
    told = {name: corpus.published for name, corpus in CORPORA.items() if corpus.published}
    assert len(told) >= 12
    for name, published in told.items():
        for parts in filter(None, (published.emotions, published.splits)):
            assert sum(parts.values()) == published.utterances, name
