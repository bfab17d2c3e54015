"""Foreign bytes: what fuzzing found stays mended, and a short run finds nothing. The long run is `make fuzz`."""

import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from scripts import fuzz

ROOT = Path(__file__).parents[2]
W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" + bytes(24)
DEEP = b"[" * 20_000
FOUND = {
    "decode": [
        b"w.snd",
        b"w.snd1234",
        b"w" + W64 + b"fmt " + bytes(12) + struct.pack("<Q", 2**64 - 1) + bytes(50),
        b"wcaff" + bytes(4) + b"abcd" + struct.pack(">q", 2**63 - 1) + bytes(50),
    ],
    "settings": [b"x = " + DEEP, b"seed = " + b"9" * 5000, b"speech.epochs=" + DEEP, b"speech.epochs=c\xc9he.5"],
    "manifest": [b'{"path": ' + DEEP, b'{"start": ' + b"9" * 5000 + b"}"],
    "form": [b"", b"--frontier\r\n\r\n"],
    "model": [b"", b"\0" + b'{"schema": 3, "name": ' + DEEP, b"\1onnx", b"\2" + b"\xff" * 8],
}


@pytest.mark.parametrize(("target", "number"), [(name, i) for name, cases in FOUND.items() for i in range(len(cases))])
def test_what_fuzzing_found_stays_mended(target, number):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fuzz.TARGETS[target](FOUND[target][number])


@pytest.mark.parametrize("file", sorted((Path(__file__).parent / "fuzzed").iterdir()), ids=lambda file: file.name)
def test_files_that_fuzzing_found_stay_mended_and_print_nothing(file, capfd):
    fuzz.TARGETS[file.name.partition("-")[0]](file.read_bytes())
    assert capfd.readouterr() == ("", "")


def test_a_target_that_fails_is_noted_once_with_its_input(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(fuzz.TARGETS, "decode", lambda content: [][len(content)])
    checked = fuzz.noting("decode", tmp_path)
    for content in (b"one", b"two"):
        checked(content)
    (noted,) = tmp_path.iterdir()
    assert noted.name.startswith("decode-IndexError-test_fuzz-") and noted.read_bytes() == b"one"
    assert capsys.readouterr().err.count("Traceback") == 1


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_seeds_are_sound(target, monkeypatch):
    """Each seed must get through: fuzzing that begins with damaged input never sees the code behind."""
    raised: list[BaseException] = []

    class Watch:
        def __init__(self, *kinds: type[BaseException]) -> None:
            self.kinds = kinds

        def __enter__(self) -> None: ...

        def __exit__(self, kind, error, trace) -> bool:
            raised.extend([] if error is None else [error])
            return isinstance(error, self.kinds)

    monkeypatch.setattr(fuzz, "suppress", Watch)
    made = list(fuzz.seeds(target))
    raised.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in made:
            before = len(raised)
            fuzz.TARGETS[target](seed)
            # a settings file is no map of labels, and no setting of one line; a file of scores is no costs
            allowed = 3 if target in ("settings", "scores") else 0
            assert len(raised) - before <= allowed, raised[before:]
    assert len(made) >= 3


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_a_short_run_guided_by_coverage_finds_nothing(target, tmp_path):
    pytest.importorskip("atheris", reason="needs atheris, which has wheels for Linux alone")
    command = [sys.executable, "-m", "scripts.fuzz", target, "200"]
    environment = os.environ | {
        "BIMODAL_FUZZ": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert f"200 executions of {target}: 0 found" in done.stdout
    assert len(list((tmp_path / target).iterdir())) > len(set(fuzz.seeds(target))), "no input reached new code"
