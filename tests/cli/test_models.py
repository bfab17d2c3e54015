"""`bimodal models` and `export` as a user types them."""

import json
import subprocess
import sys
from pathlib import Path


def run(*arguments, code: int = 0) -> subprocess.CompletedProcess:
    """Run `bimodal`; a traceback is always a failure."""
    command = [sys.executable, "-m", "bimodal", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and done.returncode == code, done.stderr
    return done


def test_a_model_is_described_with_licence_emotions_and_disk(tiny_model: Path):
    shown = run("models", tiny_model).stdout
    for fact in (
        "tiny 0.1.0, revision",
        "licence     unknown",
        "anger, happiness, sadness",
        "whisper-base-4",
        " MB\n",
    ):
        assert fact in shown
    lines = [line for line in run("models").stdout.splitlines() if not line.startswith("  folder ")]  # may be long
    assert len(lines) >= 8 and max(map(len, lines)) <= 80
    assert "no model folder" in run("models", tiny_model.parent, code=1).stderr


def test_models_are_json_for_programs(tiny_model: Path):
    *installed, mine = json.loads(run("models", "--json", tiny_model).stdout)
    assert [one["default"] for one in installed].count(True) == 1 and not mine["default"]
    assert (mine["name"], mine["model"], mine["version"]) == (str(tiny_model), "tiny", "0.1.0")
    assert mine["emotions"] == ["anger", "happiness", "sadness"] and mine["speech"] == "whisper-base-4"
    assert mine["bytes"] == sum(file.stat().st_size for file in tiny_model.rglob("*") if file.is_file())
    assert "no model folder" in run("models", "--json", tiny_model.parent, code=1).stderr


def test_an_exported_model_is_named_with_its_size_and_answers(tiny_model: Path, tmp_path: Path):
    told = run("export", tiny_model, tmp_path / "portable").stderr
    assert " MB, with its backbones" in told
    shown = run("recognize", "-m", tmp_path / "portable", "--transcript", "I am so glad you came.").stdout
    assert shown.startswith("words only: ")
    assert "exists already; name a new folder" in run("export", tiny_model, tmp_path / "portable", code=1).stderr
