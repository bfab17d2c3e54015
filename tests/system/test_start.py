"""A command starts with what it needs and ends when its work is done: modules, exit codes, handlers, files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "av", "torch", "onnx", "scipy", "matplotlib", "tqdm", "asyncio", "logging", "multiprocessing", "concurrent",
    "numpy.ma", "numpy.random", "tokenizers", "bimodal.data.batches", "bimodal.evaluation.metrics",
    "bimodal.inference.timeline", "bimodal.inference.stream", "bimodal.data.manifest",
    "bimodal.inference.speaker_normalization",
    "bimodal.inference.explain", "bimodal.features.augmentation", "bimodal.features.adaptation",
}  # fmt: skip


def run(*arguments, before: str = "", code: int = 0, **options) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own, some Python in front; a traceback is always a failure."""
    script = f"import sys\nsys.argv[0] = 'bimodal'\n{before}\nfrom bimodal.__main__ import main\nmain()"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}, check=False)
    assert b"Traceback" not in done.stderr and done.returncode == code, done.stderr
    return done


def at_the_end(code: str) -> str:
    """Python that registers other Python to be run when the command is done, as a library would while it runs."""
    return f"import atexit, bimodal.cli as c\nrun = c._run\nc._run = lambda: (atexit.register(lambda: {code}), run())"


@pytest.fixture
def clip(tiny_manifest: Path) -> Path:
    return tiny_manifest.parent / "audio" / "s0-anger-0.wav"


def test_a_short_clip_loads_no_module_that_it_has_no_use_for(tiny_model, clip):
    told = at_the_end("print(*sys.modules, file=sys.stderr)")
    done = run("recognize", "-m", tiny_model, clip, "--threads", "1", before=told)
    assert done.stdout.startswith(str(clip).encode())
    loaded = set(done.stderr.decode().split())
    assert HEAVY & loaded == set() and "bimodal.inference.model" in loaded


def test_threads_and_exit_handlers_are_done_before_the_process_ends(tmp_path):
    late = f"""import pathlib, threading, time
folder = pathlib.Path({str(tmp_path)!r})
threading.Thread(target=lambda: (time.sleep(0.5), (folder / "thread").touch())).start()
"""
    run("frobnicate", before=late + at_the_end("(folder / 'handler').touch()"), code=2)
    assert {file.name for file in tmp_path.iterdir()} == {"thread", "handler"}


def test_standard_input_leaves_no_file_behind(tiny_model, clip, tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = run("recognize", "-m", tiny_model, "-", input=clip.read_bytes(), env=environment)
    assert done.stdout.startswith(b"stdin") and not list(tmp_path.glob("bimodal-*"))


def test_what_cannot_be_written_is_no_success(tiny_model, clip):
    with Path("/dev/full").open("wb") as full:
        assert b"No space left" in run("recognize", "-m", tiny_model, clip, stdout=full, code=1).stderr
        run("--help", stdout=full, code=1)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        run("recognize", "-m", tiny_model, clip, stdout=closed, code=1)


def test_what_is_written_last_is_not_lost():
    assert run("--help", before=at_the_end("print('late')")).stdout.endswith(b"late\n")


def test_what_is_opened_ahead_is_what_recognises(tiny_model, clip):
    told = at_the_end("print('opened', len(a.OPENED), file=sys.stderr)")
    told += "\nimport bimodal.inference.preload as a"
    for named in (["-m", tiny_model, clip], ["--model", tiny_model, clip], [tiny_model, clip]):
        assert b"opened 1\n" in run("recognize", *named, "--threads", "1", before=told).stderr


@pytest.mark.parametrize(
    ("wrong", "code", "told"),
    [(["-m", "nowhere"], 1, b"nowhere: no model folder"), (["--threads", "two"], 2, b"'two' is not a valid int")],
)
def test_a_wrong_guess_ahead_changes_nothing_of_what_is_told(clip, wrong, code, told):
    assert told in run("recognize", *wrong, clip, code=code).stderr


def test_words_too_long_for_a_file_name_are_words(tiny_model, clip):
    assert run("recognize", "--transcript", "so " * 100, "-m", tiny_model, clip).stdout.startswith(str(clip).encode())


def test_a_folder_loads_the_encoder_of_one_thread_and_a_single_clip_that_of_all(tiny_model, clip):
    told = at_the_end("print('loaded', *next(iter(a.OPENED.values()))._parts, file=sys.stderr)")
    told += "\nimport bimodal.inference.preload as a"
    other = clip.with_name("s1-anger-0.wav")
    for named, loaded in (([clip], b"speech 2"), ([clip, other], b"speech 1"), ([clip.parent], b"speech 1")):
        found = run("recognize", "-m", tiny_model, *named, "--threads", "2", before=told).stderr
        assert loaded in found and found.count(b"speech ") == 1, found
