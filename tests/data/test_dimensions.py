"""Arousal and valence: what the positions are, and what is expected under scores."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimodal.data.dimensions import POSITIONS, expected_position
from bimodal.data.labels import VOCABULARIES

EKMAN = VOCABULARIES["ekman7"].emotions
scores = st.lists(st.floats(0.0, 1.0), min_size=7, max_size=7).filter(lambda one: sum(one) > 0.1)


def named(shares):
    return {name: share / sum(shares) for name, share in zip(EKMAN, shares, strict=True)}


@pytest.mark.parametrize("emotion", POSITIONS)
def test_a_sure_answer_lies_where_its_emotion_lies(emotion):
    assert expected_position({emotion: 1.0}) == POSITIONS[emotion][:2]


@given(scores, scores, st.floats(0, 1))
def test_the_position_of_a_mixture_is_the_mixture_of_the_positions(one, other, share):
    first, second = named(one), named(other)
    mixed = {name: share * first[name] + (1 - share) * second[name] for name in EKMAN}
    ends = expected_position(first), expected_position(second)
    for found, low, high in zip(expected_position(mixed), *ends, strict=True):
        assert found == pytest.approx(share * low + (1 - share) * high, abs=1e-9) and -1 <= found <= 1


def test_the_quadrants_are_those_of_the_literature():
    for emotion, (aroused, pleasant) in {
        "anger": (1, -1), "fear": (1, -1), "disgust": (1, -1), "sadness": (-1, -1), "boredom": (-1, -1),
        "happiness": (1, 1), "surprise": (1, 1),
    }.items():  # fmt: skip
        place = POSITIONS[emotion]
        assert (math.copysign(1, place.arousal), math.copysign(1, place.valence)) == (aroused, pleasant)
    assert POSITIONS["neutral"][:2] == (0.0, 0.0)


def test_nothing_is_guessed_where_an_emotion_has_no_position():
    assert expected_position({"anger": 0.9, "calm": 0.1}) is None and expected_position({}) is None


def test_scores_that_sum_to_a_little_more_than_1_stay_on_the_scale():
    assert expected_position({"happiness": 1.3}) == (pytest.approx(0.663), 1.0)


def test_the_table_of_the_docs_is_the_table_of_the_code():
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "calibration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (-?[\d.]+) \| (-?[\d.]+) \|", page, re.MULTILINE)
    assert {name: (float(arousal), float(valence)) for name, arousal, valence in rows} == {
        name: place[:2] for name, place in POSITIONS.items()
    }
