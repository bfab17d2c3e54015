"""A full disk, a folder that is read only, an input that vanishes, two processes at once, a clock that was wrong: one
sentence, exit code 1, and the command that is given again ends as if nothing had been."""

import os
import shutil

import pytest

from tests.kill.child import Fault
from tests.kill.compare import contents, differences
from tests.kill.conftest import COMMANDS
from tests.kill.killing import Runs

SIZES = {"prepare": 500, "train-text": 3000, "recognize": 600}
QUICK = ("prepare", "recognize")
YEAR_2100 = 4_102_444_800


def assert_told(code: int | None, told: str, *expected: str) -> None:
    """Exit code 1, and one sentence on stderr that says what is wrong."""
    lines = [line for line in told.splitlines() if line.startswith("bimodal: ")]
    assert code == 1 and len(lines) == 1 and "Traceback" not in told, told
    assert any(word in lines[0] for word in expected), told


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_full_costs_a_sentence(root, undisturbed, name):
    runs = Runs(root, COMMANDS[name])
    runs.begin()
    assert_told(*runs.run(Fault(largest_file=SIZES[name])), "File too large")
    assert runs.finish() == []
    assert differences(undisturbed[name].contents, contents(runs.folder)) == []


@pytest.mark.parametrize("name", QUICK)
def test_a_folder_that_is_read_only_costs_a_sentence(root, undisturbed, name):
    runs = Runs(root, COMMANDS[name])
    runs.begin()
    runs.folder.chmod(0o555)
    try:
        assert_told(*runs.run(Fault(obeys_permissions=True)), "Permission denied")
    finally:
        runs.folder.chmod(0o755)
    assert runs.finish() == []
    assert differences(undisturbed[name].contents, contents(runs.folder)) == []


def test_a_recording_that_vanishes_costs_its_own_results(root, undisturbed):
    runs, clip = Runs(root, COMMANDS["recognize"]), root / "inputs" / "clips" / "more" / "2.wav"
    runs.begin()
    shutil.copy2(clip, root / "2.wav")
    try:
        assert_told(*runs.run(Fault(vanishing=clip, vanishing_at=8)), "2.wav: no such file")
    finally:
        shutil.move(root / "2.wav", clip)
    found = differences(undisturbed["recognize"].contents, contents(runs.folder))
    assert found == ["missing: results/more/2.wav.vtt", "different: results/index.jsonl"]
    assert runs.finish() == []
    assert differences(undisturbed["recognize"].contents, contents(runs.folder)) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_two_processes_at_once_give_what_one_gives(root, undisturbed, name):
    runs = Runs(root, COMMANDS[name])
    runs.begin()
    with runs.started() as one, runs.started() as other:
        one.join()
        other.join()
        assert (one.exitcode, other.exitcode) == (0, 0), runs.told()
    found = differences(undisturbed[name].contents, contents(runs.folder))
    assert [line for line in found if line != "different: results/index.jsonl"] == []  # lines in another order


@pytest.mark.parametrize("name", QUICK)
def test_times_of_files_decide_nothing(root, undisturbed, name):
    runs, whole = Runs(root, COMMANDS[name]), undisturbed[name]
    runs.begin()
    assert runs.kill_before(whole.changes // 2)
    for moment in (YEAR_2100, 1):
        for file in runs.folder.rglob("*"):
            os.utime(file, (moment, moment), follow_symlinks=False)
        assert runs.finish() == []
        assert differences(whole.contents, contents(runs.folder)) == []
