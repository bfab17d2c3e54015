"""Agreement of raters, as the library of Krippendorff's alpha gives it."""

import krippendorff
import numpy as np
import pytest

from bimodal.labelling.agreement import measure_agreement, nominal_alpha
from bimodal.labelling.records import Label


@pytest.mark.parametrize("seed", range(10))
def test_alpha_equals_the_librarys(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 3, (40, 5))
    counts = counts[counts.sum(axis=1) > 0]
    expected = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    assert nominal_alpha(counts) == pytest.approx(expected)


def raters(**answers):
    return {
        name: {str(clip): Label(clip=str(clip), answer=one) for clip, one in enumerate(given) if one}
        for name, given in answers.items()
    }


def test_raters_who_agree_have_alpha_one_and_unsure_is_no_answer():
    found = measure_agreement(raters(a=["x", "y", "x", "unsure"], b=["x", "y", "x", "y"], c=["", "", "", "x"]))
    assert (found.clips, found.raters) == (4, 3)
    assert found.alpha.value < 1
    same = measure_agreement(raters(a=["x", "y", "x", "unsure"], b=["x", "y", "x", "y"]))
    assert (same.alpha.value, same.clips) == (1.0, 3)
    assert same.alpha.low <= 1.0 <= same.alpha.high


def test_one_rater_or_one_answer_has_no_alpha():
    assert measure_agreement(raters(a=["x", "y"])).alpha is None
    assert measure_agreement(raters(a=["x", "x"], b=["x", "x"])).alpha is None
    assert measure_agreement({}).clips == 0
