"""Results as they come: to people in a terminal, to programs on stdout, to a folder, to a picture."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bimodal.audio.recordings import Recording
from bimodal.cli.terminal import Bar, open_bar, say
from bimodal.errors import BimodalError
from bimodal.inference.batch import Found, RecognizeOptions, recognize_recordings
from bimodal.inference.recognizer import Recognizer
from bimodal.output.console import describe_summary, format_line, format_result, format_stretch
from bimodal.records import Recognition

if TYPE_CHECKING:
    from bimodal.output.result_folder import ResultFolder


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where results go.

    Attributes:
        form: Format, or `table`.
        out: Folder for a file a recording; None for stdout.
        plot: Picture of the one recording; None for none.
        speaker_stats: File that is kept up to date; None for none.
        quiet: No progress bar.
    """

    form: str
    out: Path | None = None
    plot: Path | None = None
    speaker_stats: Path | None = None
    quiet: bool = False


def write_results(
    recognizer: Recognizer,
    recordings: Sequence[Recording],
    options: RecognizeOptions,
    output: OutputOptions,
    settings: Mapping[str, str],
) -> bool:
    """Recognise recordings and hand their results over.

    Args:
        recognizer: The model.
        recordings: What to recognise.
        options: How.
        output: Where the results go.
        settings: What decides the results beside model and `options`; a folder of results remembers it.

    Returns:
        True where all went well; what did not was said on stderr.
    """
    if output.plot is not None:
        from bimodal.output.plot import check_plot

        check_plot(output.plot)
    kept = None if output.out is None else _result_folder(recognizer, options, output, settings)
    pending = list(recordings) if kept is None else _pending(kept, recordings)
    programs = output.form != "table" and kept is None
    problems: list[str] = []
    with open_bar(sum(one.seconds for one in pending), output.quiet or (programs and sys.stdout.isatty())) as bar:
        resumes = kept is not None and options.speaker_stats is None
        found = recognize_recordings(recognizer, pending, options, kept.ends if kept and resumes else lambda one: {})
        watched = ((one, _watched(one, results, options, output, kept, bar, problems)) for one, results in found)
        if programs:
            from bimodal.output.formats import write_recordings

            sys.stdout.reconfigure(encoding="utf-8", newline="", line_buffering=True)  # type: ignore[union-attr]
            write_recordings(
                ((one.name, each) for one, results in watched for each in results), sys.stdout, output.form
            )
        else:
            _show(watched, options, bar, brief=kept is not None or len(recordings) > 1)
    return not problems


def _result_folder(
    recognizer: Recognizer, options: RecognizeOptions, output: OutputOptions, settings: Mapping[str, str]
) -> "ResultFolder":
    from bimodal.output.result_folder import ResultFolder

    decided = {
        "model": f"{recognizer.config.name} {recognizer.config.revision}",
        "timeline": str(options.timeline),
        "channels": options.channels,
        "speaker": options.speaker or "",
        "why": str(options.explain),
    }
    form = "jsonl" if output.form == "table" else output.form
    return ResultFolder(output.out or Path(), form, {**decided, **settings})


def _pending(kept: "ResultFolder", recordings: Sequence[Recording]) -> list[Recording]:
    """Recordings whose results are not there yet."""
    kept.check_places(recordings)
    pending = [one for one in recordings if not kept.is_done(one)]
    if len(pending) < len(recordings):
        say(f"{len(recordings) - len(pending)} of {len(recordings)} recordings are finished already")
    return pending


def _watched(
    recording: Recording,
    results: Iterator[Recognition],
    options: RecognizeOptions,
    output: OutputOptions,
    kept: "ResultFolder | None",
    bar: Bar,
    problems: list[str],
) -> Iterator[Recognition]:
    """A recording's results, kept and drawn on their way; what is wrong with it is one sentence, and ends it alone."""
    position, drawn = 0.0, list[Recognition]()
    if kept is not None and (options.speaker_stats is not None or not options.follows(recording)):
        kept.forget(recording)
    try:
        for result in results if kept is None else kept.keep(recording, results):
            bar.advance(max(0.0, (result.end or 0.0) - position))
            position = max(position, result.end or 0.0)
            if output.plot is not None:
                drawn.append(result)
            yield result
        _finish(recording, drawn, options, output)
    except BimodalError as error:
        problems.append(str(error).replace(str(recording.path), recording.name))
        bar.say(f"bimodal: {problems[-1]}")
    bar.advance(max(0.0, recording.seconds - position))


def _finish(
    recording: Recording, drawn: Sequence[Recognition], options: RecognizeOptions, output: OutputOptions
) -> None:
    if output.plot is not None:
        from bimodal.output.plot import plot_timeline

        plot_timeline(output.plot, recording.path, drawn, title=recording.name)
    if output.speaker_stats is not None and options.speaker_stats is not None:
        from bimodal.features.speaker_stats import save_speaker_stats

        save_speaker_stats(output.speaker_stats, options.speaker_stats)


def _show(found: Iterator[Found], options: RecognizeOptions, bar: Bar, *, brief: bool) -> None:
    """Tables for people; brief ones have a line a recording, or a line a stretch and a summary."""
    for recording, results in found:
        if options.follows(recording):
            bar.echo(f"{recording.name}\n{'from':>9} {'to':>9}  emotion")
            from bimodal.inference.timeline import summarise

            doubtful = [0]
            summary = summarise(_shown(results, bar, doubtful))
            bar.echo(describe_summary(summary, doubtful[0]))
        else:
            for result in results:
                name = recording.name
                bar.echo(format_line(result, name) if brief else format_result(result, Path(name)))


def _shown(results: Iterator[Recognition], bar: Bar, doubtful: list[int]) -> Iterator[Recognition]:
    for result in results:
        bar.echo(format_stretch(result))
        doubtful[0] += bool(result.warnings)
        yield result
