"""The scripts in examples/ run as a reader runs them: processes of their own, on recordings, without a network."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bimodal import Recognizer
from bimodal.demo.corpus import prepare

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SAMPLES = ROOT / "src/bimodal/service/static/samples"


def run(name: str, *arguments) -> str:
    offline = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    command = [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=offline).stdout


def test_a_folder_is_recognised_and_a_bad_recording_stops_nothing(tmp_path):
    shutil.copytree(SAMPLES, tmp_path / "in")
    (tmp_path / "in" / "broken.wav").write_bytes(b"no audio")
    run("recognise_folder", tmp_path / "in", tmp_path / "out.csv")
    rows = {row["recording"]: row for row in csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8"))}
    recordings = [file.name for file in SAMPLES.glob("*.mp3")]
    assert sorted(rows) == sorted([*recordings, "broken.wav"])
    assert rows["broken.wav"]["error"] and not rows["broken.wav"]["emotion"]
    result = Recognizer().recognize(SAMPLES / "cross.mp3")
    assert rows["cross.mp3"]["emotion"] == result.emotion and not rows["cross.mp3"]["error"]


def test_a_model_is_trained_evaluated_and_used(tmp_path):
    prepare(tmp_path / "corpus", size=60)
    shown = run("train_your_own", tmp_path / "corpus" / "manifest.csv", tmp_path / "run")
    assert all(system in shown for system in ("speech", "text", "late", "fused"))
    assert re.search(r"\.wav: \w+; the label is \w+", shown) and (tmp_path / "run" / "model" / "config.json").is_file()


def test_a_stream_gives_the_results_of_the_file():
    recording = SAMPLES / "diary.mp3"
    lines = [
        f"{result.start:6.2f} to {result.end:6.2f} s  {result.emotion or result.reason}"
        for result in Recognizer().recognize_long(recording)
    ]
    assert len(lines) > 3 and run("stream_audio", recording).splitlines() == lines


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
