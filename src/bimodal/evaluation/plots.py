"""Plot of a report: confusion matrices, unweighted average recall, reliability. Needs matplotlib."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bimodal.errors import BimodalError
from bimodal.evaluation.html.material import system_colour
from bimodal.evaluation.metrics import reliability_bins
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.report import Report, SystemReport
from bimodal.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = 3.9  # inches
BINS = 10  # of the reliability diagram


def plot_report(path: Path, report: Report, predictions: Predictions) -> None:
    """Draw the report as PNG. matplotlib's global state is not changed.

    Raises:
        BimodalError: If matplotlib is not installed.
    """
    figure = _new_figure(max(2, len(report.systems)))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.25, 1], hspace=0.04)
    if report.title:
        top.suptitle(report.title, fontsize=13, fontweight="bold")
    _draw_confusions(top, report)
    bars, lines = bottom.subplots(1, 2)
    _draw_recalls(bars, report)
    _draw_reliability(lines, report, predictions)
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, dpi=150, format="png")


def _new_figure(panels: int) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise BimodalError("plots need matplotlib: pip install 'bimodal-emotion[report]'") from error
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)  # inches
    figure = Figure(figsize=(PANEL * panels, 2.3 * PANEL), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _draw_confusions(figure: Any, report: Report) -> None:
    """Confusion matrices of all systems; each row in percent of its true emotion."""
    panels = figure.subplots(1, len(report.systems), squeeze=False, sharey=True)[0]
    for axes, system in zip(panels, report.systems, strict=True):
        _draw_confusion(axes, system, report.emotions)
    panels[0].set_ylabel("true emotion")
    figure.supxlabel("predicted emotion (each row in % of the true emotion)", fontsize=10)


def _draw_confusion(axes: "Axes", system: SystemReport, emotions: tuple[str, ...]) -> None:
    counts = np.array(system.confusion, dtype=np.float64)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*shares.shape):
        colour = "white" if shares[row, column] > 55 else "black"
        text = f"{shares[row, column]:.0f}" if counts[row].any() else "-"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(emotions)), emotions, rotation=45, ha="right", rotation_mode="anchor", fontsize=9)
    axes.set_yticks(range(len(emotions)), emotions, fontsize=9)
    axes.tick_params(length=0)
    axes.set_title(f"{system.system} ({system.rows} utterances)", fontsize=11)


def _draw_recalls(axes: "Axes", report: Report) -> None:
    """Bar chart of unweighted average recall with intervals."""
    names = [system.system for system in report.systems]
    colours = [system_colour(name, names) for name in names]
    for place, system in enumerate(report.systems):
        uar = system.metrics["uar"]
        value = 100 * (uar.value or 0.0)
        low, high = (value if end is None else 100 * end for end in (uar.low, uar.high))
        errors = None if uar.low is None else [[max(0.0, value - low)], [max(0.0, high - value)]]
        axes.bar(place, value, width=0.62, color=colours[place], yerr=errors, capsize=5, ecolor="#333333")
        axes.text(place, max(high, value) + 1.5, f"{value:.1f}", ha="center", va="bottom", fontsize=10)
    chance = 100 / max(1, sum(count > 0 for count in report.counts.values()))
    axes.axhline(chance, color="#333333", linestyle=":", linewidth=1.2, label=f"chance ({chance:.1f})")
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(report.systems) - 0.5)
    axes.set_ylim(0, 110)
    axes.set_yticks(range(0, 101, 20))
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    axes.set_title(f"unweighted average recall, %, {100 * report.confidence:g} % intervals", fontsize=11)
    _open_frame(axes)


def _draw_reliability(axes: "Axes", report: Report, predictions: Predictions) -> None:
    """Accuracy by confidence. The area of a dot grows with its number of utterances."""
    axes.plot([0, 1], [0, 1], color="#555555", linestyle=":", linewidth=1)
    names = [system.system for system in report.systems]
    for system in report.systems:
        if predictions.labels_only(system.system):
            continue
        rows, colour = predictions.answered(system.system), system_colour(system.system, names)
        bins = reliability_bins(predictions.scores[system.system][rows], predictions.targets[rows], BINS)
        filled = bins.count > 0
        label = f"{system.system} (ECE {100 * (system.metrics['ece'].value or 0.0):.1f} %)"
        axes.plot(bins.confidence[filled], bins.accuracy[filled], color=colour, linewidth=1.5, label=label)
        area = 12 + 150 * bins.count[filled] / bins.count.sum()
        axes.scatter(bins.confidence[filled], bins.accuracy[filled], s=area, color=colour, alpha=0.8, linewidth=0)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    axes.set_title("reliability (below the diagonal: overconfident)", fontsize=11)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    _open_frame(axes)


def _open_frame(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
