"""The command `listen`: live speech."""

import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bimodal.cli.options import ModelOrName, Threads
from bimodal.cli.terminal import say


def listen(
    model: ModelOrName,
    source: Annotated[
        Path | None, typer.Option("--input", help="Play this file in real time instead of a microphone.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="Microphone: number, or part of its name. [default: that of the system]")
    ] = "",
    speaker: Annotated[str | None, typer.Option(help="Who speaks; the results repeat it.")] = None,
    form: Annotated[
        Literal["live", "jsonl"],
        typer.Option("--format", help="Live view in the terminal, or JSON Lines of final results."),
    ] = "live",
    threads: Threads = 0,
) -> None:
    """Recognise emotion in live speech from a microphone.

    Ctrl-C ends it.
    """
    from rich.live import Live

    from bimodal.audio.microphone import open_microphone, play_file
    from bimodal.inference.live import listen as moments_of
    from bimodal.inference.recognizer import Recognizer
    from bimodal.inference.summary import summarise
    from bimodal.output.console import describe_summary, json_line

    recognizer = Recognizer(model, threads=threads)
    config = recognizer.config
    sound = open_microphone(device) if source is None else play_file(source)
    say(f"{config.name} {config.version}, licence of the weights: {config.licence}; listening to {sound.name}")
    stream = recognizer.stream(sound.sampling_rate, speaker=speaker)
    if form == "jsonl":
        for result in _results(moments_of(stream, sound), stream, sound):
            typer.echo(json_line(result, None))
        return
    with Live(auto_refresh=False) as view:
        summary = summarise(_results(moments_of(stream, sound), stream, sound, view))
    if not sys.stdout.isatty():
        typer.echo()  # rich leaves its last line open there
    typer.echo(describe_summary(summary))


def _results(moments: Iterator[Any], stream: Any, sound: Any, view: Any = None) -> Iterator[Any]:
    """Results one by one, also shown in the view. Ctrl-C ends the recording like the end of a file.

    A file that is cut or damaged is told at the end, on stderr and in the last result.
    """
    from bimodal.inference.live import Moment
    from bimodal.inference.timeline import warn_at_end
    from bimodal.output.live import SHOWN, draw

    seen: deque[Any] = deque(maxlen=SHOWN)
    try:
        for moment in moments:
            seen += moment.results
            if view is not None:
                view.update(draw(seen, moment), refresh=True)
            yield from moment.results
    except KeyboardInterrupt:
        say("")
    rest = list(warn_at_end(stream.finish(), sound.warnings))
    for warning in sound.warnings():
        say(f"bimodal: warning: {sound.name}: {warning}")
    seen += rest
    if view is not None:
        view.update(
            draw(seen, Moment(duration=stream.duration, level=-100.0, results=rest, partial=None)), refresh=True
        )
    yield from rest
