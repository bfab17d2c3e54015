"""The detector: one probability a frame, of real speech and of what is none."""

import numpy as np
import pytest

from bimodal.audio.decode import load_signal
from bimodal.audio.voice_activity import VAD_FRAME, VAD_FRAME_SECONDS, SpeechDetector, holds_speech
from bimodal.features.pooling import BACKBONE_FRAME_SECONDS


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
