"""Output on stderr: lines, progress bars, a counter of epochs."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    """A counter of training epochs with the last loss."""
    from tqdm import tqdm

    bars: list[Any] = []

    def on_epoch(entry: dict[str, float]) -> None:
        if not bars:
            bars.append(tqdm(desc="training", unit=" epochs", file=sys.stderr, disable=quiet, dynamic_ncols=True))
        bars[0].set_postfix(loss=f"{entry['loss']:.3f}", refresh=False)
        bars[0].update()

    try:
        yield on_epoch
    finally:
        for bar in bars:
            bar.close()


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
