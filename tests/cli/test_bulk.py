"""`bimodal bulk`: what the command line refuses, and how it shows progress."""

import pytest
from typer.testing import CliRunner

from bimodal.cli import app
from bimodal.cli.bulk import _Shown
from bimodal.errors import BimodalError
from bimodal.scale.progress import Throughput
from bimodal.scale.records import Outcome


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x.wav"], "Missing option '--out'"),
        (["x.wav", "--out", "o", "--task", "train"], "'train' is not one of 'recognize', 'extract'"),
        (["x.wav", "--out", "o", "--coverage", "2"], "coverage"),
        (["x.wav", "--out", "o", "--task", "extract", "--coverage", "0.9"], "--coverage goes with --task recognize"),
        (["x.wav", "--out", "o", "--task", "extract", "--transcribe"], "--transcribe goes with --task recognize"),
    ],
)
def test_a_wrong_use_is_told(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["bulk", *arguments])
    assert found.exit_code == 2 and told in " ".join(found.output.split())
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x.wav", "--model", "nowhere"], "nowhere: no model folder"),
        (["nowhere.wav"], "nowhere.wav: no such file or folder"),
        (["x.wav", "--out", "a-file"], "a-file: is a file; name a folder for the results"),
    ],
)
def test_what_is_missing_is_an_error(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    with pytest.raises(BimodalError, match=told):
        CliRunner().invoke(app, ["bulk", "--out", "o", *arguments], catch_exceptions=False)


def test_a_log_gets_a_line_now_and_then_and_a_quiet_run_none(capsys):
    run = Throughput(workers=1, todo=8)
    run.add(Outcome(recordings=4, failed=1, audio_seconds=10.0, memory=5, worker="a 1"))
    for quiet in (False, True):
        shown = _Shown(quiet=quiet)
        shown.done(run)  # too early for a line
        shown._last -= 60
        shown.done(run)
        told = capsys.readouterr().err
        assert ("4 of 8 recordings, 10 s of audio" in told) is not quiet and told.count("\n") == (not quiet)


def test_throughput_adds_up_what_batches_took():
    run = Throughput(workers=2, todo=8)
    for memory in (7, 5):
        run.add(Outcome(recordings=4, failed=1, audio_seconds=10.0, busy_seconds=2.0, memory=memory, worker="a 1"))
    record = run.record()
    assert (record["recordings"], record["failed"], record["memory"], record["workers_seen"]) == (8, 2, 7, 1)
    assert run.memory_now == 5 and record["busy_seconds"] == 4.0
