"""--processes: one command in several processes tells its result once, and a failure in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_two_processes_write_one_model_and_tell_it_once(tmp_path: Path):
    rows = ["id,emotion,speaker,feature_1"]
    rows += [f"{number},{('anger', 'sadness')[number % 2]},s{number // 8},{number % 2}.5" for number in range(32)]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    settings = ("speech.columns=['feature_*']", "speech.epochs=2", "speech.min_steps=0", "threads=1")
    command = [
        sys.executable,
        "-m",
        "bimodal",
        "train",
        "speech",
        str(tmp_path / "manifest.csv"),
        str(tmp_path / "run"),
    ]
    command += ["--no-cache", "-q"]
    command += [*(part for value in settings for part in ("--set", value)), "--processes", "2"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"model in {tmp_path / 'run' / 'model'}") == 1 and "Traceback" not in done.stderr
    assert {file.name for file in (tmp_path / "run").iterdir()} == {"model", "speech", "tracking.jsonl"}


def test_a_failure_of_all_processes_is_told_once(tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "bimodal",
        "train",
        "nowhere.csv",
        str(tmp_path / "run"),
        "--processes",
        "2",
        "-q",
        "--no-cache",
    ]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("nowhere.csv") == 1 and len(done.stderr.splitlines()) == 1
