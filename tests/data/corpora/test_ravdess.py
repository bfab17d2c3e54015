"""RAVDESS: file names become utterances; song, video and copies do not."""

import logging

import pytest

from bimodal.data.corpora import ravdess
from bimodal.data.labels import emotion_map
from bimodal.data.manifest import read_manifest
from bimodal.data.splits import check_disjoint, named_folds, speaker_folds
from bimodal.errors import ManifestError


def test_a_file_name_is_read_as_a_row(tmp_path):
    file = tmp_path / "Audio_Speech" / "Actor_24" / "03-01-05-02-02-01-24.wav"
    file.parent.mkdir(parents=True)
    file.touch()
    (row,) = ravdess.prepare(tmp_path)
    assert row.id == "03-01-05-02-02-01-24"
    assert row.path == "Audio_Speech/Actor_24/03-01-05-02-02-01-24.wav"
    assert (row.emotion, row.speaker, row.transcript) == ("angry", "24", "Dogs are sitting by the door.")
    assert row.extra == {"gender": "female", "intensity": "strong", "repetition": "1", "fold": "4"}


def test_song_video_copies_and_strangers_are_left_out_and_counted(tmp_path, caplog):
    (tmp_path / "copy").mkdir()
    for name in ("03-01-01-01-01-01-01.wav", "copy/03-01-01-01-01-01-01.wav", "03-02-01-01-01-01-01.wav"):
        (tmp_path / name).touch()
    for name in ("01-01-01-01-01-01-01.mp4", "02-01-01-01-01-01-01.mp4", "03-01-01-01-01-01-25.wav", "readme.txt"):
        (tmp_path / name).touch()
    with caplog.at_level(logging.WARNING):
        rows = ravdess.prepare(tmp_path)
    assert [row.path for row in rows] == ["03-01-01-01-01-01-01.wav"]
    for count in ("1 of 1440", "'song': 1", "'video or another format': 2", "'second copy': 1", "'unknown actor': 1"):
        assert count in caplog.text


def test_another_folder_is_refused_with_the_files_expected(tmp_path):
    with pytest.raises(ManifestError, match=r"expected files such as Actor_01/03-01-01-01-01-01-01\.wav"):
        ravdess.prepare(tmp_path)


def test_every_actor_is_in_one_fold():
    actors = [actor for fold in ravdess.FOLDS.values() for actor in fold]
    assert sorted(actors) == [f"{number:02}" for number in range(1, 25)]


def test_the_corpus_is_complete_and_agrees_with_its_manifest(corpus_data):
    rows = ravdess.prepare(corpus_data / "ravdess")
    listed = {row.path: row for row in read_manifest(corpus_data / "ravdess" / "manifest.csv").utterances}
    to_eight = emotion_map("ravdess8")
    assert len(rows) == len(listed) == 1_440
    assert len({row.speaker for row in rows}) == 24
    for row in rows:
        other = listed[row.path]
        assert (to_eight.apply(row.emotion), row.transcript, row.speaker) == (
            other.emotion,
            other.transcript,
            other.speaker,
        )
        assert all(row.extra[name] == other.extra[name] for name in ("gender", "intensity", "repetition"))


def test_emoboxs_six_folds_share_no_actor(corpus_data):
    rows = ravdess.prepare(corpus_data / "ravdess")
    speakers = [row.speaker for row in rows]
    folds = named_folds(speakers, ravdess.FOLDS)
    assert [len(fold.test) for fold in folds] == [240] * 6
    assert [fold.test for fold in speaker_folds([row.extra["fold"] for row in rows], "loso")] == [f.test for f in folds]
    for fold in folds:
        check_disjoint([speakers[row] for row in fold.train], [speakers[row] for row in fold.test], "actors")
