"""What is installed has digests and licences that are known; the list of it can be made."""

import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from scripts import audit, licences

ROOT = Path(__file__).parents[2]
BUILD = {"hatchling", "editables", "tomlkit", "trove-classifiers"}
WITHOUT_DIGEST = {"torch"}


def pins(file: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_the_lock_has_a_digest_for_each_version_of_the_constraints_but_torch():
    constraints, lock = pins(ROOT / "constraints.txt"), pins(ROOT / "requirements.lock")
    assert {name: lock[name] for name in lock if name not in BUILD} == {
        name: version for name, version in constraints.items() if name not in WITHOUT_DIGEST
    }, "run 'sh scripts/lock.sh digests'"
    assert set(lock) >= BUILD
    entries = re.split(r"^(?=[\w.-]+==)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for entry in entries[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


def test_each_dependency_is_locked():
    locked = pins(ROOT / "constraints.txt")
    elsewhere = {"pip"}  # a part of the Python installation
    elsewhere |= {"livekit-agents", "pipecat-ai"}  # hold versions of their own, Pipecat an older soxr
    assert set(licences.dependencies()) - elsewhere - set(locked) == set()


def test_each_licence_is_permissive_or_named_with_a_reason():
    notes, problems = licences.check_licences()
    assert problems == []
    assert any(note.startswith("av (base): ") and "GPL-2.0" in note for note in notes)
    for name, entry in licences.read_rules()["named"].items():
        assert name in pins(ROOT / "constraints.txt"), f"{name} is no dependency any more"
        assert len(entry["reason"]) > 20


def test_an_unknown_or_stricter_licence_or_library_is_a_problem():
    rules = licences.read_rules()
    package = distribution("soxr")
    assert licences.check_package("soxr", package, rules) == ""
    without = {**rules, "named": {}}
    assert licences.check_package("soxr", package, without).startswith("soxr: LGPL-2.1-or-later; expected in")
    changed = {**rules, "named": {"soxr": {"licence": "MIT"}}}
    assert "LGPL-2.1-or-later" in licences.check_package("soxr", package, changed)
    assert "libx264" in licences.check_package("av", distribution("av"), {**rules, "named": {"av": {"licence": "MIT"}}})


def test_the_audit_says_what_was_not_audited_and_fails_on_what_is_vulnerable():
    packages = [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "unknown"}]
    sentence, fine = audit.describe({"dependencies": packages}, "")
    assert fine and sentence == "vulnerabilities: 1 of 2 packages audited; none known"
    packages[0]["vulns"] = [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]
    sentence, fine = audit.describe({"dependencies": packages}, "")
    assert not fine and sentence.endswith("a 1: PYSEC-1, PYSEC-2")
    sentence, fine = audit.describe(None, "Failed to resolve 'pypi.org'")
    assert fine and "skipped" in sentence and "pypi.org" in sentence


def test_the_list_of_packages_has_nothing_that_changes_from_day_to_day(tmp_path):
    pytest.importorskip("cyclonedx_py", reason="needs the extra audit")
    (tmp_path / "installed.txt").write_text("numpy==2.4.6\nsoxr==1.1.0\n")
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--no-validate"]
    command += ["--of", "JSON", "--pyproject", ROOT / "pyproject.toml", tmp_path / "installed.txt"]
    made = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert {one["name"] for one in made["components"]} == {"numpy", "soxr"}
    assert made["metadata"]["component"]["name"] == "bimodal-emotion"
    assert "serialNumber" not in made and "timestamp" not in made["metadata"]
    assert "--output-reproducible" in (ROOT / "Makefile").read_text()
