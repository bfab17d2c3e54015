"""Out-of-domain score: the distance of an input's pooled statistics from those of the training data.

The distance is the root mean square, over the statistics, of their deviations from the training data's mean in units of
the training data's deviation. The threshold was fitted to clips of held-out speakers. Pure
functions of arrays, no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bimodal.arrays import Floats
from bimodal.errors import ModelFolderError
from bimodal.records import UNKNOWN, printable

KEPT: Final = 0.99
"""Share of held-out training clips that lie within the threshold."""

UNLIKE: Final = 1.25
"""Input is told to be unlike the training data above this score; `python -m benchmarks.unlike` shows what is told."""

EXPONENT: Final = 3.0
"""How fast confidence falls with distance, unless a model says otherwise.

Chosen by the calibration of a network trained on EmoDB for clips of RAVDESS and emotiontts_ko, where 2.7 to 3.3 came
out best; `python -m benchmarks.across` shows what it does."""

_PARTS: Final = ("mean", "std", "threshold", "typical", "exponent")
_SMALLEST_DEVIATION: Final = 1e-3


@dataclass(frozen=True, kw_only=True)
class OodStats:
    """Statistics of the training data of one modality.

    Attributes:
        mean: Of the pooled statistics, (...).
        std: Their deviation, (...).
        threshold: Distance within which the share `KEPT` of the held-out clips lies.
        typical: Their median distance.
        exponent: How fast confidence falls with distance; 0: not at all.
    """

    mean: Floats
    std: Floats
    threshold: float
    typical: float
    exponent: float = EXPONENT


def fit_ood_stats(statistics: npt.NDArray[Any], parts: npt.NDArray[Any]) -> OodStats:
    """Fit to N training clips; the distance of the clips of each part is measured from the other parts.

    Args:
        statistics: Pooled statistics (N, ...).
        parts: Number of the part that each clip belongs to, (N,); no speaker is in two parts. A single part is
            measured against itself.

    Example:
        >>> found = fit_ood_stats(np.random.default_rng(0).normal(size=(400, 8)), np.arange(400) % 4)
        >>> 1.0 < found.threshold < 2.0
        True
    """
    values = np.asarray(statistics, np.float32)
    apart = np.empty(len(values), np.float32)
    for part in np.unique(parts):
        chosen = parts == part
        others = values[~chosen] if not chosen.all() else values
        apart[chosen] = _distances(values[chosen], others.mean(axis=0), others.std(axis=0))
    threshold = float(np.quantile(apart, KEPT))
    typical = float(np.median(apart))
    return OodStats(mean=values.mean(axis=0), std=values.std(axis=0), threshold=threshold, typical=typical)


def ood_score(statistics: npt.NDArray[Any], ood_stats: OodStats) -> Floats:
    """Distance of pooled statistics (N, ...) from the training data, (N,), in units of the threshold.

    Raises:
        ModelFolderError: They have another shape.

    Example:
        >>> known = OodStats(mean=np.zeros(4, np.float32), std=np.ones(4, np.float32), threshold=2.0,
        ...                     typical=1.0)
        >>> ood_score(np.full((1, 4), 6.0), known).round(1).tolist()
        [3.0]
    """
    if statistics.shape[1:] != ood_stats.mean.shape:
        raise ModelFolderError(
            f"the statistics of the training data have the shape {ood_stats.mean.shape}, expected "
            f"{statistics.shape[1:]} as this backbone gives; copy the model folder again"
        )
    apart = _distances(statistics, ood_stats.mean, ood_stats.std)
    return (apart / ood_stats.threshold).astype(np.float32)


def temperature_factor(distance: npt.NDArray[Any], ood_stats: OodStats) -> Floats:
    """Factor of the temperature of a clip, in comparison with held-out training clips, (N,), 1 or more.

    A temperature fitted to clips like the training data leaves the scores of other clips far too confident; one that
    grows with the distance does not (density-aware calibration, Tomani et al. 2023, arXiv 2302.05118).

    Args:
        distance: Of N clips, from `ood_score`.
        ood_stats: Of the training data.

    Example:
        >>> known = OodStats(mean=np.zeros(4, np.float32), std=np.ones(4, np.float32), threshold=2.0, typical=1.0)
        >>> temperature_factor(np.array([0.25, 0.5, 1.0]), known).tolist()
        [1.0, 1.0, 8.0]
    """
    farther = np.maximum(1.0, np.nan_to_num(distance) * ood_stats.threshold / ood_stats.typical)
    return np.asarray(farther**ood_stats.exponent, np.float32)


def tempered(logits: Floats, factor: Floats) -> Floats:
    """Logits (N, C) at temperatures that are (N,) times as high; of emotions never shown they stay as they are.

    Example:
        >>> tempered(np.array([[4.0, 0.0, UNKNOWN]], np.float32), np.array([2.0], np.float32)).tolist()
        [[2.0, 0.0, -100.0]]
    """
    return np.where(logits > UNKNOWN / 2, logits / factor[:, None], logits).astype(np.float32)


def _distances(values: npt.NDArray[Any], mean: npt.NDArray[Any], std: npt.NDArray[Any]) -> Floats:
    standard = (np.asarray(values, np.float32) - mean) / (std + _SMALLEST_DEVIATION)
    squares: Floats = (standard**2).reshape(len(standard), -1).mean(axis=1)
    return np.sqrt(squares).astype(np.float32)


def save_ood_stats(file: str | Path, modalities: Mapping[str, OodStats]) -> None:
    """Write the statistics of each modality as safetensors."""
    save_file(
        {
            f"{modality}.{part}": np.ascontiguousarray(getattr(known, part), np.float32)
            for modality, known in modalities.items()
            for part in _PARTS
        },
        file,
    )


def load_ood_stats(file: str | Path) -> dict[str, OodStats]:
    """Read what `save_ood_stats` wrote.

    Raises:
        ModelFolderError: Missing, damaged, or something else.
    """
    try:
        flat = load_file(file)
        modalities = {name.partition(".")[0] for name in flat}
        found = {
            modality: OodStats(
                mean=flat[f"{modality}.mean"],
                std=flat[f"{modality}.std"],
                threshold=flat[f"{modality}.threshold"].item(),
                typical=flat[f"{modality}.typical"].item(),
                exponent=flat.get(f"{modality}.exponent", np.float32(EXPONENT)).item(),
            )
            for modality in modalities
        }
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFolderError(
            f"{file}: damaged ({printable(str(error))[:200]}); copy the model folder again"
        ) from error
    for side, known in found.items():
        if not _is_sound(known):
            raise ModelFolderError(
                f"{file}: the statistics of {printable(side)[:20]} are not finite, or of several shapes; copy the "
                "model folder again"
            )
    return found


def _is_sound(known: OodStats) -> bool:
    finite = all(np.isfinite(part).all() for part in (known.mean, known.std, known.threshold, known.typical))
    positive = known.threshold > 0 and known.typical > 0 and bool((known.std >= 0).all())
    return finite and positive and known.mean.shape == known.std.shape
