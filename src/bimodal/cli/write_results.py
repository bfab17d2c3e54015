"""Recognise recordings and write their results: to a terminal, to stdout for programs, to a folder, to a picture."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING

from bimodal.audio.recordings import Recording, header_seconds
from bimodal.cli.terminal import Bar, open_bar, say
from bimodal.errors import BimodalError
from bimodal.inference.batch import RecognizeOptions, recognize_recording
from bimodal.inference.model import Model
from bimodal.output.console import describe_summary, format_line, format_result, format_stretch
from bimodal.records import Recognition

if TYPE_CHECKING:
    from bimodal.output.result_folder import ResultFolder


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where results go.

    Attributes:
        form: Format, or `table`.
        out: Folder with one file a recording; None for stdout.
        plot: Picture of the one recording; None for none.
        speaker_stats: File of speaker statistics that is updated; None for none.
        quiet: No progress bar.
    """

    form: str
    out: Path | None = None
    plot: Path | None = None
    speaker_stats: Path | None = None
    quiet: bool = False


Write = Callable[[Recording, Iterator[Recognition], bool], None]
"""Writes the results of a recording one by one; the flag says whether they are a timeline."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Values that all recordings share."""

    model: Model
    options: RecognizeOptions
    output: OutputOptions
    folder: "ResultFolder | None"
    bar: Bar
    write: Write


def write_results(
    model: Model,
    recordings: Sequence[Recording],
    options: RecognizeOptions,
    output: OutputOptions,
    settings: Mapping[str, str],
) -> bool:
    """Recognise recordings one after the other. A bad one gives a message on stderr and does not stop the others.

    Args:
        model: The model.
        recordings: What to recognise.
        options: How.
        output: Where the results go.
        settings: What decides the results beside model and `options`; a folder of results stores it.

    Returns:
        True where every recording was recognised.
    """
    if output.plot is not None:
        from bimodal.output.plot import check_plot

        check_plot(output.plot)
    folder = None if output.out is None else _result_folder(model, options, output, settings)
    pending = list(recordings) if folder is None else _pending(folder, recordings)
    programs = output.form != "table" and folder is None
    quiet = output.quiet or not sys.stderr.isatty() or (programs and sys.stdout.isatty())
    lengths = [0.0 if quiet else header_seconds(recording) for recording in pending]
    failed, begin = 0, 0.0
    with open_bar(sum(lengths), quiet) as bar:
        brief = folder is not None or len(recordings) > 1
        write = _program_writer(output.form) if programs else partial(_write_table, bar, brief)
        run = _Run(model=model, options=options, output=output, folder=folder, bar=bar, write=write)
        for recording, length in zip(pending, lengths, strict=True):
            try:
                _recognize(run, recording, begin)
            except BimodalError as error:
                failed += 1
                bar.say(f"bimodal: {str(error).replace(str(recording.path), recording.name)}")
            begin += length
            bar.reach(begin)
    return not failed


def _recognize(run: _Run, recording: Recording, begin: float) -> None:
    """Recognise one recording and write its results one by one; it starts at a position of the progress bar."""
    folder, plot, stats = run.folder, run.output.plot, run.options.speaker_stats
    after = {} if folder is None or stats is not None else folder.ends(recording)
    found = recognize_recording(run.model, recording, run.options, after)
    if folder is not None and (stats is not None or not found.over_time):
        folder.forget(recording)
    results = _kept(run, recording, found.results, begin)
    shown, drawn = (results, iter(())) if plot is None else tee(results)
    run.write(recording, shown, found.over_time)
    if plot is not None:
        from bimodal.output.plot import plot_timeline

        plot_timeline(plot, recording.path, list(drawn), title=recording.name)
    if run.output.speaker_stats is not None and stats is not None:
        from bimodal.features.speaker_stats import save_speaker_stats

        save_speaker_stats(run.output.speaker_stats, stats)


def _kept(run: _Run, recording: Recording, results: Iterator[Recognition], begin: float) -> Iterator[Recognition]:
    """Pass on results; advance the progress bar and write to the folder."""
    for result in results:
        if run.folder is not None:
            run.folder.add(recording, result)
        run.bar.reach(begin + (result.end or 0.0))
        yield result
    if run.folder is not None:
        run.folder.finish(recording)


def _result_folder(
    model: Model, options: RecognizeOptions, output: OutputOptions, settings: Mapping[str, str]
) -> "ResultFolder":
    from bimodal.output.result_folder import ResultFolder

    decided = {
        "model": f"{model.config.name} {model.config.revision}",
        "timeline": str(options.timeline),
        "channels": options.channels,
        "speaker": options.speaker or "",
        "explain": str(options.explain),
    }
    form = "jsonl" if output.form == "table" else output.form
    return ResultFolder(output.out or Path(), form, {**decided, **settings})


def _pending(folder: "ResultFolder", recordings: Sequence[Recording]) -> list[Recording]:
    """Recordings without results."""
    folder.check_places(recordings)
    pending = [one for one in recordings if not folder.is_done(one)]
    if len(pending) < len(recordings):
        say(f"{len(recordings) - len(pending)} of {len(recordings)} recordings are finished already")
    return pending


def _program_writer(form: str) -> Write:
    """Write to stdout for programs. A CSV header is written once, before the first result."""
    from bimodal.output.formats import write_recordings

    sys.stdout.reconfigure(encoding="utf-8", newline="", line_buffering=True)  # type: ignore[union-attr]
    begun = False

    def write(recording: Recording, results: Iterator[Recognition], over_time: bool) -> None:
        nonlocal begun
        for first in results:  # the writer takes the rest, so this loop runs once
            named = ((recording.name, result) for result in chain([first], results))
            write_recordings(named, sys.stdout, form, header=not begun)
            begun = True

    return write


def _write_table(bar: Bar, brief: bool, recording: Recording, results: Iterator[Recognition], over_time: bool) -> None:
    """Write text to read; if `brief`, one line per recording."""
    if over_time:
        from bimodal.inference.timeline import summarise

        bar.echo(f"{recording.name}\n{'from':>9} {'to':>9}  emotion")
        bar.echo(describe_summary(summarise(_printed(results, bar))))
        return
    for result in results:
        bar.echo(format_line(result, recording.name) if brief else format_result(result, Path(recording.name)))


def _printed(results: Iterator[Recognition], bar: Bar) -> Iterator[Recognition]:
    for result in results:
        bar.echo(format_stretch(result))
        yield result
