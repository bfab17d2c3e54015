"""search through the command line: estimate, result, settings for train; bad spaces; the tracker."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bimodal.cli import app
from bimodal.errors import BimodalError

FAST = ("speech.columns=['feature_*']", "speech.epochs=2", "speech.min_steps=0", "speech.ensemble_size=1", "threads=1")


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, BimodalError):  # main() makes a sentence and exit code 1 of it
        assert code == 1
        return str(done.exception)
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.fixture
def call(tmp_path: Path) -> list[object]:
    """A search of a small corpus of numbers, as the command line names it."""
    rng, file = np.random.default_rng(0), tmp_path / "manifest.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "emotion", "speaker", "feature_1", "feature_2"])
        for number in range(96):
            numbers = (rng.normal(size=2) + (number % 2)).round(4)
            writer.writerow([number, ("anger", "sadness")[number % 2], f"s{number // 16}", *numbers])
    space = tmp_path / "space.toml"
    space.write_text("speech.dropout = [0.2, 0.4]\n")
    settings = [part for value in FAST for part in ("--set", value)]
    common = ["--folds", 3, "--inner", 2, "--no-cache", "-q", "--space", space, *settings]
    return ["search", file, tmp_path / "out", *common]


def test_a_search_tells_time_result_and_what_to_do_next(call, tmp_path):
    shown = run(*call, "--trials", 1)
    assert "estimate: about" in shown and "14 trainings" in shown
    assert "outer folds (speaker intervals)" in shown and f"--config {tmp_path / 'out' / 'best.toml'}" in shown
    assert json.loads((tmp_path / "out" / "search.json").read_text())["best"] == {"speech.dropout": 0.4}
    lines = [json.loads(line) for line in (tmp_path / "out" / "tracking.jsonl").read_text().splitlines()]
    assert lines[0]["space.speech.dropout"] == "one of 0.2, 0.4"
    assert [one["stage"] for one in lines[1:-1]] == ["search/1", "search/2", "search/3", "search/all"]
    assert 0 <= lines[-1]["searched/uar"] == lines[-1]["default/uar"]


def test_an_estimate_alone_trains_no_trial(call, tmp_path):
    assert "30 trainings" in run(*call, "--trials", 3, "--estimate")
    assert not (tmp_path / "out").exists()


def test_a_bad_space_is_one_sentence_and_leaves_no_folder(call, tmp_path):
    (tmp_path / "space.toml").write_text("speech.dropou = [0.1]")
    assert "unknown key 'dropou'" in run(*call, code=1)
    assert not (tmp_path / "out").exists()
