"""What the commands show on stderr: lines, progress bars, a counter of epochs."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer


def say(line: str) -> None:
    """A line on stderr."""
    typer.echo(line, err=True)


def bar(items: Iterable[Any], label: str, quiet: bool) -> Iterable[Any]:
    """A progress bar with rate and remaining time on stderr."""
    from tqdm import tqdm

    wrapped: Iterable[Any] = tqdm(items, desc=label, file=sys.stderr, disable=quiet, dynamic_ncols=True, delay=0.5)
    return wrapped


@contextmanager
def epochs(quiet: bool) -> Iterator[Any]:
    """A counter of training epochs with the loss of the last one, from the first epoch on."""
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
