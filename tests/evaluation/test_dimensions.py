"""Derived arousal and valence against ratings, with audmetric as oracle."""

import audmetric
import numpy as np
import pytest

from bimodal.data.dimensions import expected_position
from bimodal.evaluation.describe import describe, describe_markdown
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.report import evaluate
from bimodal.evaluation.writing import encode_report, read_report

EMOTIONS = ("anger", "happiness", "neutral", "sadness")


def predictions(**columns) -> Predictions:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet([0.5] * 4, 40)
    scores[:5] = np.nan
    return Predictions(
        ids=tuple(map(str, range(40))), targets=rng.integers(0, 4, 40), emotions=EMOTIONS,
        clusters=tuple(str(row % 8) for row in range(40)), cluster_name="speaker", scores={"speech": scores},
        extra={name: tuple(cells) for name, cells in columns.items()},
    )  # fmt: skip


def test_ccc_is_that_of_audmetric_over_the_rows_that_have_both():
    ratings = np.random.default_rng(1).uniform(-1, 1, (2, 40))
    cells = [[None if row < 8 and row % 2 else str(value) for row, value in enumerate(one)] for one in ratings]
    found = predictions(arousal=cells[0], valence=cells[1])
    (system,) = evaluate(found, replicates=10).systems
    rows = [row for row in range(5, 40) if cells[0][row] is not None]
    for axis, name in enumerate(("arousal", "valence")):
        named = [dict(zip(EMOTIONS, found.scores["speech"][row], strict=True)) for row in rows]
        derived = [expected_position(one)[axis] for one in named]
        assert system.dimensions[name] == pytest.approx(audmetric.concordance_cc(ratings[axis][rows], derived))


def test_ratings_on_another_scale_are_not_compared_and_the_report_says_so(tmp_path):
    report = evaluate(predictions(arousal=["3.5"] * 40, valence=["0.5", *["-0.5"] * 39]), replicates=10)
    assert list(report.systems[0].dimensions) == ["valence"]
    assert "The column 'arousal' is not compared: found '3.5', expected numbers from -1 to 1." in report.notes
    assert "valence CCC" in describe(report) and "valence CCC" in describe_markdown(report)
    (tmp_path / "report.json").write_bytes(encode_report(report))
    assert read_report(tmp_path / "report.json") == report


@pytest.mark.parametrize("cell", ["high", "nan", "inf", "1.01"])
def test_what_is_no_rating_is_told(cell):
    report = evaluate(predictions(valence=[cell] * 40), replicates=10)
    assert not report.systems[0].dimensions and any(f"found '{cell}'" in note for note in report.notes)


def test_without_ratings_nothing_is_said():
    report = evaluate(predictions(arousal=[None] * 40), replicates=10)
    assert not report.systems[0].dimensions and not report.notes
    assert "CCC" not in describe(report)


def test_an_emotion_without_a_position_compares_nothing():
    rng = np.random.default_rng(0)
    found = Predictions(
        ids=("a", "b"), targets=np.array([0, 1]), emotions=("calm", "anger"), clusters=("a", "b"),
        cluster_name="speaker", scores={"speech": rng.dirichlet([1, 1], 2)}, extra={"arousal": ("0.1", "0.2")},
    )  # fmt: skip
    assert not evaluate(found, replicates=10).systems[0].dimensions
