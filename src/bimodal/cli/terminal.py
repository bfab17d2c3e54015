"""Output on stderr: lines, progress bars, a counter of epochs, how far a run is."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer

from bimodal.records import printable


def say(line: str) -> None:
    """A line on stderr."""
    typer.echo(printable(line), err=True)


def bar(items: Iterable[Any], label: str, quiet: bool) -> Iterable[Any]:
    """A progress bar with rate and remaining time on stderr."""
    from tqdm import tqdm

    wrapped: Iterable[Any] = tqdm(items, desc=label, file=sys.stderr, disable=quiet, dynamic_ncols=True, delay=0.5)
    return wrapped


@contextmanager
def epochs(quiet: bool) -> Iterator[Any]:
    """What shows training epochs: stage, epoch of how many, time left, loss and dev figure, in one line a stage.

    A terminal has a bar. Elsewhere, as in the log of CI, there is a plain line every ten seconds, and one at the end of
    each stage.
    """
    shown = _Epochs(bars=not quiet and sys.stderr.isatty(), lines=not quiet and not sys.stderr.isatty())
    try:
        yield shown.take
    finally:
        shown.end_stage()


@dataclass(kw_only=True)
class _Epochs:
    """The stage that is being shown.

    Attributes:
        bars: Draw a bar.
        lines: Write plain lines.
        last: What was told last; empty before the first epoch.
        bar: Of the stage; None before its first epoch.
        told: When the last line was written, in seconds of a clock.
        seconds: Of each epoch of the stage.
        written: Whether the last epoch has a line.
    """

    bars: bool
    lines: bool
    last: dict[str, Any] = field(default_factory=dict)
    bar: Any = None
    told: float = field(default_factory=time.monotonic)
    seconds: list[float] = field(default_factory=list)
    written: bool = False

    def take(self, entry: dict[str, Any]) -> None:
        """Show an epoch, as `bimodal.training.train.train` tells it."""
        if self.last and entry.get("stage") != self.last.get("stage"):
            self.end_stage()
        self.last, self.written = entry, False
        self.seconds.append(entry["seconds"])
        if self.bars:
            self._draw(entry)
        elif self.lines and (time.monotonic() - self.told > _SECONDS_BETWEEN_LINES or _left(entry) == 0):
            self._write()

    def end_stage(self) -> None:
        """Close the bar, or say what was not said of the last epoch."""
        if self.bar is not None:
            self.bar.close()
        elif self.lines and self.last and not self.written:
            self._write(over=True)
        self.bar, self.last, self.seconds = None, {}, []

    def _draw(self, entry: dict[str, Any]) -> None:
        from tqdm import tqdm

        if self.bar is None:
            form = "{desc}: epoch {n}/{total} |{bar}| {elapsed}<{remaining}{postfix}"
            options = {"total": entry.get("epochs"), "initial": int(entry["epoch"]) - 1, "bar_format": form}
            self.bar = tqdm(desc=_stage(entry), file=sys.stderr, dynamic_ncols=True, **options)
        self.bar.set_postfix_str(", ".join(_figures(entry)), refresh=False)
        self.bar.update()

    def _write(self, *, over: bool = False) -> None:
        left = 0.0 if over else _left(self.last) * sum(self.seconds) / len(self.seconds)
        time_left = [f"about {left:.0f} s left"] if left else []
        say(", ".join([describe_epoch(self.last), *time_left]))
        self.told, self.written = time.monotonic(), True


_SECONDS_BETWEEN_LINES = 10.0


def describe_epoch(entry: dict[str, Any]) -> str:
    """An epoch in words.

    Example:
        >>> describe_epoch({"stage": "speech", "epoch": 3.0, "epochs": 30, "loss": 0.5, "seconds": 2.0, "dev": 0.612})
        'speech: epoch 3 of 30, loss 0.500, dev UAR 61.2 %'
    """
    many = f" of {entry['epochs']}" if "epochs" in entry else ""
    return ", ".join([f"{_stage(entry)}: epoch {entry['epoch']:.0f}{many}", *_figures(entry)])


def _figures(entry: dict[str, Any]) -> list[str]:
    dev = [f"dev UAR {100 * entry['dev']:.1f} %"] if "dev" in entry else []
    return [f"loss {entry['loss']:.3f}", *dev]


def _stage(entry: dict[str, Any]) -> str:
    return entry.get("stage") or "training"


def _left(entry: dict[str, Any]) -> int:
    """Epochs that are left at most."""
    return max(0, int(entry.get("epochs", entry["epoch"]) - entry["epoch"]))


class StatusLine:
    """How far a run is, on stderr: a line that is written over on a terminal, a line every ten seconds elsewhere.

    Args:
        quiet: Show none.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._last = quiet, time.monotonic()
        self._over, self._drawn = sys.stderr.isatty(), False

    def say(self, line: str) -> None:
        """A sentence that is always shown."""
        self.end()
        say(f"bimodal: {line}")

    def show(self, line: str, *, now: bool = False) -> None:
        """How far the run is; at most twice a second on a terminal.

        Args:
            line: Replaces the last one.
            now: Show it however short the time since the last one.
        """
        pause = 0.5 if self._over else _SECONDS_BETWEEN_LINES
        if self._quiet or (time.monotonic() - self._last < pause and not now):
            return
        self._last = time.monotonic()
        if self._over:
            typer.echo(f"\r\x1b[K{line}", err=True, nl=False)
            self._drawn = True
        else:
            say(line)

    def end(self) -> None:
        """Leave the line."""
        if self._drawn:
            typer.echo("", err=True)
        self._drawn = False


_WORTH_A_BAR = 30.0  # seconds of audio


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Progress through seconds of audio, with lines of text above it.

    Attributes:
        tqdm: The bar itself; None if none is shown.
    """

    tqdm: Any = None

    def reach(self, seconds: float) -> None:
        """Move on to this many seconds of audio; never back."""
        if self.tqdm is not None:
            self.tqdm.update(max(0.0, min(seconds, self.tqdm.total) - self.tqdm.n))

    def echo(self, line: str) -> None:
        """A line on stdout."""
        self._write(line, err=False)

    def say(self, line: str) -> None:
        """A line on stderr."""
        self._write(line, err=True)

    def _write(self, line: str, err: bool) -> None:
        if self.tqdm is not None:
            self.tqdm.clear()
        typer.echo(printable(line) if err else line, err=err)
        if self.tqdm is not None:
            self.tqdm.refresh()


@contextmanager
def open_bar(seconds: float, quiet: bool) -> Iterator[Bar]:
    """A bar on stderr with the remaining time; none for short audio or if stderr is not a terminal."""
    if quiet or seconds < _WORTH_A_BAR or not sys.stderr.isatty():
        yield Bar()
        return
    from tqdm import tqdm

    form = "{desc}: {percentage:3.0f}% of {total:.0f} s |{bar}| {elapsed}<{remaining}"
    with tqdm(total=seconds, desc="audio", file=sys.stderr, bar_format=form, dynamic_ncols=True) as bar:
        yield Bar(tqdm=bar)
