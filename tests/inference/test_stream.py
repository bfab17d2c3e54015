"""A stream: however it is cut into pieces, it gives what the file gives; errors leave it as it was."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from bimodal import Recognizer
from bimodal.asr.timed_words import TimedWords
from bimodal.audio.decode import load_signal
from bimodal.audio.segmentation import NO_SPEECH, SegmentConfig
from bimodal.errors import AudioError, BimodalError
from bimodal.features.speaker_stats import SpeakerStatsStore
from bimodal.inference.adapt import adapt_model
from bimodal.inference.stream import TimelineConfig

RATE = 16_000


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def speech(corpus_data: Path) -> np.ndarray:
    """Three clips with faint noise between and after them."""
    files = sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[:3]
    noise = (1e-4 * np.random.default_rng(0).normal(size=RATE)).astype(np.float32)
    return np.concatenate([part for file in files for part in (load_signal(file), noise)])


def at_rate(speech: np.ndarray, rate: int) -> np.ndarray:
    return soxr.resample(speech, RATE, rate).astype(np.float32)


def write(path: Path, signal: np.ndarray, rate: int) -> Path:
    soundfile.write(path, signal, rate, subtype="FLOAT")
    return path


def streamed(recognizer: Recognizer, signal: np.ndarray, rate: int, size: int, **arguments) -> list:
    stream = recognizer.stream(rate, **arguments)
    found = [result for start in range(0, len(signal), size) for result in stream.push(signal[start : start + size])]
    return found + stream.finish()


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_any_pieces_give_the_results_of_the_file(recognizer, speech, tmp_path, rate):
    signal = at_rate(speech, rate)
    file = list(recognizer.recognize_long(write(tmp_path / "speech.wav", signal, rate)))
    assert len(file) >= 3 and not any(result.abstained for result in file)
    for size in (rate // 100, 777, len(signal)):
        assert streamed(recognizer, signal, rate, size) == file


def test_single_samples_give_the_results_of_the_file(recognizer, speech, tmp_path):
    signal = speech[: int(2.5 * RATE)]
    file = list(recognizer.recognize_long(write(tmp_path / "speech.wav", signal, RATE)))
    assert not file[0].abstained
    assert streamed(recognizer, signal, RATE, 1) == file


def test_settings_words_and_a_speaker_count_as_in_a_file(recognizer, speech, tmp_path):
    path = write(tmp_path / "speech.wav", speech, RATE)
    config = TimelineConfig(hop=0.5, window=1.0, smoothing=5.0, segments=SegmentConfig(max_seconds=2.0))
    words = [
        TimedWords(start=0.4, end=3.0, transcript="Stop that!"),
        TimedWords(start=0.0, end=9.0, transcript="no", speaker="b"),
    ]
    file = list(recognizer.recognize_long(path, words=words, speakers=["anna"], config=config))
    stream = recognizer.stream(RATE, speaker="anna", config=config)
    stream.add_words(words)
    found = [one for start in range(0, len(speech), 160) for one in stream.push(speech[start : start + 160])]
    assert found + stream.finish() == file
    assert {result.speaker for result in file} == {"anna"} and file[1].transcript == "Stop that!"


def test_words_that_come_while_they_are_spoken_count(recognizer, speech, tmp_path):
    path = write(tmp_path / "speech.wav", speech, RATE)
    plain = list(recognizer.recognize_long(path))
    words = [TimedWords(start=one.start, end=one.end, transcript=f"at {one.start:.1f}") for one in plain]
    stream, found = recognizer.stream(RATE), []
    for start in range(0, len(speech), 1600):
        while words and words[0].start <= stream.duration:
            stream.add_words([words.pop(0)])
        found += stream.push(speech[start : start + 1600])
    assert [one.transcript is not None for one in found + stream.finish()] == [True] * len(plain)


def test_results_come_when_their_segment_ends_not_at_the_end(recognizer, speech):
    stream = recognizer.stream(RATE)
    for start in range(0, len(speech), 1600):
        if found := stream.push(speech[start : start + 1600]):
            break
    assert stream.duration < len(speech) / RATE / 2
    assert 0 < stream.duration - found[-1].end < 0.7


def test_what_is_being_said_has_a_provisional_answer_that_changes_nothing(recognizer, speech):
    alone = streamed(recognizer, speech, RATE, 1600)
    stream, found, partial = recognizer.stream(RATE), [], []
    assert stream.partial() is None
    for start in range(0, len(speech), 1600):
        found += stream.push(speech[start : start + 1600])
        partial.append(stream.partial())
    assert found + stream.finish() == alone
    assert stream.partial() is None
    assert partial[0] is None and partial[-1] is None  # nobody speaks in the noise
    running = [one for one in partial if one is not None]
    assert len(running) > 10
    assert all(one.emotion and one.end - one.start <= 4.0 + 0.1 for one in running)
    whole = next(one for one in alone if one.end > running[0].start)
    assert running[0].start == whole.start and running[0].end < whole.end


def test_where_nobody_speaks_the_end_gives_one_result_that_abstained(recognizer, tmp_path):
    silence = np.zeros(3 * 8000, np.float32)
    (result,) = streamed(recognizer, silence, 8000, 80)
    assert [result] == list(recognizer.recognize_long(write(tmp_path / "silence.wav", silence, 8000)))
    assert result.reason == NO_SPEECH and (result.start, result.end) == (0.0, 3.0)
    (nothing,) = recognizer.stream(RATE).finish()
    assert nothing.abstained and nothing.end == 0.0


def test_bad_samples_are_refused_and_the_stream_goes_on(recognizer, speech):
    stream, found = recognizer.stream(RATE), []
    for number, start in enumerate(range(0, len(speech), RATE)):
        if number == 1:
            with pytest.raises(AudioError, match=f"stream: 1 samples are NaN or infinite, the first at sample {RATE}"):
                stream.push(np.array([np.nan], np.float32))
            with pytest.raises(AudioError, match="int16, expected floating point"):
                stream.push(np.ones(3, np.int16))
            with pytest.raises(AudioError, match="expected one dimension"):
                stream.push(np.ones((3, 2), np.float32))
            with pytest.raises(AudioError, match=r"changed from 16000 Hz to 48000 Hz after 1\.00 s"):
                stream.push(speech[:3], 48_000)
            assert stream.push([]) == []
        found += stream.push(speech[start : start + RATE], RATE)
    assert found + stream.finish() == streamed(recognizer, speech, RATE, RATE)
    for late in (stream.finish, lambda: stream.push(speech)):
        with pytest.raises(BimodalError, match="the stream is finished"):
            late()


def test_an_impossible_sampling_rate_is_refused(recognizer):
    with pytest.raises(AudioError, match="sampling rate 0 Hz"):
        recognizer.stream(0)


def test_a_speakers_baseline_grows_as_in_a_file(tiny_model, tiny_manifest, speech, tmp_path):
    adapt_model(tiny_model, tiny_manifest, tmp_path / "adapted", threads=1)
    adapted = Recognizer(tmp_path / "adapted", threads=1)
    path = write(tmp_path / "speech.wav", speech, RATE)
    in_file, in_stream = SpeakerStatsStore(), SpeakerStatsStore()
    file = list(adapted.recognize_long(path, speakers=["anna"], speaker_stats=in_file))
    assert streamed(adapted, speech, RATE, 160, speaker="anna", speaker_stats=in_stream) == file
    assert in_stream.of("anna", ()).count == in_file.of("anna", ()).count == 3
    assert np.array_equal(in_stream.of("anna", ()).mean, in_file.of("anna", ()).mean)


SAMPLE = Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static" / "samples" / "cross.mp3"


@pytest.fixture(scope="module")
def packaged() -> Recognizer:
    return Recognizer("permissive", threads=1)


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    """Five seconds of synthetic speech."""
    return np.resize(load_signal(SAMPLE), 5 * RATE)


@given(cuts=st.lists(st.integers(0, 5 * RATE), max_size=12), rate=st.sampled_from([RATE, 8000]))
@settings(max_examples=4, deadline=None)
def test_any_split_of_a_stream_gives_the_same_results(packaged, sample, cuts, rate):
    config, signal = TimelineConfig(segments=SegmentConfig(max_seconds=2.0)), at_rate(sample, rate)

    def results(signals: list[np.ndarray]) -> list:
        stream = packaged.stream(rate, config=config)
        stream.add_words([TimedWords(start=0.0, end=9.0, transcript="Stop that!")])
        return [result for signal in signals for result in stream.push(signal)] + stream.finish()

    whole = results([signal])
    assert len(whole) >= 2 and not whole[0].abstained
    assert results(np.split(signal, sorted(min(cut, len(signal)) for cut in cuts))) == whole
