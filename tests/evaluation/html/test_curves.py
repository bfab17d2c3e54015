"""Curves and the numbers beside them."""

import numpy as np
import pytest

from bimodal.evaluation.html.blocks import LeftOut
from bimodal.evaluation.html.curves import coverage_section, gate_section, reliability_section


def test_the_bins_hold_every_utterance(scored, material):
    predictions = scored()
    table = reliability_section(material(predictions)).blocks[1]
    assert sum(int(row[1].text) for row in table.rows) == 300


def test_answering_from_a_confidence_up_has_that_share_and_accuracy(scored, material):
    predictions = scored()
    table = coverage_section(material(predictions)).blocks[1]
    sure = predictions.scores["fused"].max(axis=1)
    right = predictions.scores["fused"].argmax(axis=1) == predictions.targets
    assert table.rows[0][0].text == "100 %"
    assert table.rows[0][2].text == f"{100 * right.mean():.1f}"
    half = np.argsort(-sure)[:150]
    assert table.rows[-1][0].text == "50 %"
    assert table.rows[-1][2].text == f"{100 * right[half].mean():.1f}"


@pytest.mark.parametrize("cells", [(None,) * 300, ("x",) * 300, ("2",) * 300])
def test_a_column_that_is_no_gate_is_left_out(scored, material, cells):
    assert isinstance(gate_section(material(scored(gate=cells)), None), LeftOut)


def test_a_column_with_the_gate_is_drawn(scored, material):
    assert "300 utterances" in gate_section(material(scored(gate=("0.25",) * 300)), None).lead
