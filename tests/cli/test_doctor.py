"""`bimodal doctor`: a sound installation passes, what is broken is told with exit 1, what is missing with its extra."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bimodal.cli import doctor as module
from bimodal.cli.doctor import BASE, FEATURES, Finding, describe, expected_scores, largest_difference
from bimodal.errors import BimodalError
from bimodal.inference.model_folder import load_model_config

ROOT = Path(__file__).parents[2]
PERMISSIVE = ROOT / "models" / "src" / "bimodal_models" / "permissive"


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess:
    """`bimodal doctor` with the default model of this checkout."""
    path = os.pathsep.join([str(ROOT / "models" / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "bimodal", "doctor", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "Traceback" not in done.stderr and done.returncode == code, done.stderr + done.stdout
    return done


def test_a_sound_installation_passes_and_names_what_it_has():
    found = {one["name"]: one for one in json.loads(run("--json").stdout)}
    assert {"bimodal", "Python", *BASE, "threads", "libsndfile", *FEATURES, "permissive"} <= set(found)
    assert found["onnxruntime"]["state"] == found["permissive"]["state"] == "ok"
    assert load_model_config(PERMISSIVE).revision in found["permissive"]["found"]
    assert "within 0.03 of the expected ones" in found["packaged clips"]["found"]
    assert not [one for one in found.values() if one["state"] == "broken"]


def test_a_broken_model_is_told_and_ends_with_1(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    content = bytearray((folder / "fusion.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "fusion.onnx").write_bytes(content)
    shown = run(tiny_model, folder, tmp_path / "none", code=1).stdout
    assert f"  {tiny_model}" in shown and "fusion.onnx: altered" in shown and "no model folder" in shown
    assert shown.splitlines()[-1].startswith("result: 2 broken")


def test_the_expected_scores_are_those_of_the_packaged_model():
    revision = load_model_config(PERMISSIVE).revision
    todo = f"run: python scripts/build_self_test.py {PERMISSIVE.relative_to(ROOT)}"
    assert revision in expected_scores(), todo


def test_a_score_that_differs_is_broken(monkeypatch):
    revision = load_model_config(PERMISSIVE).revision
    sound = expected_scores()[revision]
    shifted = json.loads(json.dumps(sound))
    shifted["conflict.mp3"]["both"]["anger"] -= 0.04
    monkeypatch.setattr(module, "measure_scores", lambda: sound)
    monkeypatch.setattr("bimodal.inference.installed.find_model", lambda: PERMISSIVE)
    assert "farthest 0.0000" in module._self_test()
    monkeypatch.setattr(module, "expected_scores", lambda: {revision: shifted})
    with pytest.raises(BimodalError, match=r"differs by 0\.040"):
        module._self_test()
    assert largest_difference(sound, {"other.mp3": {}}) == float("inf")


def test_each_feature_names_an_extra_that_installs_its_modules():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra, modules in FEATURES.values():
        needed, listed = [extra], ""
        while needed:
            lines = project["optional-dependencies"][needed.pop()]
            listed += " ".join(lines).lower().replace("_", "-")
            needed += [name for line in lines if "bimodal-emotion[" in line for name in line[16:-1].split(",")]
        for name in modules:
            assert name.replace("_", "-") in listed, f"{extra} does not install {name}"
    assert all(any(line.startswith(name) for line in project["dependencies"]) for name in BASE)


def test_findings_are_lines_without_control_characters():
    found = [
        Finding(topic="models", name="a\x1b[31m", state="broken", found="damaged", advice="copy it again"),
        Finding(topic="models", name="b", state="ok", found="fine"),
    ]
    lines = describe(found).splitlines()
    assert lines[0] == "models" and lines[1].split() == ["a?[31m", "broken:", "damaged;", "copy", "it", "again"]
    assert lines[-1] == "result: 1 broken" and describe(found[1:]).endswith("result: all is well")
