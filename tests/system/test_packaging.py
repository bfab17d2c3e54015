"""Container file and systemd unit start what there is to start."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bimodal.cli import app

ROOT = Path(__file__).parents[2]


def commands() -> dict[str, list[str]]:
    container = (ROOT / "packaging" / "Containerfile").read_text()
    unit = (ROOT / "packaging" / "bimodal.service").read_text()
    entry = re.findall(r'"([^"]+)"', re.search(r"ENTRYPOINT (.*)", container)[1])
    return {"container": entry, "unit": shlex.split(re.search(r"ExecStart=(.*)", unit)[1])}


@pytest.mark.parametrize("name", ["container", "unit"])
def test_the_command_exists_with_all_its_options(name):
    program, command, *arguments = commands()[name]
    assert Path(program).name == "bimodal"
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    options = [argument for argument in arguments if argument.startswith("--")]
    assert options and all(option in shown for option in options)


def test_what_is_installed_is_what_the_lock_file_and_the_extras_name():
    container = (ROOT / "packaging" / "Containerfile").read_text()
    extras = re.search(r"/source\[([\w,]+)\]", container)[1].split(",")
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) <= set(known) and "-c /source/constraints.txt" in container
    assert (ROOT / "constraints.txt").is_file() and (ROOT / "backbones").is_dir()


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    text = (ROOT / "packaging" / "bimodal.service").read_text().replace("/opt/bimodal/bin/bimodal", "/bin/true")
    (tmp_path / "bimodal.service").write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", tmp_path / "bimodal.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "bimodal.service" not in done.stderr, done.stderr
