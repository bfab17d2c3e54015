"""A recording as a whole: shares by speaker, lasting changes, telling moments."""

import math
from dataclasses import replace
from itertools import pairwise, product

import pytest

from bimodal.inference.summary import CHANGE_NATS, HIGHLIGHTS, HIGHLIGHTS_APART, SAME_EMOTION, prevailing, summarise
from bimodal.records import Recognition

EMOTIONS = ("anger", "joy", "neutral")


def result(start: float, emotion: str, score: float = 0.8, **fields) -> Recognition:
    scores = {name: score if name == emotion else (1 - score) / 2 for name in EMOTIONS}
    parts = {"speech_scores": None, "text_scores": None, "gate": None, **fields}
    return Recognition(emotion=emotion, scores=scores, start=start, end=start + 2.0, **parts)


def track(plan: str, score: float = 0.8, **fields) -> list[Recognition]:
    """Results of 2 s each; one letter an emotion."""
    names = {name[0]: name for name in EMOTIONS}
    return [result(2.0 * place, names[letter], score, **fields) for place, letter in enumerate(plan)]


def test_each_speaker_has_shares_of_their_own():
    one, two = track("aan", speaker="one"), track("nn", speaker="two")
    summary = summarise([*one, *two])
    assert [(who.speaker, who.speech_seconds, who.dominant) for who in summary.speakers] == [
        ("one", 6.0, "anger"),
        ("two", 4.0, "neutral"),
    ]
    assert summary.speakers[0].shares == pytest.approx({"anger": 2 / 3, "joy": 0.0, "neutral": 1 / 3})
    assert summarise(track("aan")).speakers == []


def test_a_change_that_lasts_ends_a_phase_and_a_single_stretch_does_not():
    summary = summarise(track("nnnnnnannnnnaaaaaaaaaajaaaaannnnnnnnnn"))
    assert [(phase.emotion, phase.start, phase.end) for phase in summary.phases] == [
        ("neutral", 0.0, 24.0),
        ("anger", 24.0, 56.0),
        ("neutral", 56.0, 76.0),
    ]
    assert 0.5 < summary.phases[1].score < 0.8


def test_speakers_change_on_their_own():
    one = track("n" * 20, speaker="one")
    two = [replace(each, start=each.start + 0.5, end=each.end + 0.5) for each in track("a" * 20, speaker="two")]
    merged = sorted([*one, *two], key=lambda each: each.start)
    assert [(phase.speaker, phase.emotion) for phase in summarise(merged).phases] == [
        ("one", "neutral"),
        ("two", "anger"),
    ]


def test_what_prevails_is_the_cheapest_path_of_all():
    """An oracle: each of the 3^7 paths tried."""
    results = track("nnajana", 0.97)
    scores, seconds = [one.scores for one in results], [one.end - one.start for one in results]

    def cost(path):
        changes = sum(one != two for one, two in pairwise(path))
        return CHANGE_NATS * changes - sum(
            math.log(max(0.02, one[name])) for one, name in zip(scores, path, strict=True)
        )

    best = min(map(cost, product(EMOTIONS, repeat=len(scores))))
    assert cost(prevailing(scores, seconds)) == pytest.approx(best)


def test_telling_moments_are_few_apart_never_neutral_and_rare_ones_come_first():
    results = track("a" * 60 + "n" * 60, 0.7)
    results[50] = result(100.0, "joy", 0.9, transcript="What a day!")
    found = summarise(results).highlights
    assert len(found) == 1 + SAME_EMOTION
    assert any(one.emotion == "joy" and one.transcript == "What a day!" and one.score == 0.9 for one in found)
    assert all(one.emotion != "neutral" for one in found)
    assert all(two.start - one.start >= HIGHLIGHTS_APART for one, two in pairwise(found))
    assert summarise(track("nnnn")).highlights == []
    spread = [replace(one, start=20.0 * place, end=20.0 * place + 2) for place, one in enumerate(track("ajn" * 10))]
    assert len(summarise(spread).highlights) == min(HIGHLIGHTS, 2 * SAME_EMOTION)


def test_nothing_is_made_of_nothing():
    silent = replace(result(0.0, "anger"), emotion=None, abstained=True)
    summary = summarise([silent])
    assert summary.abstained and summary.phases == [] and summary.highlights == [] and summary.speakers == []
    assert set(summary.shares) == set(EMOTIONS)
