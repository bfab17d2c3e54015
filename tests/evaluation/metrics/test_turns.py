"""Errors of timelines, against pyannote.metrics and against frames of a millisecond."""

from itertools import pairwise

import numpy as np
import pytest
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.identification import IdentificationErrorRate
from pyannote.metrics.segmentation import SegmentationPrecision, SegmentationRecall

from bimodal.evaluation.metrics import TimelineErrors, changes, ratio_interval, timeline_errors
from bimodal.evaluation.metrics.turns import NEUTRAL, count_hits

EMOTIONS = ("anger", "fear", "joy", NEUTRAL)


def random_stretches(chance, length=60.0, speakers=1):
    """Stretches with pauses, times in whole milliseconds; of several speakers, they overlap."""
    found = []
    for _ in range(speakers):
        time = 0.0
        while (start := round(time + chance.exponential(0.5), 3)) < length - 3:
            time = round(start + chance.uniform(0.3, 3), 3)
            found.append((start, time, str(chance.choice(EMOTIONS))))
    return sorted(found)


def as_annotation(stretches):
    annotation = Annotation()
    for track, (start, end, emotion) in enumerate(stretches):
        annotation[Segment(start, end), track] = emotion
    return annotation


@pytest.mark.parametrize("speakers", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_seconds_over_speech_are_those_of_pyannote(seed, speakers):
    chance = np.random.default_rng(seed)
    reference, found = random_stretches(chance, speakers=speakers), random_stretches(chance)
    whole = Timeline([Segment(0, 60)])
    expected = IdentificationErrorRate()(as_annotation(reference), as_annotation(found), uem=whole, detailed=True)
    errors = timeline_errors(reference, found, 60.0)
    assert errors.missed == pytest.approx(expected["missed detection"], abs=1e-6)
    assert errors.false_alarm == pytest.approx(expected["false alarm"], abs=1e-6)
    assert errors.confused == pytest.approx(expected["confusion"], abs=1e-6)
    assert errors.speech == pytest.approx(expected["total"], abs=1e-6)
    assert sum(errors.right.values()) == pytest.approx(expected["correct"], abs=1e-6)
    assert errors.wrong / errors.speech == pytest.approx(expected["identification error rate"])


@pytest.mark.parametrize("seed", range(5))
def test_eder_is_the_share_of_frames_with_another_emotion_neutral_and_pauses_being_one(seed):
    chance = np.random.default_rng(seed)
    reference, found = random_stretches(chance), random_stretches(chance)

    def frames(stretches):
        values = np.full(60_000, NEUTRAL, dtype=object)
        for start, end, emotion in stretches:
            values[round(1000 * start) : round(1000 * end)] = emotion
        return values

    truth, guess = frames(reference), frames(found)
    errors = timeline_errors(reference, found, 60.0)
    assert errors.wrong_emotion / errors.duration == pytest.approx((truth != guess).mean())
    assert errors.missed_emotion == pytest.approx(((truth != NEUTRAL) & (guess == NEUTRAL)).sum() / 1000)
    assert errors.false_emotion == pytest.approx(((truth == NEUTRAL) & (guess != NEUTRAL)).sum() / 1000)
    assert errors.overlapped_emotion == 0


def test_the_published_example_of_eder():
    errors = timeline_errors([(0.39, 1.10, "anger")], [(0.6, 1.2, "anger")], 1.22)
    assert errors.wrong_emotion / errors.duration == pytest.approx((0.21 + 0.10) / 1.22)


def test_the_true_emotion_with_another_one_at_once_is_overlap_and_two_wrong_ones_are_confusion():
    errors = timeline_errors([(0, 4, "anger")], [(0, 2, "anger"), (1, 4, "fear"), (3, 4, "joy")], 4.0)
    assert (errors.overlapped_emotion, errors.confused_emotion) == (1.0, 2.0)
    assert errors.right == {"anger": 2.0}


@pytest.mark.parametrize("seed", range(8))
def test_changes_are_hit_as_pyannote_hits_the_borders_of_segments(seed):
    chance = np.random.default_rng(seed)
    true, found = (np.cumsum(chance.uniform(1.5, 6, size=12)).tolist() for _ in range(2))

    def segments(moments):
        edges = [0.0, *moments, 90.0]
        return as_annotation([(start, end, str(number)) for number, (start, end) in enumerate(pairwise(edges))])

    hits = count_hits(true, found, 0.7)
    assert hits / len(found) == pytest.approx(SegmentationPrecision(tolerance=0.7)(segments(true), segments(found)))
    assert hits / len(true) == pytest.approx(SegmentationRecall(tolerance=0.7)(segments(true), segments(found)))


def test_a_change_lies_in_the_middle_of_the_pause_and_equal_neighbours_have_none():
    assert changes([(0, 1, "joy"), (2, 3, "joy"), (5, 6, "fear"), (6, 7, "joy")]) == [4.0, 6.0]
    assert changes([]) == []


def test_a_timeline_that_is_its_reference_has_no_error_and_all_changes():
    reference = random_stretches(np.random.default_rng(0))
    errors = timeline_errors(reference, reference, 60.0)
    assert errors.wrong == errors.wrong_emotion == 0
    assert errors.hit_changes == errors.true_changes == errors.found_changes > 3
    assert errors.right == errors.spoken


def test_nothing_found_misses_all_and_nothing_true_is_all_false_alarm():
    stretches = [(1.0, 3.0, "joy"), (4.0, 5.0, NEUTRAL)]
    missed, false = timeline_errors(stretches, [], 10.0), timeline_errors([], stretches, 10.0)
    assert (missed.missed, missed.missed_emotion, false.false_alarm, false.false_emotion) == (3.0, 2.0, 3.0, 2.0)


def test_errors_add_up():
    one = timeline_errors([(0, 4, "anger")], [(0, 1, "fear")], 5.0)
    other = timeline_errors([(0, 2, "fear")], [(0, 2, "fear"), (3, 4, "joy")], 6.0)
    both = one + other
    assert (both.duration, both.speech, both.missed, both.false_alarm, both.confused) == (11.0, 6.0, 3.0, 1.0, 1.0)
    assert both.spoken == {"anger": 4.0, "fear": 2.0} and both.right == {"fear": 2.0}
    assert one + TimelineErrors() == one


def test_the_interval_of_a_ratio_holds_the_value_and_needs_two_clusters():
    chance = np.random.default_rng(0)
    wholes = chance.uniform(50, 100, 30)
    parts = wholes * chance.uniform(0.1, 0.5, 30)
    found = ratio_interval(parts, wholes)
    assert found.value == pytest.approx(parts.sum() / wholes.sum())
    assert found.low < found.value < found.high < 0.5
    assert found == ratio_interval(parts, wholes) != ratio_interval(parts, wholes, seed=1)
    assert np.isnan(ratio_interval([1.0], [2.0]).low) and np.isnan(ratio_interval([1.0, 2.0], [0.0, 0.0]).value)
    with pytest.raises(ValueError, match="clusters"):
        ratio_interval([], [])
