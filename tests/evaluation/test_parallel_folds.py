"""Folds and seeds side by side give the bytes of one after another, whatever is killed on the way."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bimodal.errors import BimodalError
from bimodal.evaluation.fold_jobs import FoldsState, Listener, Workers
from bimodal.evaluation.parallel_folds import evaluate_seeds
from bimodal.evaluation.plan import plan_folds
from tests.evaluation.folded import QUICK, write_columns

ROOT = Path(__file__).parents[2]
WHOLE = ("report.json", "predictions.csv", "seeds.json", "splits.json", "seeds.md", "report.md")
SETTINGS = (
    'speech.columns=["pros_*"]', "speech.epochs=2", "speech.min_steps=40", "speech.pca_components=0",
    "speech.ensemble_size=1", "dev_share=0.2",
)  # fmt: skip
asked_for = pytest.mark.skipif(
    os.environ.get("CI", "").lower() != "true" and "BIMODAL_RAY" not in os.environ,
    reason="a Ray cluster takes a minute of CPU time: set BIMODAL_RAY=1 to run it; CI does",
)


def command(manifest: Path, out: Path, *more: object) -> list[str]:
    settings = [part for value in SETTINGS for part in ("--set", value)]
    begin = [sys.executable, "-m", "bimodal", "evaluate", str(manifest), "--folds", "3", "--seeds", "2"]
    return [*begin, "--out", str(out), "--cache", str(out.parent / "cache"), *settings, *map(str, more)]


def start(manifest: Path, out: Path, *more: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(manifest, out, *more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def run(manifest: Path, out: Path, *more: object, code: int = 0) -> str:
    """Run to the end; gives stderr. A traceback is always a failure."""
    process = start(manifest, out, *more)
    told = process.communicate()[1]
    assert "Traceback" not in told and process.returncode == code, told
    return told


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in WHOLE}


def folds(out: Path) -> dict[str, int]:
    """Finished folds with the time of their writing."""
    return {file.name: file.stat().st_mtime_ns for file in (out / "folds").glob("*.safetensors")}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return write_columns(tmp_path_factory.mktemp("toy") / "manifest.csv")


@pytest.fixture(scope="module")
def in_turn(manifest, tmp_path_factory) -> dict[str, bytes]:
    """What one after another gives."""
    out = tmp_path_factory.mktemp("whole") / "report"
    told = run(manifest, out)
    assert "6 of 6 folds done" in told
    return contents(out)


def test_two_processes_give_the_bytes_of_one_after_another(manifest, in_turn, tmp_path):
    told = run(manifest, tmp_path / "report", "--workers", "2")
    assert contents(tmp_path / "report") == in_turn
    assert "6 of 6 folds done" in told and re.search(r"fold \d of seed \d", told) and ", 2 at a time" in told
    before = folds(tmp_path / "report")
    assert len(before) == 6
    again = run(manifest, tmp_path / "report", "--workers", "2")
    assert "6 of 6 folds are finished" in again
    assert folds(tmp_path / "report") == before and contents(tmp_path / "report") == in_turn


def test_a_killed_run_keeps_its_folds_leaves_no_process_and_ends_with_the_same_bytes(manifest, in_turn, tmp_path):
    out = tmp_path / "report"
    process = start(manifest, out, "--workers", "2")
    while process.poll() is None and not folds(out):
        time.sleep(0.02)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and len(workers) >= 2
    wait_gone(workers)
    kept = folds(out)
    assert 1 <= len(kept) < 6
    told = run(manifest, out, "--workers", "2")
    assert f"{len(kept)} of 6 folds are finished" in told
    assert {name: time for name, time in folds(out).items() if name in kept} == kept
    assert contents(out) == in_turn and not list((out / "folds").glob("*.run"))


def test_a_killed_worker_is_one_sentence_and_finished_folds_are_kept(manifest, in_turn, tmp_path):
    out = tmp_path / "report"
    process = start(manifest, out, "--workers", "2")
    while process.poll() is None and not folds(out):
        time.sleep(0.02)
    os.kill(children(process.pid)[-1], signal.SIGKILL)
    told = process.communicate()[1]
    assert process.returncode == 1 and "Traceback" not in told
    assert told.splitlines()[-1].startswith("bimodal: a worker process was killed")
    assert folds(out)
    run(manifest, out, "--workers", "2")
    assert contents(out) == in_turn


def children(pid: int) -> list[int]:
    """Worker processes of a run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, line = (folder / "status").read_text(), (folder / "cmdline").read_text()
        except OSError:
            continue
        if f"\nPPid:\t{pid}\n" in status and "spawn_main" in line:
            found.append(int(folder.name))
    return sorted(found)


