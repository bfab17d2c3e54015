"""The command that recognises."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bimodal.cli.options import Quiet, Threads
from bimodal.cli.terminal import say
from bimodal.errors import BimodalError

if TYPE_CHECKING:
    from bimodal.audio.recordings import Recording

ASR_MODEL = "Systran/faster-whisper-base"
_AT_ONCE = 4  # stretches of a long recording that are heard at the same time, at most; each takes memory of its own

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[MODEL] [PATH]...",
        help="Recordings, folders of them, or - for standard input; none with --text alone. A model folder in front "
        "stands for --model.",
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model folder, installed model, or Hub id. [default: permissive]")
]
Text = Annotated[str | None, typer.Option(help="The words that are said in the one recording.")]
Transcripts = Annotated[Path | None, typer.Option(help="Manifest with the words of the recordings.")]
Transcribe = Annotated[bool, typer.Option("--transcribe", help="Hear the words by speech recognition.")]
Asr = Annotated[str, typer.Option("--asr-model", help="Whisper model (CTranslate2): folder or Hub id.")]
Language = Annotated[str, typer.Option(help="What is spoken, ISO 639-1. [default: detected]")]
Translate = Annotated[bool, typer.Option("--translate", help="Hear the words, in English.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch a Hub id that is not on this machine.")]
Timeline = Annotated[
    bool | None,
    typer.Option("--timeline/--whole", help="Stretch by stretch, or as a whole. [default: by length, 30 s]"),
]
Channels = Annotated[
    Literal["mix", "speakers"], typer.Option(help="All channels mixed, or one speaker a channel (a timeline).")
]
Form = Annotated[
    Literal["table", "jsonl", "csv", "vtt", "srt", "textgrid", "rttm", "emotionml"],
    typer.Option("--format", help="Table for people; the others for programs."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for one file of results a recording; a second call goes on where the first stopped."),
]
Plot = Annotated[Path | None, typer.Option(help="Picture of the one recording: .png, .svg or .pdf.")]
SpeakerStatsFile = Annotated[
    Path | None, typer.Option(help="File with what speakers have sounded like so far; read if there, kept up to date.")
]
Why = Annotated[
    bool, typer.Option("--why", help="Say what the answer hangs on: stretches of the voice, words, conflicts.")
]
Speaker = Annotated[str | None, typer.Option(help="Who speaks in the recordings; names a baseline.")]


def recognize(
    paths: Paths = None,
    model: Model = None,
    text: Text = None,
    transcripts: Transcripts = None,
    transcribe: Transcribe = False,
    asr: Asr = ASR_MODEL,
    language: Language = "",
    translate: Translate = False,
    download: Download = False,
    timeline: Timeline = None,
    channels: Channels = "mix",
    form: Form = "table",
    out: Out = None,
    plot: Plot = None,
    speaker_stats: SpeakerStatsFile = None,
    speaker: Speaker = None,
    why: Why = False,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Recognise the emotion expressed in recordings, in words, or in both."""
    model, paths = _model_in_front(model, paths or [])
    hears = transcribe or translate
    _check_words(paths, {"--text": text is not None, "--transcripts": transcripts is not None, "--transcribe": hears})
    if speaker_stats is not None and speaker is None and channels == "mix":
        raise typer.BadParameter("--speaker-stats needs --speaker, or --channels speakers")
    from bimodal.inference.installed import find_model
    from bimodal.inference.preload import open_model
    from bimodal.inference.recognizer import Recognizer

    folder = find_model(model, download=download)
    recognizer = Recognizer(open_model(folder, threads)) if paths else Recognizer(folder, threads=threads)
    say(f"{recognizer.config.name} {recognizer.config.version}, licence of the weights: {recognizer.config.licence}")
    if not paths:
        _recognize_words(recognizer, text or "", form, why)
        return
    from bimodal.audio.recordings import find_recordings, header_seconds
    from bimodal.cli.write_results import OutputOptions, write_results
    from bimodal.inference.batch import WHOLE_SECONDS, RecognizeOptions, read_words

    recordings = find_recordings(paths)
    _check_one(recordings, form if out is None else "", {"--text": text is not None, "--plot": plot is not None})
    options = RecognizeOptions(
        timeline=timeline,
        channels=channels,
        transcript=text,
        words=read_words(transcripts, recordings) if transcripts else None,
        speaker=speaker,
        speaker_stats=_known_speakers(speaker_stats),
        explain=why,
    )
    if hears:
        long = any(options.over_time(longer=header_seconds(one) > WHOLE_SECONDS) for one in recordings)
        options = replace(options, asr=_speech_recognition(asr, language, translate, download, threads, long))
    settings = {"asr": f"{asr} {language} {'translate' if translate else 'transcribe'}"} if hears else {}
    settings |= {"text": text or "", "transcripts": str(transcripts or "")}
    output = OutputOptions(form=form, out=out, plot=plot, speaker_stats=speaker_stats, quiet=quiet)
    if not write_results(recognizer, recordings, options, output, settings):
        sys.exit(1)


