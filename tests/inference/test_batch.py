"""Recordings in bulk: batches give what single calls give, bad ones cost themselves, words come from a manifest."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal import Recognizer
from bimodal.audio.recordings import find_recordings
from bimodal.audio.segmentation import NO_SPEECH
from bimodal.errors import AudioError, BimodalError, ManifestError
from bimodal.inference.batch import (
    OpenedRecording,
    RecognizeOptions,
    open_recordings,
    read_words,
    recognize_clips,
    recognize_recording,
)
from bimodal.records import Clip

RATE = 16_000


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def folder(corpus_data: Path, tmp_path_factory) -> Path:
    """Twenty clips of real speech, the third of them no recording, and one of 40 s."""
    folder = tmp_path_factory.mktemp("clips")
    files = sorted((corpus_data / "ravdess" / "audio").glob("03-01-0[1-5]-01-*-01-0*.flac"))[:20]
    signals = [soundfile.read(file, dtype="float32")[0] for file in files]
    for number, signal in enumerate(signals):
        soundfile.write(folder / f"{number:02}.wav", signal, RATE)
    (folder / "02.wav").write_bytes((folder / "02.wav").read_bytes()[:40])
    soundfile.write(folder / "long.flac", np.concatenate(signals)[: 40 * RATE], RATE)
    return folder


def test_a_recording_gives_what_a_single_call_gives_and_a_bad_one_says_what_is_wrong(recognizer, folder):
    found, wrong = {}, {}
    for recording in find_recordings([folder]):
        try:
            (found[recording.path],) = results_of(recognizer, recording, RecognizeOptions(timeline=False))
        except AudioError as error:
            wrong[recording.path] = str(error)
    assert list(found) == [file for file in sorted(folder.iterdir()) if file.name != "02.wav"]
    assert list(wrong) == [folder / "02.wav"] and "cannot be decoded" in wrong[folder / "02.wav"]
    for path, result in found.items():
        alone = recognizer.recognize(path)
        assert list(result.scores.values()) == pytest.approx(list(alone.scores.values()), abs=1e-4)
        assert (result.start, result.end) == (alone.start, alone.end)


def test_length_decides_what_gets_a_timeline_unless_it_is_said(recognizer, folder):
    recordings = find_recordings([folder / "00.wav", folder / "long.flac"])
    for options, expected in (
        (RecognizeOptions(), [False, True]),
        (RecognizeOptions(timeline=False), [False, False]),
        (RecognizeOptions(channels="speakers"), [True, True]),
        (RecognizeOptions(transcript="Hello"), [False, False]),
    ):
        assert [recognize_recording(recognizer.model, one, options).over_time for one in recordings] == expected
    counts = [len(results_of(recognizer, one)) for one in recordings]
    assert counts[0] == 1 and counts[1] > 5


def results_of(recognizer, recording, options: RecognizeOptions | None = None) -> list:
    return list(recognize_recording(recognizer.model, recording, options or RecognizeOptions()).results)


@pytest.fixture
def manifest(folder: Path) -> Path:
    rows = [
        ["path", "start", "end", "transcript", "speaker", "asr_confidence"],
        ["00.wav", "1.5", "", "of my sight!", "ann", "0.25"],
        ["00.wav", "", "1.5", "Get out", "ann", "1"],
        ["long.flac", "0", "3", "What a lovely day!", "ben", ""],
        ["elsewhere.wav", "", "", "not wanted", "ben", ""],
    ]
    with (folder / "words.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    yield folder / "words.csv"
    (folder / "words.csv").unlink()


def test_words_of_a_manifest_go_to_their_recording_in_order_of_time(recognizer, folder, manifest):
    recordings = find_recordings([folder / "00.wav", folder / "01.wav", folder / "long.flac"])
    options = RecognizeOptions(words=read_words(manifest, recordings))
    found = {one.path.name: results_of(recognizer, one, options) for one in recordings}
    (first,) = found["00.wav"]
    assert (first.transcript, first.speaker, first.transcript_confidence) == ("Get out of my sight!", "ann", 0.5)
    assert found["01.wav"][0].transcript is None
    said = {result.transcript for result in found["long.flac"] if result.start < 2}
    assert said == {"What a lovely day!"}
    assert all(result.transcript is None for result in found["long.flac"] if result.start > 6)


def test_words_without_times_do_not_do_for_a_timeline(recognizer, folder, tmp_path):
    (folder / "words.csv").write_text("path,transcript\nlong.flac,Hello\n")
    recordings = find_recordings([folder / "long.flac"])
    options = RecognizeOptions(words=read_words(folder / "words.csv", recordings))
    with pytest.raises(ManifestError, match=r"long\.flac: the words of 'long\.flac' have no start and end"):
        results_of(recognizer, recordings[0], options)
    (folder / "words.csv").write_text("path,transcript\nother.flac,Hello\n")
    with pytest.raises(ManifestError, match="no words of any of these 1 recordings"):
        read_words(folder / "words.csv", recordings)
    (folder / "words.csv").unlink()


def test_where_nobody_speaks_the_voice_is_not_judged(recognizer, tmp_path):
    time = np.arange(4 * RATE) / RATE
    chord = sum(0.1 * np.sin(2 * np.pi * pitch * time) * np.exp(-3 * (time % 0.5)) for pitch in (220, 277.2, 329.6))
    soundfile.write(tmp_path / "chord.wav", chord, RATE)
    recordings = find_recordings([tmp_path / "chord.wav"])
    (result,) = results_of(recognizer, recordings[0])
    assert result.abstained and result.reason == NO_SPEECH and (result.start, result.end) == (0.0, 4.0)
    (told,) = results_of(recognizer, recordings[0], RecognizeOptions(transcript="I am so glad"))
    assert told.scores == recognizer.recognize(transcript="I am so glad").scores and told.gate is None


def test_folders_are_searched_by_extension_and_each_recording_is_taken_once(folder, tmp_path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for name in ("x.WAV", "y.m4a", "notes.txt", ".hidden.wav"):
        (deep / name).write_bytes(b"")
    found = find_recordings([tmp_path, deep / "x.WAV", tmp_path / "none.wav"])
    assert [one.place.as_posix() for one in found] == ["a/b/x.WAV", "a/b/y.m4a", "none.wav"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BimodalError, match="no recordings in this folder"):
        find_recordings([tmp_path / "empty"])


def test_clips_encoded_at_once_give_exactly_what_clips_one_after_the_other_give(tiny_model, folder):
    paths = [file for file in sorted(folder.iterdir())[:9] if file.name != "02.wav"]
    one, several = (Recognizer(tiny_model, threads=threads) for threads in (1, 3))
    assert (one.model.at_once, several.model.at_once) == (1, 3)
    assert several.recognize_batch(paths) == one.recognize_batch(paths)
    given = [folder / "02.wav", *paths, folder / "none.wav"]
    assert several.recognize_batch(given, strict=False) == one.recognize_batch(given, strict=False)


def test_the_first_bad_clip_of_several_at_once_is_the_one_that_is_told(tiny_model, folder):
    given = [folder / "00.wav", folder / "02.wav", folder / "none.wav", *[folder / "01.wav"] * 9]
    with pytest.raises(AudioError, match=r"02\.wav"):
        Recognizer(tiny_model, threads=3).recognize_batch(given)


def test_two_clips_may_share_an_open_file(tiny_model, folder):
    recognizer = Recognizer(tiny_model, threads=2)
    with (folder / "00.wav").open("rb") as stream:
        assert recognizer.recognize_batch([stream] * 6) == recognizer.recognize_batch([folder / "00.wav"] * 6)


def test_a_long_list_is_scored_in_blocks_so_that_little_is_held(tiny_model, folder):
    taken: list[str] = []

    class Watched(dict):
        def get(self, key: str) -> object:
            taken.append(key)
            return super().get(key)

    clips = [Clip(audio=Watched(path=folder / "00.wav")) for _ in range(90)]
    found = recognize_clips(Recognizer(tiny_model, threads=2).model, clips)
    first = next(found)
    assert 64 <= taken.count("array") <= 70
    assert [first, *found] == [first] * 90


def test_recordings_opened_ahead_give_what_single_ones_give_in_their_order(tiny_model, folder):
    model = Recognizer(tiny_model, threads=3).model
    recordings = [one for one in find_recordings([folder]) if one.path.stem in ("00", "01", "02", "03", "long")]
    for options in (RecognizeOptions(), RecognizeOptions(timeline=False), RecognizeOptions(explain=True)):
        opened = list(open_recordings(model, recordings, options))
        assert isinstance(opened[-1], OpenedRecording) and opened[-1].speech is None  # long ones are not read ahead
        bad = [one for one in opened if isinstance(one, AudioError)]
        assert len(opened) == len(recordings) == 5 and "02.wav" in str(bad[0]) and len(bad) == 1
        for recording, one in zip(recordings, opened, strict=True):
            if one is not bad[0]:
                ahead = recognize_recording(model, recording, options, opened=one)
                alone = recognize_recording(model, recording, options)
                assert (ahead.over_time, list(ahead.results)) == (alone.over_time, list(alone.results))
    with pytest.raises(AudioError, match=r"02\.wav"):
        recognize_recording(model, recordings[2], options, opened=bad[0])
