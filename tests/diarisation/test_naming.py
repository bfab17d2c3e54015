"""Whose a stretch is: numbers by appearance, the same for the same speech twice, doubt where voices are alike."""

import numpy as np
import pytest

from bimodal.diarisation.naming import MOST_STRETCHES, name_stretches
from bimodal.diarisation.stretches import Stretch

RNG = np.random.default_rng(0)
VOICES = np.linalg.qr(RNG.normal(size=(16, 4)))[0].T


def say(speakers, spread=0.1, seconds=2.0, voices=VOICES):
    """One stretch after the other by these speakers."""
    found = []
    for number, speaker in enumerate(speakers):
        voice = voices[speaker] + spread * RNG.normal(size=16)
        embedding = (voice / np.linalg.norm(voice)).astype(np.float32)
        stretch = Stretch(start=3.0 * number, end=3.0 * number + seconds, window=0, speakers=(0,), embedding=embedding)
        found.append(stretch)
    return found


@pytest.mark.parametrize("speakers", [[0], [0] * 12, [2, 0] * 10, [1, 0, 3] * 9, [3, 2, 1, 0] * 8])
def test_the_number_is_found_and_speakers_are_numbered_as_they_appear(speakers):
    found = name_stretches(say(speakers))
    order = list(dict.fromkeys(speakers))
    assert found.count == len(order)
    assert found.speakers.tolist() == [order.index(speaker) for speaker in speakers]


def test_a_given_number_is_kept():
    assert name_stretches(say([0] * 12), 3).count == 3
    assert name_stretches(say([0, 1] * 6), 1).speakers.tolist() == [0] * 12
    assert name_stretches(say([0, 1]), 5).count == 2


def test_nobody_speaks():
    found = name_stretches([])
    assert found.count == 0 and len(found.speakers) == 0


def test_the_same_speech_twice_keeps_names_and_number():
    once = say([1, 0, 1, 1, 0, 2, 2, 0] * 5, spread=0.15)
    twice = name_stretches([*once, *once])
    alone = name_stretches(once)
    assert twice.count == alone.count == 3
    assert twice.speakers.tolist() == alone.speakers.tolist() * 2


def test_confidence_is_high_for_voices_that_differ_and_low_for_one_in_between():
    found = name_stretches([*say([0, 1] * 6), *say([0])], 2)
    assert np.nanmin(found.confidences) > 0.9
    voice = (VOICES[0] + VOICES[1]) / np.sqrt(2)
    between = Stretch(start=90.0, end=92.0, window=9, speakers=(0,), embedding=voice.astype(np.float32))
    assert name_stretches([*say([0, 1] * 6), between], 2).confidences[-1] < 0.75


def test_one_speaker_cannot_be_mistaken_so_nothing_is_claimed():
    assert np.isnan(name_stretches(say([0] * 5)).confidences).all()


def test_alike_voices_leave_the_number_in_doubt():
    assert not name_stretches(say([0, 1] * 10)).doubtful
    alike = [np.stack([VOICES[0], VOICES[0] + step * VOICES[1]]) for step in np.linspace(0.1, 1.0, 10)]
    found = [name_stretches(say([0, 1] * 10, spread=0.02, voices=voices)) for voices in alike]
    assert {one.count for one in found} == {1, 2} and any(one.doubtful for one in found)
    assert not any(name_stretches(say([0, 1] * 10, voices=voices), 2).doubtful for voices in alike)


def test_short_stretches_go_to_the_nearest_speaker_and_two_at_once_to_none():
    short = say([1, 0], seconds=0.3)
    both = Stretch(start=90.0, end=92.0, window=9, speakers=(0, 1), embedding=None)
    found = name_stretches([*say([0, 1] * 6), *short, both])
    assert found.speakers.tolist()[-3:] == [1, 0, -1]
    assert np.isnan(found.confidences[-1])


def test_of_very_many_stretches_some_are_clustered_and_all_are_named():
    speakers = [0, 1] * (MOST_STRETCHES // 2 + 50)
    found = name_stretches(say(speakers))
    assert found.count == 2 and found.speakers.tolist() == speakers
