"""The demo on a small corpus, as a user runs it: spoken, trained, evaluated, recognised; a second call goes on."""

import subprocess
import sys

import pytest

pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")


def demo(folder):
    command = [sys.executable, "-m", "bimodal", "demo", folder, "--size", "120", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_goes_all_the_way_and_says_that_it_is_synthetic(tmp_path):
    shown = demo(tmp_path / "demo")
    for sentence in (
        "synthetic",
        "GPL-3.0",
        "contradict each other",
        "fused",
        "weight of the voice",
        "bimodal recognize",
    ):
        assert sentence in shown
    picture = tmp_path / "demo" / "report" / "report.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
    again = demo(tmp_path / "demo")
    table = [line for line in shown.splitlines() if line.startswith("UAR")]
    assert table == [line for line in again.splitlines() if line.startswith("UAR")]
