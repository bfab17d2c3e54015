"""Every recording of the table through the decoder and Python; some through the command line and the server."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, Decoded, decode_audio
from bimodal.records import Recognition
from tests.hostile.attempts import Attempt, World, answered, command
from tests.hostile.recordings import TABLES, Sound
from tests.hostile.sounds import ffmpeg, likeness, sweep
from tests.hostile.strangers import bombs, joined, names, strangers

_EVERY = 7
"""Of so many recordings, one goes through each further door."""


def all_sounds() -> list[Sound]:
    """The whole table; a name is unique in it."""
    found = [sound for table in (*TABLES, strangers, names, bombs, joined) for sound in table()]
    twice = {sound.name for sound in found if sum(other.name == sound.name for other in found) > 1}
    return [
        replace(sound, name=f"{number}-{sound.name}") if sound.name in twice else sound
        for number, sound in enumerate(found)
    ]


def attempts() -> Iterator[Attempt]:
    """All attempts with recordings."""
    sounds = all_sounds()
    for number, sound in enumerate(sounds):
        yield Attempt(
            door="decoder", name=sound.name, ask=partial(_decode, sound), refused=sound.refused,
            wrong=partial(_wrong_samples, sound),
        )  # fmt: skip
        yield Attempt(
            door="Python", name=sound.name, ask=partial(_recognize, sound), refused=sound.refused,
            wrong=partial(_wrong_result, sound),
        )  # fmt: skip
        if number % _EVERY == 0:
            yield Attempt(
                door="command line", name=sound.name, ask=partial(_command, sound), refused=sound.refused,
                wrong=partial(_wrong_result, sound),
            )  # fmt: skip
        if number % _EVERY == 1 and _can_be_sent(sound):
            refused = f"{sound.refused}|channels|Hz, expected at most" if sound.refused else _limits(sound)
            yield Attempt(
                door="HTTP", name=sound.name, ask=partial(_post, sound), refused=refused,
                wrong=partial(_wrong_result, sound),
            )  # fmt: skip


def _written(sound: Sound, world: World) -> Path:
    path = world.place(sound.name)
    sound.write(path)
    return path


def _decode(sound: Sound, world: World) -> tuple[Decoded, Path]:
    path = _written(sound, world)
    return decode_audio(path).at_model_rate(str(path)), path


def _recognize(sound: Sound, world: World) -> Recognition:
    return world.recognizer.recognize(_written(sound, world))


def _command(sound: Sound, world: World) -> Recognition:
    path = _written(sound, world)
    told = command("recognize", "--whole", "--format", "jsonl", path if sound.name[0] != "-" else f"./{path}")
    line = next(line for line in told.splitlines() if line.startswith("{"))
    return _as_result(json.loads(line))


def _post(sound: Sound, world: World) -> Recognition:
    with _written(sound, world).open("rb") as stream:
        return _as_result(answered(world.client.post("/v1/recognize", files={"audio": (sound.name, stream)})))


def _as_result(told: dict[str, Any]) -> Recognition:
    known = {name: value for name, value in told.items() if name in Recognition.__dataclass_fields__}
    return Recognition(**known)


def _can_be_sent(sound: Sound) -> bool:
    kept = all(32 <= ord(letter) < 0xD800 for letter in sound.name)
    return kept and not any(word in sound.refused for word in ("no such file", "folder", "pipe"))


def _limits(sound: Sound) -> str:
    """The server takes fewer channels and lower rates."""
    more = sound.seconds > 60 or any(word in sound.name for word in ("channels-", "hexadec", "22.2", "rate-"))
    return "|" if more else ""


def _wrong_samples(sound: Sound, found: tuple[Decoded, Path]) -> str:
    decoded, path = found
    if sound.refused:
        return ""
    seconds = len(decoded.signal) / SAMPLING_RATE
    if abs(seconds - sound.seconds) > sound.tolerance:
        return f"{seconds:.3f} s, expected {sound.seconds} s"
    if wrong := _wrong_warnings(sound, decoded.warnings):
        return wrong
    expected = sweep(SAMPLING_RATE, sound.written or sound.seconds, sound.source)[: len(decoded.signal) + 100]
    if sound.heard and (alike := likeness(decoded.signal, expected)) < sound.heard:
        return f"like what was written by {alike:.2f}, expected {sound.heard}"
    return "" if sound.ffmpeg else _unlike_ffmpeg(sound, decoded, path)


def _unlike_ffmpeg(sound: Sound, decoded: Decoded, path: Path) -> str:
    oracle = ffmpeg(path)
    more = (len(decoded.signal) - len(oracle)) / SAMPLING_RATE
    if abs(more) > 0.03:
        return f"{more:.3f} s longer than what FFmpeg decodes"
    alike = likeness(decoded.signal, oracle) if sound.heard else 1.0
    return f"like what FFmpeg decodes by {alike:.2f}" if alike < 0.98 else ""


def _wrong_warnings(sound: Sound, warnings: tuple[str, ...]) -> str:
    for name, expected in (("cut", sound.cut), ("damaged", sound.damaged)):
        if expected != any(warning.startswith(f"the recording is {name}") for warning in warnings):
            return f"the warnings {list(warnings)}, expected one that it is {name}: {expected}"
    return ""


def _wrong_result(sound: Sound, result: Recognition) -> str:
    if sound.refused:
        return ""
    if result.end is None or abs(result.end - sound.seconds) > sound.tolerance:
        return f"ends at {result.end}, expected {sound.seconds} s"
    if not np.isclose(sum(result.scores.values()), 1, atol=1e-4):
        return f"the scores sum to {sum(result.scores.values())}"
    return _wrong_warnings(sound, tuple(result.warnings))
