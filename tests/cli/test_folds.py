"""Options of `bimodal evaluate --folds`: what does not go together is one sentence."""

import pytest

from tests.cli.test_evaluate import run
from tests.evaluation.folded import write_columns


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp("toy") / "manifest.csv")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--folds", "3", "--workers", "2", "--no-cache"], "--workers does not go with --no-cache"),
        (["--folds", "3", "--engine", "ray", "--no-cache"], "--engine ray does not go with --no-cache"),
        (["--folds", "3", "--workers", "-1"], "--workers is -1, expected 0 to 1000"),
        (["--folds", "3", "--seeds", "0"], "--seeds is 0, expected 1 to 1000"),
        (["--folds", "3", "--seeds", "5000"], "--seeds is 5000, expected 1 to 1000"),
        (["--folds", "3", "--ray-address", "auto"], "--ray-address needs --engine ray"),
        (["--model", "permissive", "--workers", "2"], "--workers needs --folds"),
        (["--model", "permissive", "--seeds", "2"], "--seeds needs --folds"),
        (["--baseline", "chance", "--engine", "ray"], "--engine needs --folds"),
    ],
)
def test_options_that_do_not_go_together_are_refused(manifest, options, sentence):
    assert run("evaluate", manifest, *options, code=1).startswith(sentence)


def test_the_estimate_counts_seeds_and_workers(manifest, tmp_path):
    settings = ["--set", 'speech.columns=["pros_*"]', "--set", "speech.epochs=2", "--set", "speech.min_steps=10"]
    shown = run(
        "evaluate", manifest, "--folds", "3", "--seeds", "4", "--workers", "2", "--estimate", *settings,
        "--cache", tmp_path / "cache", "--out", tmp_path / "out",
    )  # fmt: skip
    assert "for 12 trainings, 2 at a time" in shown and not (tmp_path / "out").exists()
