"""TweetEval's emotion task: the published text files and a manifest made of them give the same rows."""

from collections import Counter

import pytest

from bimodal.data.corpora import tweeteval
from bimodal.data.manifest import write_manifest
from bimodal.errors import ManifestError


@pytest.fixture
def official(tmp_path):
    for task, mapping in {"emoji": "0\t❤\n1\t😍", "emotion": "0\tanger\n1\tjoy\n2\toptimism\n3\tsadness"}.items():
        folder = tmp_path / "datasets" / task
        folder.mkdir(parents=True)
        (folder / "mapping.txt").write_text(mapping, encoding="utf-8")
        for split in ("train", "val", "test"):
            (folder / f"{split}_text.txt").write_text(f"so\u2028{split} \nhaha\nbye\nhope\n", encoding="utf-8")
            (folder / f"{split}_labels.txt").write_text("3\n1\n0\n2\n")
    return tmp_path


def test_texts_and_labels_become_rows_of_the_emotion_task_alone(official):
    rows = tweeteval.prepare(official)
    assert len(rows) == 12
    assert (rows[0].id, rows[0].transcript, rows[0].emotion) == ("train_1", "so\u2028train", "sadness")
    assert [(row.emotion, row.split) for row in rows[4:7]] == [("sadness", "dev"), ("joy", "dev"), ("anger", "dev")]


def test_a_manifest_made_of_the_files_gives_the_same_rows(official, tmp_path):
    (tmp_path / "made").mkdir()
    rows = tweeteval.prepare(official)
    write_manifest(tmp_path / "made" / "manifest.csv", rows)
    assert tweeteval.prepare(tmp_path / "made") == rows


def test_a_label_too_few_and_an_unknown_one_are_told(official):
    labels = official / "datasets" / "emotion" / "val_labels.txt"
    labels.write_text("3\n1\n0\n7\n")
    with pytest.raises(ManifestError, match=r"val_labels\.txt:4: label '7', expected one of \['0', '1', '2', '3'\]"):
        tweeteval.prepare(official)
    labels.write_text("3\n1\n0\n")
    with pytest.raises(ManifestError, match=r"val_text\.txt: 4 tweets but 3 labels"):
        tweeteval.prepare(official)


def test_another_task_alone_is_refused(official):
    (official / "datasets" / "emotion" / "mapping.txt").unlink()
    with pytest.raises(ManifestError, match="no emotion task of TweetEval in this folder"):
        tweeteval.prepare(official)


def test_the_corpus_has_its_official_counts(corpus_data):
    rows = tweeteval.prepare(corpus_data / "tweeteval_emotion")
    assert Counter(row.split for row in rows) == {"train": 3_257, "dev": 374, "test": 1_421}
    assert Counter(row.emotion for row in rows) == {"anger": 2_118, "sadness": 1_326, "joy": 1_163, "optimism": 445}
