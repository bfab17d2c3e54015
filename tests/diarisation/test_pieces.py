"""Segments divided among speakers: nothing is lost, nobody gets what is not theirs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimodal.audio.segmentation import Segment
from bimodal.diarisation.diarise import SpeakerTurn
from bimodal.diarisation.pieces import TurnTable


def turn(start, end, speaker="speaker 1", confidence=0.9):
    return SpeakerTurn(start=start, end=end, speaker=speaker, confidence=confidence)


def segment(start, end):
    first, last = round(start * 16_000), round(end * 16_000)
    return Segment(start=first / 16_000, end=last / 16_000, signal=np.arange(first, last, dtype=np.float32))


def divided(turns, start, end):
    return [(one.segment.start, one.segment.end, one.speaker) for one in TurnTable(turns).divide(segment(start, end))]


def test_one_speaker_keeps_the_segment_whole():
    assert divided([turn(1.2, 2.0), turn(2.6, 3.5)], 1.0, 4.0) == [(1.0, 4.0, "speaker 1")]


def test_a_pause_between_two_speakers_is_halved():
    found = divided([turn(1.0, 2.0), turn(3.0, 4.0, "speaker 2")], 0.5, 4.5)
    assert found == [(0.5, 2.5, "speaker 1"), (2.5, 4.5, "speaker 2")]


def test_where_two_speak_at_once_both_get_it():
    found = divided([turn(0.0, 3.0), turn(2.0, 5.0, "speaker 2")], 0.0, 5.0)
    assert found == [(0.0, 3.0, "speaker 1"), (2.0, 5.0, "speaker 2")]


def test_an_interjection_leaves_the_turn_whole():
    found = divided([turn(0.0, 5.0), turn(2.0, 3.0, "speaker 2")], 0.0, 6.0)
    assert found == [(0.0, 6.0, "speaker 1"), (2.0, 3.0, "speaker 2")]


def test_speech_without_a_turn_has_no_speaker():
    assert divided([turn(8.0, 9.0)], 1.0, 4.0) == [(1.0, 4.0, None)]
    assert divided([], 1.0, 4.0) == [(1.0, 4.0, None)]


def test_a_very_short_turn_is_left_to_the_others_unless_it_is_alone():
    assert divided([turn(0.0, 2.0), turn(1.9, 2.1, "speaker 2")], 0.0, 2.0) == [(0.0, 2.0, "speaker 1")]
    assert divided([turn(0.9, 1.05, "speaker 2")], 0.0, 1.0) == [(0.0, 1.0, "speaker 2")]


def test_the_samples_are_those_of_the_times():
    for one in TurnTable([turn(1.0, 2.0), turn(3.0, 4.0, "speaker 2")]).divide(segment(0.5, 4.5)):
        assert one.segment.signal[0] == one.segment.start * 16_000
        assert len(one.segment.signal) == round((one.segment.end - one.segment.start) * 16_000)


times = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 200), st.integers(0, 2)), max_size=8)


@given(times, st.integers(0, 300), st.integers(30, 200))
def test_pieces_cover_the_segment_and_those_of_a_speaker_do_not_overlap(given, start, length):
    ends, turns = {}, []
    for begin, seconds, speaker in sorted(given):
        begin = max(begin, ends.get(speaker, 0))
        ends[speaker] = begin + seconds
        turns.append(turn(begin / 20, ends[speaker] / 20, f"speaker {speaker + 1}"))
    turns.sort(key=lambda one: one.start)
    found = divided(turns, start / 20, (start + length) / 20)
    reach = start / 20
    for first, end, _ in found:
        assert first <= reach + 1e-9 and end > first
        reach = max(reach, end)
    assert reach == pytest.approx((start + length) / 20)
    assert found == sorted(found, key=lambda one: one[0])
    for name in {one[2] for one in found}:
        own = [one for one in found if one[2] == name]
        assert all(one[1] <= other[0] + 1e-9 for one, other in itertools.pairwise(own))


def test_confidence_and_overlap_of_a_stretch():
    table = TurnTable(
        [turn(0.0, 4.0, confidence=0.9), turn(3.0, 6.0, "speaker 2", 0.6), turn(5.0, 7.0, confidence=0.5)]
    )
    assert table.confidence("speaker 1", 0.0, 6.0) == pytest.approx((4 * 0.9 + 0.5) / 5)
    assert table.confidence("speaker 3", 0.0, 6.0) is None
    assert table.overlap("speaker 1", 0.0, 4.0) == pytest.approx(0.25)
    assert table.overlap("speaker 2", 3.0, 6.0) == pytest.approx(2 / 3)
    assert table.overlap("speaker 2", 6.0, 7.0) == 0.0
    assert table.count == 3
