"""MELD: the official CSV files, with or without clips, and a manifest made of them."""

from collections import Counter

import pytest

from bimodal.data.corpora import meld
from bimodal.errors import ManifestError

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
ROW = '1,"I\x92m fine, \x93really\x94",Joey,joy,positive,0,3,8,21,"00:16:16,059","00:16:21,731"\n'


@pytest.fixture
def official(tmp_path):
    (tmp_path / "MELD").mkdir()
    for name in meld.FILES.values():
        (tmp_path / "MELD" / name).write_text(HEADER + ROW, encoding="utf-8")
    return tmp_path


def test_the_official_files_become_rows_with_the_quotes_of_cp1252_mended(official):
    train, dev, test = meld.prepare(official)
    assert (train.id, train.dialogue, train.split) == ("train_dia0_utt3", "train_0", "train")
    assert (dev.id, test.id) == ("dev_dia0_utt3", "test_dia0_utt3")
    assert (train.transcript, train.emotion, train.speaker, train.path) == ("I’m fine, “really”", "joy", "Joey", None)
    assert train.extra == {
        "sentiment": "positive", "season": "8", "episode": "21", "utterance": "3",
        "episode_start": "00:16:16,059", "episode_end": "00:16:21,731",
    }  # fmt: skip


def test_a_file_saved_as_cp1252_is_read_as_well(official):
    (official / "MELD" / "dev_sent_emo.csv").write_bytes((HEADER + ROW).encode("latin-1"))
    assert meld.prepare(official)[1].transcript == "I’m fine, “really”"


def test_clips_are_found_by_the_name_of_their_split_and_wav_goes_before_mp4(official, caplog):
    clips = ["train_splits/dia0_utt3.mp4", "train_splits/dia0_utt3.wav", "output_repeated_splits_test/dia0_utt3.mp4"]
    for clip in (*clips, "elsewhere/dia0_utt3.wav", "dev_splits_complete/dia0_utt33.wav"):
        (official / clip).parent.mkdir(exist_ok=True)
        (official / clip).touch()
    assert [row.path for row in meld.prepare(official)] == [clips[1], None, clips[2]]
    assert "1 of 3 utterances have no clip" in caplog.text


def test_a_missing_file_is_named(official):
    (official / "MELD" / "dev_sent_emo.csv").unlink()
    with pytest.raises(ManifestError, match=r"no complete MELD in this folder, dev_sent_emo\.csv missing"):
        meld.prepare(official)


def test_other_columns_and_a_broken_row_are_told_with_their_line(official):
    file = official / "MELD" / "test_sent_emo.csv"
    file.write_text("Utterance,Emotion\nhi,joy\n")
    with pytest.raises(
        ManifestError, match=r"test_sent_emo\.csv:1: columns \['Dialogue_ID', 'Speaker', 'Utterance_ID'\]"
    ):
        meld.prepare(official)
    file.write_text(HEADER + ROW + "2,broken off\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"test_sent_emo\.csv:3: not a row of MELD"):
        meld.prepare(official)


def test_a_manifest_of_another_corpus_is_not_taken_for_meld(tmp_path):
    (tmp_path / "manifest.csv").write_text("id,transcript\na,hi\n")
    with pytest.raises(ManifestError, match="no complete MELD in this folder"):
        meld.prepare(tmp_path)


def test_the_corpus_has_its_official_counts(corpus_data):
    rows = meld.prepare(corpus_data / "meld_text_prosody")
    assert Counter(row.split for row in rows) == {"train": 9_989, "dev": 1_109, "test": 2_610}
    assert len({row.id for row in rows}) == 13_708
    assert sum(name.startswith("pros_") for name in rows[0].extra) == 8
