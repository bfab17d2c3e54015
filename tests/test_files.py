"""Files are whole or not there; what killed processes left is deleted, what running ones write is not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bimodal import files
from bimodal.files import append_line, atomic_write, delete_leftovers, temporary_folder

HOST = files._host()


@pytest.fixture
def dead() -> int:
    """Number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""]) as process:
        pass
    return process.pid


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_what_killed_processes_left_is_deleted_at_the_first_write(tmp_path, dead):
    (tmp_path / f".a.wav.{dead}-{HOST}.tmp").write_text("half")
    (tmp_path / f".model.{os.getpid()}-{HOST}.tmp").mkdir()  # containers give the same number again
    (tmp_path / f".model.{os.getpid()}-{HOST}.tmp" / "x").write_text("half")
    with atomic_write(tmp_path / "c") as unfinished:
        assert names(tmp_path) == set()
        unfinished.write_text("whole")
    assert names(tmp_path) == {"c"}


def test_files_of_running_processes_other_machines_and_other_programs_stay(tmp_path):
    other = "0000" if HOST != "0000" else "1111"
    kept = {f".a.{os.getppid()}-{HOST}.tmp", f".a.7-{other}.tmp", ".a.tmp", "a.7-aaaa.tmp", ".a.77.tmp"}
    for name in kept:
        (tmp_path / name).write_text("theirs")
    delete_leftovers(tmp_path)
    assert names(tmp_path) == kept


def test_a_folder_that_a_killed_process_had_moved_aside_is_put_back(tmp_path, dead):
    aside = tmp_path / f".model.{dead}-{HOST}.old.tmp"
    aside.mkdir()
    (aside / "config").write_text("old")
    delete_leftovers(tmp_path)
    assert names(tmp_path) == {"model"} and (tmp_path / "model" / "config").read_text() == "old"


def test_the_old_folder_of_a_finished_write_is_deleted(tmp_path, dead):
    for name, content in {f".model.{dead}-{HOST}.old.tmp": "old", "model": "new"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config").write_text(content)
    delete_leftovers(tmp_path)
    assert names(tmp_path) == {"model"} and (tmp_path / "model" / "config").read_text() == "new"


def test_a_folder_replaces_a_folder_and_an_error_leaves_the_old_one(tmp_path):
    for content in ("one", "two"):
        with atomic_write(tmp_path / "model") as unfinished:
            unfinished.mkdir()
            (unfinished / "config").write_text(content)
    with pytest.raises(OSError, match="full"), atomic_write(tmp_path / "model") as unfinished:
        unfinished.mkdir()
        raise OSError("full")
    assert names(tmp_path) == {"model"} and (tmp_path / "model" / "config").read_text() == "two"


LEAVE = """
import os, sys
from pathlib import Path
from bimodal.files import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "words").write_text("private")
    os.kill(os.getpid(), 9)
"""


def test_a_temporary_folder_is_gone_after_its_block_or_after_a_kill_with_the_next(tmp_path):
    (tmp_path / f".other.{os.getpid()}-{HOST}.tmp").write_text("of another program")
    subprocess.run([sys.executable, "-c", LEAVE, tmp_path], check=False)
    assert len(names(tmp_path)) == 2
    with temporary_folder(tmp_path) as folder:
        assert names(tmp_path) == {folder.name, f".other.{os.getpid()}-{HOST}.tmp"}
        assert folder.stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == {f".other.{os.getpid()}-{HOST}.tmp"}


@pytest.mark.parametrize("torn", [b"", b"tor", b"x" * 200_000])
def test_a_line_follows_whole_lines_alone(tmp_path, torn):
    file = tmp_path / "index"
    file.write_bytes(b"one\n" + torn)
    append_line(file, b"two")
    assert file.read_bytes() == b"one\ntwo\n"


def test_the_first_line_of_a_file_follows_nothing(tmp_path):
    file = tmp_path / "index"
    file.write_bytes(b"tor")
    append_line(file, b"one")
    assert file.read_bytes() == b"one\n"


APPEND = """
import sys
from pathlib import Path
from bimodal.files import append_line
for number in range(200):
    append_line(Path(sys.argv[1]), (sys.argv[2] * 3000).encode())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_lines_of_processes_that_write_at_once_are_whole(tmp_path):
    commands = [[sys.executable, "-c", APPEND, tmp_path / "index", letter] for letter in "abc"]
    for process in [subprocess.Popen(command) for command in commands]:
        assert process.wait() == 0
    lines = (tmp_path / "index").read_text().splitlines()
    assert sorted(lines) == sorted(letter * 3000 for letter in "abc" for _ in range(200))


FULL = """
import resource, signal, sys
from pathlib import Path
from bimodal.files import append_line
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    append_line(Path(sys.argv[1]), b"two two two")
except OSError:
    print("refused")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")
def test_a_line_that_the_disk_has_no_room_for_leaves_the_lines_before(tmp_path):
    (tmp_path / "index").write_bytes(b"one\n")
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "index"], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n" and (tmp_path / "index").read_bytes() == b"one\n"


def test_old_leftovers_of_other_machines_are_deleted(tmp_path, monkeypatch):
    other = "0000" if HOST != "0000" else "1111"
    (tmp_path / f".a.7-{other}.tmp").write_text("half")
    later = time.time() + 2 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    delete_leftovers(tmp_path)
    assert names(tmp_path) == set()
