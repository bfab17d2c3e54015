"""GoEmotions: the authors' TSV files, several labels a row, and a manifest made of them."""

from collections import Counter

import pytest

from bimodal.data.corpora import goemotions
from bimodal.data.labels import find_map
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError

TSV = 'Never "sad"\tin my life!\t25\tedcu99z\r\nYou know\u2028the answer\t4,27\tee84bjg\n'


@pytest.fixture
def official(tmp_path):
    (tmp_path / "goemotions" / "data").mkdir(parents=True)
    for name in goemotions.FILES.values():
        (tmp_path / "goemotions" / "data" / name).write_text(TSV.replace("ed", name[:2]), encoding="utf-8")
    return tmp_path


def test_label_numbers_become_the_corpus_own_labels_and_several_stand_in_one_cell(official):
    first, second, *others = goemotions.prepare(official)
    assert (first.id, first.transcript, first.emotion, first.split) == (
        "trcu99z",
        'Never "sad"\tin my life!',
        "sadness",
        "train",
    )
    assert (second.transcript, second.emotion, second.lang) == ("You know\u2028the answer", "approval|neutral", "en")
    assert [row.split for row in others] == ["dev", "dev", "test", "test"]


@pytest.mark.parametrize("row", ["no tabs", "text\t28\tid", "text\t-1\tid", "text\tjoy\tid", "text\t\tid"])
def test_a_row_of_another_kind_is_told_with_its_line(official, row):
    (official / "goemotions" / "data" / "dev.tsv").write_text(TSV + row + "\n", encoding="utf-8")
    with pytest.raises(
        ManifestError, match=r"dev\.tsv:3: not a row of GoEmotions .*expected text, label numbers 0 to 27"
    ):
        goemotions.prepare(official)


def test_a_missing_file_and_a_foreign_manifest_are_refused(official):
    (official / "goemotions" / "data" / "test.tsv").unlink()
    (official / "manifest.csv").write_text("transcript,emotion\nhi,joy\n")
    with pytest.raises(ManifestError, match=r"no GoEmotions in this folder; expected train\.tsv, dev\.tsv, test\.tsv"):
        goemotions.prepare(official)


def test_a_manifest_with_an_unknown_label_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("id,transcript,labels28,split\na,hi,joy|glee,train\n")
    with pytest.raises(ManifestError, match=r"utterance 'a': labels28 holds \['glee'\]"):
        goemotions.prepare(tmp_path)


def test_the_corpus_has_its_official_counts_and_labels(corpus_data):
    rows = goemotions.prepare(corpus_data / "goemotions")
    assert Counter(row.split for row in rows) == {"train": 43_410, "dev": 5_426, "test": 5_427}
    assert {label for row in rows for label in row.emotion.split("|")} == set(goemotions.LABELS)
    assert sum("|" in row.emotion for row in rows) == 8_817


def test_the_published_grouping_agrees_with_every_row_of_the_corpus(corpus_data):
    given = read_manifest(corpus_data / "goemotions" / "manifest.csv").utterances
    shares = [find_map("goemotions-ekman7").shares(row.extra["labels28"]) for row in given]
    assert [set(found) for found in shares] == [set(row.extra["emotions_ekman"].split("|")) for row in given]
    assert sum(len(found) > 1 for found in shares) == 4_794
