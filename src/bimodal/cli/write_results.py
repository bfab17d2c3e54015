"""Recognise recordings and write their results: to a terminal, to stdout for programs, to a folder, to a picture."""

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bimodal.audio.recordings import Recording, header_seconds
from bimodal.cli.terminal import Bar, open_bar, say
from bimodal.errors import BimodalError
from bimodal.inference.batch import (
    OpenedRecording,
    RecognizeOptions,
    RecordingResults,
    open_recordings,
    recognize_recording,
    words_of,
)
from bimodal.inference.model import Model
from bimodal.output.console import describe_summary, describe_warnings, format_line, format_result, format_stretch
from bimodal.records import Recognition

if TYPE_CHECKING:
    from bimodal.output.result_folder import Journal, ResultFolder, Task

ADVICE: Final = (
    "hint: if these recordings come from one source and hold several emotions, --adapt can raise the share of right "
    "answers"
)
_TOLD: Final = {
    "cut-in-data",
    "cut-before-end",
    "damaged",
    "voices-alike",
    "speakers-doubtful",
    "speakers-missing",
}
"""Codes of the warnings that stderr tells."""


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
    tasks: "Mapping[Recording, Task]"
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
        True if every recording was recognised.
    """
    if output.plot is not None:
        from bimodal.output.plot import check_plot

        check_plot(output.plot)
    folder = None if output.out is None else _result_folder(model, options, output, settings)
    tasks = {} if folder is None else _pending(folder, recordings, options)
    pending = [one for one in recordings if folder is None or one in tasks]
    programs = output.form != "table" and folder is None
    quiet = output.quiet or not sys.stderr.isatty() or (programs and sys.stdout.isatty())
    lengths = {one: 0.0 if quiet else header_seconds(one) for one in pending}
    with open_bar(sum(lengths.values()), quiet) as bar:
        warned: list[tuple[str, ...]] | None = [] if folder is not None or len(recordings) > 1 else None
        write = _program_writer(output.form) if programs else partial(_write_table, bar, warned)
        run = _Run(model=model, options=options, output=output, folder=folder, tasks=tasks, bar=bar, write=write)
        whole = _recognize_all(run, lengths)
        if told := describe_warnings(warned or ()):
            bar.echo(told)
    if warned and not programs and model.takes_audio and not model.config.adapted_to:
        from bimodal.inference.adapt import LEAST_CLIPS  # start-up: a single recording needs none of it

        if len(recordings) >= LEAST_CLIPS:
            say(ADVICE)
    return whole


def _recognize_all(run: _Run, lengths: Mapping[Recording, float]) -> bool:
    """Recognise recordings of these lengths; last those whose results another process writes at the moment."""
    failed, begin = 0, 0.0
    pending = list(lengths)
    for wait in (False, True):
        busy = []
        opened = open_recordings(run.model, pending, run.options)
        for recording, one in zip(pending, opened, strict=True):
            try:
                if not _recognize(run, recording, one, begin, wait=wait):
                    busy.append(recording)
                    continue
            except BimodalError as error:
                failed += 1
                run.bar.say(f"bimodal: {str(error).replace(str(recording.path), recording.name)}")
            begin += lengths[recording]
            run.bar.reach(begin)
        pending = busy
    return not failed


def _recognize(
    run: _Run, recording: Recording, opened: OpenedRecording | BimodalError, begin: float, *, wait: bool
) -> bool:
    """Recognise one recording; False if another process writes its results at the moment."""
    if run.folder is None:
        _write(run, recording, opened, begin, None)
        return True
    task = run.tasks[recording]
    journal = run.folder.claim(task, wait=wait)
    if journal is None:
        return wait or run.folder.is_done(task)
    with journal:
        if journal.other:
            run.bar.say(
                f"{recording.name}: an interrupted call recognised another recording or other words; starting over"
            )
        _write(run, recording, opened, begin, journal)
    return True


def _write(
    run: _Run,
    recording: Recording,
    opened: OpenedRecording | BimodalError,
    begin: float,
    journal: "Journal | None",
) -> None:
    """Recognise one recording and write its results one by one; it starts at a position of the progress bar."""
    plot, stats = run.output.plot, run.options.speaker_stats
    found, adding = _continued(run, recording, journal), None
    if found is None:
        again = stats is not None or run.options.speakers is not None  # their baselines hang on all that was before
        after = {} if journal is None or again else journal.ends
        found, adding = recognize_recording(run.model, recording, run.options, after, opened), journal
        if journal is not None and (again or not found.over_time):
            journal.restart()
    results = _finished(run, recording, _added(run, found.results, begin, adding), journal)
    shown, drawn = (results, iter(())) if plot is None else tee(results)
    run.write(recording, shown, found.over_time)
    if plot is not None:
        from bimodal.output.plot import plot_timeline

        plot_timeline(plot, recording.path, list(drawn), title=recording.name)


def _continued(run: _Run, recording: Recording, journal: "Journal | None") -> RecordingResults | None:
    """The results of an interrupted call that had them all, and had added the recording to the speaker statistics.

    Such a recording must not be scored with itself, so it is not recognised again.
    """
    stats = run.options.speaker_stats
    if journal is None or stats is None or not journal.ends or stats.last != _mark(run.tasks[recording]):
        return None
    return RecordingResults(over_time=any(end > 0 for end in journal.ends.values()), results=journal.results())


def _mark(task: "Task") -> str:
    """A name for a recording and its content that tells neither."""
    return hashlib.sha256(f"{task.key} {task.source}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _added(run: _Run, results: Iterator[Recognition], begin: float, journal: "Journal | None") -> Iterator[Recognition]:
    """Pass on results; advance the progress bar, write to the journal."""
    for result in results:
        if journal is not None:
            journal.add(result)
        run.bar.reach(begin + (result.end or 0.0))
        yield result


def _finished(
    run: _Run, recording: Recording, results: Iterator[Recognition], journal: "Journal | None"
) -> Iterator[Recognition]:
    """Pass on results; at last store speaker statistics and results, and say what is wrong with the recording."""
    told: dict[str, None] = {}
    for result in results:
        told |= dict.fromkeys(message.text for message in result.messages if message.code in _TOLD)
        yield result
    _save_stats(run, "" if journal is None else _mark(run.tasks[recording]))
    if journal is not None and run.folder is not None:
        run.folder.finish(run.tasks[recording], journal)
    for warning in told:
        run.bar.say(f"bimodal: warning: {recording.name}: {warning}")


def _save_stats(run: _Run, last: str) -> None:
    """Write the speaker statistics, if they are asked for. A killed call has done so before it finished `last`."""
    file, stats = run.output.speaker_stats, run.options.speaker_stats
    if file is None or stats is None:
        return
    from bimodal.features.speaker_stats import save_speaker_stats

    stats.last = last
    save_speaker_stats(file, stats)


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
        "speaker_stats": str(options.speaker_stats is not None),
    }
    form = "jsonl" if output.form == "table" else output.form
    return ResultFolder(output.out or Path(), form, {**decided, **settings})


def _pending(
    folder: "ResultFolder", recordings: Sequence[Recording], options: RecognizeOptions
) -> "dict[Recording, Task]":
    """Recordings without results; one line for each whose results are out of date."""
    tasks = folder.tasks(recordings, [words_of(recording, options) for recording in recordings])
    pending = {}
    for recording, task in zip(recordings, tasks, strict=True):
        if folder.is_done(task):
            folder.tidy(task)
            continue
        pending[recording] = task
        if change := folder.change(task):
            say(f"{recording.name}: {change} since the last call; it is recognised again")
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


def _write_table(
    bar: Bar,
    warned: list[tuple[str, ...]] | None,
    recording: Recording,
    results: Iterator[Recognition],
    over_time: bool,
) -> None:
    """Write text to read. Of many recordings, each is a line, and its warnings are collected in `warned`."""
    if over_time:
        from bimodal.inference.summary import summarise

        bar.echo(f"{recording.name}\n{'from':>9} {'to':>9}  emotion")
        bar.echo(describe_summary(summarise(_printed(results, bar))))
        return
    for result in results:
        if warned is None:
            bar.echo(format_result(result, Path(recording.name)))
            continue
        warned.append(result.warnings)
        bar.echo(format_line(result, recording.name))


def _printed(results: Iterator[Recognition], bar: Bar) -> Iterator[Recognition]:
    for result in results:
        bar.echo(format_stretch(result))
        yield result
