"""How unlike the training data an input is: the distance of its pooled statistics from theirs.

The distance is the root mean square, over the statistics, of their deviations from the training data's mean in units of
the training data's deviation. What counts as far was fitted to clips of speakers that were held out of both. Pure
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

from bimodal.errors import ModelFolderError

KEPT: Final = 0.99
"""Share of held-out training clips that lie within the threshold."""

_PARTS: Final = ("mean", "std", "threshold")
_SMALLEST_DEVIATION: Final = 1e-3

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Familiarity:
    """What one side of a model was trained on, in short.

    Attributes:
        mean: Of the pooled statistics, (...).
        std: Their deviation, (...).
        threshold: Distance that `KEPT` of the held-out clips stay within.
    """

    mean: Floats
    std: Floats
    threshold: float


def fit_familiarity(statistics: npt.NDArray[Any], parts: npt.NDArray[Any]) -> Familiarity:
    """Familiarity with N clips; the distance of each part's clips is taken from the others.

    Args:
        statistics: Pooled statistics (N, ...).
        parts: Number of the part that each clip belongs to, (N,); no speaker in two of them. One part alone is
            measured against itself.

    Example:
        >>> found = fit_familiarity(np.random.default_rng(0).normal(size=(400, 8)), np.arange(400) % 4)
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
    return Familiarity(mean=values.mean(axis=0), std=values.std(axis=0), threshold=threshold)


def strangeness(statistics: npt.NDArray[Any], familiarity: Familiarity) -> Floats:
    """Distance of pooled statistics (N, ...) from the training data, (N,), in units of the threshold.

    Example:
        >>> known = Familiarity(mean=np.zeros(4, np.float32), std=np.ones(4, np.float32), threshold=2.0)
        >>> strangeness(np.full((1, 4), 6.0), known).round(1).tolist()
        [3.0]
    """
    apart = _distances(statistics, familiarity.mean, familiarity.std)
    return (apart / familiarity.threshold).astype(np.float32)


def _distances(values: npt.NDArray[Any], mean: npt.NDArray[Any], std: npt.NDArray[Any]) -> Floats:
    standard = (np.asarray(values, np.float32) - mean) / (std + _SMALLEST_DEVIATION)
    squares: Floats = (standard**2).reshape(len(standard), -1).mean(axis=1)
    return np.sqrt(squares).astype(np.float32)


def save_familiarity(file: str | Path, sides: Mapping[str, Familiarity]) -> None:
    """Write the familiarity of each side as safetensors."""
    save_file(
        {
            f"{side}.{part}": np.ascontiguousarray(getattr(known, part), np.float32)
            for side, known in sides.items()
            for part in _PARTS
        },
        file,
    )


def load_familiarity(file: str | Path) -> dict[str, Familiarity]:
    """Read what `save_familiarity` wrote.

    Raises:
        ModelFolderError: Missing, damaged, or something else.
    """
    try:
        flat = load_file(file)
        sides = {name.partition(".")[0] for name in flat}
        return {
            side: Familiarity(
                mean=flat[f"{side}.mean"], std=flat[f"{side}.std"], threshold=flat[f"{side}.threshold"].item()
            )
            for side in sides
        }
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFolderError(f"{file}: damaged ({error}); copy the model folder again") from error
