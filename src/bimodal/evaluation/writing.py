"""A report as a folder: report.json, predictions.csv, report.md and report.png."""

from pathlib import Path
from typing import Any

import msgspec

from bimodal.errors import BimodalError
from bimodal.evaluation.describe import describe_markdown
from bimodal.evaluation.metrics import METRICS
from bimodal.evaluation.plots import plot_report
from bimodal.evaluation.predictions import Predictions, write_predictions
from bimodal.evaluation.report import Report
from bimodal.files import JSON_ERRORS, write_bytes

PICTURE = "report.png"
CAPTION = "Confusion matrices, unweighted average recall with intervals, and reliability of each system"


def write_report(folder: Path, report: Report, predictions: Predictions, *, plots: bool = True) -> None:
    """Write the report. An earlier report in the folder is replaced.

    Args:
        folder: Folder to write to; created if missing.
        report: Result of `evaluate`.
        predictions: Predictions of the report.
        plots: Also draw report.png.

    Raises:
        BimodalError: The folder cannot be written, or matplotlib is not installed. In the latter case, everything but
            the picture is written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PICTURE).unlink(missing_ok=True)  # an earlier report's
        write_bytes(folder / "report.json", encode_report(report))
        write_predictions(folder / "predictions.csv", predictions)
        _write_markdown(folder, report, "")
        if plots:
            plot_report(folder / PICTURE, report, predictions)
            _write_markdown(folder, report, f"\n![{CAPTION}]({PICTURE})\n")
    except OSError as error:
        raise BimodalError(f"{folder}: the report cannot be written ({error.strerror})") from error


def encode_report(report: Report) -> bytes:
    """The report as indented JSON in UTF-8; undefined values are null."""
    plain = msgspec.to_builtins(report)
    plain["systems"] = [_flat(system) for system in plain["systems"]]
    return msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"


def _flat(system: dict[str, Any]) -> dict[str, Any]:
    """A system with its metrics as fields; one without an interval is a plain number."""
    found = system.pop("metrics")
    return system | {name: one if _has_interval(name) else one["value"] for name, one in found.items()}


def _nested(system: dict[str, Any]) -> dict[str, Any]:
    """The reverse of `_flat`; metrics of scores were plain numbers in version 1."""
    names = [name for name in METRICS if name in system]
    found = {name: system[name] if isinstance(system[name], dict) else {"value": system[name]} for name in names}
    return {name: value for name, value in system.items() if name not in names} | {"metrics": found}


def _has_interval(name: str) -> bool:
    return METRICS[name].of_scores is None


def read_report(path: Path) -> Report:
    """Read a report.json.

    Raises:
        BimodalError: The file is missing or not a report.
    """
    try:
        plain = msgspec.json.decode(path.read_bytes())
        return msgspec.convert(plain | {"systems": [_nested(system) for system in plain["systems"]]}, Report)
    except OSError as error:
        raise BimodalError(f"{path}: the report cannot be read ({error.strerror})") from error
    except (*JSON_ERRORS, TypeError, KeyError, AttributeError) as error:
        raise BimodalError(f"{path}: not a report of this version ({error})") from error


def _write_markdown(folder: Path, report: Report, picture: str) -> None:
    write_bytes(folder / "report.md", (describe_markdown(report) + picture).encode())
