"""The detector: one probability a frame, of real speech and of what is none."""

import numpy as np
import pytest

from bimodal.audio import voice_activity
from bimodal.audio.decode import load_signal
from bimodal.audio.voice_activity import (
    GRAPH,
    VAD_FRAME,
    VAD_FRAME_SECONDS,
    SpeechDetector,
    holds_speech,
    published_file,
)
from bimodal.errors import BimodalError
from bimodal.features.pooling import BACKBONE_FRAME_SECONDS
from bimodal.runtime import make_session
from scripts.build_voice_activity import build_graph


def probabilities(signal: np.ndarray) -> list[float]:
    detector = SpeechDetector()
    frames = signal[: len(signal) // VAD_FRAME * VAD_FRAME].reshape(-1, VAD_FRAME)
    return [detector.push(frame) for frame in frames]


def test_speech_is_likely_where_an_actor_speaks_and_unlikely_in_silence_and_noise(corpus_data):
    spoken = load_signal(sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[0])
    noise = np.random.default_rng(0).normal(0, 0.05, 16_000).astype(np.float32)
    assert max(probabilities(spoken)) > 0.9
    assert holds_speech(spoken)
    for signal in (np.zeros(16_000, np.float32), noise):
        assert max(probabilities(signal)) < 0.2
        assert not holds_speech(signal)


def test_two_detectors_share_no_state():
    signal = np.random.default_rng(1).normal(0, 0.1, 4 * VAD_FRAME).astype(np.float32)
    first, second = SpeechDetector(), SpeechDetector()
    turns = [(first.push(frame), second.push(frame)) for frame in signal.reshape(-1, VAD_FRAME)]
    assert [one for one, _ in turns] == [other for _, other in turns] == probabilities(signal)


def test_the_frames_of_the_detector_and_of_a_backbone_have_names_and_lengths_of_their_own():
    assert pytest.approx(0.032) == VAD_FRAME_SECONDS
    assert pytest.approx(0.02) == BACKBONE_FRAME_SECONDS


def published(signal: np.ndarray) -> list[float]:
    """What Silero's own graph gives, one frame a call."""
    session = make_session(published_file(), threads=1)
    state, context, found = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
    for frame in signal.reshape(-1, VAD_FRAME):
        inputs = {"input": np.concatenate([context, frame])[None], "state": state, "sr": np.array(16_000)}
        (probability,), state = session.run(None, inputs)
        found.append(float(probability[0]))
        context = frame[-64:]
    return found


@pytest.fixture(scope="module")
def speech(corpus_data) -> np.ndarray:
    files = sorted((corpus_data / "ravdess" / "audio").glob("03-01-0[1-8]-01-01-01-0[12].flac"))
    signal = np.concatenate([load_signal(file) for file in files])
    return signal[: len(signal) // VAD_FRAME * VAD_FRAME]


def test_the_probabilities_are_those_of_the_published_graph(speech):
    assert len(speech) > 200 * VAD_FRAME
    expected = published(speech)
    assert max(expected) > 0.9 > 0.1 > min(expected)
    assert SpeechDetector().push_all(speech) == pytest.approx(expected, abs=1e-4)


def test_many_frames_in_one_call_give_what_one_after_the_other_gives(speech):
    expected = probabilities(speech)
    for count in (3, 50, 300):
        detector, size = SpeechDetector(), count * VAD_FRAME
        pieces = [speech[start : start + size] for start in range(0, len(speech), size)]
        assert [one for piece in pieces for one in detector.push_all(piece)] == pytest.approx(expected, abs=1e-5)
    assert SpeechDetector().push_all(speech[:0]) == []


def test_a_signal_is_searched_no_farther_than_its_first_speech(speech, monkeypatch):
    pushed: list[int] = []
    push_all = SpeechDetector.push_all
    monkeypatch.setattr(
        SpeechDetector, "push_all", lambda self, signal: pushed.append(len(signal)) or push_all(self, signal)
    )
    assert holds_speech(speech)
    assert sum(pushed) < len(speech) / 4


def test_our_graph_is_the_one_that_its_script_writes():
    assert GRAPH.read_bytes() == build_graph(published_file()).SerializeToString(deterministic=True)


def test_altered_weights_are_refused(tmp_path, monkeypatch):
    altered = tmp_path / published_file().name
    altered.write_bytes(published_file().read_bytes()[:-1] + b"x")
    monkeypatch.setattr(voice_activity, "published_file", lambda: altered)
    voice_activity._detector.cache_clear()
    with pytest.raises(BimodalError, match="altered, or of another version; install it again"):
        SpeechDetector()
