"""A real Ray cluster of several nodes, each a process of its own; one of them is killed in the middle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bulk import command, write_list
from tests.scale.runs import bulk

pytest.importorskip("ray")
asked_for = pytest.mark.skipif(
    os.environ.get("CI", "").lower() != "true" and "BIMODAL_RAY" not in os.environ,
    reason="a Ray cluster takes 20 s of CPU time: set BIMODAL_RAY=1 to run it; CI does",
)

CLUSTER = """import json, sys
from pathlib import Path
from benchmarks.bulk import kill_node
print(json.dumps(kill_node(*map(Path, sys.argv[1:]), count=1)))
"""
"""In a process of its own, as pytest-socket forbids Ray to look for the address of this machine."""


@asked_for
def test_a_killed_node_costs_its_batch_and_the_parts_are_those_of_one_machine(clips, tmp_path):
    listed, whole = write_list(tmp_path / "m.csv", sorted(clips.iterdir()), 200), tmp_path / "whole"
    subprocess.run([*command(listed, clips, whole, "--workers", "1")], check=True, capture_output=True)
    python = [sys.executable, "-c", CLUSTER, listed, clips, tmp_path, whole]
    patient = os.environ | {"RAY_raylet_start_wait_time_s": "120"}  # for a machine that does much else
    done = subprocess.run(
        python, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], env=patient
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["exit"] == 0 and found["same_bytes"] and found["recordings"] == 200
    assert 1 <= found["lost_batches"] <= 2  # the batch that it did, and one that it was about to do
    assert all(line.startswith("bimodal: a worker ended (NodeDiedError: ") for line in found["told"])


def test_a_cluster_that_does_not_answer_is_told(clips, tmp_path):
    told = bulk(clips, "--out", tmp_path / "out", "--engine", "ray", "--ray-address", "127.0.0.1:1", "-q", code=1)
    assert "the Ray cluster '127.0.0.1:1' cannot be reached" in told
