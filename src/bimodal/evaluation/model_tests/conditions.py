"""Changes of a recording under which a model should keep its answers: one table, `CONDITIONS`.

Kinds, strengths and thresholds of the published suite (arXiv 2312.06270) are taken over where it has them. A change
that it lacks has the thresholds of the published change that it is nearest to, and says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bimodal.arrays import Doubles
from bimodal.audio.decode import SAMPLING_RATE, Signal, resample
from bimodal.evaluation.model_tests.codecs import CODECS, TELEPHONE_RATE, change_tempo
from bimodal.evaluation.model_tests.records import PUBLISHED
from bimodal.features.augmentation import add_noise, add_room, apply_augmentation

SOUNDS: Final = ("noise", "room", "music", "cough", "sneeze")
"""Kinds of recordings that a caller can give, as folders."""

_VOICES: Final = (4, 8)  # voices of babble: 4 to 7, as published
_SECOND: Final = SAMPLING_RATE


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What a change may take from outside the clip.

    Attributes:
        sounds: Signals by kind, of `SOUNDS`.
        others: Clips of other speakers than the clip's.
    """

    sounds: Mapping[str, Sequence[Signal]] = field(default_factory=dict)
    others: Sequence[Signal] = ()


Change = Callable[[Signal, Surroundings, np.random.Generator], Signal]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A change of recordings and what it may cost.

    Attributes:
        change: Takes a signal (T,) at 16 kHz, what is outside it, and a random generator; gives the changed signal.
        uar: Least change of UAR, such as -0.05; None if it is not tested.
        unchanged: Least share of clips with the same answer; None if it is not tested.
        source: Where the thresholds come from.
        needs: Kind of `SOUNDS` without which it is skipped, or `others`; empty if it needs nothing.
        synthetic: Kind of `SOUNDS` in whose place a made-up sound stands if there is none.
    """

    change: Change
    uar: float | None
    unchanged: float | None
    source: str
    needs: str = ""
    synthetic: str = ""


def _tone(signal: Signal, _: Surroundings, rng: np.random.Generator) -> Signal:
    """A tone whose peak is 40 to 50 dB below that of the signal."""
    peak = float(np.abs(signal).max()) * 10 ** (-float(rng.choice([40, 45, 50])) / 20)
    time = np.arange(len(signal)) / SAMPLING_RATE
    return (signal + peak * np.sin(2 * np.pi * rng.uniform(5000, 7000) * time)).astype(np.float32)


def _few(rng: np.random.Generator) -> int:
    return int(rng.choice([100, 500, 1000]))


def _clipped(signal: Signal, share: float) -> Signal:
    limit = float(np.quantile(np.abs(signal), 1 - share))
    return np.clip(signal, -limit, limit) if limit else signal


def _filtered(signal: Signal, gain: Callable[[Doubles], Doubles]) -> Signal:
    """The signal with a gain for each frequency in Hz; its level stays."""
    length = 2 * len(signal)
    hertz: Doubles = np.fft.rfftfreq(length, 1 / SAMPLING_RATE).astype(np.float64)
    spectrum = np.fft.rfft(signal, length) * gain(hertz)
    found = np.fft.irfft(spectrum, length)[: len(signal)]
    own, new = float(np.sqrt(np.mean(signal**2))), float(np.sqrt(np.mean(found**2)))
    return (found * (own / new if new else 1.0)).astype(np.float32)


def _high_pass(hertz: Doubles, border: float) -> Doubles:
    """Gain of a first-order Butterworth filter."""
    passed: Doubles = 1 / np.sqrt(1 + (border / np.maximum(hertz, 1e-3)) ** 2)
    return passed


def _low_pass(hertz: Doubles, border: float) -> Doubles:
    passed: Doubles = 1 / np.sqrt(1 + (hertz / border) ** 2)
    return passed


def _curve(points: Mapping[float, float]) -> Change:
    """A microphone by its gain in dB at some frequencies in Hz, linear between them."""

    def gain(hertz: Doubles) -> Doubles:
        found: Doubles = 10 ** (np.interp(hertz, list(points), list(points.values())) / 20)
        return found

    return lambda signal, _, __: _filtered(signal, gain)


def _white(decibels: Sequence[float]) -> Change:
    """White noise at one of several signal-to-noise ratios."""

    def change(signal: Signal, _: Surroundings, rng: np.random.Generator) -> Signal:
        noise = rng.standard_normal(len(signal)).astype(np.float32)
        return add_noise(signal, noise, float(rng.choice(decibels)))

    return change


def _one_of(signals: Sequence[Signal], rng: np.random.Generator) -> Signal:
    return signals[int(rng.integers(len(signals)))]


def _sound(kind: str, decibels: float) -> Change:
    """A stretch of one of the caller's sounds, over the whole clip."""

    def change(signal: Signal, around: Surroundings, rng: np.random.Generator) -> Signal:
        sound = _one_of(around.sounds[kind], rng)
        return add_noise(signal, np.roll(sound, -int(rng.integers(len(sound)))), decibels)

    return change


