"""What a training ends with: honest figures beside chance, and a next step that tests on rows it has not seen."""

from pathlib import Path

import pytest

from bimodal.inference.model_folder import read_json
from bimodal.training.package_model import TrainReport
from bimodal.training.summary import describe_dev, next_step, summarise_training


def test_the_held_out_figure_stands_beside_chance(tiny_model, tiny_manifest):
    place, figures, following = summarise_training(tiny_manifest, tiny_model)
    assert place == f"model in {tiny_model} (licence: unknown: set it to that of the training data)"
    report = read_json(tiny_model / "report.json", TrainReport)
    assert report.dev_chance == pytest.approx(1 / 3, abs=1e-4) and figures == describe_dev(report)
    assert f"on {report.dev_rows} held-out rows: speech {100 * report.dev_uar['speech']:.1f} %" in figures
    assert "; chance 33.3 %. These rows also fitted the temperatures" in figures
    command = f"bimodal evaluate {tiny_manifest} --model {tiny_model} --out {tiny_model.parent / 'report'}"
    assert following == f"next: {command}, which writes report.html for a browser"


@pytest.mark.parametrize(
    ("rows", "step"),
    [
        (
            ["a,joy,s1,train", "b,joy,s2,test"],
            "bimodal evaluate m.csv --model run/model --out run/report, which writes report.html",
        ),
        ([f"a,joy,s{number}," for number in range(9)], "bimodal evaluate m.csv --folds 5, with the same --config"),
        (["a,joy,s1,", "b,joy,s2,train", "c,joy,s3,dev"], "bimodal evaluate m.csv --folds 3, with"),
        (["a,joy,s1,", "b,joy,s2,", "c,,s2,test"], "bimodal recognize -m run/model RECORDING. Every row"),
        (["a,joy,,", "b,joy,s2,", "c,joy,s3,"], "bimodal recognize -m run/model RECORDING. Every row"),
    ],
)
def test_the_next_step_tests_on_what_was_not_trained_on(tmp_path, monkeypatch, rows, step):
    monkeypatch.chdir(tmp_path)
    Path("m.csv").write_text("transcript,emotion,speaker,split\n" + "\n".join(rows) + "\n")
    assert next_step(Path("m.csv"), Path("run/model")).startswith(step)
