"""Long recordings: pauses are found, however the file is read, in flat memory; damage and silence have answers."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from bimodal.audio.decode import load_signal
from bimodal.audio.segmentation import PauseFinder, Resampler, SegmentConfig, SegmentStream, segment_audio
from bimodal.audio.voice_activity import VAD_FRAME_SECONDS
from bimodal.errors import AudioError, ConfigError

RATE = 16_000


@pytest.fixture(scope="module")
def clips(corpus_data: Path) -> list[np.ndarray]:
    files = sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[:5]
    return [load_signal(file) for file in files]


@pytest.fixture(scope="module")
def conversation(clips, tmp_path_factory) -> Path:
    """Five clips with a second of faint noise after each, at 44.1 kHz."""
    rng = np.random.default_rng(0)
    noise = [1e-4 * rng.normal(size=RATE).astype(np.float32) for _ in clips]
    signal = np.concatenate([part for pair in zip(clips, noise, strict=True) for part in pair])
    path = tmp_path_factory.mktemp("segments") / "conversation.wav"
    soundfile.write(path, soxr.resample(signal, RATE, 44_100), 44_100, subtype="FLOAT")
    return path


def test_each_clip_of_a_conversation_is_a_segment_of_its_own(conversation, clips):
    segments = list(segment_audio(conversation))
    borders = np.cumsum([0] + [len(clip) / RATE + 1 for clip in clips])
    assert len(segments) == len(clips)
    for segment, left, right in zip(segments, borders, borders[1:], strict=False):
        assert left <= segment.start < segment.end <= right
        assert len(segment.signal) == pytest.approx((segment.end - segment.start) * RATE)


def test_a_segment_holds_the_samples_of_its_times(clips, tmp_path):
    signal = np.concatenate(clips)
    soundfile.write(tmp_path / "same.wav", signal, RATE, subtype="FLOAT")
    for segment in segment_audio(tmp_path / "same.wav"):
        start = round(segment.start * RATE)
        assert np.array_equal(segment.signal, signal[start : start + len(segment.signal)])


def test_where_long_speech_is_cut_one_segment_ends_exactly_where_the_next_begins(clips, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.concatenate([clip[RATE:-RATE] for clip in clips] * 4), RATE)
    config = SegmentConfig(max_seconds=1.0, min_speech=0.05)
    segments = list(segment_audio(tmp_path / "long.wav", config))
    borders = [(one.end, two.start) for one, two in itertools.pairwise(segments) if two.start - one.end < 0.01]
    assert len(borders) > 20 and all(end == start for end, start in borders)


@pytest.mark.parametrize("block_seconds", [0.013, 0.5, 7.3])
def test_how_the_file_is_read_has_no_influence(conversation, block_seconds):
    whole = list(segment_audio(conversation))
    pieces = list(segment_audio(conversation, block_seconds=block_seconds))
    assert [(one.start, one.end) for one in pieces] == [(one.start, one.end) for one in whole]
    assert all(np.array_equal(one.signal, other.signal) for one, other in zip(pieces, whole, strict=True))


def test_long_speech_is_cut_without_losing_any(conversation):
    config = SegmentConfig(max_seconds=1.0, min_speech=0.03)
    short = list(segment_audio(conversation, config))
    assert max(one.end - one.start for one in short) <= 1.0 + VAD_FRAME_SECONDS
    covered = sum(one.end - one.start for one in short)
    assert covered > 0.9 * sum(one.end - one.start for one in segment_audio(conversation))


def test_stretches_never_overlap_and_stay_within_bounds():
    rng = np.random.default_rng(0)
    config = SegmentConfig(max_seconds=2.0, min_pause=0.2, min_speech=0.1, padding=0.15)
    probabilities = np.repeat(rng.random(400), rng.integers(1, 40, 400))
    finder, free = PauseFinder(config), 0
    stretches = []
    for value in probabilities:
        before = finder.needed
        found = finder.push(float(value))
        assert all(start >= before for start, _ in found)  # the samples are still held
        stretches += found
    stretches += finder.finish()
    assert len(stretches) > 50
    for start, end in stretches:
        assert free <= start < end <= len(probabilities)
        assert (end - start) * VAD_FRAME_SECONDS <= 2.0 + config.padding + VAD_FRAME_SECONDS
        free = end


@pytest.mark.parametrize(
    "signal",
    [np.zeros(RATE * 3), 0.1 * np.random.default_rng(0).normal(size=RATE * 3), np.zeros(160), np.ones(1)],
    ids=["silence", "noise", "10 ms", "one sample"],
)
@pytest.mark.parametrize("rate", [RATE, 8000])
def test_where_nobody_speaks_there_are_no_segments(tmp_path, signal, rate):
    soundfile.write(tmp_path / "a.wav", signal.astype(np.float32), rate, subtype="FLOAT")
    assert list(segment_audio(tmp_path / "a.wav")) == []


def test_damage_late_in_a_file_is_said_after_the_whole_segments(clips, tmp_path):
    signal = np.concatenate([*clips, np.zeros(RATE)]).astype(np.float32)
    signal[-1] = np.nan
    soundfile.write(tmp_path / "late.wav", signal, RATE, subtype="FLOAT")
    segments = segment_audio(tmp_path / "late.wav", block_seconds=1.0)
    assert next(segments).end > 0
    with pytest.raises(AudioError, match=f"NaN or infinite, the first at sample {len(signal) - 1}"):
        list(segments)


def test_a_channel_can_be_heard_alone(clips, tmp_path):
    left = np.concatenate([clips[0], np.zeros(len(clips[1]), np.float32)])
    right = np.concatenate([np.zeros(len(clips[0]), np.float32), clips[1]])
    soundfile.write(tmp_path / "call.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    border = len(clips[0]) / RATE
    assert all(one.start < border for one in segment_audio(tmp_path / "call.wav", channel=0))
    assert all(one.end > border for one in segment_audio(tmp_path / "call.wav", channel=1))
    with pytest.raises(AudioError, match="no channel 2, expected 0 to 1"):
        list(segment_audio(tmp_path / "call.wav", channel=2))


@pytest.mark.parametrize(
    "values",
    [{"release": 0.9}, {"threshold": float("nan")}, {"padding": 0.5}, {"min_speech": 30.0}, {"max_seconds": 1e9}],
)
def test_contradictory_settings_are_refused(values):
    with pytest.raises(ConfigError, match="expected"):
        SegmentConfig(**values)


MEASURE = """
import json, sys
from bimodal.audio.segmentation import segment_audio
count = sum(1 for _ in segment_audio(sys.argv[1]))
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([count, peak]))  # getrusage would tell the peak of pytest, which started this
"""


def test_memory_does_not_grow_with_the_recording(clips, tmp_path):
    once = np.concatenate([*clips, np.zeros(RATE, np.float32)])
    once = np.concatenate([once, np.zeros(-len(once) % (60 * RATE), np.float32)])  # a minute
    found = {}
    for minutes in (2, 12):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(once)
        command = [sys.executable, "-c", MEASURE, str(path)]
        found[minutes] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found[12][0] == pytest.approx(6 * found[2][0], abs=2)
    assert found[12][1] < 1.1 * found[2][1]


SAMPLE = Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static" / "samples" / "cross.mp3"
SECONDS = st.floats(0.0, 1.0)


@st.composite
def configs(draw) -> SegmentConfig:
    values = {
        "max_seconds": draw(st.floats(0.5, 5.0)),
        "min_pause": draw(st.floats(0.05, 0.5)),
        "min_speech": draw(st.floats(0.03, 0.4)),
        "padding": draw(st.floats(0.0, 0.3)),
    }
    try:
        return SegmentConfig(**values)
    except ConfigError:
        reject()


@given(config=configs(), runs=st.lists(st.tuples(SECONDS, st.integers(1, 40)), max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_probabilities_give_stretches_in_order_within_bounds(config, runs):
    probabilities = [value for value, count in runs for _ in range(count)]
    finder, free, voiced = PauseFinder(config), 0, 0
    stretches = []
    for value in probabilities:
        before = finder.needed
        found = finder.push(value)
        assert all(start >= before for start, _ in found)
        stretches += found
    for start, end in stretches + finder.finish():
        assert free <= start < end <= len(probabilities)
        assert (end - start) * VAD_FRAME_SECONDS <= config.max_seconds + config.padding + 2 * VAD_FRAME_SECONDS
        assert max(probabilities[start:end]) >= config.release
        free, voiced = end, voiced + 1
    if max(probabilities, default=0.0) < config.threshold:
        assert voiced == 0


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    """Four seconds of synthetic speech."""
    return np.resize(load_signal(SAMPLE), 4 * RATE)


def pieces(signal: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    """A signal cut at some samples; a piece may be empty."""
    return np.split(signal, sorted(min(cut, len(signal)) for cut in cuts))


def segments_of(signals: list[np.ndarray], rate: int) -> list[tuple[float, float, bytes]]:
    stream = SegmentStream(rate, SegmentConfig(max_seconds=2.0))
    found = [segment for signal in signals for segment in stream.push(signal)] + stream.finish()
    return [(one.start, one.end, one.signal.tobytes()) for one in found]


@given(cuts=st.lists(st.integers(0, 4 * 44_100), max_size=30), rate=st.sampled_from([8000, 16_000, 44_100]))
@settings(max_examples=12, deadline=None)
def test_any_split_of_a_stream_gives_the_same_segments(sample, cuts, rate):
    signal = sample if rate == RATE else soxr.resample(sample, RATE, rate)
    whole = segments_of([signal], rate)
    assert whole and segments_of(pieces(signal, cuts), rate) == whole


@given(
    cuts=st.lists(st.integers(0, 20_000), max_size=200), rate=st.integers(1000, 200_000), size=st.integers(0, 20_000)
)
@settings(max_examples=60, deadline=None)
def test_any_split_of_a_stream_is_resampled_the_same(cuts, rate, size):
    signal = np.random.default_rng(size).normal(size=size).astype(np.float32)

    def resampled(signals: list[np.ndarray]) -> np.ndarray:
        resampler = Resampler(rate)
        return np.concatenate([*(resampler.push(one) for one in signals), resampler.finish()])

    whole = resampled([signal])
    assert np.array_equal(resampled(pieces(signal, cuts)), whole)
    assert abs(len(whole) - size * RATE / rate) <= 1
