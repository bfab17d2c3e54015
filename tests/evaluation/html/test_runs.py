"""What other commands left is shown, and what is half written or damaged is said."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from bimodal.evaluation.html.blocks import LeftOut, Section
from bimodal.evaluation.html.material import ReportSources
from bimodal.evaluation.html.runs import robustness_section, training_section

HISTORY = [{"loss": 1.0, "seconds": 0.1, "dev": 0.4}, {"loss": 0.5, "seconds": 0.1, "dev": 0.6}]


@pytest.fixture
def run(scored, material, tmp_path):
    """A run folder with a model, and the material of a report on it."""
    for stage in ("model", "speech", "text"):
        (tmp_path / stage).mkdir()
    return replace(material(scored(rows=60)), sources=ReportSources(model=tmp_path / "model"))


def test_finished_and_interrupted_stages_have_curves(run, tmp_path):
    (tmp_path / "speech" / "stage.json").write_text(json.dumps({"history": HISTORY}))
    notes = {"notes": json.dumps({"history": HISTORY[:1], "epoch": 1})}
    save_file({"a": np.zeros(1)}, tmp_path / "text" / "checkpoint.safetensors", notes)
    found = training_section(run)
    assert [plot.caption.split(":")[0] for plot in found.blocks] == ["speech stage", "text stage"]
    assert "held-out UAR" in found.blocks[0].svg


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"history": 3}', b"\xff\xfe", b'{"history": [{"loss": "x"}]}'])
def test_a_damaged_record_is_left_out_and_said(run, tmp_path, content):
    (tmp_path / "speech" / "stage.json").write_bytes(content)
    found = training_section(run)
    assert isinstance(found, LeftOut)
    assert "The record of the stage speech is damaged" in found.reason
    (tmp_path / "text" / "stage.json").write_text(json.dumps({"history": HISTORY}))
    assert "damaged" in training_section(run).lead


def test_a_damaged_checkpoint_is_left_out_and_said(run, tmp_path):
    (tmp_path / "speech" / "checkpoint.safetensors").write_bytes(b"\x08")
    assert "damaged" in training_section(run).reason


def outcome(test, value, status="passed", **more):
    return {
        "category": "robustness",
        "test": test,
        "status": status,
        "sentence": f"{test} found",
        "value": value,
    } | more


def test_tests_of_the_model_are_shown_with_rates_curves_and_failures(run, tmp_path):
    sure = {"case": "change of UAR", "interval": [-0.25, 0.0], "clips": 40}
    told = [outcome(f"white noise, {ratio} dB", -1 / ratio, **sure) for ratio in (20, 5, 10)]
    told += [outcome("gain", None, "skipped"), outcome("crop", 0.1, "failed", case="anger")]
    tests = {"title": "a", "system": "fused", "outcomes": {"fused": told}, "random": {"robustness": [1, 3]}, "more": 1}
    (tmp_path / "tests.json").write_text(json.dumps(tests))
    found = robustness_section(run)
    assert isinstance(found, Section)
    assert [cell.text for cell in found.blocks[0].rows[0]] == ["robustness", "3", "1", "1", "75.0", "25.0"]
    assert "white noise" in found.blocks[1].svg
    changes = {row[0].text: [cell.text for cell in row[1:]] for row in found.blocks[2].rows}
    assert changes["white noise, 10 dB"] == ["40", "-10.0 [-25.0, +0.0]", "-", "-"]
    assert list(found.blocks[3].sentences) == ["crop found"]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"system": "x"}', '{"title": "", "system": "x", "outcomes": {}, "random": {}}']
)
def test_tests_that_cannot_be_read_are_left_out_with_the_way_out(run, tmp_path, content):
    (tmp_path / "tests.json").write_text(content)
    assert "run 'bimodal test' again" in robustness_section(run).reason
