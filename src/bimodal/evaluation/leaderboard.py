"""The leaderboard over corpora: one row a cell, systems side by side, as CSV, Markdown and LaTeX."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bimodal.errors import BimodalError
from bimodal.evaluation.cross_corpus import Cell, CrossCorpus, mean_across
from bimodal.evaluation.markdown import aligned, escaped_table, listed
from bimodal.evaluation.metrics import METRICS
from bimodal.evaluation.predictions import SYSTEMS, Predictions, write_predictions
from bimodal.evaluation.report import SystemReport
from bimodal.files import write_bytes

Table = list[list[str]]  # rows of cells, the header first

METRIC: Final = "uar"
_LATEX: Final[Mapping[str, str]] = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def leaderboard(result: CrossCorpus) -> Table:
    """The table: corpora, utterances, and UAR in percent with its interval for each system.

    Args:
        result: Of `evaluate_corpora`.
    """
    systems = _systems(result)
    table = [["train", "test", "utterances", *(f"{name} UAR %" for name in systems)]]
    for cell in result.cells:
        found = {system.system: system for system in cell.report.systems}
        shown = [found[name].metrics[METRIC].shown() if name in found else "-" for name in systems]
        table.append([cell.train, _test(cell), str(cell.report.rows), *shown])
    means = mean_across(result.cells, METRIC)
    if means:
        table.append(
            ["mean", "another corpus", "", *(f"{100 * means[name]:.1f}" if name in means else "-" for name in systems)]
        )
    return table


def _systems(result: CrossCorpus) -> list[str]:
    known = {system.system for cell in result.cells for system in cell.report.systems}
    return [name for name in SYSTEMS if name in known]


def _test(cell: Cell) -> str:
    return f"{cell.test} (unseen speakers)" if cell.train == cell.test else cell.test


def describe_cross_corpus(result: CrossCorpus) -> str:
    """The result as plain text: the table and what one should know of it."""
    parts = [result.caveat, aligned(leaderboard(result)), listed("Notes:", result.notes), _warnings(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _warnings(result: CrossCorpus) -> str:
    """Each warning once, with the cells that it is about."""
    cells: dict[str, list[str]] = {}
    for cell in result.cells:
        for warning in cell.report.warnings:
            cells.setdefault(warning, []).append(f"{cell.train} > {cell.test}")
    return listed("Warnings:", [f"{', '.join(names)}: {warning}" for warning, names in cells.items()])


def as_csv(result: CrossCorpus) -> str:
    """One line for each cell and system, with all metrics; intervals as columns `NAME_low` and `NAME_high`."""
    columns = [part for name, metric in METRICS.items() for part in _columns(name, metric.of_confusions is not None)]
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["train", "test", "kind", "system", "utterances", "speakers", *columns])
    for cell in result.cells:
        for system in cell.report.systems:
            about = [cell.train, cell.test, cell.kind, system.system, system.rows, system.clusters]
            table.writerow([*about, *(_value(system, column) for column in columns)])
    return stream.getvalue()


def _columns(name: str, has_interval: bool) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"] if has_interval else [name]


def _value(system: SystemReport, column: str) -> str:
    name, _, end = column.rpartition("_")
    estimate, field = (system.metrics[column], "value") if column in system.metrics else (system.metrics[name], end)
    value = getattr(estimate, field)
    return "" if value is None else repr(float(value))


def as_markdown(result: CrossCorpus) -> str:
    """The table and its notes as Markdown."""
    parts = [
        f"**{result.caveat}**" if result.caveat else "",
        "# Cross-corpus evaluation",
        escaped_table(leaderboard(result), names=2),
        listed("## Notes\n", result.notes),
        _warnings(result).replace("Warnings:", "## Warnings\n"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_latex(result: CrossCorpus) -> str:
    """The table for LaTeX with the package booktabs."""
    header, *rows = [[latex_text(cell) for cell in row] for row in leaderboard(result)]
    lines = [r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{ll{'r' * (len(header) - 2)}}}", r"\toprule"]
    lines += [" & ".join(header) + r" \\", r"\midrule", *(" & ".join(row) + r" \\" for row in rows)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def latex_text(text: str) -> str:
    r"""Text with LaTeX's special signs escaped.

    Example:
        >>> print(latex_text("UAR %, emotion_x"))
        UAR \%, emotion\_x
    """
    return "".join(_LATEX.get(sign, sign) for sign in text)


WRITERS: Final[Mapping[str, Callable[[CrossCorpus], str]]] = {
    "leaderboard.csv": as_csv,
    "leaderboard.md": as_markdown,
    "leaderboard.tex": as_latex,
}
"""The files of a leaderboard and what writes them."""


def write_cross_corpus(folder: Path, result: CrossCorpus, predictions: Sequence[Predictions]) -> None:
    """Write `cross_corpus.json`, the leaderboard in all forms, and the predictions of each cell.

    Args:
        folder: Made if missing.
        result: Of `evaluate_corpora`.
        predictions: Of each cell.

    Raises:
        BimodalError: The folder cannot be written.
    """
    try:
        (folder / "predictions").mkdir(parents=True, exist_ok=True)
        for cell, one in zip(result.cells, predictions, strict=True):
            write_predictions(folder / "predictions" / f"{cell.train} to {cell.test}.csv", one)
        for name, write in WRITERS.items():
            write_bytes(folder / name, write(result).encode())
        content: Any = msgspec.json.format(msgspec.json.encode(result), indent=2)
        write_bytes(folder / "cross_corpus.json", content + b"\n")
    except OSError as error:
        raise BimodalError(f"{folder}: the result cannot be written ({error.strerror})") from error