def wait_gone(pids: list[int]) -> None:
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end, "a worker outlived its run"
        time.sleep(0.05)


def failing(folder: Path) -> Path:
    """Three folds of a column; the training part of the second has one emotion alone."""
    lines = write_columns(folder / "manifest.csv").read_text().splitlines()
    changed = [lines[0]]
    for line in lines[1:]:
        cells = line.split(",")
        cells[5] = "b" if cells[2] != "anger" else ("a" if int(cells[3][1:]) % 2 else "c")
        cells[3] = f"{cells[3]}{cells[5]}"
        changed.append(",".join(cells))
    (folder / "manifest.csv").write_text("\n".join(changed) + "\n")
    return folder / "manifest.csv"


@pytest.mark.parametrize("count", [1, 2])
def test_a_failing_fold_is_one_sentence_and_the_finished_ones_are_kept(tmp_path, count):
    plan = plan_folds(failing(tmp_path), "session", QUICK)
    said, states = list[str](), list[FoldsState]()
    told = Listener(tell=said.append, watch=states.append)
    wanted = r"^fold b: the speech stage has .* fewer than two emotions; .*; 1 finished fold is kept in .*folds$"
    with pytest.raises(BimodalError, match=wanted):
        evaluate_seeds(
            plan, tmp_path / "cache", seeds=[0], workers=Workers(count=count), store=tmp_path / "folds", listener=told
        )
    assert len(list((tmp_path / "folds").glob("*.safetensors"))) == 1
    assert states[-1].done == 1 and states[-1].total == 3
    assert all("fold b failed; the folds that run are finished" in sentence for sentence in said)


def test_a_folder_of_folds_is_not_needed_and_memory_holds_the_features_of_one_process(tmp_path):
    plan = plan_folds(write_columns(tmp_path / "manifest.csv"), "3", QUICK)
    found = evaluate_seeds(plan, None, seeds=[0, 1], workers=Workers())
    assert list(found) == [0, 1] and len(found[0].ids) == 54
    assert (found[0].scores["speech"] != found[1].scores["speech"]).any()
    with pytest.raises(BimodalError, match="leave out --no-cache, or --workers"):
        evaluate_seeds(plan, None, seeds=[0], workers=Workers(count=2))


CLUSTER = """import json, os, signal, subprocess, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster
from benchmarks.bulk import children
out, argv = Path(sys.argv[1]), sys.argv[2:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
process = subprocess.Popen([*argv, "--ray-address", cluster.address], stderr=subprocess.PIPE, text=True)
def pids(node):
    return children(node.all_processes["raylet"][0].process.pid, "ray::train_job")
def hold(node):
    found = pids(node)
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(0.1)
    held = pids(node)  # still at a fold, which can't end now
    for pid in found if not held else ():
        os.kill(pid, signal.SIGCONT)
    return bool(held)
killed = None
while process.poll() is None and killed is None:
    if list((out / "folds").glob("*.safetensors")):
        killed = next((node for node in nodes if hold(node)), None)
    if killed is not None:
        cluster.remove_node(killed, allow_graceful=False)
    time.sleep(0.01)
told = process.communicate()[1]
cluster.shutdown()
print(json.dumps({"exit": process.returncode, "killed": killed is not None, "told": told}))
"""
"""In a process of its own, as pytest-socket forbids Ray to look for the address of this machine."""


@asked_for
def test_a_cluster_of_which_a_node_is_killed_gives_the_bytes_of_one_after_another(manifest, in_turn, tmp_path):
    pytest.importorskip("ray")
    out = tmp_path / "report"
    python = [sys.executable, "-c", CLUSTER, str(out), *command(manifest, out, "--workers", "0", "--engine", "ray")]
    patient = os.environ | {"RAY_raylet_start_wait_time_s": "120"}  # for a machine that does much else
    done = subprocess.run(python, capture_output=True, text=True, check=False, cwd=ROOT, env=patient)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["exit"] == 0 and found["killed"], found["told"]
    assert "a worker ended (" in found["told"] and "is trained again" in found["told"]
    assert contents(out) == in_turn


def test_a_cluster_that_does_not_answer_is_told(manifest, tmp_path):
    pytest.importorskip("ray")
    told = run(manifest, tmp_path / "out", "--engine", "ray", "--ray-address", "127.0.0.1:1", code=1)
    assert "the Ray cluster '127.0.0.1:1' cannot be reached" in told


def test_folds_are_trained_without_the_packages_of_bulk_runs():
    code = "import sys, bimodal.evaluation.parallel_folds; print({'pyarrow', 'fsspec', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
