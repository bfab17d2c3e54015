"""Recognise speech while it is spoken. A file stands for the microphone here.

    python examples/stream_audio.py clip.wav

The results are those that the file gives as a whole; they come as soon as a pause completes a segment.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bimodal import Recognition, Recognizer
from bimodal.audio.decode import SAMPLING_RATE, load_signal

BLOCK = SAMPLING_RATE // 10  # samples in a tenth of a second


def blocks(path: Path) -> Iterator[np.ndarray]:
    """The samples in blocks, as a microphone would give them."""
    signal = load_signal(path)
    for start in range(0, len(signal), BLOCK):
        yield signal[start : start + BLOCK]


def show(results: list[Recognition]) -> None:
    """Print a line for each result."""
    for result in results:
        print(f"{result.start:6.2f} to {result.end:6.2f} s  {result.emotion or result.reason}")


def main(path: Path) -> None:
    """Push the blocks into a stream and print the results as they come."""
    recognizer = Recognizer()
    recognizer.warm_up()
    stream = recognizer.stream(SAMPLING_RATE)
    for samples in blocks(path):
        show(stream.push(samples))
    show(stream.finish())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
