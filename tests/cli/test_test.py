"""`bimodal test` as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bimodal.evaluation.predict import evaluate_model
from bimodal.evaluation.predictions import write_predictions


def run(*arguments, code: int = 0) -> subprocess.CompletedProcess:
    """Run `bimodal test`; a traceback is always a failure."""
    command = [sys.executable, "-m", "bimodal", "test", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and done.returncode == code, done.stderr
    return done


def test_a_model_is_tested_and_the_exit_code_says_whether_enough_passes(tiny_model, tiny_manifest, tmp_path):
    arguments = [tiny_model, tiny_manifest, "--only", "correctness", "--threads", 1, "--quiet"]
    shown = run(*arguments, "--out", tmp_path).stdout
    assert shown.startswith(f"{tiny_model} on {tiny_manifest}\nfused: ")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["junit.xml", "tests.json", "tests.md"]
    rate = 100 * json.loads((tmp_path / "tests.json").read_bytes())["summary"]["fused"]["all"]["rate"]
    run(*arguments, "--min-pass", f"{rate - 0.1:.2f}")
    if rate < 99:
        told = run(*arguments, "--min-pass", f"{rate + 0.1:.2f}", code=1).stderr
        assert "of the tests pass, fewer than --min-pass" in told


def test_scores_of_any_model_are_tested(tiny_model, tiny_manifest, tmp_path):
    found, _ = evaluate_model(tiny_model, tiny_manifest, threads=1)
    write_predictions(tmp_path / "predictions.csv", found)
    out = tmp_path / "out"
    shown = run("--predictions", tmp_path / "predictions.csv", tiny_manifest, "--out", out, "--quiet").stdout
    assert "robustness: the clips have to be recognised again under each change, which needs the model" in shown
    told = json.loads((out / "tests.json").read_bytes())
    (uar,) = [one for one in told["outcomes"][told["system"]] if one["test"] == "UAR"]
    fused = found.scores["fused"].argmax(axis=1) == found.targets
    assert uar["value"] == pytest.approx(fused.mean())  # three clips of each emotion
    assert run("--predictions", tmp_path / "predictions.csv", tiny_manifest, "--limit", 3, code=2)


def test_rows_that_a_model_was_trained_on_are_refused(tiny_model, tiny_manifest):
    arguments = [tiny_model, tiny_manifest, "--split", "train", "--only", "correctness", "--quiet"]
    assert "was trained or calibrated on" in run(*arguments, code=1).stderr
    assert run(*arguments, "--seen-rows").stdout.startswith("WARNING: ")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["permissive"], 2, "expected MODEL and MANIFEST"),
        (["no-such-model", "MANIFEST"], 1, "no-such-model"),
        (["permissive", "no-such.csv"], 1, "no-such.csv"),
        (["permissive", "MANIFEST", "--only", "speed"], 1, "unknown category 'speed'"),
        (["permissive", "MANIFEST", "--noise", "no-folder"], 1, "no such folder"),
        (["permissive", "MANIFEST", "--by", "height"], 1, "the manifest has no column 'height'"),
        (["--predictions", "no-such.csv", "MANIFEST"], 1, "no-such.csv"),
    ],
)
def test_bad_input_is_told_in_a_sentence(arguments: list[str], code: int, told: str, tiny_manifest: Path):
    named = [str(tiny_manifest) if word == "MANIFEST" else word for word in arguments]
    assert told in " ".join(run(*named, "--quiet", code=code).stderr.split())
