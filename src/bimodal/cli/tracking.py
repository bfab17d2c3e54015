"""The option `--tracker`: where settings, curves and final figures of a command go."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
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
    """A tracker that is opened at the first event, so that bad input leaves no file; it is told the settings first.

    Args:
        name: Of the tracker.
        folder: Output folder of the command; None keeps nothing.
        command: Name of the run.
        settings: A dataclass of settings, or plain values.

    Raises:
        BimodalError: The tracker's package is not installed, or the folder cannot be used.
    """
    from bimodal.output.trackers import TRACKERS, check_tracker, flat_settings  # start-up

    chosen, opened = "none" if folder is None or is_further() else name, list[Track]()
    check_tracker(chosen)
    with ExitStack() as stack:

        def track(event: Literal["settings", "epoch", "figures"], told: Mapping[str, Any]) -> None:
            if not opened:
                opened.append(stack.enter_context(TRACKERS[chosen](folder or Path(), command)))
                opened[0]("settings", flat_settings(settings))
            opened[0](event, told)

        yield track


def report_figures(report: Any) -> dict[str, float]:
    """The figures of a report by system and metric, such as `fused/uar`, for a tracker."""
    return {
        f"{system.system}/{metric}": estimate.value
        for system in report.systems
        for metric, estimate in system.metrics.items()
        if estimate.value is not None
    }
