"""Emotion embeddings of a sample of the utterances, and their picture in two dimensions before and after the fusion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bimodal.arrays import Doubles
from bimodal.errors import BimodalError
from bimodal.evaluation.html.blocks import LeftOut, Plot, Section
from bimodal.evaluation.html.material import Material, short
from bimodal.evaluation.html.svg import INK, drawn, label
from bimodal.evaluation.predict import manifest_clips
from bimodal.inference.recognizer import Recognizer
from bimodal.output.colours import emotion_colour

MOST_ROWS: Final = 300
LEAST_ROWS: Final = 10
_AT_ONCE: Final = 16
_MARKERS: Final = "osD^vPX*<>"
_TITLES: Final = {"speech": "speech network", "text": "text network", "fused": "after the fusion"}
_MOST_EMOTIONS: Final = 12  # in a legend


@dataclass(frozen=True, kw_only=True, eq=False)
class Embeddings:
    """What the networks of a model give for a sample of n utterances.

    Attributes:
        rows: Positions in the predictions, (n,).
        arrays: By name, as `bimodal extract` writes them: `speech`, `text`, `fused` (n, E), `gate` (n,).
        reason: Why there are none; empty if there are.
    """

    rows: NDArray[np.int64]
    arrays: Mapping[str, NDArray[Any]]
    reason: str = ""

    @property
    def gate(self) -> Doubles | None:
        """Share of the voice of those with both modalities; None if it is unknown."""
        if not {"gate", "speech", "text"} <= set(self.arrays):
            return None
        both = ~np.isnan(self.arrays["speech"][:, 0]) & ~np.isnan(self.arrays["text"][:, 0])
        values = np.asarray(self.arrays["gate"], np.float64)[both]
        finite: Doubles = values[np.isfinite(values)]
        return finite


def embed_sample(material: Material) -> Embeddings:
    """Embeddings of at most `MOST_ROWS` of the utterances, drawn with the report's seed.

    It runs the model once more over the sample. What hinders it stands in `reason`.
    """
    model, manifest = material.sources.model, material.sources.manifest
    if model is None:
        return _nothing("There is no model folder. Folds have a network each, and their embeddings do not compare.")
    known = [row for row, name in enumerate(material.predictions.ids) if name in material.utterances]
    if manifest is None or len(known) < LEAST_ROWS:
        return _nothing(f"There are fewer than {LEAST_ROWS} utterances of the manifest.")
    rng = np.random.default_rng(material.report.seed)
    rows = np.sort(rng.choice(known, min(MOST_ROWS, len(known)), replace=False))
    chosen = [material.utterances[material.predictions.ids[row]] for row in rows]
    try:
        recognizer = Recognizer(model, threads=material.sources.threads, verify=False)
        clips = manifest_clips(recognizer, manifest, chosen)
        found = [
            recognizer.extract(clips[first : first + _AT_ONCE]).arrays() for first in range(0, len(clips), _AT_ONCE)
        ]
    except (BimodalError, OSError) as error:
        return _nothing(f"The embeddings cannot be computed: {short(str(error), 200)}.")
    return Embeddings(rows=rows, arrays={name: np.concatenate([part[name] for part in found]) for name in found[0]})


def _nothing(reason: str) -> Embeddings:
    return Embeddings(rows=np.empty(0, np.int64), arrays={}, reason=reason)


def embedding_section(material: Material, found: Embeddings) -> Section | LeftOut:
    """Embeddings in two dimensions: speech and text before the fusion, and fused."""
    if found.reason:
        return LeftOut(reason=found.reason)
    panels = {name: found.arrays[name] for name in _TITLES if name in found.arrays}
    panels = {name: values for name, values in panels.items() if _usable(values)}
    if not panels:
        return LeftOut(reason=f"No network of the model has an embedding for {LEAST_ROWS} utterances.")
    targets = material.predictions.targets[found.rows]
    plots = [_panel(name, values, targets, material) for name, values in panels.items()]
    return Section(
        lead=f"Each point is one of {len(found.rows):,} utterances, drawn at random; its colour is the true emotion. "
        "Emotions that lie apart are told apart. A principal component analysis (PCA) shows the two directions of most "
        "variance, so points that lie together here may still differ.",
        blocks=plots,
    )


def _usable(values: NDArray[Any]) -> bool:
    there = np.isfinite(values).all(axis=1)
    return bool(there.sum() >= LEAST_ROWS and values.shape[1] >= 2 and np.ptp(values[there], axis=0).any())


def _panel(name: str, values: NDArray[Any], targets: NDArray[Any], material: Material) -> Plot:
    there = np.isfinite(values).all(axis=1)
    points, shares = principal_components(values[there])
    title = f"Embeddings, {_TITLES[name]}"
    svg = drawn(
        lambda figure: _scatter(figure, points, targets[there], material), f"embedding{name}", title, height=3.6
    )
    shown = " and ".join(f"{100 * share:.0f} %" for share in shares)
    return Plot(svg=svg, caption=f"{_TITLES[name]}: {there.sum():,} utterances; the axes show {shown} of the variance.")


def principal_components(values: NDArray[Any]) -> tuple[Doubles, Doubles]:
    """Coordinates (n, 2) on the two directions of most variance, and their shares of the variance (2,).

    The sign of each direction is such that its largest coordinate is positive.

    Args:
        values: (n, E), E of at least 2.

    Example:
        >>> points, shares = principal_components(np.array([[0.0, 0.0], [3.0, 4.0], [9.0, 12.0]]))
        >>> points[:, 0].round(3).tolist(), shares.round(3).tolist()
        ([-6.667, -1.667, 8.333], [1.0, 0.0])
    """
    centred = np.asarray(values, np.float64) - np.mean(values, axis=0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    points: Doubles = left[:, :2] * sizes[:2]
    largest = points[np.abs(points).argmax(axis=0), np.arange(points.shape[1])]
    total = np.square(sizes).sum()
    return points * np.where(largest < 0, -1, 1), np.square(sizes[:2]) / (total or 1)


def _scatter(figure: Any, points: Doubles, targets: NDArray[Any], material: Material) -> None:
    axes, present = figure.subplots(), material.present
    for number, emotion in enumerate(present):
        here = targets == material.report.emotions.index(emotion)
        axes.plot(
            points[here, 0],
            points[here, 1],
            linestyle="",
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            markeredgewidth=0,
            alpha=0.8,
            color=emotion_colour(emotion),
            label=label(emotion),
        )
    axes.set(xticks=[], yticks=[], xlabel="component 1", ylabel="component 2")
    if len(present) <= _MOST_EMOTIONS:
        figure.legend(loc="outside upper center", ncols=4, frameon=False, labelcolor=INK, fontsize=9, handletextpad=0.1)
