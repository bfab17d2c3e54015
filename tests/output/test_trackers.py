"""Trackers: each keeps settings, curves and final figures, and goes on where a run was interrupted."""

import json
import os
import sqlite3
import sys
from typing import get_args

import pytest

from bimodal.cli.tracking import Tracker
from bimodal.config import TrainConfig
from bimodal.errors import BimodalError
from bimodal.output.trackers import LINES, TRACKERS, flat_settings

EPOCHS = [{"stage": "speech", "epoch": float(number), "loss": 1 / number, "seconds": 0.1} for number in (1, 2, 3)]


def tell(name: str, folder, epochs=EPOCHS, figures=None) -> None:
    """A short run as a command tells it."""
    with TRACKERS[name](folder, "train") as track:
        track("settings", {"speech.dropout": 0.4, "name": "tiny"})
        for entry in epochs:
            track("epoch", {**entry, "dev": 0.5})
        track("figures", figures or {"fused/uar": 0.75})


def test_the_option_names_the_table():
    assert list(get_args(get_args(Tracker)[0])) == list(TRACKERS)


def test_none_keeps_nothing(tmp_path):
    tell("none", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_folder_keeps_lines_and_a_half_line_of_a_killed_process_spoils_no_other(tmp_path):
    tell("folder", tmp_path)
    with (tmp_path / LINES).open("ab") as stream:
        stream.write(b'{"event":"epo')
    tell("folder", tmp_path, EPOCHS[2:])
    lines = (tmp_path / LINES).read_text().splitlines()
    assert lines.pop(5) == '{"event":"epo'
    read = [json.loads(line) for line in lines]
    assert [one["event"] for one in read] == ["settings", *["epoch"] * 3, "figures", "settings", "epoch", "figures"]
    assert (read[0]["speech.dropout"], read[1]["loss"], read[4]["fused/uar"]) == (0.4, 1.0, 0.75)


def test_tensorboard_reads_what_its_tracker_wrote(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell("tensorboard", tmp_path)
    read = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in read.Scalars("speech/loss")] == [
        (1, 1.0),
        (2, 0.5),
        (3, pytest.approx(1 / 3)),
    ]
    assert read.Scalars("final/fused/uar")[0].value == 0.75
    assert b"speech.dropout | 0.4" in read.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]


def test_mlflow_keeps_one_run_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tell("mlflow", tmp_path)
    tell("mlflow", tmp_path, EPOCHS[2:], {"fused/uar": 0.5})
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("select name, status from runs").fetchall() == [("train", "FINISHED")]
        steps = database.execute("select distinct step from metrics where key = 'speech/loss' order by step").fetchall()
        assert steps == [(1,), (2,), (3,)]
        assert (0.5,) in database.execute("select value from latest_metrics where key = 'final/fused/uar'").fetchall()
        assert database.execute("select value from tags where key = 'setting.speech.dropout'").fetchall() == [("0.4",)]


def test_an_mlflow_that_cannot_be_used_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "gopher://nowhere")
    with pytest.raises(BimodalError, match="MLflow at gopher://nowhere cannot be used: "):
        tell("mlflow", tmp_path)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_an_mlflow_server_that_does_not_answer_is_tried_twice_and_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with pytest.raises(BimodalError, match=r"MLflow at http://127\.0\.0\.1:9 cannot be used: "):
        tell("mlflow", tmp_path)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_a_sentence(name, tmp_path, monkeypatch):
    for module in [one for one in sys.modules if one.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BimodalError, match=rf"--tracker {name} needs .*pip install 'bimodal-emotion\[{name}\]'"):
        tell(name, tmp_path)


def test_settings_have_their_whole_names():
    found = flat_settings(TrainConfig())
    assert (found["seed"], found["speech.loss.beta"], found["speech.statistics"]) == (0, 1.0, ("mean", "std"))
