"""A process that leaks is found out, one that does not is left alone."""

import subprocess
import sys
import time

import pytest

from tests.soak.watching import Sample, judge, watched

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

LEAKING = """
import time
kept = []
for number in range(100):
    kept += [bytearray(b"x" * 2_000_000), open("/dev/null")]
    time.sleep(0.03)
"""


def samples(memory: list[float], handles: list[int]) -> list[Sample]:
    return [
        Sample(seconds=float(number), memory=one, handles=other, threads=1)
        for number, (one, other) in enumerate(zip(memory, handles, strict=True))
    ]


def test_a_process_that_leaks_grows():
    with subprocess.Popen([sys.executable, "-c", LEAKING]) as process, watched(process.pid, every=0.1) as found:
        process.wait()
    assert judge(found)["grows"] == ["memory", "handles"]


def test_the_processes_that_a_process_starts_count():
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LEAKING!r}])"
    with subprocess.Popen([sys.executable, "-c", child]) as process, watched(process.pid, every=0.1) as found:
        time.sleep(2)
        process.wait()
    assert judge(found)["grows"] == ["memory", "handles"]


def test_what_is_needed_at_the_start_is_no_growth():
    assert judge(samples([50.0, *[400.0] * 8], [3, *[20] * 8]))["grows"] == []
    assert judge(samples([400.0] * 6 + [421.0] * 3, [20] * 9))["grows"] == ["memory"]
    assert judge(samples([400.0] * 9, [20] * 6 + [25] * 3))["grows"] == ["handles"]
    assert judge([])["grows"] == ["too few samples"]
