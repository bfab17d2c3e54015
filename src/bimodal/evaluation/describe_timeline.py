"""A timeline report as text, and as a folder: timeline.json, timeline.md, timeline.csv."""

import csv
import io
from dataclasses import fields
from pathlib import Path

import msgspec

from bimodal.errors import BimodalError
from bimodal.evaluation.metrics import TimelineErrors
from bimodal.evaluation.timeline import TimelineReport
from bimodal.files import write_bytes

Line = tuple[str, str]
"""What a figure is, and its value."""


def describe_timeline(report: TimelineReport) -> str:
    """The report as plain text."""
    lines = figures(report)
    width = max(len(name) for name, _ in lines)
    parts = [
        report.caveat,
        f"{report.title}\n{counted(report)}",
        "\n".join(f"{name:<{width}}  {value:>8}".rstrip() for name, value in lines),
        "\n".join(["Notes:", *(f"- {note}" for note in report.notes)]) if report.notes else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def describe_timeline_markdown(report: TimelineReport) -> str:
    """The report as Markdown."""
    table = ["| | % |", "|---|---:|", *(f"| {_plain(name)} | {value} |" for name, value in figures(report))]
    parts = [
        f"**{_plain(report.caveat)}**" if report.caveat else "",
        f"# Timelines of {_plain(report.title)}",
        counted(report),
        "\n".join(table),
        "\n".join(f"- {_plain(note)}" for note in report.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def counted(report: TimelineReport) -> str:
    """Number and length of the recordings, in a sentence."""
    total, kind = report.total, "joined recordings" if report.joined else "recordings"
    return (
        f"{len(report.recordings)} {kind}, {total.duration / 60:.1f} min, {report.turns} turns with "
        f"{total.speech / 60:.1f} min of speech; 95 % intervals from resamples of recordings."
    )


def figures(report: TimelineReport) -> list[Line]:
    """All figures in percent."""
    total, tolerance = report.total, f"within {report.tolerance:g} s"
    return [
        ("EDER, of the whole length", report.eder.shown()),
        ("  missed emotion", _part(total.missed_emotion, total.duration)),
        ("  false alarm", _part(total.false_emotion, total.duration)),
        ("  confusion", _part(total.confused_emotion, total.duration)),
        ("  overlap", _part(total.overlapped_emotion, total.duration)),
        ("error over speech, neutral as an emotion", report.speech_error.shown()),
        ("  missed speech", _part(total.missed, total.speech)),
        ("  false alarm", _part(total.false_alarm, total.speech)),
        ("  confusion", _part(total.confused, total.speech)),
        (f"changes of emotion that are true, {tolerance}", report.change_precision.shown()),
        (f"true changes that are found, {tolerance}", report.change_recall.shown()),
        ("seconds found right, mean over emotions", f"{100 * report.uar:.1f}"),
        *((f"  {emotion}", f"{100 * value:.1f}") for emotion, value in report.recalls.items()),
    ]


def _part(seconds: float, whole: float) -> str:
    return f"{100 * seconds / whole:.1f}" if whole else "-"


def _plain(text: str) -> str:
    """Text on one line, escaped for Markdown and HTML."""
    for special in "\\`*_|<":
        text = text.replace(special, f"\\{special}")
    return " ".join(text.split())


def write_timeline_report(folder: Path, report: TimelineReport) -> None:
    """Write the report: timeline.json has all, timeline.csv a row for each recording, in seconds.

    Raises:
        BimodalError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
        write_bytes(folder / "timeline.json", content)
        write_bytes(folder / "timeline.md", describe_timeline_markdown(report).encode())
        write_bytes(folder / "timeline.csv", _table(report).encode())
    except OSError as error:
        raise BimodalError(f"{folder}: the report cannot be written ({error.strerror})") from error


def _table(report: TimelineReport) -> str:
    names = [one.name for one in fields(TimelineErrors) if one.name not in ("spoken", "right")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["recording", *names])
    for recording, errors in report.recordings.items():
        values = (getattr(errors, name) for name in names)
        writer.writerow([recording, *(value if isinstance(value, int) else f"{value:.3f}" for value in values)])
    return text.getvalue()
