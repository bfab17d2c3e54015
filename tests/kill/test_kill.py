"""Commands are killed in front of a change to files, given again, and compared with an undisturbed run; see `make
kill-test` for many more kills."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bimodal.inference.adapt import adapt_model
from tests.kill.compare import contents, differences
from tests.kill.conftest import COMMANDS
from tests.kill.killing import Command, Runs
from tests.soak.recording import SAMPLES


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_was_killed_and_given_again_ends_as_if_nothing_had_been(root, undisturbed, name):
    runs, whole = Runs(root, COMMANDS[name]), undisturbed[name]
    assert whole.changes > 8 and not [name for name in whole.contents if "/." in name]
    for change in (2, whole.changes // 2, whole.changes) if name != "train-text" else (whole.changes // 2,):
        runs.begin()
        assert runs.kill_before(change)
        assert change > whole.changes // 2 or differences(whole.contents, contents(runs.folder))
        assert runs.finish() == []
        assert differences(whole.contents, contents(runs.folder)) == []


def test_speaker_statistics_hold_each_recording_once_wherever_the_kill_came(root, tiny_model, tiny_manifest):
    model = root / "inputs" / "adapted"
    adapt_model(tiny_model, tiny_manifest, model, threads=1)
    options = ("--timeline", "--speaker", "ann", "--speaker-stats", "ann.stats", "--threads", "1", "-q")
    arguments = ("recognize", "-m", "../inputs/adapted", "../inputs/clips/more", "--out", "results", *options)
    runs = Runs(root, Command(name="statistics", arguments=arguments))
    whole = runs.undisturbed()
    assert "ann.stats" in whole.contents
    for change in range(whole.changes - 8, whole.changes + 1, 2):  # while the last recording is finished
        runs.begin()
        assert runs.kill_before(change) and runs.finish() == []
        assert differences(whole.contents, contents(runs.folder)) == []


def _has_no_name(handle: Path, folder: Path) -> bool:
    """Whether a handle of a process is a file in a folder that is in no list of it."""
    try:
        told = str(handle.readlink())
    except FileNotFoundError:
        return False
    return told.startswith(str(folder)) and told.endswith("(deleted)")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux opens files without a name")
def test_a_recording_from_standard_input_is_gone_after_a_kill(tmp_path):
    command = [sys.executable, "-m", "bimodal", "recognize", "-", "--format", "jsonl"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)}) as process:
        process.stdin.write((SAMPLES / "cross.mp3").read_bytes())
        process.stdin.flush()
        handles = Path(f"/proc/{process.pid}/fd")
        while not any(_has_no_name(handle, tmp_path) for handle in handles.iterdir()):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    assert {file.name for file in tmp_path.iterdir()} <= {".ses"}  # 51 bytes of onnxruntime


def test_the_comparison_sees_what_is_left_over_missing_and_different(tmp_path):
    for name, content in {"a": "1", "b": "2", "sub/.c.1-aaaa.tmp": "3"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    found = contents(tmp_path)
    (tmp_path / "b").write_text("4")
    (tmp_path / "d").mkdir()
    assert differences(found, contents(tmp_path)) == ["left over: d/", "different: b"]
    (tmp_path / "sub" / ".c.1-aaaa.tmp").unlink()
    assert "missing: sub/.c.1-aaaa.tmp" in differences(found, contents(tmp_path))