def _event(kind: str, decibels: float) -> Change:
    """One cough or sneeze at a random place; its level is that of the sound itself, not of the clip."""

    def change(signal: Signal, around: Surroundings, rng: np.random.Generator) -> Signal:
        sound = _one_of(around.sounds[kind], rng)[: len(signal)]
        first = int(rng.integers(len(signal) - len(sound) + 1))
        power = float(np.mean(sound**2))
        scale = np.sqrt(float(np.mean(signal**2)) / 10 ** (decibels / 10) / power) if power else 0.0
        placed: Signal = np.pad(sound * np.float32(scale), (first, len(signal) - len(sound) - first))
        return signal + placed

    return change


def _babble(decibels: float) -> Change:
    """Several clips of other speakers at once."""

    def change(signal: Signal, around: Surroundings, rng: np.random.Generator) -> Signal:
        voices = rng.choice(len(around.others), int(rng.integers(*_VOICES)))
        mixed = np.zeros(len(signal), np.float32)
        for voice in voices:
            other = around.others[voice]
            level = float(np.sqrt(np.mean(other**2))) or 1.0
            mixed += np.resize(np.roll(other, -int(rng.integers(len(other)))), len(signal)) / np.float32(level)
        return add_noise(signal, mixed, decibels)

    return change


def _music(decibels: float) -> Change:
    """The caller's music, else chords."""
    given = _sound("music", decibels)

    def change(signal: Signal, around: Surroundings, rng: np.random.Generator) -> Signal:
        return given(signal, around, rng) if around.sounds.get("music") else add_noise(signal, chords(rng), decibels)

    return change


def chords(rng: np.random.Generator) -> Signal:
    """Synthetic music, 8 s at 16 kHz: four chords of three decaying tones with overtones, with a bass.

    Example:
        >>> chords(np.random.default_rng(0)).shape
        (128000,)
    """
    time = np.arange(2 * _SECOND) / SAMPLING_RATE
    root = float(rng.uniform(180, 260))
    parts = []
    for step in (0, 5, 7, 0):
        third = int(rng.choice([3, 4]))
        tones = [root * 2 ** ((step + interval) / 12) for interval in (-12, 0, third, 7)]
        decay = np.exp(-1.5 * time)
        parts.append(sum(np.sin(2 * np.pi * tone * k * time) / k**2 for tone in tones for k in range(1, 6)) * decay)
    found: Signal = np.concatenate(parts).astype(np.float32)
    return found


def _room(signal: Signal, around: Surroundings, rng: np.random.Generator) -> Signal:
    """One of the caller's rooms, else a made-up one."""
    rooms = around.sounds.get("room")
    return add_room(signal, _one_of(rooms, rng) if rooms else synthetic_room(rng))


