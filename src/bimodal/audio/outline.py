"""The outline of a recording: its largest samples in intervals of equal length, for drawings."""

import numpy as np
import numpy.typing as npt


class Outline:
    """Collects the largest absolute sample of each interval. Memory stays flat, however long the recording is.

    Where there are twice as many intervals as wanted, two become one: the length that a header promises is a hint only.

    Args:
        samples: Length of the recording, as far as it is known.
        points: Number of intervals that are wanted.

    Example:
        >>> outline = Outline(4, points=2)
        >>> outline.add(np.array([0.0, -0.5, 0.25, 0.0]))
        >>> outline.peaks().tolist(), outline.samples
        ([0.5, 0.25], 4)
    """

    def __init__(self, samples: float, points: int) -> None:
        self.samples = 0
        self._points, self._size = points, max(1, int(np.ceil(samples / points)))
        self._peaks, self._rest = list[float](), np.zeros(0, np.float32)

    def add(self, block: npt.NDArray[np.floating]) -> None:
        """Take the next samples, (T,) or (T, channels)."""
        self.samples += len(block)
        loud = np.concatenate([self._rest, np.abs(block) if block.ndim == 1 else np.abs(block).max(axis=1)])
        whole = len(loud) // self._size * self._size
        self._peaks += loud[:whole].reshape(-1, self._size).max(axis=1).tolist()
        self._rest = loud[whole:]
        while len(self._peaks) >= 2 * self._points:
            self._halve()

    def peaks(self) -> npt.NDArray[np.float32]:
        """Peaks of all intervals, the last of which may be shorter."""
        last = [float(self._rest.max())] if len(self._rest) else []
        return np.array([*self._peaks, *last], np.float32)

    def _halve(self) -> None:
        """Two intervals become one; what is left over waits for its second half."""
        pairs = len(self._peaks) // 2
        left = self._peaks[2 * pairs :]
        self._peaks = [
            max(pair) for pair in zip(self._peaks[: 2 * pairs : 2], self._peaks[1 : 2 * pairs : 2], strict=True)
        ]
        self._rest = np.concatenate([np.repeat(np.array(left, np.float32), self._size), self._rest])
        self._size *= 2
