"""Live sound: a microphone (extra `listen`), or a file at the speed at which it was spoken."""

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bimodal.audio.decode import AudioBlocks, Signal, iterate_audio, read_header
from bimodal.errors import AudioError, BimodalError

BLOCK_SECONDS: Final = 0.1
"""Length of the blocks in which a source gives its samples."""

_SILENT_SECONDS: Final = 5.0  # without a block for this long, a microphone was unplugged
_BEHIND_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where sound comes from.

    Attributes:
        name: For people.
        sampling_rate: In Hz.
        blocks: Signals of `BLOCK_SECONDS`, each when it has been spoken; taken once.
        warnings: What results must say, when all blocks were taken: where a file is cut or damaged.
    """

    name: str
    sampling_rate: int
    blocks: Iterator[Signal]
    warnings: Callable[[], tuple[str, ...]] = tuple


def play_file(path: str | Path) -> Source:
    """A file that is heard as slowly as it was spoken, its channels mixed.

    Raises:
        AudioError: The file is missing, empty, truncated or not audio.
    """
    rate, read = read_header(path).sampling_rate, iterate_audio(path, block_seconds=BLOCK_SECONDS)
    return Source(name=str(path), sampling_rate=rate, blocks=_paced(read), warnings=lambda: read.warnings)


def _paced(read: AudioBlocks) -> Iterator[Signal]:
    began, spoken = time.monotonic(), 0.0
    for block, rate in read:
        spoken += len(block) / rate
        time.sleep(max(0.0, began + spoken - time.monotonic()))
        yield block


def open_microphone(device: str = "") -> Source:
    """A microphone at its own sampling rate, its first channel.

    Args:
        device: Number or part of the name, as `python -m sounddevice` lists them; empty for the system's default.

    Raises:
        BimodalError: sounddevice or PortAudio is not installed.
        AudioError: No such microphone.
    """
    sounddevice = _library()
    wanted = int(device) if device.isdecimal() else device or None
    try:
        found = sounddevice.query_devices(wanted, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        raise AudioError(
            f"no microphone{f' {device!r}' if device else ''} ({error}); 'python -m sounddevice' lists what there is"
        ) from error
    rate = int(found["default_samplerate"])
    blocks = _recorded(sounddevice, int(found["index"]), str(found["name"]), rate)
    return Source(name=str(found["name"]), sampling_rate=rate, blocks=blocks)


def _library() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise BimodalError(f"a microphone needs '{error.name}': pip install 'bimodal-emotion[listen]'") from error
    except OSError as error:
        raise BimodalError(
            f"a microphone needs PortAudio ({error}); install it with the system's packages, such as "
            "'apt install libportaudio2'"
        ) from error
    return sounddevice


def _recorded(sounddevice: Any, device: int, name: str, rate: int) -> Iterator[Signal]:
    """Blocks of a microphone; what comes while an earlier one is judged waits."""
    waiting: queue.SimpleQueue[Signal] = queue.SimpleQueue()

    def take(block: Any, *_: Any) -> None:
        waiting.put(block[:, 0].copy())

    try:
        with sounddevice.InputStream(
            device=device,
            samplerate=rate,
            channels=1,
            dtype="float32",
            blocksize=int(BLOCK_SECONDS * rate),
            callback=take,
        ):
            while waiting.qsize() * BLOCK_SECONDS < _BEHIND_SECONDS:
                yield waiting.get(timeout=_SILENT_SECONDS)
    except queue.Empty as error:
        raise AudioError(f"microphone '{name}': gave nothing for {_SILENT_SECONDS:g} s; is it plugged in?") from error
    except sounddevice.PortAudioError as error:
        raise AudioError(f"microphone '{name}': cannot be heard ({error})") from error
    raise AudioError(f"microphone '{name}': this machine is {_BEHIND_SECONDS:g} s behind; take a smaller model")
