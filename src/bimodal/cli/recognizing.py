"""Commands that recognise."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bimodal.cli.options import ModelFolder, Threads
from bimodal.cli.terminal import say
from bimodal.errors import BimodalError


def recognize(
    model: ModelFolder,
    paths: Annotated[list[Path] | None, typer.Argument(help="Recordings; none with --text alone.")] = None,
    text: Annotated[str | None, typer.Option(help="The words that are said.")] = None,
    timeline: Annotated[bool, typer.Option("--timeline", help="Follow a long recording, stretch by stretch.")] = False,
    channels: Annotated[
        Literal["mix", "speakers"], typer.Option(help="With --timeline: one speaker a channel, or all mixed.")
    ] = "mix",
    form: Annotated[
        Literal["table", "jsonl", "csv", "vtt", "srt", "textgrid", "rttm", "emotionml"],
        typer.Option("--format", help="Table for people, or JSON Lines; the others go with --timeline."),
    ] = "table",
    baselines: Annotated[
        Path | None,
        typer.Option(help="File with what speakers have sounded like so far; read if there, written afterwards."),
    ] = None,
    speaker: Annotated[str | None, typer.Option(help="Who speaks in the recordings; names a baseline.")] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Say what the answer hangs on: stretches of the voice, words, conflicts.")
    ] = False,
    threads: Threads = 0,
) -> None:
    """Recognise the emotion expressed in recordings, in words, or in both."""
    from bimodal.recognizer import Recognizer
    from bimodal.timeline import TimelineConfig

    if text is not None and (timeline or (paths and len(paths) > 1)):
        raise typer.BadParameter("--text goes with one recording, taken as a whole")
    if form not in ("table", "jsonl") and not timeline:
        raise typer.BadParameter(f"--format {form} goes with --timeline")
    if timeline and not paths:
        raise typer.BadParameter("--timeline needs a recording")
    if baselines is not None and speaker is None and channels == "mix":
        raise typer.BadParameter("--baselines needs --speaker, or --channels speakers")
    recognizer = Recognizer(model, threads=threads)
    say(f"{recognizer.config.name} {recognizer.config.version}, licence of the weights: {recognizer.config.licence}")
    known = _known_speakers(baselines)
    failed = False
    wanted: list[Path | None] = [*paths] if paths else [None]
    for path in wanted:
        try:
            if timeline and path is not None:
                _follow(recognizer, path, TimelineConfig(channels=channels, explain=why), form, speaker, known)
            else:
                _recognize_whole(recognizer, path, text, form, speaker, known, why)
        except BimodalError as error:
            say(f"bimodal: {error}")
            failed = True
    if baselines is not None and not failed:
        from bimodal.features.baseline import save_baselines

        save_baselines(baselines, known)
    if failed:
        sys.exit(1)


def _known_speakers(file: Path | None) -> Any:
    """Baselines of speakers to begin with; None where none are wanted."""
    from bimodal.features.baseline import SpeakerBaselines, load_baselines

    if file is None:
        return None
    return load_baselines(file) if file.exists() else SpeakerBaselines()


def _recognize_whole(
    recognizer: Any, path: Path | None, text: str | None, form: str, speaker: str | None, known: Any, why: bool
) -> None:
    """One recording, or words alone, as one utterance."""
    from bimodal.records import Clip
    from bimodal.showing import for_people, json_line

    clip = Clip(audio=path, transcript=text, speaker=speaker)
    result = recognizer.recognize_batch([clip], known, explain=why)[0]
    typer.echo(json_line(result, path) if form == "jsonl" else for_people(result, path))


def _follow(
    recognizer: Any,
    path: Path,
    config: Any,
    form: str,
    speaker: str | None,
    known: Any,
) -> None:
    """A long recording as a timeline; results are written as they come."""
    from bimodal.formats import write_recognitions
    from bimodal.timeline import recognize_long, summarise

    names = () if speaker is None else (speaker,)
    results = recognize_long(recognizer, path, speakers=names, config=config, baselines=known)
    if form != "table":
        write_recognitions(results, sys.stdout, form, recording=path.name)
        return
    seen = []
    typer.echo(f"{path}\n{'from':>9} {'to':>9}  emotion")
    for result in results:
        seen.append(result)
        score = 0.0 if result.emotion is None else result.scores[result.emotion]
        who = f"  {result.speaker}" if result.speaker else ""
        said = f"{result.emotion} {score:.2f}" if result.emotion else f"- ({result.reason})"
        typer.echo(f"{result.start or 0.0:9.2f} {result.end or 0.0:9.2f}  {said}{who}")
    summary = summarise(seen)
    shares = ", ".join(f"{emotion} {100 * share:.0f} %" for emotion, share in summary.shares.items() if share)
    typer.echo(f"speech {summary.speech_seconds:.1f} of {summary.duration:.1f} s: {shares or 'nothing judged'}")
