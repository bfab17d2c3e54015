"""A full disk, a folder that is read only, an input that vanishes, two processes at once, a clock that was wrong: one
sentence, exit code 1, and the command that is given again ends as if nothing had been."""

import os
import shutil
import subprocess
import sys

import httpx
import pytest
import soundfile

from tests.kill.child import Fault
from tests.kill.compare import contents, differences
from tests.kill.conftest import COMMANDS
from tests.kill.disk import enlarge, small_disk
from tests.kill.killing import Runs
from tests.kill.server import free_port, wait_for_server
from tests.soak.recording import SAMPLES

SIZES = {"prepare": 500, "train-text": 3000, "recognize": 600}
QUICK = ("prepare", "recognize")
PAGE = 4096  # bytes; a file system in memory hands out whole pages
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


@pytest.mark.parametrize("share", (0.0, 0.5, 0.9))
@pytest.mark.parametrize("name", QUICK)
def test_a_file_system_that_is_really_full_costs_a_sentence_and_keeps_what_is_finished(root, undisturbed, name, share):
    assert_a_full_disk_is_survived(Runs(root, COMMANDS[name]), undisturbed[name].contents, share)


def test_training_survives_a_file_system_that_is_really_full(root, undisturbed):
    assert_a_full_disk_is_survived(Runs(root, COMMANDS["train-text"]), undisturbed["train-text"].contents, 0.4)


def assert_a_full_disk_is_survived(runs, expected, share):
    """On a disk with room for a share of the result: a sentence, nothing left over, and room made later is enough."""
    runs.begin()
    assert runs.finish() == []
    needed = sum(PAGE * -(-file.stat().st_size // PAGE) for file in runs.folder.rglob("*") if file.is_file())
    shutil.rmtree(runs.folder)
    with small_disk(runs.folder, max(2 * PAGE, int(share * needed))):
        (runs.folder / "tmp").mkdir()
        assert_told(*runs.run(), "No space left on device")
        left = contents(runs.folder)
        assert not [name for name in left if name.endswith(".tmp") or name.startswith("tmp/bimodal")]
        enlarge(runs.folder, 10 * needed + 20_000_000)
        assert runs.finish() == []
        assert differences(expected, contents(runs.folder)) == []
    shutil.rmtree(runs.folder)


def test_standard_input_that_does_not_fit_into_the_temporary_folder_costs_a_sentence(tmp_path):
    recording = write_long_wav(tmp_path / "long.wav")
    with small_disk(tmp_path / "small", 50 * PAGE), recording.open("rb") as stream:
        environment = os.environ | {"TMPDIR": str(tmp_path / "small")}
        command = [sys.executable, "-m", "bimodal", "recognize", "-", "-q"]
        done = subprocess.run(command, stdin=stream, capture_output=True, text=True, env=environment, check=False)
        assert_told(done.returncode, done.stderr, f"{tmp_path / 'small'}: No space left on device")
        assert list((tmp_path / "small").iterdir()) == []


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_server_whose_disk_is_full_says_so_and_goes_on(tmp_path):
    long, url = write_long_wav(tmp_path / "long.wav"), f"http://127.0.0.1:{(port := free_port())}"
    short = SAMPLES / "cross.mp3"  # is uploaded in memory; decoded, it needs 153 kB (as a job, too)
    with small_disk(tmp_path / "small", 25 * PAGE):
        environment = os.environ | {"TMPDIR": str(tmp_path / "small")}
        command = [sys.executable, "-m", "bimodal", "serve", "--port", str(port)]
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
            try:
                wait_for_server(port)
                for path, file in (("recognize", long), ("jobs", long), ("recognize", short)):
                    answer = send(f"{url}/v1/{path}", file)
                    assert (answer.status_code, answer.json()["type"]) == (507, "urn:bimodal:problem:full"), answer.text
                job = send(f"{url}/v1/jobs", short).json()
                assert wait_for_job(url, job["id"])["problem"]["status"] == 507
                assert list((tmp_path / "small").iterdir()) == []
                enlarge(tmp_path / "small", 50_000_000)
                assert send(f"{url}/v1/recognize", short).json()["emotion"]
                assert wait_for_job(url, send(f"{url}/v1/jobs", long).json()["id"])["state"] == "done"
            finally:
                server.kill()


def write_long_wav(path):
    """A recording that is kept on the disk while it is uploaded."""
    signal, rate = soundfile.read(SAMPLES / "cross.mp3", dtype="float32")
    soundfile.write(path, list(signal) * 15, rate)
    return path


def send(url, file):
    """Upload a recording."""
    with file.open("rb") as stream:
        return httpx.post(url, files={"audio": stream}, timeout=120, trust_env=False)


def wait_for_job(url, name):
    """A job that has ended."""
    while True:
        job = httpx.get(f"{url}/v1/jobs/{name}", timeout=120, trust_env=False).json()
        if job["state"] not in ("waiting", "running"):
            return job


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
