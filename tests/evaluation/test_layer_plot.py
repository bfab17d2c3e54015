"""The table of a probe as files: JSON, Markdown, and a plot of what it says."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bimodal.errors import BimodalError
from bimodal.evaluation.layer_plot import check_probe_folder, draw_probe, write_probe
from bimodal.evaluation.layer_probe import LayerProbe, LayerResult
from bimodal.evaluation.metrics import Difference, Interval

NOTHING = Difference(value=0.0, low=0.0, high=0.0, p=1.0)
PROBE = LayerProbe(
    backbone="tiny",
    digest="0" * 64,
    rows=30,
    speakers=3,
    emotions=("anger", "joy"),
    folds=3,
    layers=tuple(
        LayerResult(layer=layer, uar=Interval(value=value, low=value - 0.1, high=value + 0.1), to_best=NOTHING)
        for layer, value in ((1, 0.5), (6, 0.8), (12, 0.6))
    ),
    best=6,
    chosen=None,
    chosen_layers=(),
    notes=("One note.",),
)


def test_the_plot_shows_each_layer_with_its_interval_and_chance():
    (axes,) = draw_probe(PROBE).axes
    line, chance = axes.lines
    assert line.get_xdata().tolist() == [1, 6, 12] and np.allclose(line.get_ydata(), [50, 80, 60])
    assert set(chance.get_ydata()) == {50}
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(40) and heights.max() == pytest.approx(90)


def test_the_files_say_the_same(tmp_path):
    write_probe(tmp_path / "out", PROBE)
    read = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert [one["uar"]["value"] for one in read["layers"]] == [0.5, 0.8, 0.6] and read["best"] == 6
    page = (tmp_path / "out" / "probe.md").read_text()
    assert "| 6 (best) | 80.0 | 70.0 to 90.0 |" in page and "- One note." in page
    assert (tmp_path / "out" / "probe.png").read_bytes().startswith(b"\x89PNG")


def test_an_interval_that_is_unknown_is_null_and_no_band(tmp_path):
    lone = replace(PROBE.layers[0], uar=Interval(value=0.5, low=float("nan"), high=float("nan")))
    write_probe(tmp_path, replace(PROBE, layers=(lone,), best=1))
    assert json.loads((tmp_path / "probe.json").read_text())["layers"][0]["uar"]["low"] is None
    assert "unknown" in (tmp_path / "probe.md").read_text()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BimodalError, match="the table cannot be written"):
        write_probe(tmp_path / "file", PROBE)


def test_a_place_that_cannot_be_written_is_told_before_the_work_and_nothing_is_made(tmp_path):
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "new"):
        with pytest.raises(BimodalError, match="cannot be written there; name another folder"):
            check_probe_folder(wrong)
    check_probe_folder(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
