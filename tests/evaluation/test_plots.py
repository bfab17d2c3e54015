import subprocess
import sys
from dataclasses import replace

import pytest

from bimodal.evaluation.plots import plot_report
from bimodal.evaluation.report import evaluate

image = pytest.importorskip("matplotlib.image")


def test_the_picture_is_large_and_shows_the_colour_of_every_system(tmp_path, made_up):
    predictions = made_up()
    plot_report(tmp_path / "report.png", evaluate(predictions, replicates=100, title="made up"), predictions)
    pixels = (image.imread(tmp_path / "report.png")[..., :3] * 255).round().astype(int)
    height, wide = pixels.shape[:2]
    assert height > 1000
    assert wide > 2000
    for colour in ((0, 114, 178), (199, 127, 0), (127, 127, 127), (0, 158, 115)):
        assert (pixels == colour).all(axis=-1).mean() > 0.003


@pytest.mark.parametrize("systems", [("speech",), ("text", "fused")])
def test_fewer_systems_one_speaker_and_absent_emotions_are_drawn_too(tmp_path, made_up, systems):
    predictions = made_up(((name, 1.0) for name in systems), speakers=1)
    predictions = replace(predictions, targets=predictions.targets.clip(0, 1))
    plot_report(tmp_path / "report.png", evaluate(predictions, replicates=100), predictions)
    assert (tmp_path / "report.png").stat().st_size > 20_000


def test_drawing_leaves_the_global_state_of_matplotlib_alone():
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy(); from bimodal.evaluation import plots\n"
        "plots._new_figure(2)\n"
        "print('matplotlib.pyplot' in sys.modules, before == matplotlib.rcParams.copy())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
