"""A report as a folder: report.html, report.json, report.md, report.png, predictions.csv, parts of a model card."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from bimodal.errors import BimodalError
from bimodal.evaluation.cards import card_section, hub_results
from bimodal.evaluation.describe import describe_markdown
from bimodal.evaluation.html.material import ReportSources
from bimodal.evaluation.html.page import build_page
from bimodal.evaluation.metrics import METRICS
from bimodal.evaluation.plots import plot_report
from bimodal.evaluation.predictions import Predictions, write_predictions
from bimodal.evaluation.report import Report
from bimodal.files import JSON_ERRORS, write_bytes

PAGE = "report.html"
PICTURE = "report.png"
CARD_SECTION = "model-card-section.md"
HUB_RESULTS = "eval_results.yaml"
TRANSCRIPT = "transcript"  # column of the predictions
NO_SOURCES = ReportSources()
CAPTION = "Confusion matrices, unweighted average recall with intervals, and reliability of each system"


def write_report(
    folder: Path,
    report: Report,
    predictions: Predictions,
    *,
    plots: bool = True,
    sources: ReportSources = NO_SOURCES,
) -> None:
    """Write the report. An earlier report in the folder is replaced.

    Args:
        folder: Folder to write to; created if missing.
        report: Result of `evaluate`.
        predictions: Predictions of the report.
        plots: Also write report.html and report.png.
        sources: What report.html shows beside the figures. Without sound, predictions.csv has no transcripts either.

    Raises:
        BimodalError: The folder cannot be written, or matplotlib or jinja2 is not installed. In the latter case,
            everything but report.html and report.png is written.
    """
    told = predictions if sources.sound else _without_words(predictions)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for drawn in (PAGE, PICTURE):
            (folder / drawn).unlink(missing_ok=True)  # an earlier report's
        write_bytes(folder / "report.json", encode_report(report))
        write_predictions(folder / "predictions.csv", told)
        write_bytes(folder / CARD_SECTION, card_section(report).encode())
        write_bytes(folder / HUB_RESULTS, hub_results(report).encode())
        _write_markdown(folder, report, "")
        if plots:
            plot_report(folder / PICTURE, report, predictions)
            _write_markdown(folder, report, f"\n![{CAPTION}]({PICTURE})\n")
            write_bytes(folder / PAGE, build_page(report, predictions, sources, folder))
    except OSError as error:
        raise BimodalError(f"{folder}: the report cannot be written ({error.strerror})") from error


def _without_words(predictions: Predictions) -> Predictions:
    return replace(predictions, extra={name: one for name, one in predictions.extra.items() if name != TRANSCRIPT})


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
