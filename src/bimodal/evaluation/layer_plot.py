"""What `bimodal backbone probe --out` writes: a table as JSON and Markdown, and a plot. Needs matplotlib."""

import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from bimodal.errors import BimodalError
from bimodal.evaluation.layer_probe import LayerProbe, probe_markdown
from bimodal.files import atomic_write, write_bytes, write_json

TABLE: Final = "probe.json"
PAGE: Final = "probe.md"
PICTURE: Final = "probe.png"


def new_figure() -> Any:
    """An empty figure; matplotlib's global state is not changed.

    Raises:
        BimodalError: If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BimodalError("plots need matplotlib: pip install 'bimodal-emotion[report]'") from error
    figure = Figure(figsize=(7.0, 4.0), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def check_probe_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written; nothing is made.

    Raises:
        BimodalError: It is a file, or it does not take files.
    """
    above = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise BimodalError(f"{folder}: the table cannot be written there; name another folder")


def write_probe(folder: Path, found: LayerProbe) -> None:
    """Write probe.json, probe.md and probe.png; those of an earlier probe are replaced.

    Raises:
        BimodalError: The folder cannot be written, or matplotlib is not installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / TABLE, found)
        write_bytes(folder / PAGE, probe_markdown(found, PICTURE).encode())
        with atomic_write(folder / PICTURE) as unfinished:
            draw_probe(found).savefig(unfinished, dpi=150, format="png")
    except OSError as error:
        raise BimodalError(f"{folder}: the table cannot be written ({error.strerror or error})") from error


def draw_probe(found: LayerProbe) -> Any:
    """Recall of each layer with its interval, and chance."""
    figure = new_figure()
    axes = figure.subplots()
    numbers = [one.layer for one in found.layers]
    values = 100 * np.array([[one.uar.value, one.uar.low, one.uar.high] for one in found.layers])
    axes.plot(numbers, values[:, 0], color="#1f5f99", marker="o", linewidth=1.5)
    axes.fill_between(numbers, values[:, 1], values[:, 2], color="#1f5f99", alpha=0.18, linewidth=0)
    chance = 100 / len(found.emotions)
    axes.axhline(chance, color="#333333", linestyle=":", linewidth=1.2, label=f"chance ({chance:.1f})")
    axes.set_xticks(numbers)
    axes.set(xlabel="layer", ylabel="unweighted average recall, %", ylim=(0, 105))
    axes.set_title(f"{found.backbone}: linear probe of each layer, 95 % intervals over speakers", fontsize=11)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
