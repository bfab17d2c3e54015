"""Audio as callers have it (a path, bytes, an array of any usual kind, a torch tensor) becomes one signal.

Files go to the decoder as they are. Arrays become float32 samples (T,) in [-1, 1], equal to those of a file with the
same samples.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.audio.decode import MAX_CHANNELS, Decoded, Signal, check_signal, decode_audio
from bimodal.audio.mixing import MIXED_AT_ONCE, Mixer
from bimodal.audio.rates import check_rate
from bimodal.audio.source import Encoded, is_encoded
from bimodal.errors import AudioError
from bimodal.records import Clip

Samples = tuple[Signal, int]
"""A signal (T,) and its sampling rate in Hz."""

LARGEST_FLOAT: Final = 16.0
"""Largest magnitude of a floating-point sample. A float recording may exceed 1 a little; integers stored as floats
exceed this by far."""

_UNSIGNED: Final = {"uint8": 128}
_SIGNED: Final = {"int8": 1 << 7, "int16": 1 << 15, "int32": 1 << 31}


def as_audio(audio: Any, sampling_rate: int | None = None) -> Encoded | Samples:
    """What a caller passes as audio, in one of two forms: encoded, for the decoder, or a signal with its rate.

    Args:
        audio: One of:

            - a path, bytes, or a binary file object,
            - samples (T,), (T, C) or (C, T): array, list or torch tensor, floating point in [-1, 1] or integers
              (int8, int16, int32, uint8) over their full range; several channels are mixed,
            - `(samples, rate)`, or `(rate, samples)` as `scipy.io.wavfile.read` returns it,
            - a recording as `decode_audio` decodes it,
            - a mapping with `array` and `sampling_rate`, or with `bytes` or `path`, as Hugging Face data sets hold.
        sampling_rate: Rate of the samples in Hz, where `audio` does not hold it; None for encoded audio.

    Returns:
        A path, bytes or a file object; or a signal (T,) as float32 and its sampling rate in Hz.

    Raises:
        AudioError: The rate is missing, or the samples have a shape, type or range that is not clear.

    Example:
        >>> as_audio("clip.wav")
        'clip.wav'
        >>> signal, rate = as_audio(np.array([[0, 16384]] * 100, np.int16), 8000)
        >>> signal.shape, float(signal[0]), rate
        ((100,), 0.25, 8000)
    """
    if isinstance(audio, Decoded):
        return audio.signal, _one_rate(audio.sampling_rate, sampling_rate)
    if isinstance(audio, Mapping):
        return as_audio(*_unwrap(audio, sampling_rate))
    if isinstance(audio, tuple) and (pair := _pair(audio)) is not None:
        samples, rate = pair
        return as_audio(samples, _one_rate(rate, sampling_rate))
    if is_encoded(audio):
        if sampling_rate is not None:
            raise AudioError("sampling_rate goes with samples; a file holds its own, so leave it out")
        encoded: Encoded = audio
        return encoded
    rate = _needed_rate(sampling_rate)
    return as_signal(audio), rate


def as_signal(samples: Any) -> Signal:
    """Samples of any usual shape and type as one channel of float32.

    Args:
        samples: (T,), (T, C) or (C, T), as in `as_audio`.

    Returns:
        Signal (T,) in [-1, 1].

    Raises:
        AudioError: As in `as_audio`.

    Example:
        >>> as_signal(np.array([-128, 0, 64], np.int8)).tolist()
        [-1.0, 0.0, 0.5]
    """
    scaled = _scale(_as_array(samples))
    return check_signal(scaled if scaled.ndim == 1 else _mix(scaled), "audio")


def load_audio(
    audio: Any, sampling_rate: int | None = None, *, start: float | None = None, end: float | None = None
) -> Signal:
    """Audio in any form as the backbones take it: one channel, 16 kHz. It is neither cut nor damaged.

    Args:
        audio: As in `as_audio`.
        sampling_rate: As in `as_audio`.
        start: Where to begin in a file, in seconds; None for its beginning. Samples are taken whole.
        end: Where to stop in a file, in seconds; None for its end.

    Raises:
        AudioError: As in `as_audio` and `read_audio`.

    Example:
        >>> load_audio((np.zeros(8000), 8000)).shape
        (16000,)
    """
    return decode_clip(Clip(audio=audio, sampling_rate=sampling_rate, start=start, end=end)).whole("audio")


def decode_clip(clip: Clip) -> Decoded:
    """The audio of a clip, in any form, as the backbones take it; with what its results must say.

    Args:
        clip: With audio.

    Raises:
        AudioError: As in `as_audio` and `decode_audio`.

    Example:
        >>> decode_clip(Clip(audio=np.zeros(8000), sampling_rate=8000)).signal.shape
        (16000,)
    """
    found = as_audio(clip.audio, clip.sampling_rate)
    if isinstance(found, tuple):
        told = clip.audio.warnings if isinstance(clip.audio, Decoded) else ()
        decoded = Decoded(signal=found[0], sampling_rate=found[1], warnings=told)
    else:
        decoded = decode_audio(found, start=clip.start, end=clip.end, track=clip.track)
    return decoded.at_model_rate("audio")


def as_clip(item: Any) -> Clip:
    """A clip as it is; audio in any other form as a clip without words.

    Args:
        item: A `Clip`, or audio as in `as_audio` that holds its sampling rate.

    Example:
        >>> as_clip("clip.wav").audio, as_clip(Clip(transcript="Hello")).transcript
        ('clip.wav', 'Hello')
    """
    return item if isinstance(item, Clip) else Clip(audio=item)


def _unwrap(audio: Mapping[str, Any], sampling_rate: int | None) -> tuple[Any, int | None]:
    """What a mapping holds, and its rate."""
    if audio.get("array") is not None:
        return audio["array"], _one_rate(audio.get("sampling_rate"), sampling_rate)
    for key in ("bytes", "path"):
        if audio.get(key) is not None:
            return audio[key], None
    raise AudioError(
        f"audio: a mapping with the keys {sorted(map(str, audio))}, expected 'array' and 'sampling_rate', or 'bytes' "
        "or 'path'"
    )


def _pair(audio: tuple[Any, ...]) -> tuple[Any, Any] | None:
    """Samples and rate of a pair in either order; None where it is no pair of samples and a number."""
    if len(audio) != 2:
        return None
    first, second = map(_is_number, audio)
    if first == second:
        return None
    return (audio[1], audio[0]) if first else (audio[0], audio[1])


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and isinstance(value, int | float | np.number | np.ndarray)


def _one_rate(given: Any, named: int | None) -> int:
    """The rate that audio holds; the argument may only repeat it."""
    rate = _needed_rate(given if given is not None else named)
    if named is not None and rate != named:
        raise AudioError(f"sampling_rate={named}, but the audio says {rate} Hz; leave sampling_rate out")
    return rate


def _needed_rate(rate: Any) -> int:
    if rate is None:
        raise AudioError("samples need their sampling rate in Hz, for example sampling_rate=16000 or (array, 16000)")
    return check_rate(rate)


def _as_array(samples: Any) -> npt.NDArray[Any]:
    """An array; a torch tensor is known by its methods, since recognition imports no torch."""
    if hasattr(samples, "detach"):
        samples = samples.detach().cpu()
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()  # NumPy knows no bfloat16
    try:
        return np.asarray(samples)
    except (TypeError, ValueError) as error:
        raise AudioError(f"audio: {type(samples).__name__} is no array of numbers ({error})") from error


def _scale(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Samples as float32; integers are divided by the magnitude of their type."""
    kind = array.dtype.name
    if array.dtype.kind == "f":
        return _check_range(array).astype(np.float32)
    if kind in _UNSIGNED:
        return (array.astype(np.float32) - _UNSIGNED[kind]) / np.float32(_UNSIGNED[kind])
    if kind in _SIGNED:
        return array.astype(np.float32) / np.float32(_SIGNED[kind])
    if array.dtype.kind in "iu":
        raise AudioError(
            f"audio: {kind} samples have no known range, expected floating point in [-1, 1], or int8, int16, int32 or "
            "uint8; convert them, for example with array.astype('int16')"
        )
    raise AudioError(
        f"audio: {kind if array.dtype.kind != 'O' else type(array.flat[0]).__name__ if array.size else 'object'} is no "
        "recording, expected a path, bytes, a file object, or an array of samples with its sampling rate"
    )


