"""Trackers: where settings, curves and final figures of a run go, beside its results. `TRACKERS` is the table of them.

A tracker is a function of a folder and a name. It is a context manager that gives a function, which takes each event:

- `settings`: all settings, by name;
- `epoch`: what a training tells of an epoch: `stage`, `epoch`, `loss`, `seconds`, `dev`;
- `figures`: final figures, by name.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from bimodal.errors import BimodalError
from bimodal.files import naming_file

Event = Literal["settings", "epoch", "figures"]
Track = Callable[[Event, Mapping[str, Any]], None]
Opened = AbstractContextManager[Track]

LINES: Final = "tracking.jsonl"
"""File of the tracker `folder`, in the folder of a run."""

_NOT_CURVES: Final = ("stage", "epoch", "epochs")


@contextmanager
def _open_none(folder: Path, name: str) -> Iterator[Track]:
    """Keep nothing."""
    yield lambda event, told: None


@contextmanager
def _open_folder(folder: Path, name: str) -> Iterator[Track]:
    """Lines of JSON in the folder of the run; a run that goes on adds lines, and the last line of an epoch counts."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LINES
    with naming_file(file), file.open("ab+") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size:
            stream.seek(size - 1)
            stream.write(b"" if stream.read(1) == b"\n" else b"\n")  # of a process that was killed

        def track(event: Event, told: Mapping[str, Any]) -> None:
            stream.write(msgspec.json.encode({"event": event, "time": round(time.time(), 3), **told}) + b"\n")
            stream.flush()

        yield track


@contextmanager
def _open_tensorboard(folder: Path, name: str) -> Iterator[Track]:
    """Files of TensorBoard below `tensorboard`, by its own writer: `tensorboard --logdir OUT/tensorboard`."""
    check_tracker("tensorboard")
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2
    from tensorboard.plugins.text.metadata import create_summary_metadata
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder / "tensorboard"))

    def add(value: Any, step: int) -> None:
        summary = summary_pb2.Summary(value=[value])
        writer.add_event(event_pb2.Event(step=step, wall_time=time.time(), summary=summary))

    def track(event: Event, told: Mapping[str, Any]) -> None:
        if event == "settings":
            rows = "\n".join(f"| {key} | {value} |" for key, value in told.items())
            shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)])
            text = f"| setting | value |\n|---|---|\n{rows}".encode(errors="replace")
            tensor = tensor_pb2.TensorProto(dtype="DT_STRING", string_val=[text], tensor_shape=shape)
            made = create_summary_metadata(name, "")
            add(summary_pb2.Summary.Value(tag="settings/text_summary", metadata=made, tensor=tensor), 0)
        else:
            for key, value, step in _points(event, told):
                add(summary_pb2.Summary.Value(tag=key, simple_value=value), step)

    try:
        yield track
    finally:
        writer.close()


@contextmanager
def _open_mlflow(folder: Path, name: str) -> Iterator[Track]:
    """A run of MLflow: in `mlflow.db` of the folder, or where `MLFLOW_TRACKING_URI` says. A run that goes on is found.

    MLflow would report each use to its makers; that is switched off.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    check_tracker("mlflow")
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient  # imports for seconds

    folder.mkdir(parents=True, exist_ok=True)
    place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').absolute()}"
    try:
        with _few_retries():
            client = MlflowClient(tracking_uri=place)
            run = _mlflow_run(client, folder, name)

        def track(event: Event, told: Mapping[str, Any]) -> None:
            if event == "settings":
                for key, value in told.items():
                    client.set_tag(run, f"setting.{key}", str(value)[:_LONGEST_TAG])
            else:
                for key, value, step in _points(event, told):
                    client.log_metric(run, key, value, step=step)

        yield track
        client.set_terminated(run)
    except MlflowException as error:
        raise BimodalError(f"MLflow at {place} cannot be used: {str(error).splitlines()[0]}") from error


@contextmanager
def _few_retries() -> Iterator[None]:
    """A server that never answers is told of soon; MLflow itself tries for minutes, which is right later on."""
    before = os.environ.get(_RETRIES)
    os.environ.setdefault(_RETRIES, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[_RETRIES]


_RETRIES: Final = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_LONGEST_TAG: Final = 5000
_PLACE: Final = "bimodal.folder"


def _mlflow_run(client: Any, folder: Path, name: str) -> str:
    """The run of a folder in the experiment `bimodal`: that of an earlier call, or a new one."""
    found = client.get_experiment_by_name("bimodal")
    if found is None:
        artifacts = (folder / "mlflow-artifacts").absolute().as_uri()
        experiment = client.create_experiment("bimodal", artifact_location=artifacts)
    else:
        experiment = found.experiment_id
    place = str(folder.absolute()).replace("'", "")
    runs = client.search_runs([experiment], f"tags.`{_PLACE}` = '{place}'", max_results=1)
    if runs:
        return str(runs[0].info.run_id)
    return str(client.create_run(experiment, run_name=name, tags={_PLACE: place}).info.run_id)


def _points(event: Event, told: Mapping[str, Any]) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of each number of an event.

    Example:
        >>> list(_points("epoch", {"stage": "speech", "epoch": 2.0, "loss": 0.5}))
        [('speech/loss', 0.5, 2)]
    """
    start = f"{told.get('stage') or 'training'}/" if event == "epoch" else "final/"
    step = int(told.get("epoch", 0)) if event == "epoch" else 0
    for key, value in told.items():
        if key not in _NOT_CURVES and isinstance(value, int | float):
            yield f"{start}{key}", float(value), step


def check_tracker(name: str) -> None:
    """Refuse a tracker whose packages are not installed; takes no time.

    Raises:
        BimodalError: A package is missing.
    """
    for package in _PACKAGES.get(name, ()):
        there = sys.modules[package] is not None if package in sys.modules else find_spec(package) is not None
        if not there:
            raise BimodalError(f"--tracker {name} needs '{package}': pip install 'bimodal-emotion[{name}]'")


_PACKAGES: Final = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}


TRACKERS: Final[Mapping[str, Callable[[Path, str], Opened]]] = {
    "none": _open_none,
    "folder": _open_folder,
    "tensorboard": _open_tensorboard,
    "mlflow": _open_mlflow,
}
"""All trackers by the name that `--tracker` takes."""


def flat_settings(settings: Any) -> dict[str, Any]:
    """Settings by their whole names, such as `speech.loss.beta`, for a tracker.

    Args:
        settings: A dataclass of settings, or plain values.

    Example:
        >>> flat_settings({"seed": 0, "speech": {"loss": {"beta": 1.0}}})
        {'seed': 0, 'speech.loss.beta': 1.0}
    """
    found: dict[str, Any] = {}
    for key, value in msgspec.to_builtins(settings).items():
        if isinstance(value, dict):
            found |= {f"{key}.{below}": one for below, one in flat_settings(value).items()}
        else:
            found[key] = value
    return found
