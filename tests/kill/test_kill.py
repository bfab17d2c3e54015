"""Commands are killed in front of a change to files, given again, and compared with an undisturbed run; see `make
kill-test` for many more kills."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from bimodal.inference.adapt import adapt_model
from tests.conftest import FAST, write_tiny_corpus
from tests.kill.compare import contents, differences
from tests.kill.killing import Command, Runs
from tests.soak.recording import SAMPLES

_SETTINGS = tuple(part for value in (*FAST, "threads=1", "text.epochs=3") for part in ("--set", value))
COMMANDS = {
    command.name: command
    for command in (
        Command(name="prepare", arguments=("prepare", "manifest", "../inputs/corpus", "prepared")),
        Command(
            name="train-text",
            arguments=("train", "text", "../inputs/corpus/manifest.csv", "run", "--cache", "cache", "-q", *_SETTINGS),
        ),
        Command(
            name="recognize",
            arguments=(
                "recognize", "../inputs/clips", "--timeline", "--out", "results", "--format", "vtt", "--threads", "1",
                "-q",
            ),
        ),
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Folder with `inputs`: a tiny corpus, and clips of speech."""
    root = tmp_path_factory.mktemp("kill")
    write_tiny_corpus(root / "inputs" / "corpus", speakers=3, per_emotion=2)
    (root / "inputs" / "clips" / "more").mkdir(parents=True)
    for number, name in enumerate(("cross", "conflict", "cross")):
        signal, rate = soundfile.read(SAMPLES / f"{name}.mp3", dtype="float32")
        soundfile.write(root / "inputs" / "clips" / ("more" if number else "") / f"{number}.wav", signal, rate)
    return root


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_was_killed_and_given_again_ends_as_if_nothing_had_been(root, name):
    runs = Runs(root, COMMANDS[name])
    whole = runs.undisturbed()
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
