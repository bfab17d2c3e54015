"""Stretches of one set of speakers: the same, however the samples come."""

import itertools

import numpy as np
import pytest

from bimodal.diarisation.networks import open_networks
from bimodal.diarisation.stretches import StretchFinder


@pytest.fixture(scope="module")
def networks(segmentation_model):
    return open_networks(segmentation_model)


def find(networks, signal, sizes=(1 << 30,), rate=16_000):
    finder, found, at = StretchFinder(networks, rate), [], 0
    for size in (size for _ in range(1 << 20) for size in sizes):
        if at >= len(signal):
            break
        found += finder.push(signal[at : at + size])
        at += size
    return found + finder.finish()


def test_pieces_of_any_size_give_the_same_stretches(networks, dialogue):
    whole = find(networks, dialogue[0])
    pieces = find(networks, dialogue[0], (1, 7777, 160_000, 0, 80_001))
    assert len(whole) > 6
    for one, other in zip(whole, pieces, strict=True):
        assert (one.start, one.end, one.window, one.speakers) == (other.start, other.end, other.window, other.speakers)
        assert one.embedding == pytest.approx(other.embedding)


def test_stretches_come_in_order_and_lie_in_the_recording(networks, dialogue):
    found = find(networks, dialogue[0])
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert found[0].start >= 0 and found[-1].end <= len(dialogue[0]) / 16_000
    assert all((one.embedding is None) == (len(one.speakers) > 1) for one in found)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.5, 4.0, 9.99, 10.0, 10.01, 12.4, 12.6, 15.0, 17.5])
def test_each_length_is_decided_to_its_end_and_once(networks, dialogue, seconds):
    signal = dialogue[0][: round(seconds * 16_000)]
    found = find(networks, signal)
    spoken = sum(one.duration for one in found)
    truth = sum(max(0.0, min(end, seconds) - start) for start, end, _ in dialogue[1])
    assert spoken == pytest.approx(truth, abs=0.3 + 0.2 * truth)
    assert all(0 <= one.start < one.end <= seconds for one in found)


def test_silence_has_no_stretch(networks):
    assert find(networks, np.zeros(16_000 * 13, np.float32)) == []


def test_another_sampling_rate_gives_nearly_the_same_times(networks, dialogue):
    import soxr

    found = find(networks, dialogue[0])
    other = find(networks, soxr.resample(dialogue[0], 16_000, 44_100), rate=44_100)
    assert sum(one.duration for one in other) == pytest.approx(sum(one.duration for one in found), rel=0.05)