def synthetic_room(rng: np.random.Generator) -> Signal:
    """Impulse response of a made-up room, 0.6 s: a direct sound and noise that decays by 60 dB in 0.4 s.

    Example:
        >>> response = synthetic_room(np.random.default_rng(0))
        >>> len(response), int(abs(response).argmax())
        (9600, 0)
    """
    time = np.arange(round(0.6 * SAMPLING_RATE)) / SAMPLING_RATE
    tail = 0.05 * rng.standard_normal(len(time)) * 10 ** (-3 * time / 0.4)
    tail[: round(0.002 * SAMPLING_RATE)] = 0.0
    tail[0] = 1.0
    found: Signal = tail.astype(np.float32)
    return found


def _kept(signal: Signal, start: float, end: float) -> Signal:
    """The part of a signal between two shares of its length."""
    return signal[round(start * len(signal)) : round(end * len(signal))]


def _silence(signal: Signal, before: int, after: int) -> Signal:
    return np.pad(signal, (before, after))


def _speed(factor: float) -> Change:
    return lambda signal, _, __: apply_augmentation(signal, f"speed{factor}")


def _tempo(factor: float) -> Change:
    return lambda signal, _, __: change_tempo(signal, factor)


def _low_rate(signal: Signal, _: Surroundings, __: np.random.Generator) -> Signal:
    return resample(resample(signal, SAMPLING_RATE, TELEPHONE_RATE), TELEPHONE_RATE)


_NEAR: Final = "not in the published suite; thresholds of its"
_TARGET: Final = "not in the published suite; this project allows 6 points at 10 dB"


def _small(change: Change) -> Condition:
    return Condition(change=change, uar=None, unchanged=0.95, source=f"{PUBLISHED}: small changes")


def _background(change: Change, source: str = f"{PUBLISHED}: background noise", **more: str) -> Condition:
    return Condition(change=change, uar=-0.05, unchanged=0.9, source=source, **more)


def _strong(change: Change, **more: str) -> Condition:
    """Noise of 10 dB."""
    return Condition(change=change, uar=-0.06, unchanged=None, source=_TARGET, **more)


def _phone(change: Change, source: str = f"{_NEAR} low-quality phone") -> Condition:
    return Condition(change=change, uar=-0.05, unchanged=0.5, source=source)


def _other_recording(change: Change, source: str = f"{_NEAR} recording condition and noise", **more: str) -> Condition:
    return Condition(change=change, uar=-0.05, unchanged=0.8, source=source, **more)


def _tilt(change: Change) -> Condition:
    return Condition(change=change, uar=-0.02, unchanged=0.8, source=f"{PUBLISHED}: spectral tilt")


def _codec(name: str) -> Change:
    return lambda signal, _, __: CODECS[name](signal)


