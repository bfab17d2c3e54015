"""A microphone, or a file as slowly as it was spoken, heard as a stream (extra `listen`). Imports no torch."""

import queue
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bimodal.audio.decode import Signal, iterate_audio, read_header
from bimodal.audio.level import level_db
from bimodal.errors import AudioError, BimodalError
from bimodal.inference.stream import Stream
from bimodal.records import Recognition

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BLOCK_SECONDS: Final = 0.1
"""Length of the pieces in which a source gives its samples."""

PARTIAL_SECONDS: Final = 0.5
"""How often what is being said is judged while it goes on."""

SHOWN: Final = 12
"""Results that the view shows."""

_SILENT_SECONDS: Final = 5.0  # without a block for this long, a microphone was unplugged
_BEHIND_SECONDS: Final = 30.0
_BAR: Final = 30  # characters
_QUIETEST: Final = -60.0  # dB at which the level shows nothing


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where sound comes from.

    Attributes:
        name: For people.
        sampling_rate: In Hz.
        blocks: Signals of `BLOCK_SECONDS`, each when it has been spoken; taken once.
    """

    name: str
    sampling_rate: int
    blocks: Iterator[Signal]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What is known after one more block.

    Attributes:
        duration: How much was heard so far, in seconds.
        level: Of the block, in dB relative to full scale.
        results: Those that the block made known.
        partial: What is being said sounds like this so far; None where nobody is speaking.
    """

    duration: float
    level: float
    results: Sequence[Recognition]
    partial: Recognition | None


def listen(stream: Stream, source: Source) -> Iterator[Moment]:
    """Push what a source gives; finish the stream yourself, also where it is interrupted.

    Raises:
        AudioError: The source fails, or this machine is slower than it.
    """
    partial, due = None, PARTIAL_SECONDS
    for block in source.blocks:
        results = stream.push(block, source.sampling_rate)
        if results or stream.duration >= due:
            partial, due = stream.partial(), stream.duration + PARTIAL_SECONDS
        yield Moment(duration=stream.duration, level=level_db(block), results=results, partial=partial)


def play_file(path: str | Path) -> Source:
    """A file that is heard as slowly as it was spoken, its channels mixed.

    Raises:
        AudioError: The file is missing, empty, truncated or not audio.
    """
    return Source(name=str(path), sampling_rate=read_header(path).sampling_rate, blocks=_paced(path))


def _paced(path: str | Path) -> Iterator[Signal]:
    began, spoken = time.monotonic(), 0.0
    for block, rate in iterate_audio(path, block_seconds=BLOCK_SECONDS):
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


def draw(seen: Iterable[Recognition], moment: Moment) -> "RenderableType":
    """The view of the terminal: level, what is being said sounds like, the last results."""
    from rich.console import Group
    from rich.text import Text

    loud = round(_BAR * min(1.0, max(0.0, 1 - moment.level / _QUIETEST)))
    head = Text(f"{moment.duration:8.1f} s  {'|' * loud:<{_BAR}}", style="bold")
    return Group(head, _scores(moment.partial), _results(seen))


def _scores(partial: Recognition | None) -> "RenderableType":
    """Bars of what is being said."""
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    if partial is None:
        return Text("  nobody is speaking\n", style="dim")
    if partial.emotion is None:
        return Text(f"  no answer yet: {partial.reason}\n", style="dim")
    table = Table.grid(padding=(0, 1))
    for emotion, score in partial.scores.items():
        style = "bold" if emotion == partial.emotion else "dim"
        table.add_row(Text(f"  {emotion:<12}", style=style), Bar(1.0, 0.0, score, width=_BAR), f"{score:.2f}")
    return table


def _results(seen: Iterable[Recognition]) -> "Table":
    """The last results, newest below."""
    from rich.table import Table

    table = Table("from", "to", "emotion", "score", "words", box=None, header_style="dim")
    for result in seen:
        score = "" if result.emotion is None else f"{result.scores[result.emotion]:.2f}"
        times = (f"{result.start or 0.0:.2f}", f"{result.end or 0.0:.2f}")
        table.add_row(*times, result.emotion or f"- ({result.reason})", score, result.transcript or "")
    return table
