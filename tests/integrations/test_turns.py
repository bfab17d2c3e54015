"""The audio of a user's turn: what a detector reports, and what an agent gets without one."""

import numpy as np
import pytest

from bimodal import Recognizer
from bimodal.audio.decode import Decoded, load_signal
from bimodal.integrations.turns import BEFORE_SPEECH, LONGEST_TURN, TurnAudio, recognize_turn, speech_of

RATE = 8000


def second(value: int, seconds: float = 1.0) -> bytes:
    return np.full(int(seconds * RATE), value, "<i2").tobytes()


def heard(turn: TurnAudio) -> list[tuple[int, float]]:
    """Values and their seconds in what `take` gives."""
    values, counts = np.unique(np.round(turn.take().signal * 32768), return_counts=True)
    return [(int(value), count / RATE) for value, count in zip(values, counts, strict=True)]


def test_a_turn_is_its_speech_and_a_little_before():
    turn = TurnAudio()
    turn.push(second(9), RATE)
    turn.push(second(9), RATE)
    for value, change in ((1, None), (2, turn.begin), (3, None), (4, turn.end), (5, None)):
        if change:
            change()
        turn.push(second(value), RATE)
    assert heard(turn) == [(1, 1.0), (2, 1.0), (3, 1.0), (9, BEFORE_SPEECH - 1)]
    for _ in range(5):
        turn.push(second(6), RATE)
    turn.begin()
    turn.push(second(7), RATE)
    assert heard(turn) == [(6, BEFORE_SPEECH), (7, 1.0)]


def test_without_a_detector_a_turn_is_what_came_since_the_words_before():
    turn = TurnAudio()
    turn.push(second(1), RATE)
    assert heard(turn) == [(1, 1.0)]
    turn.push(second(2), RATE)
    assert heard(turn) == [(2, 1.0)]
    turn.push(second(3, 0.1), RATE)
    assert heard(turn) == [(2, 1.0)]  # words that came in two parts


def test_a_pause_within_a_turn_does_not_cut_it():
    turn = TurnAudio()
    turn.begin()
    turn.push(second(1), RATE)
    turn.end()
    turn.push(second(2), RATE)
    turn.begin()
    turn.push(second(3), RATE)
    assert heard(turn) == [(1, 1.0), (3, 1.0)]


def test_memory_of_a_long_turn_is_limited_and_a_new_rate_begins_anew():
    turn = TurnAudio()
    for _ in range(int(LONGEST_TURN) + 20):
        turn.push(second(1), RATE)
    assert turn.seconds == pytest.approx(LONGEST_TURN)
    turn.push(second(2), 2 * RATE)
    assert turn.seconds == pytest.approx(0.5)


def test_channels_are_mixed_and_half_a_sample_is_left_out():
    turn = TurnAudio()
    turn.push(np.array([[100, 300]] * RATE, "<i2").tobytes() + b"\1", RATE, 2)
    assert heard(turn) == [(200, 1.0)]
    assert TurnAudio().take() is None


def test_a_turn_gets_the_answer_of_the_recognizer_and_a_bad_one_an_error(samples):
    recognizer, signal = Recognizer(), load_signal(samples / "cross.mp3")
    silence = np.zeros(32_000, np.float32)
    late = Decoded(signal=np.concatenate([silence, signal, silence]), sampling_rate=16_000)
    result = recognize_turn(recognizer, late, "Stop that!", speaker="ann")
    expected = recognizer.recognize(signal, sampling_rate=16_000, transcript="Stop that!")
    assert result.emotion == expected.emotion and result.speaker == "ann"
    assert len(speech_of(late).signal) < len(signal) + 16_000 < len(late.signal)
    assert speech_of(Decoded(signal=np.zeros(8000, np.float32), sampling_rate=8000)).signal.shape == (8000,)
    assert result.scores == pytest.approx(expected.scores, abs=0.1)
    assert recognize_turn(recognizer, None, "What a lovely day!").emotion
    assert "nothing to recognise" in recognize_turn(recognizer, None, "").error
