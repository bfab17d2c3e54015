"""A timeline: windows equal direct calls, words go by time, channels are speakers, silence has an answer."""

import csv
import io
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal import Clip, Recognizer
from bimodal.asr.timed_words import TimedWords
from bimodal.audio.decode import load_signal
from bimodal.audio.segmentation import NO_SPEECH, SegmentConfig, segment_audio
from bimodal.errors import AudioError, ConfigError
from bimodal.inference.stream import TimelineConfig
from bimodal.inference.summary import summarise
from bimodal.output.formats import write_recognitions

RATE = 16_000


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def clips(corpus_data: Path) -> list[np.ndarray]:
    return [load_signal(file) for file in sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[:4]]


@pytest.fixture(scope="module")
def recording(clips, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("timeline") / "long.wav"
    soundfile.write(path, np.concatenate(clips), RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def call(clips, tmp_path_factory) -> Path:
    """Two speakers, one a channel, one after the other."""
    path = tmp_path_factory.mktemp("timeline") / "call.wav"
    first, second = clips[0], clips[1]
    left = np.concatenate([first, np.zeros_like(second)])
    right = np.concatenate([np.zeros_like(first), second])
    soundfile.write(path, np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    return path


def test_short_segments_are_judged_as_a_direct_call_judges_them(recognizer, recording):
    config = TimelineConfig(hop=30.0, window=30.0)
    segments, results = list(segment_audio(recording)), list(recognizer.recognize_long(recording, config=config))
    assert len(segments) == len(results) == 4
    for segment, result in zip(segments, results, strict=True):
        direct = recognizer.recognize(segment.signal, sampling_rate=RATE)
        assert list(result.scores.values()) == pytest.approx(list(direct.scores.values()), abs=1e-4)
        assert (result.start, result.end) == (segment.start, segment.end)


def test_windows_score_as_their_frames_alone_and_tile_the_segment(recognizer, recording):
    config = TimelineConfig(segments=SegmentConfig(min_pause=30.0, max_seconds=20.0), hop=1.0, window=2.0)
    (segment,) = segment_audio(recording, config.segments)
    results = list(recognizer.recognize_long(recording, config=config))
    frames = recognizer.model.encode_frames(segment.signal)
    times = segment.start + np.arange(len(frames) + 1) * 0.02
    assert len(results) == round(segment.end - segment.start)
    assert (results[0].start, results[-1].end) == (segment.start, segment.end)
    assert all(one.end == other.start for one, other in itertools.pairwise(results))
    for result in results:
        first, end = np.abs(times - result.start).argmin(), np.abs(times - result.end).argmin()
        left = min(max(0, (first + end - 100) // 2), len(frames) - 100)
        encoded = recognizer.model.pool(frames.slice(left, left + 100), 2.0)
        (alone,) = recognizer.model.score([Clip(start=0.0)], [encoded])
        assert list(result.scores.values()) == pytest.approx(list(alone.scores.values()), abs=1e-4)


def test_words_go_to_the_stretch_in_which_they_are_said(recognizer, recording):
    segments = list(segment_audio(recording))
    words = [
        TimedWords(start=one.start, end=one.end, transcript=f"words {number}", speaker=None)
        for number, one in reversed(list(enumerate(segments)))
    ]
    config = TimelineConfig(hop=30.0, window=30.0)
    results = list(recognizer.recognize_long(recording, words=words, config=config))
    assert [result.transcript for result in results] == ["words 0", "words 1", "words 2", "words 3"]
    assert all(result.gate is not None and result.transcript_source == "given" for result in results)
    assert next(recognizer.recognize_long(recording)).transcript is None


def test_each_channel_of_a_call_is_a_speaker(recognizer, call, clips):
    config = TimelineConfig(channels="speakers")
    words = [TimedWords(start=0.0, end=20.0, transcript="mine", speaker="agent")]
    results = list(recognizer.recognize_long(call, words=words, speakers=["agent", "caller"], config=config))
    border = len(clips[0]) / RATE
    assert {result.speaker for result in results} == {"agent", "caller"}
    assert all((result.start < border) == (result.speaker == "agent") for result in results)
    assert all((result.transcript == "mine") == (result.speaker == "agent") for result in results)
    assert [one.start for one in results] == sorted(one.start for one in results)
    unnamed = recognizer.recognize_long(call, config=config)
    assert next(result.speaker for result in unnamed) == "channel 1"
    with pytest.raises(ConfigError, match="1 names of speakers, expected 2"):
        recognizer.recognize_long(call, speakers=["agent"], config=config)


@pytest.mark.parametrize("seconds", [3.0, 0.01])
def test_a_recording_without_speech_gives_one_result_that_abstained(recognizer, tmp_path, seconds):
    soundfile.write(tmp_path / "silence.wav", np.zeros(int(seconds * RATE)), RATE)
    (result,) = recognizer.recognize_long(tmp_path / "silence.wav")
    assert result.abstained and result.emotion is None and result.reason == NO_SPEECH
    assert (result.start, result.end) == (0.0, seconds)
    summary = summarise([result])
    assert summary.abstained and summary.dominant is None and summary.speech_seconds == 0
    assert summary.duration == seconds and set(summary.shares.values()) == {0.0}


def test_results_come_before_the_damage(recognizer, recording, tmp_path):
    signal = np.concatenate([load_signal(recording), np.zeros(40 * RATE, np.float32)])
    signal[-1] = np.inf
    soundfile.write(tmp_path / "late.wav", signal, RATE, subtype="FLOAT")
    results = recognizer.recognize_long(tmp_path / "late.wav")
    assert not next(results).abstained
    with pytest.raises(AudioError, match="NaN or infinite"):
        list(results)


def test_smoothing_pulls_scores_towards_those_before(recognizer, recording):
    raw = list(recognizer.recognize_long(recording))
    smooth = list(recognizer.recognize_long(recording, config=TimelineConfig(smoothing=1e6)))
    assert list(smooth[0].scores.values()) == pytest.approx(list(raw[0].scores.values()), abs=1e-9)
    assert list(smooth[-1].scores.values()) == pytest.approx(list(raw[0].scores.values()), abs=1e-4)
    assert all(sum(one.scores.values()) == pytest.approx(1, abs=1e-5) for one in smooth)
    assert [one.speech_scores for one in smooth] == [one.speech_scores for one in raw]


def test_a_summary_weighs_by_length_and_leaves_out_what_abstained(recognizer, recording):
    results = list(recognizer.recognize_long(recording))
    silent = replace(results[-1], abstained=True, emotion=None, start=100.0, end=200.0)
    summary = summarise([*results, silent])
    assert summary.duration == 200.0 and summary.results == len(results) + 1
    assert summary.speech_seconds == pytest.approx(sum(one.end - one.start for one in results))
    assert sum(summary.shares.values()) == pytest.approx(1) == pytest.approx(sum(summary.scores.values()))
    assert summarise([]).abstained


@pytest.mark.parametrize("values", [{"hop": 5.0}, {"hop": 0.0}, {"smoothing": -1.0}, {"channels": "left"}])
def test_contradictory_settings_are_refused(values):
    with pytest.raises(ConfigError, match="expected"):
        TimelineConfig(**values)


def test_a_timeline_streams_into_a_file(recognizer, call):
    stream = io.StringIO(newline="")
    results = recognizer.recognize_long(call, config=TimelineConfig(channels="speakers"))
    write_recognitions(results, stream, "csv")
    rows = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert {row["speaker"] for row in rows} == {"channel 1", "channel 2"}


@pytest.mark.parametrize("channels", ["mix", "speakers"])
def test_a_call_that_continues_gives_the_rest_whatever_result_was_the_last(recognizer, clips, tmp_path, channels):
    signal = np.concatenate([clip[RATE:-RATE] for clip in clips])
    soundfile.write(tmp_path / "call.wav", np.stack([signal, np.roll(signal, 7777)], axis=1), RATE)
    config = TimelineConfig(segments=SegmentConfig(max_seconds=1.0, min_speech=0.05), hop=0.5, channels=channels)
    whole = list(recognizer.recognize_long(tmp_path / "call.wav", config=config))
    assert len(whole) > 12
    for done in range(1, len(whole) + 1, 2):
        ends = {}
        for result in whole[:done]:
            ends[result.speaker] = max(ends.get(result.speaker, 0.0), result.end)
        rest = recognizer.recognize_long(tmp_path / "call.wav", config=config, after=ends)
        assert [(one.speaker, one.start, one.end, one.scores) for one in rest] == [
            (one.speaker, one.start, one.end, one.scores) for one in whole[done:]
        ]
