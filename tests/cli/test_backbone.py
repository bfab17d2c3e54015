"""`bimodal backbone` as a user types it. The builds themselves are in tests/features."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bimodal_backbones import FOLDERS
from typer.testing import CliRunner

from bimodal.cli import app
from bimodal.errors import BimodalError


def run(*arguments, code: int = 0) -> subprocess.CompletedProcess:
    """Run `bimodal`; a traceback is always a failure."""
    command = [sys.executable, "-m", "bimodal", "backbone", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and done.returncode == code, done.stderr
    return done


def test_the_list_names_family_layers_licence_and_parity():
    header, *lines = run("list").stdout.splitlines()
    assert header.split() == ["backbone", "family", "layers", "width", "weights", "MB", "parity", "licence"]
    found = {line.split()[0]: line.split()[1:] for line in lines}
    assert set(found) == set(FOLDERS)
    assert found["whisper-base-4"] == ["whisper", "2,3,4", "512", "int8", "17.4", "0.9916", "MIT"]


def test_a_model_of_an_unknown_family_is_one_sentence_and_nothing_is_written(tmp_path: Path):
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    told = run("build", tmp_path / "gpt", tmp_path / "out", code=1).stderr
    assert told.count("\n") == 1 and "architecture 'gpt2' is of no known family" in told
    assert not (tmp_path / "out").exists()


def test_a_probe_shows_the_table_and_writes_it(tiny_manifest: Path, tmp_path: Path):
    options = ["--backbone", "whisper-base-4", "--out", str(tmp_path / "out"), "--vocabulary", "native", "--no-cache"]
    done = CliRunner().invoke(app, ["backbone", "probe", str(tiny_manifest), *options, "--threads", "1", "--quiet"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("layer ") and "chosen by inner folds" in done.stdout
    assert "next: bimodal backbone build SOURCE DEST --layers " in done.stderr
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"probe.json", "probe.md", "probe.png"}


@pytest.mark.parametrize("backbone", ["no-such-backbone", "."])
def test_a_backbone_that_is_not_there_is_refused(tiny_manifest: Path, backbone: str):
    done = CliRunner().invoke(app, ["backbone", "probe", str(tiny_manifest), "--backbone", backbone, "--no-cache"])
    assert isinstance(done.exception, BimodalError) and "no backbone" in str(done.exception)
