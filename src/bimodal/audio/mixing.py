"""Several channels become one."""

from typing import Final

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float32]

MIXED_AT_ONCE: Final = 1 << 14
"""Samples that are mixed at once."""

_ENOUGH: Final = 1 << 11  # samples below which a correlation says nothing
_OPPOSITE: Final = 0.9  # correlation beyond which two channels are the same sound, or its negative


class Mixer:
    """Mixes channels to their mean; turns round a channel that would cancel the others.

    In a recording whose channels have opposite phase (a cable with crossed wires, "wide stereo") the mean is silent.
    A channel is turned round from the block on in which it is the negative of the loudest one, and turned back where it
    equals it again.
    """

    def __init__(self) -> None:
        self._signs: npt.NDArray[np.float32] | None = None

    def mix(self, block: Frames) -> Frames:
        """Mean of a block (T, channels), as (T,).

        Example:
            >>> one = np.sin(np.arange(4000, dtype=np.float32))
            >>> float(np.abs(Mixer().mix(np.stack([one, -one], axis=1)) - one).max())
            0.0
        """
        if block.shape[1] == 1:
            return block[:, 0]
        if self._signs is None:
            self._signs = np.ones(block.shape[1], np.float32)
        if len(block) >= _ENOUGH:
            self._signs = _signs(block, self._signs)
        turned = block if (self._signs == 1).all() else block * self._signs
        mixed: Frames = turned.mean(axis=1, dtype=np.float32)
        return mixed


def _signs(block: Frames, before: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1 or -1 for each channel of a block, by its correlation with the loudest one."""
    with np.errstate(invalid="ignore", over="ignore"):  # a check that follows refuses samples that are not finite
        products = block.T @ block
        loudest = int(np.argmax(np.diag(products)))
        scale = np.sqrt(np.maximum(np.diag(products) * products[loudest, loudest], 1e-12))
        correlation = products[loudest] / scale
    told = np.where(correlation < -_OPPOSITE, -1, np.where(correlation > _OPPOSITE, 1, before * before[loudest]))
    signs: npt.NDArray[np.float32] = (told * before[loudest]).astype(np.float32)
    return signs if np.isfinite(correlation).all() else before
