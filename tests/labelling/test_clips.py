"""The clips of a folder: whole or cut at pauses, a tenth drawn once and for all."""

import numpy as np
import pytest
import soundfile

from bimodal.errors import AudioError, LabellingError, ManifestError
from bimodal.labelling.clips import draw_test, find_clips
from bimodal.labelling.open import open_labels


def tone(path, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(int(16_000 * seconds)) / 5), 16_000)


def test_a_tenth_is_drawn_and_stays_when_recordings_are_added(tmp_path):
    for number in range(40):
        tone(tmp_path / f"{number}.wav", 0.2)
    first = find_clips(tmp_path).clips
    drawn = {clip.id for clip in first if clip.part == "test"}
    for number in range(40, 80):
        tone(tmp_path / f"{number}.wav", 0.2)
    second = find_clips(tmp_path, first).clips
    again = {clip.id for clip in second if clip.part == "test"}
    assert (len(drawn), len(again), len(second)) == (10, 20, 80)
    assert drawn < again


def test_the_draw_depends_on_the_seed_alone():
    names = [str(number) for number in range(200)]
    assert draw_test(names, 20, 1) == draw_test(names[::-1], 20, 1) != draw_test(names, 20, 2)


def test_a_long_recording_is_cut_at_its_pauses(dialogue, tmp_path):
    whole, turns = dialogue
    soundfile.write(tmp_path / "talk.wav", whole, 16_000)
    clips = find_clips(tmp_path).clips
    assert len(turns) <= len(clips) <= 2 * len(turns)
    assert all(clip.end - clip.start <= 12.1 for clip in clips)
    assert clips[0].id == f"talk.wav#{clips[0].start:.2f}-{clips[0].end:.2f}"


def test_a_manifest_gives_words_speakers_and_stretches(tmp_path):
    tone(tmp_path / "a.wav", 3.0)
    tone(tmp_path / "b.wav")
    (tmp_path / "manifest.csv").write_text("path,start,end,transcript,speaker\na.wav,0,1,Hello.,x\na.wav,1,2,,\n")
    clips = find_clips(tmp_path).clips
    assert [(clip.id, clip.transcript, clip.speaker) for clip in clips] == [
        ("a.wav#0.00-1.00", "Hello.", "x"),
        ("a.wav#1.00-2.00", "", ""),
        ("b.wav", "", ""),
    ]


def test_a_damaged_recording_is_named_and_the_others_are_found(tmp_path):
    tone(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"nothing")
    found = find_clips(tmp_path)
    assert [clip.id for clip in found.clips] == ["a.wav"]
    assert "b.wav" in found.problems[0]


def test_a_recording_that_vanished_keeps_its_clip(tmp_path):
    for name in "ab":
        tone(tmp_path / f"{name}.wav")
    open_labels(tmp_path, emotions=("calm", "tense"))
    (tmp_path / "a.wav").unlink()
    assert [clip.id for clip in open_labels(tmp_path).store.clips] == ["a.wav", "b.wav"]


def test_what_is_no_folder_of_recordings_is_refused(tmp_path):
    with pytest.raises(LabellingError, match="no such folder"):
        find_clips(tmp_path / "missing")
    with pytest.raises(AudioError, match="no recordings in this folder"):
        find_clips(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"nothing")
    with pytest.raises(LabellingError, match="no recording can be labelled"):
        find_clips(tmp_path)
    (tmp_path / "manifest.csv").write_text("nonsense\n")
    with pytest.raises(ManifestError):
        find_clips(tmp_path)