def _check_range(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Floating-point samples, unless they are integers stored as floats."""
    if array.size and array.min() >= -LARGEST_FLOAT and array.max() <= LARGEST_FLOAT:  # neither is true of NaN
        return array
    finite = np.abs(array[np.isfinite(array)])
    if finite.size and finite.max() > LARGEST_FLOAT:
        raise AudioError(
            f"audio: floating-point samples reach {finite.max():g}, expected [-1, 1]; divide them by the full range of "
            "the integers that they were, for example by 32768 for int16"
        )
    return array


def _mix(array: npt.NDArray[np.float32]) -> Signal:
    """Mix of the channels of (T, C) or (C, T), as of a file; the axis with more than `MAX_CHANNELS` entries is time."""
    if array.ndim == 2 and array.size == 0:
        raise AudioError(f"audio: shape {array.shape} holds no samples")
    if array.ndim != 2:
        raise AudioError(f"audio: shape {array.shape}, expected (T,), (T, channels) or (channels, T)")
    long = [size > MAX_CHANNELS for size in array.shape]
    if long[0] == long[1]:
        raise AudioError(
            f"audio: shape {array.shape} does not tell time from channels (one axis of at most {MAX_CHANNELS}, the "
            "other longer); pass one channel as (T,), for example array.mean(axis=1) for (T, channels)"
        )
    frames, mixer = np.ascontiguousarray(array if long[0] else array.T), Mixer()
    blocks = range(0, len(frames), MIXED_AT_ONCE)
    return np.concatenate([mixer.mix(frames[begin : begin + MIXED_AT_ONCE]) for begin in blocks])
