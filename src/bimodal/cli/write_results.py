"""Results as they come: to people in a terminal, to programs on stdout, to a folder, to a picture."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bimodal.audio.recordings import Recording
from bimodal.cli.terminal import Bar, open_bar, say
from bimodal.errors import BimodalError
from bimodal.inference.batch import Found, Wanted, recognize_recordings
from bimodal.inference.recognizer import Recognizer
from bimodal.output.console import describe_summary, for_people, line_for_people, stretch_for_people
from bimodal.records import Recognition

if TYPE_CHECKING:
    from bimodal.output.result_folder import ResultFolder


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Where results go.

    Attributes:
        form: Format, or `table`.
        out: Folder for a file a recording; None for stdout.
        plot: Picture of the one recording; None for none.
        baselines: File that is kept up to date; None for none.
        quiet: No progress bar.
    """

    form: str
    out: Path | None = None
    plot: Path | None = None
    baselines: Path | None = None
    quiet: bool = False


def deliver(
    recognizer: Recognizer,
    recordings: Sequence[Recording],
    wanted: Wanted,
    delivery: Delivery,
    settings: Mapping[str, str],
) -> bool:
    """Recognise recordings and hand their results over.

    Args:
        recognizer: The model.
        recordings: What to recognise.
        wanted: How.
        delivery: Where the results go.
        settings: What decides the results beside model and `wanted`; a folder of results remembers it.

    Returns:
        True where all went well; what did not was said on stderr.
    """
    if delivery.plot is not None:
        from bimodal.output.plot import check_plot

        check_plot(delivery.plot)
    kept = None if delivery.out is None else _result_folder(recognizer, wanted, delivery, settings)
    pending = list(recordings) if kept is None else _pending(kept, recordings)
    programs = delivery.form != "table" and kept is None
    problems: list[str] = []
    with open_bar(sum(one.seconds for one in pending), delivery.quiet or (programs and sys.stdout.isatty())) as bar:
        resumes = kept is not None and wanted.baselines is None
        found = recognize_recordings(recognizer, pending, wanted, kept.ends if kept and resumes else lambda one: {})
        watched = ((one, _watched(one, results, wanted, delivery, kept, bar, problems)) for one, results in found)
        if programs:
            from bimodal.output.formats import write_recordings

            sys.stdout.reconfigure(encoding="utf-8", newline="", line_buffering=True)  # type: ignore[union-attr]
            write_recordings(
                ((one.name, each) for one, results in watched for each in results), sys.stdout, delivery.form
            )
        else:
            _show(watched, wanted, bar, brief=kept is not None or len(recordings) > 1)
    return not problems


def _result_folder(
    recognizer: Recognizer, wanted: Wanted, delivery: Delivery, settings: Mapping[str, str]
) -> "ResultFolder":
    from bimodal.output.result_folder import ResultFolder

    decided = {
        "model": f"{recognizer.config.name} {recognizer.config.revision}",
        "timeline": str(wanted.timeline),
        "channels": wanted.channels,
        "speaker": wanted.speaker or "",
        "why": str(wanted.explain),
    }
    form = "jsonl" if delivery.form == "table" else delivery.form
    return ResultFolder(delivery.out or Path(), form, {**decided, **settings})


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
    wanted: Wanted,
    delivery: Delivery,
    kept: "ResultFolder | None",
    bar: Bar,
    problems: list[str],
) -> Iterator[Recognition]:
    """A recording's results, kept and drawn on their way; what is wrong with it is one sentence, and ends it alone."""
    position, drawn = 0.0, list[Recognition]()
    if kept is not None and (wanted.baselines is not None or not wanted.follows(recording)):
        kept.forget(recording)
    try:
        for result in results if kept is None else kept.keep(recording, results):
            bar.advance(max(0.0, (result.end or 0.0) - position))
            position = max(position, result.end or 0.0)
            if delivery.plot is not None:
                drawn.append(result)
            yield result
        _finish(recording, drawn, wanted, delivery)
    except BimodalError as error:
        problems.append(str(error).replace(str(recording.path), recording.name))
        bar.say(f"bimodal: {problems[-1]}")
    bar.advance(max(0.0, recording.seconds - position))


def _finish(recording: Recording, drawn: Sequence[Recognition], wanted: Wanted, delivery: Delivery) -> None:
    if delivery.plot is not None:
        from bimodal.output.plot import plot_timeline

        plot_timeline(delivery.plot, recording.path, drawn, title=recording.name)
    if delivery.baselines is not None and wanted.baselines is not None:
        from bimodal.features.speaker_stats import save_baselines

        save_baselines(delivery.baselines, wanted.baselines)


def _show(found: Iterator[Found], wanted: Wanted, bar: Bar, *, brief: bool) -> None:
    """Tables for people; brief ones have a line a recording, or a line a stretch and a summary."""
    for recording, results in found:
        if wanted.follows(recording):
            bar.echo(f"{recording.name}\n{'from':>9} {'to':>9}  emotion")
            from bimodal.inference.timeline import summarise

            doubtful = [0]
            summary = summarise(_shown(results, bar, doubtful))
            bar.echo(describe_summary(summary, doubtful[0]))
        else:
            for result in results:
                name = recording.name
                bar.echo(line_for_people(result, name) if brief else for_people(result, Path(name)))


def _shown(results: Iterator[Recognition], bar: Bar, doubtful: list[int]) -> Iterator[Recognition]:
    for result in results:
        bar.echo(stretch_for_people(result))
        doubtful[0] += bool(result.warnings)
        yield result