CONDITIONS: Final[Mapping[str, Condition]] = {
    "added tone": _small(_tone),
    "zeros at the start": _small(lambda signal, _, rng: _silence(signal, _few(rng), 0)),
    "zeros at the end": _small(lambda signal, _, rng: _silence(signal, 0, _few(rng))),
    "first samples cut": _small(lambda signal, _, rng: signal[_few(rng) :]),
    "last samples cut": _small(lambda signal, _, rng: signal[: -_few(rng)]),
    "slight clipping": _small(lambda signal, _, rng: _clipped(signal, float(rng.choice([0.001, 0.002, 0.003])))),
    "slight gain": _small(lambda signal, _, rng: apply_augmentation(signal, f"gain{rng.choice([-2, -1, 1, 2])}")),
    "high-pass filter": _small(
        lambda signal, _, rng: _filtered(signal, lambda hertz: _high_pass(hertz, float(rng.choice([50, 100, 150]))))
    ),
    "low-pass filter": _small(
        lambda signal, _, rng: _filtered(signal, lambda hertz: _low_pass(hertz, float(rng.choice([6500, 7000, 7500]))))
    ),
    "white noise, 35 to 45 dB": _small(_white([35, 40, 45])),
    "gain, -20 dB": _background(
        lambda signal, _, __: apply_augmentation(signal, "gain-20"), f"{_NEAR} background noise"
    ),
    "1 s of silence at the start": _background(
        lambda signal, _, __: _silence(signal, _SECOND, 0), f"{_NEAR} background noise"
    ),
    "1 s of silence at the end": _background(
        lambda signal, _, __: _silence(signal, 0, _SECOND), f"{_NEAR} background noise"
    ),
    "first tenth cut": _other_recording(lambda signal, _, __: _kept(signal, 0.1, 1.0)),
    "last tenth cut": _other_recording(lambda signal, _, __: _kept(signal, 0.0, 0.9)),
    "clipping of 2 % of the samples": _other_recording(lambda signal, _, __: _clipped(signal, 0.02)),
    "white noise, 20 dB": _background(_white([20])),
    "white noise, 10 dB": _strong(_white([10])),
    "noise, 20 dB": _background(_sound("noise", 20), needs="noise"),
    "noise, 10 dB": _strong(_sound("noise", 10), needs="noise"),
    "babble, 20 dB": _background(_babble(20), needs="others"),
    "babble, 10 dB": _strong(_babble(10), needs="others"),
    "music, 20 dB": _background(_music(20), synthetic="music"),
    "a cough, 10 dB": _background(_event("cough", 10), needs="cough"),
    "a sneeze, 10 dB": _background(_event("sneeze", 10), needs="sneeze"),
    "room": _other_recording(_room, synthetic="room"),
    "falling spectral tilt": _tilt(_curve({0.0: 6.0, 8000.0: -12.0})),
    "rising spectral tilt": _tilt(_curve({0.0: -6.0, 8000.0: 9.0})),
    "laptop microphone": _other_recording(
        _curve({0.0: -40.0, 120.0: -18.0, 300.0: -4.0, 1000.0: 0.0, 3500.0: 5.0, 6000.0: -2.0, 8000.0: -10.0})
    ),
    "headset microphone": _other_recording(
        _curve({0.0: -30.0, 80.0: -12.0, 200.0: 0.0, 1500.0: -2.0, 3000.0: 4.0, 5000.0: 2.0, 8000.0: -6.0})
    ),
    "telephone band": _phone(lambda signal, _, __: apply_augmentation(signal, "telephone")),
    "sampling rate of 8 kHz": _phone(_low_rate),
    **{name: (_phone if "kHz" in name or "AMR" in name else _other_recording)(_codec(name)) for name in CODECS},
    "speed, 0.9": _other_recording(_speed(0.9)),
    "speed, 1.1": _other_recording(_speed(1.1)),
    "tempo, 0.9": _other_recording(_tempo(0.9)),
    "tempo, 1.1": _other_recording(_tempo(1.1)),
}
"""Changes by name, in the order of the report. A further one is one more entry."""


def missing_reason(name: str, condition: Condition, around: Surroundings) -> str:
    """Why a condition cannot be run; empty if it can.

    Example:
        >>> missing_reason("a cough, 10 dB", CONDITIONS["a cough, 10 dB"], Surroundings())
        'no recordings of cough were given (--cough FOLDER)'
    """
    if condition.needs == "others":
        return "" if around.others else "the manifest has no clips of another speaker"
    if condition.needs and not around.sounds.get(condition.needs):
        return f"no recordings of {condition.needs} were given (--{condition.needs} FOLDER)"
    return ""


def condition_detail(condition: Condition, around: Surroundings) -> str:
    """What a reader must know of a condition: that its sound is synthetic.

    Example:
        >>> condition_detail(CONDITIONS["room"], Surroundings())
        'synthetic room; give real ones with --room FOLDER'
    """
    kind = condition.synthetic
    return f"synthetic {kind}; give real ones with --{kind} FOLDER" if kind and not around.sounds.get(kind) else ""
