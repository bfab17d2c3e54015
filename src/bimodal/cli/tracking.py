"""The option `--tracker`: where settings, curves and final figures of a command go."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bimodal.cli.processes import is_further

Tracker = Annotated[
    Literal["none", "folder", "tensorboard", "mlflow"],
    typer.Option(
        "--tracker",
        help="Where settings, curves and final figures go: folder writes tracking.jsonl to the output folder; "
        "tensorboard and mlflow write there, too, for their own pages.",
    ),
]

Track = Callable[[Literal["settings", "epoch", "figures"], Mapping[str, Any]], None]


@contextmanager
def tracking(name: str, folder: Path | None, command: str, settings: Any) -> Iterator[Track]:
    """Open a tracker, and tell it the settings first.

    Args:
        name: Of the tracker.
        folder: Output folder of the command; None keeps nothing.
        command: Name of the run.
        settings: A dataclass of settings, or plain values.

    Raises:
        BimodalError: The tracker's package is not installed, or the folder cannot be used.
    """
    from bimodal.output.trackers import TRACKERS, flat_settings  # start-up

    silent = folder is None or is_further()
    with TRACKERS["none" if silent else name](folder or Path(), command) as track:
        track("settings", flat_settings(settings))
        yield track


def report_figures(report: Any) -> dict[str, float]:
    """The figures of a report by system and metric, such as `fused/uar`, for a tracker."""
    return {
        f"{system.system}/{metric}": estimate.value
        for system in report.systems
        for metric, estimate in system.metrics.items()
        if estimate.value is not None
    }
