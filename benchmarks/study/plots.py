"""Plots of the study: differences with their intervals, and the recall of a rare emotion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.study.findings import CUT_RECALL, UAR, Row, Section
from benchmarks.study.page import certain, condition_title, plot_name


def draw(section: Section, folder: Path) -> Path:
    """Draw a section as SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "study"  # the same figures give the same file
    folder.mkdir(parents=True, exist_ok=True)
    figure = draw_curves(section) if section.name.startswith("imbalance/") else draw_forest(section)
    figure.savefig(folder / plot_name(section), metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)
    return folder / plot_name(section)


def draw_forest(section: Section) -> Any:
    """Differences to the reference, one panel a metric or condition."""
    from matplotlib import pyplot

    rows = [row for row in section.rows if row.gain is not None]
    panels: dict[str, list[Row]] = {}
    for row in rows:
        panels.setdefault(row.condition or row.figure.metric, []).append(row)
    figure, axes = pyplot.subplots(1, max(1, len(panels)), figsize=(3.2 * max(1, len(panels)) + 1, 3.2), squeeze=False)
    systems = list(dict.fromkeys(row.system for row in rows))[::-1]
    for axis, (title, chosen) in zip(axes[0], panels.items(), strict=False):
        _forest(axis, condition_title(section, title), chosen, systems)
        if axis is not axes[0][0]:
            axis.set_yticklabels([])
    figure.suptitle(
        f"{section.title}\ndifference to {section.reference}, percentage points; filled: p < 0.05 after Holm", y=1.08
    )
    return figure


def _forest(axis: Any, title: str, rows: Sequence[Row], systems: Sequence[str]) -> None:
    for row in rows:
        gain = row.gain
        assert gain is not None  # noqa: S101
        place, colour = systems.index(row.system), "tab:blue" if certain(row) else "0.5"
        axis.plot([gain.low, gain.high], [place, place], color=colour)
        axis.plot([gain.mean], [place], marker="o", color=colour, fillstyle="full" if certain(row) else "none")
    axis.axvline(0, color="0.8", zorder=0)
    axis.set_yticks(range(len(systems)), systems)
    axis.set_title(title, fontsize=10)


def draw_curves(section: Section) -> Any:
    """Recall of the rare emotion and UAR, by the share of its training rows."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6))
    for axis, metric in zip(axes, (CUT_RECALL, UAR), strict=True):
        rows = [row for row in section.rows if row.figure.metric == metric]
        for system in dict.fromkeys(row.system for row in rows):
            own = [row for row in rows if row.system == system]
            axis.plot([row.condition for row in own], [row.figure.mean for row in own], marker="o", label=system)
        axis.set_title(metric, fontsize=10)
        axis.set_xlabel("share of its training rows")
    axes[0].legend(fontsize=8)
    figure.suptitle(section.title)
    return figure
