"""evaluate with other models, baselines, subgroups and abstention; compare; all through the command line."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bimodal.cli import app
from bimodal.errors import BimodalError


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, BimodalError):  # main() makes a sentence and exit code 1 of it
        assert code == 1
        return str(done.exception)
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.fixture
def manifest(tiny_manifest: Path, tmp_path: Path) -> Path:
    """The tiny corpus with two speakers to test, a dev speaker, and columns of sex and votes."""
    rows = list(csv.DictReader(tiny_manifest.open()))
    for row in rows:
        number = int(row["speaker"][1:])
        row["split"] = "test" if number < 2 else "dev" if number == 2 else "train"
        row["sex"] = "f" if number % 2 else "m"
        row["votes"] = f"{row['emotion']}|{row['emotion']}|anger"
    with (tiny_manifest.parent / f"{tmp_path.name}.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return Path(stream.name)


@pytest.fixture
def scores(manifest: Path, tmp_path: Path) -> Path:
    """Another model's scores of all rows: right with 0.8, and wrong on every fourth."""
    names = ("anger", "happiness", "sadness")
    lines = ["file,angry,happy,sad"]
    for place, row in enumerate(csv.DictReader(manifest.open())):
        told = names[(names.index(row["emotion"]) + (place % 4 == 0)) % 3]
        lines.append(",".join([row["path"], *("0.8" if name == told else "0.1" for name in names)]))
    (tmp_path / "wavlm.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "wavlm.csv"


def test_other_models_and_baselines_stand_beside_ours_with_subgroups_votes_and_thresholds(
    manifest, tiny_model, scores, tmp_path
):
    (tmp_path / "costs.toml").write_text("abstain = 0.4\n[wrong]\nanger = 3\n")
    shown = run(
        "evaluate", manifest, "--model", tiny_model, "--seen-rows", "--predictions", scores, "--baseline", "majority",
        "--baseline", "chance", "--baseline", "logmel", "--by", "sex", "--costs", tmp_path / "costs.toml",
        "--threshold-split", "dev", "--out", tmp_path / "out",
    )  # fmt: skip
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    names = [system["system"] for system in found["systems"]]
    assert names == ["speech", "text", "late", "fused", "wavlm", "majority", "chance", "logmel"]
    assert [one["other"] for one in found["comparisons"] if one["system"] == "fused"] == [
        "speech", "text", "late", "wavlm", "majority", "chance", "logmel",
    ]  # fmt: skip
    assert {one["column"] for one in found["subgroups"]} == {"sex"} and len(found["subgroups"]) == 8
    told = {one["system"]: one["chosen_on"] for one in found["abstention"]}
    assert told["fused"] == told["wavlm"] == "split 'dev'" and "cross-fitting" in told["logmel"]
    assert "chance" not in told  # labels alone have no confidence
    assert found["soft_truth"]["rows"] == 18 and found["soft_truth"]["column"] == "votes"
    assert "18 rows of the split 'train'" not in shown and "27 rows of the split 'train'" in shown
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert {"abstained_fused", "wavlm:anger", "logmel"} <= set(rows[0])


def test_scores_and_baselines_are_evaluated_without_a_model_of_ours(manifest, scores, tmp_path):
    shown = run("evaluate", manifest, "--predictions", scores, "--split", "dev", "--out", tmp_path / "alone")
    found = json.loads((tmp_path / "alone" / "report.json").read_text())
    assert [system["system"] for system in found["systems"]] == ["wavlm"] and found["rows"] == 9
    assert "There is only one speaker, so there are no intervals." in shown
    shown = run("evaluate", manifest, "--baseline", "majority", "--baseline", "chance")
    assert ["system", "majority", "chance"] in [line.split() for line in shown.splitlines()]


def test_baselines_have_the_folds_of_the_configuration(tiny_manifest, fast_settings, tmp_path):
    run(
        "evaluate", tiny_manifest, "--folds", "3", *fast_settings, "--set", "threads=1", "--baseline", "majority",
        "--no-cache", "--out", tmp_path / "out",
    )  # fmt: skip
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["systems"][-1]["system"] == "majority" and found["systems"][-1]["rows"] == found["rows"] == 54
    assert any("are trained on the same folds" in note for note in found["notes"])


def test_runs_are_compared_and_half_a_run_is_refused(manifest, scores, tmp_path):
    other = tmp_path / "hubert.csv"
    other.write_text(scores.read_text().replace("0.8", "0.6").replace("0.1", "0.2"))
    for file in (scores, other):
        run("evaluate", manifest, "--predictions", file, "--out", tmp_path / f"run-{file.stem}")
    folders = [tmp_path / "run-wavlm", tmp_path / "run-hubert"]
    shown = run("compare", *folders, "--by", "sex", "--out", tmp_path / "both")
    assert "run-wavlm is not significantly different from run-hubert on the 18 utterances" in shown
    assert sorted(file.name for file in (tmp_path / "both").iterdir()) == [
        "eval_results.yaml", "model-card-section.md", "predictions.csv",
        "report.html", "report.json", "report.md", "report.png",
    ]  # fmt: skip
    run("evaluate", manifest, "--predictions", other, "--split", "train", "--out", folders[1])
    assert "the runs have no utterance in common" in run("compare", *folders, code=1)
    (folders[1] / "predictions.csv").unlink()
    assert "half-written" in run("compare", *folders, code=1)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "give either --model or --folds, or --predictions or --baseline"),
        (["--baseline", "svm"], 1, "unknown baseline 'svm'"),
        (["--baseline", "majority", "--by", "accent"], 1, "has no such column"),
        (["--baseline", "majority", "--coverage-target", "80"], 1, "expected above 0 and at most 1"),
        (["--baseline", "majority", "--coverage-target", "0.8", "--costs", "c.toml"], 2, "give either"),
        (["--baseline", "majority", "--costs", "absent.toml"], 1, "the costs cannot be read"),
        (["--baseline", "majority", "--threshold-split", "dev"], 2, "it needs --coverage-target or --costs"),
        (["--predictions", "absent.csv"], 1, "the scores cannot be read"),
    ],
)
def test_wrong_options_are_a_sentence(manifest, options, code, message):
    said = " ".join(run("evaluate", manifest, *options, code=code).replace("│", " ").split())
    assert message in said
