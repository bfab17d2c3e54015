"""Runs as a person makes them: whole, killed, continued, grown, on a full disk. The parts are always the same bytes."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from benchmarks.bulk import children, kept, wait_for_pieces, wait_gone, write_list
from bimodal.files import lock
from tests.kill.disk import small_disk
from tests.scale.runs import bulk, parts, rows, start

SIZES = ("--part-size", "24", "--batch-size", "4", "-q")
ROWS = 60


@pytest.fixture(scope="module")
def listed(clips: Path, tmp_path_factory) -> Path:
    """A manifest of sixty rows, some of which name the file that is no recording."""
    return write_list(tmp_path_factory.mktemp("listed") / "m.csv", sorted(clips.iterdir()), ROWS)


@pytest.fixture(scope="module")
def whole(listed: Path, clips: Path, tmp_path_factory) -> Path:
    """The folder of an undisturbed run with one worker."""
    out = tmp_path_factory.mktemp("whole") / "out"
    told = bulk(listed, "--root", clips, "--out", out, "--workers", "1", "--price-per-core-hour", "0.04", *SIZES)
    assert "60 recordings, " in told and ", cost 0.00" in told and "4 failed" in told
    return out


def test_every_row_has_a_result_or_a_failure(whole):
    done = [int(row["id"]) for row in rows(whole)]
    failed = [int(row["id"]) for row in rows(whole, "failures")]
    assert done == sorted(done) and sorted(done + failed) == list(range(ROWS)) and len(failed) == 4
    assert sorted(parts(whole)) == [
        f"{kind}/part-{number:05d}.parquet" for kind in ("failures", "results") for number in range(3)
    ]
    assert not (whole / "unfinished").exists() or not list((whole / "unfinished").iterdir())


def test_a_killed_worker_costs_its_batch_and_is_told(listed, clips, whole, tmp_path):
    process = start(listed, "--root", clips, "--out", tmp_path / "out", "--workers", "2", *SIZES)
    wait_for_pieces(tmp_path / "out", 1, process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    told = process.communicate()[1]
    assert process.returncode == 0 and parts(tmp_path / "out") == parts(whole)
    assert told.count("a worker ended (it was killed by signal 9") == 1 and "4 recordings is done again" in told


def test_a_killed_run_goes_on_where_it_was(listed, clips, whole, tmp_path):
    out = tmp_path / "out"
    process = start(listed, "--root", clips, "--out", out, "--workers", "1", *SIZES)
    wait_for_pieces(out, 3, process)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    wait_gone(workers)  # they end by themselves
    done = kept(out)
    told = bulk(listed, "--root", clips, "--out", out, "--workers", "2", *SIZES)
    assert done >= 3 and "of 60 recordings are finished already" in told and parts(out) == parts(whole)


def test_a_recording_that_no_worker_survives_is_a_failure(listed, clips, whole, tmp_path):
    """A worker is killed each time it has begun the batch of one recording; all others are done."""
    (tmp_path / "one.csv").write_text("\n".join(listed.read_text().splitlines()[:2]))
    process = start(tmp_path / "one.csv", "--root", clips, "--out", tmp_path / "out", "--workers", "1", *SIZES)
    killed = set()
    while process.poll() is None:
        for worker in set(children(process.pid)) - killed:
            killed.add(worker)
            os.kill(worker, signal.SIGKILL)
        time.sleep(0.005)
    told = process.communicate()[1]
    assert process.returncode == 1 and "is a failure now" in told and "no recording could be used" in told
    (row,) = rows(tmp_path / "out", "failures")
    assert "a worker ended 3 times while it worked on it (it was killed by signal 9" in row["error"]


def test_new_recordings_make_new_parts_and_other_sources_are_refused(clips, tmp_path):
    calls, out = tmp_path / "calls", tmp_path / "out"
    calls.mkdir()
    files = sorted(clips.glob("s*.wav"))
    for file in files[:2]:
        shutil.copyfile(file, calls / file.name)
    bulk(calls, "--out", out, "--workers", "1", *SIZES)
    before = parts(out)
    shutil.copyfile(files[2], calls / files[2].name)
    (calls / files[0].name).unlink()
    told = bulk(calls, "--out", out, "--workers", "1", *SIZES)
    assert "1 recordings are new since the last call" in told and "1 recordings of earlier calls are not among" in told
    after = parts(out)
    assert before.items() < after.items() and [Path(row["path"]).name for row in rows(out)] == [
        f.name for f in files[:3]
    ]


def test_a_full_disk_is_one_sentence_and_finished_work_is_kept(listed, clips, whole, tmp_path):
    out = tmp_path / "disk" / "out"
    with small_disk(tmp_path / "disk", 60_000):
        told = bulk(listed, "--root", clips, "--out", out, "--workers", "1", *SIZES, code=1)
        assert told.splitlines()[-1].endswith("No space left on device") and kept(out) >= 3
        shutil.copytree(out, tmp_path / "larger")
    bulk(listed, "--root", clips, "--out", tmp_path / "larger", "--workers", "1", *SIZES)
    assert parts(tmp_path / "larger") == parts(whole)


def test_two_runs_do_not_share_a_folder(listed, tmp_path):
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("ab") as stream:
        assert lock(stream, wait=False)
        assert "another call is working on this folder" in bulk(listed, "--out", tmp_path / "out", code=1)
