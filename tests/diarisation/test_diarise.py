"""Who speaks when in real speech: the right names, once and twice, for one person, for two at once."""

import numpy as np
import pytest

from bimodal.diarisation.diarise import diarise
from bimodal.diarisation.networks import open_networks


@pytest.fixture(scope="module")
def networks(segmentation_model):
    return open_networks(segmentation_model)


def shares(found, turns, shift=0.0):
    """Seconds that each true speaker has with each found one."""
    table = {}
    for start, end, speaker in turns:
        for turn in found.turns:
            both = min(end + shift, turn.end) - max(start + shift, turn.start)
            if both > 0:
                table[speaker, turn.speaker] = table.get((speaker, turn.speaker), 0.0) + both
    return table


@pytest.mark.parametrize("count", [None, 2])
def test_two_people_are_told_apart_and_named_as_they_appear(networks, dialogue, count):
    found = diarise([(dialogue[0], 16_000)], networks, count)
    table = shares(found, dialogue[1])
    assert found.speakers == ("speaker 1", "speaker 2")
    assert table["03", "speaker 1"] + table["08", "speaker 2"] > 0.95 * sum(table.values())
    assert found.confidence > 0.9 and found.warnings == ()
    assert [turn.start for turn in found.turns] == sorted(turn.start for turn in found.turns)


def test_the_same_recording_twice_keeps_the_names(networks, dialogue):
    signal, turns = dialogue
    found = diarise([(signal, 16_000), (signal, 16_000)], networks)
    for shift in (0.0, len(signal) / 16_000):
        table = shares(found, turns, shift)
        assert table["03", "speaker 1"] + table["08", "speaker 2"] > 0.95 * sum(table.values())
    assert len(found.speakers) == 2


def test_one_person_has_one_name_and_no_confidence(networks, dialogue):
    signal = dialogue[0].copy()
    for start, end, speaker in dialogue[1]:
        if speaker == "08":
            signal[round(start * 16_000) : round(end * 16_000)] = 0.0
    found = diarise([(signal, 16_000)], networks)
    assert found.speakers == ("speaker 1",) and found.confidence is None
    assert {turn.confidence for turn in found.turns} == {None}


def test_silence_has_no_speaker(networks):
    found = diarise([(np.zeros(200_000, np.float32), 16_000)], networks)
    assert (found.turns, found.speakers, found.confidence, found.warnings) == ((), (), None, ())


def test_turns_overlap_where_two_people_speak_at_once(networks, dialogue):
    signal, turns = dialogue
    late = round(turns[0][1] * 16_000) - round(turns[1][0] * 16_000) - 12_000  # the second clip begins 0.75 s too early
    first = round(turns[1][0] * 16_000)
    moved = np.concatenate([signal[: first + late], np.zeros(len(signal) - first, np.float32)])
    moved[first + late :] += signal[first:]
    moved[first + late : first] += signal[first + late : first]
    found = diarise([(moved, 16_000)], networks, 2)
    overlaps = [
        min(one.end, other.end) - other.start
        for one, other in zip(found.turns, found.turns[1:], strict=False)
        if other.start < one.end and one.speaker != other.speaker
    ]
    assert overlaps and 0.1 < max(overlaps) < 1.5


def test_more_speakers_than_there_are_voices_get_a_warning(networks, dialogue):
    found = diarise([(dialogue[0][:56_000], 16_000)], networks, 9)
    assert any(
        told.startswith("who speaks when is unsure") and "of 9 speakers were found" in told for told in found.warnings
    )
