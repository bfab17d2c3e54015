"""Several people in one channel: each result says who speaks, nothing that is said is lost, stereo stays as it was."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from praatio import textgrid

from bimodal import Recognizer, TimedWords, TimelineConfig
from bimodal.asr.timed_words import Asr
from bimodal.asr.whisper import Transcription
from bimodal.audio.segmentation import NO_SPEECH, segment_audio
from bimodal.errors import AudioError, BackboneError, ConfigError
from bimodal.features.speaker_stats import SpeakerStatsStore
from bimodal.inference.diarised import NOBODY, find_speakers
from bimodal.output.console import format_stretch
from bimodal.output.formats import FORMATS, write_recognitions

RATE = 16_000


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def two(segmentation_model) -> TimelineConfig:
    return TimelineConfig(speakers=2, segmentation=segmentation_model)


@pytest.fixture(scope="module")
def recording(dialogue, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("diarised") / "call.wav"
    soundfile.write(path, dialogue[0], RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def results(recognizer, recording, two):
    return list(recognizer.recognize_long(recording, config=two))


def test_each_result_says_who_speaks_and_how_sure_that_is(results, dialogue):
    right = 0.0
    for start, end, speaker in dialogue[1]:
        name = {"03": "speaker 1", "08": "speaker 2"}[speaker]
        own = [one for one in results if one.speaker == name]
        right += sum(max(0.0, min(end, one.end) - max(start, one.start)) for one in own)
    assert right > 0.9 * sum(one.end - one.start for one in results)
    assert all(0.5 < one.speaker_confidence <= 1 and one.overlap == 0 for one in results)
    assert [one.start for one in results] == sorted(one.start for one in results)


def test_what_is_recognised_is_what_is_recognised_without_speakers(recognizer, recording, results):
    plain = list(recognizer.recognize_long(recording))
    assert sum(one.end - one.start for one in results) == pytest.approx(sum(one.end - one.start for one in plain))
    assert (results[0].start, results[-1].end) == (plain[0].start, plain[-1].end)
    assert {(one.speaker, one.speaker_confidence, one.overlap) for one in plain} == {(None, None, None)}


def test_one_speaker_has_the_results_of_nobody_and_one_name(recognizer, recording, two):
    plain = recognizer.recognize_long(recording)
    named = recognizer.recognize_long(recording, config=replace(two, speakers=1))
    for one, other in zip(plain, named, strict=True):
        assert other == replace(one, speaker="speaker 1", overlap=0.0)


@pytest.mark.parametrize("speakers", ["auto", 2])
def test_silence_has_no_speaker(recognizer, two, tmp_path, speakers):
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE * 3), RATE)
    config = replace(two, speakers=speakers)
    (result,) = recognizer.recognize_long(tmp_path / "silence.wav", config=config)
    assert (result.speaker, result.reason, result.abstained) == (None, NO_SPEECH, True)


def test_a_stereo_call_with_one_speaker_a_channel_is_as_it_was(recognizer, dialogue, tmp_path):
    soundfile.write(tmp_path / "call.wav", np.stack([dialogue[0], np.zeros_like(dialogue[0])], axis=1), RATE)
    found = list(recognizer.recognize_long(tmp_path / "call.wav", config=TimelineConfig(channels="speakers")))
    assert {one.speaker for one in found} == {"channel 1", "channel 2"}
    assert {(one.speaker_confidence, one.overlap) for one in found} == {(None, None)}


def test_an_interrupted_call_goes_on_where_it_was(recognizer, recording, two, results):
    after = {"speaker 1": results[4].start, "speaker 2": results[4].start}
    rest = list(recognizer.recognize_long(recording, config=two, after=after))
    assert rest == [one for one in results if (one.start + one.end) / 2 > results[4].start]


def test_words_go_to_who_speaks_at_that_time_whoever_the_manifest_names(recognizer, recording, two, dialogue):
    words = [
        TimedWords(start=start, end=end, transcript=f"line {row}", speaker="Ann")
        for row, (start, end, _) in enumerate(dialogue[1])
    ]
    config = replace(two, hop=12.0, window=12.0)
    found = list(recognizer.recognize_long(recording, words=words, config=config))
    said = {one.transcript: one.speaker for one in found if one.transcript}
    names = {"03": "speaker 1", "08": "speaker 2"}
    right = [said.get(f"line {row}") == names[speaker] for row, (_, _, speaker) in enumerate(dialogue[1])]
    assert sum(right) >= 8


def test_heard_words_go_to_who_speaks(recognizer, recording, two):
    def listen(signal, language):
        from bimodal.asr.whisper import Word

        words = tuple(
            Word(start=second, end=second + 0.5, text=f"w{second}", probability=1.0)
            for second in range(int(len(signal) / RATE))
        )
        text = " ".join(word.text for word in words)
        return Transcription(text=text, confidence=1.0, language="de", language_probability=1.0, words=words)

    found = list(recognizer.recognize_long(recording, asr=Asr(words=listen), config=two))
    assert {one.speaker for one in found if one.transcript_source == "asr"} == {"speaker 1", "speaker 2"}


def test_speakers_are_named_in_every_format(results):
    for kind in FORMATS:
        stream = io.StringIO()
        write_recognitions(results, stream, kind, recording="call.wav")
        text = stream.getvalue()
        if kind == "jsonl":
            told = [json.loads(line) for line in text.splitlines()]
            assert [one["speaker"] for one in told] == [one.speaker for one in results]
            assert [one["speaker_confidence"] for one in told] == [one.speaker_confidence for one in results]
        elif kind == "csv":
            rows = list(csv.DictReader(io.StringIO(text)))
            assert {row["speaker"] for row in rows} == {"speaker 1", "speaker 2"}
            assert all(float(row["speaker_confidence"]) > 0.5 and row["overlap"] == "0.0" for row in rows)
        elif kind == "rttm":
            assert [int(line.split()[2]) for line in text.splitlines()] == [int(one.speaker[-1]) for one in results]
        else:
            assert all(name in text for name in ("speaker 1", "speaker 2")), kind


def test_a_textgrid_has_tiers_of_each_speaker(results, tmp_path):
    with (tmp_path / "call.TextGrid").open("w", encoding="utf-8") as stream:
        write_recognitions(results, stream, "textgrid")
    read = textgrid.openTextgrid(str(tmp_path / "call.TextGrid"), includeEmptyIntervals=False)
    assert [name for name in read.tierNames if name.endswith("emotion")] == ["speaker 1 emotion", "speaker 2 emotion"]


def test_a_line_to_read_says_how_sure_it_is_and_marks_overlap(results):
    line = format_stretch(replace(results[0], speaker_confidence=0.61, overlap=0.2))
    assert "speaker 1 (0.61, overlap)" in line
    assert "speaker 1 (" not in format_stretch(replace(results[0], speaker_confidence=None, overlap=0.0))


def test_doubt_and_overlap_are_warnings_of_the_result(recognizer, two, dialogue, tmp_path):
    (_first, end, _), (start, stop, _) = dialogue[1][:2]
    both = dialogue[0].copy()
    second = both[round(start * RATE) : round(stop * RATE)]
    at = round((end - 1.2) * RATE)
    both[at : at + len(second)] += second
    soundfile.write(tmp_path / "both.wav", both, RATE, subtype="FLOAT")
    found = list(recognizer.recognize_long(tmp_path / "both.wav", config=two))
    marked = [one for one in found if one.overlap and one.overlap >= 0.1]
    assert marked and all(any("two people speak at once" in told for told in one.warnings) for one in marked)
    assert {one.speaker for one in marked} == {"speaker 1", "speaker 2"}
    doubted = [one for one in found if one.speaker_confidence and one.speaker_confidence < 0.7]
    assert all(any("another person may speak here" in told for told in one.warnings) for one in doubted)


def test_speech_that_the_network_gives_to_nobody_has_a_warning(recognizer, two, recording, monkeypatch):
    from bimodal.diarisation import diarise

    find = diarise.find_stretches
    monkeypatch.setattr(diarise, "find_stretches", lambda *given: find(*given)[:1])
    found = list(recognizer.recognize_long(recording, config=two))
    unknown = [one for one in found if one.speaker is None]
    assert unknown and all(NOBODY in one.warnings for one in unknown)


def test_a_recording_that_is_damaged_late_keeps_what_was_whole(recognizer, two, dialogue, tmp_path):
    soundfile.write(tmp_path / "late.flac", dialogue[0], RATE)
    data = bytearray((tmp_path / "late.flac").read_bytes())
    (tmp_path / "late.flac").write_bytes(data[: len(data) * 2 // 3])
    found = list(recognizer.recognize_long(tmp_path / "late.flac", config=two))
    assert len({one.speaker for one in found}) == 2
    assert any(told.startswith("the recording is cut") for told in found[-1].warnings)


def test_a_model_with_speaker_statistics_scores_each_speaker_by_the_earlier_segments(
    recognizer, recording, two, tiny_model
):
    encoded = []
    model = recognizer.model
    for segment in segment_audio(recording):
        frames = model.encode_frames(segment.signal)
        encoded.append((frames, segment))
    from bimodal.features.adaptation import plain_adaptation
    from bimodal.features.pooling import pool
    from bimodal.features.speaker_stats import measure_stats

    statistics = np.stack([pool(frames, model.pooling) for frames, _ in encoded])
    corpus = measure_stats(statistics)
    adaptation = plain_adaptation(
        corpus, corpus.mean.astype(np.float32), corpus.std.astype(np.float32), len(model.emotions)
    )
    adapted = Recognizer(model.adapted(adaptation, "this", "0" * 64))
    found = list(adapted.recognize_long(recording, config=two))
    one = list(adapted.recognize_long(recording, config=replace(two, speakers=1)))
    assert found[0].scores != recognizer.recognize_long(recording, config=two).__next__().scores
    late = [(a, b) for a, b in zip(found, one, strict=False) if a.start == b.start and a.speaker == "speaker 2"]
    assert any(a.scores != b.scores for a, b in late)


def test_what_does_not_go_together_is_one_sentence(recognizer, recording, two, segmentation_model, monkeypatch):
    for wrong in (0, 21, "two", 1.5, True):
        with pytest.raises(ConfigError, match="expected auto, or a number from 1 to 20"):
            TimelineConfig(speakers=wrong)
    with pytest.raises(ConfigError, match="each channel is one speaker already"):
        TimelineConfig(speakers=2, channels="speakers")
    for given in ({"speakers": ["Ann"]}, {"speaker_stats": SpeakerStatsStore()}):
        with pytest.raises(ConfigError, match="found speakers have no names"):
            recognizer.recognize_long(recording, config=two, **given)
    monkeypatch.delenv("BIMODAL_SEGMENTATION", raising=False)
    with pytest.raises(BackboneError, match="no segmentation network is named"):
        recognizer.recognize_long(recording, config=TimelineConfig(speakers=2))
    with pytest.raises(AudioError, match="no such file"):
        find_speakers("none.wav", two)
    with pytest.raises(ConfigError, match="for files alone"):
        recognizer.stream(RATE, config=two)
