"""Whatever comes in: a result that is right, or one sentence that is. Each case is a row of a table."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.attempts import Attempt, World, carry_out
from tests.hostile.everything import ATTEMPTS
from tests.hostile.recordings import WAV
from tests.hostile.sounds import share
from tests.hostile.strangers import NO_SOUND

pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1"]),
    pytest.mark.filterwarnings("ignore::bimodal.errors.ModelFolderWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # NumPy tells of the NaN that we wrote
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(folder=tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _forget(world: World) -> Iterator[None]:
    yield
    world.forget()


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[attempt.id[:80] for attempt in ATTEMPTS])
def test_it_ends_with_a_right_result_or_the_right_sentence(world: World, attempt: Attempt):
    outcome = carry_out(attempt, world)
    assert outcome.kind in ("result", "sentence"), outcome.told


def test_the_table_is_large_and_no_case_stands_in_it_twice():
    recordings = {attempt.name for attempt in ATTEMPTS if attempt.door == "decoder"}
    others = [attempt.id for attempt in ATTEMPTS if attempt.door != "decoder" and attempt.name not in recordings]
    assert len(recordings) >= 150 and len(set(others)) >= 150
    assert len({attempt.id for attempt in ATTEMPTS}) == len(ATTEMPTS)


def program(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
    """The program in a process of its own, as people start it."""
    command = [sys.executable, "-m", "bimodal", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, timeout=60, check=False, env=environment, **options)


def test_a_folder_of_everything_is_recognised_as_far_as_it_can_be(tmp_path: Path):
    for name in list(NO_SOUND)[::6]:
        content = NO_SOUND[name]
        (tmp_path / f"{name}.wav").write_bytes(content() if callable(content) else content)
    (tmp_path / "sound.wav").write_bytes(WAV)
    (tmp_path / "cut.wav").write_bytes(share(WAV, 0.5))
    os.mkfifo(tmp_path / "pipe.wav")
    done = program("recognize", "--whole", "--format", "jsonl", tmp_path)
    told = done.stderr.decode()
    assert done.returncode == 1 and "Traceback" not in told and done.stdout.count(b"\n") == 2
    assert "cut.wav: the recording is cut: it ends after 0.5" in told
    assert told.count("\nbimodal: ") == len(list(NO_SOUND)[::6]) + 1


def test_a_pipe_as_recording_is_a_sentence_and_standard_input_is_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.wav")
    done = program("recognize", tmp_path / "pipe.wav")
    assert done.returncode == 1 and b"a pipe or device, expected a file" in done.stderr
    done = program("recognize", "--format", "jsonl", "-", input=WAV)
    assert done.returncode == 0 and done.stdout.startswith(b"{")


def test_listening_to_a_file_that_is_cut_says_so(tmp_path: Path):
    (tmp_path / "cut.wav").write_bytes(share(WAV, 0.5))
    done = program("listen", "permissive", "--input", tmp_path / "cut.wav", "--format", "jsonl")
    assert done.returncode == 0 and b"bimodal: warning: " in done.stderr
    warned = [sentence for line in done.stdout.splitlines() for sentence in json.loads(line)["warnings"]]
    assert sum(sentence.startswith("the recording is cut: it ends after 0.5") for sentence in warned) == 1
    (tmp_path / "whole.wav").write_bytes(WAV)
    done = program("listen", "permissive", "--input", tmp_path / "whole.wav", "--format", "jsonl")
    assert b"is cut" not in done.stderr + done.stdout
