"""Corpora are joined by the emotions that all have; what they share is refused or told."""

from dataclasses import replace

import pytest

from bimodal.errors import BimodalError, SplitError
from bimodal.evaluation.corpora import describe_labels, read_corpora
from tests.conftest import write_tiny_corpus
from tests.evaluation.folded import QUICK, write_columns

NATIVE = replace(QUICK, vocabulary="native")


def test_the_common_emotions_are_used_and_all_else_is_counted(tmp_path):
    one = write_columns(tmp_path / "one" / "m.csv", emotions=("anger", "happiness", "sadness"))
    two = write_columns(tmp_path / "two" / "m.csv", emotions=("anger", "sadness", "fear"), name="t")
    found = read_corpora([one, two], QUICK)
    assert found.labels.emotions == found.rows.emotions == ("anger", "sadness")
    assert {name: len(places) for name, places in found.places.items()} == {"one": 36, "two": 36}
    assert describe_labels(found.labels) == [
        "emotions in common: anger, sadness",
        "one: 36 rows are used (anger 18, sadness 18); left out: 18 rows (happiness is not in all corpora)",
        "two: 36 rows are used (anger 18, sadness 18); left out: 18 rows (fear is not in all corpora)",
    ]


def test_ids_and_speakers_of_corpora_stay_apart_and_numbers_are_told(tmp_path):
    paths = [write_columns(tmp_path / name / "m.csv") for name in ("one", "two")]
    found = read_corpora(paths, QUICK)
    assert len({row.id for row in found.rows.utterances}) == 108
    assert len({row.speaker for row in found.rows.utterances}) == 12
    assert "one and two both have speakers called 's0', 's1', 's2', 's3' and 2 more" in found.notes[0]


def test_labels_as_they_are_may_be_joined(tmp_path):
    one = write_columns(tmp_path / "one" / "m.csv", emotions=("red", "blue", "green"))
    two = write_columns(tmp_path / "two" / "m.csv", emotions=("blue", "red", "black"), name="t")
    assert set(read_corpora([one, two], NATIVE).rows.emotions) == {"red", "blue"}


def test_too_few_common_emotions_are_a_sentence_that_names_them(tmp_path):
    one = write_columns(tmp_path / "one" / "m.csv", emotions=("anger", "sadness"))
    two = write_columns(tmp_path / "two" / "m.csv", emotions=("anger", "happiness"), name="t")
    with pytest.raises(BimodalError, match=r"1 emotions in common .one has anger, sadness; two has anger, happiness"):
        read_corpora([one, two], QUICK)


def test_persons_in_two_corpora_are_refused_unless_a_name_allows_them(tmp_path):
    one = write_columns(tmp_path / "one" / "m.csv", name="Ross ")
    two = tmp_path / "two" / "m.csv"
    write_columns(two, name="Ross ")
    two.write_text(two.read_text().replace("Ross 1", "Joey"))
    one.write_text(one.read_text().replace("Ross 1", "Joey"))
    with pytest.raises(SplitError, match=r"one and two both have the speakers 'Joey', 'Ross 0'.*--allow-overlap NAME"):
        read_corpora([one, two], QUICK)
    assert "accepted as 'Friends'" in read_corpora([one, two], QUICK, "Friends").caveat


def test_a_recording_in_two_corpora_is_refused(tmp_path):
    one, two = (write_tiny_corpus(tmp_path / name, speakers=2, per_emotion=1) for name in ("one", "two"))
    with pytest.raises(SplitError, match=r"one and two share 6 recordings, such as 'one/audio/s0-anger-0.wav'"):
        read_corpora([one, two], replace(QUICK, speech=replace(QUICK.speech, columns=())))


def test_the_same_words_in_two_corpora_are_told(tmp_path):
    paths = [write_columns(tmp_path / name / "m.csv", words=True) for name in ("one", "two")]
    assert any("texts in one and two: 6 shared, 100.0 %" in note for note in read_corpora(paths, QUICK).notes)


def test_one_manifest_and_a_bad_one_are_sentences(tmp_path):
    one = write_columns(tmp_path / "one" / "m.csv")
    with pytest.raises(BimodalError, match="1 manifest given, expected two or more"):
        read_corpora([one], QUICK)
    (tmp_path / "two.csv").write_text("id,transcript,emotion,speaker\nu0,hi,,ann\n")
    with pytest.raises(BimodalError, match=r"two.csv \(.*\): no labelled utterance is left"):
        read_corpora([one, tmp_path / "two.csv"], QUICK)