def _model_in_front(model: str | None, paths: list[Path]) -> tuple[str | None, list[Path]]:
    """The model and the recordings; the first path is the model where it is a model folder and none is named."""
    if model is None and paths and _is_model(paths[0]):
        return str(paths[0]), paths[1:]
    return model, paths


def _is_model(folder: Path) -> bool:
    from bimodal.inference.model_folder import CONFIG

    return (folder / CONFIG).is_file()


def _check_words(paths: Sequence[Path], ways: dict[str, bool]) -> None:
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)}: give the words in one way")
    if not paths and given != ["--text"]:
        raise typer.BadParameter("give recordings, folders of them, - for standard input, or --text alone")


def _check_one(recordings: "Sequence[Recording]", form: str, options: dict[str, bool]) -> None:
    """Refuse several recordings where one is meant."""
    for option, given in options.items():
        if given and len(recordings) > 1:
            raise typer.BadParameter(f"{option} goes with one recording, these are {len(recordings)}")
    if len(recordings) > 1 and form not in ("", "table", "jsonl", "csv", "rttm"):
        raise typer.BadParameter(
            f"--format {form} holds one recording, these are {len(recordings)}: write a file each with --out FOLDER"
        )


def _recognize_words(recognizer: Any, text: str, form: str, why: bool) -> None:
    """Words alone."""
    from bimodal.output.console import format_result, json_line
    from bimodal.output.formats import write_recognitions
    from bimodal.records import Clip

    result = recognizer.recognize_batch([Clip(transcript=text)], explain=why)[0]
    if form in ("table", "jsonl"):
        typer.echo(json_line(result, None) if form == "jsonl" else format_result(result, None))
    else:
        write_recognitions([result], sys.stdout, form)


def _speech_recognition(asr: str, language: str, translate: bool, download: bool, threads: int, long: bool) -> Any:
    """Hears a clip with all threads; of long recordings several stretches at once, a thread each."""
    from bimodal.asr.timed_words import make_asr
    from bimodal.asr.whisper import Transcriber
    from bimodal.errors import TranscriptionError

    try:
        threads = threads or os.cpu_count() or 1
        each, at_once = (1, min(threads, _AT_ONCE)) if long else (threads, 1)
        transcriber = Transcriber(asr, threads=each, at_once=at_once, download=download)
    except TranscriptionError as error:
        raise BimodalError(f"--transcribe: {error}; any Whisper model in CTranslate2 format goes to --asr-model") from (
            error
        )
    return make_asr(transcriber, "translate" if translate else "transcribe", language or None)


def _known_speakers(file: Path | None) -> Any:
    """Baselines of speakers to begin with; None where none are wanted."""
    if file is None:
        return None
    from bimodal.features.speaker_stats import SpeakerStatsStore, load_speaker_stats

    return load_speaker_stats(file) if file.exists() else SpeakerStatsStore()
