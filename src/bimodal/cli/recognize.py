"""The command `recognize`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bimodal.cli.options import Quiet, RootFolder, Threads, renamed
from bimodal.cli.terminal import bar, say
from bimodal.errors import BimodalError

if TYPE_CHECKING:
    from bimodal.asr.whisper import Task, Transcriber
    from bimodal.audio.recordings import Recording
    from bimodal.inference.batch import RecognizeOptions
    from bimodal.inference.model import Model as OpenModel
    from bimodal.inference.prediction_sets import Chooser

ASR_MODEL = "Systran/faster-whisper-base"
_AT_ONCE = 4  # most segments of a long recording that are transcribed at the same time; each needs memory

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[MODEL] [PATH]...",
        help="Recordings, folders of recordings, or - for standard input; none for words alone (--transcript). A model "
        "folder in first place is the same as --model.",
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model folder, installed model, or Hub id. [default: permissive]")
]
Transcript = Annotated[
    str | None, typer.Option("--transcript", help="The words that are spoken; for one recording, or without any.")
]
Transcripts = Annotated[Path | None, typer.Option(help="Manifest with the transcripts of the recordings.")]
Transcribe = Annotated[bool, typer.Option("--transcribe", help="Get the words by automatic speech recognition.")]
Asr = Annotated[str, typer.Option("--asr-model", help="Whisper model in CTranslate2 format: folder or Hub id.")]
Language = Annotated[str, typer.Option(help="Spoken language as ISO 639-1 code. [default: detected]")]
Translate = Annotated[bool, typer.Option("--translate", help="Like --transcribe, but translate to English.")]
Download = Annotated[bool, typer.Option("--download", help="Download a Hub id that is not on this machine.")]
Timeline = Annotated[
    bool | None,
    typer.Option(
        "--timeline/--whole",
        help="Results over time, or one result for the recording. [default: over time if longer than 30 s]",
    ),
]
Channels = Annotated[
    Literal["mix", "speakers"],
    typer.Option(help="Mix all channels, or take each channel as one speaker (results over time)."),
]


def _speakers(given: str | None) -> "int | Literal['auto'] | None":
    """How many speakers a word on the command line stands for.

    Raises:
        typer.BadParameter: Neither `auto` nor a number of speakers.
    """
    from bimodal.records import MOST_SPEAKERS

    if given is None or given == "auto":
        return "auto" if given else None
    if not (given.isdecimal() and 1 <= int(given) <= MOST_SPEAKERS):
        raise typer.BadParameter(f"'{given}' is neither auto nor a number from 1 to {MOST_SPEAKERS}")
    return int(given)


Speakers = Annotated[
    str | None,
    typer.Option(
        "--speakers",
        metavar="auto|N",
        help="Tell the speakers of a mono recording apart by their voices: their number, or auto to find it (results "
        "over time; needs --segmentation).",
    ),
]
Segmentation = Annotated[
    Path | None,
    typer.Option(
        envvar="BIMODAL_SEGMENTATION",
        help="ONNX file of pyannote segmentation-3.0, for --speakers.",
    ),
]
Track = Annotated[
    int | None,
    typer.Option(min=1, help="Sound track of a video, from 1. [default: the one that the file marks as default]"),
]


def _formats() -> list[str]:
    from bimodal.output.formats import FORMATS  # here, as a table for people starts faster without

    return ["table", *FORMATS]


def _check_format(form: str) -> str:
    if form != "table" and form not in _formats():
        raise typer.BadParameter(f"'{form}' is not one of {', '.join(_formats())}")
    return form


Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="table to read; jsonl, json, csv, vtt, srt, textgrid, elan, labelstudio, rttm, emotionml for programs.",
        callback=_check_format,
        autocompletion=_formats,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for one result file per recording. A second call continues an interrupted one."),
]
Plot = Annotated[Path | None, typer.Option(help="Picture to write, .png, .svg or .pdf; for one recording.")]
SpeakerStatsFile = Annotated[
    Path | None, typer.Option(help="File with speaker statistics. It is read if it exists, and updated.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Explain each result: which speech and which words led to it, conflicts.")
]


def parse_coverage(given: str | None) -> float | None:
    """The share that a word on the command line stands for.

    Raises:
        BimodalError: Not a number above 0 and below 1.
    """
    if given is None:
        return None
    from bimodal.inference.prediction_sets import check_coverage

    try:
        share: Any = float(given)
    except ValueError:
        share = given
    try:
        check_coverage(share)
    except BimodalError as error:
        raise typer.BadParameter(str(error)) from error
    return float(share)


Coverage = Annotated[
    str | None,
    typer.Option(
        "--coverage",
        metavar="SHARE",
        help="Also give the emotions among which the right one is with this coverage, such as 0.9, for speakers like "
        "those of the model's calibration.",
    ),
]
By = Annotated[
    Literal["emotion", "marginal"],
    typer.Option("--coverage-by", help="Cover each emotion that often, or all emotions together (smaller sets)."),
]
Adapt = Annotated[
    bool,
    typer.Option(
        "--adapt",
        help="Adapt the model to these recordings first, without labels: for 20 or more that hold several emotions and "
        "come from one microphone, room or language. With --out, the adaptation is kept there for later calls.",
    ),
]
Speaker = Annotated[str | None, typer.Option(help="Who speaks in the recordings; the key of --speaker-stats.")]


def recognize(
    paths: Paths = None,
    model: Model = None,
    transcript: Transcript = None,
    transcripts: Transcripts = None,
    root: RootFolder = None,
    transcribe: Transcribe = False,
    asr: Asr = ASR_MODEL,
    language: Language = "",
    translate: Translate = False,
    download: Download = False,
    timeline: Timeline = None,
    channels: Channels = "mix",
    speakers: Speakers = None,
    segmentation: Segmentation = None,
    track: Track = None,
    form: Form = "table",
    out: Out = None,
    plot: Plot = None,
    speaker_stats: SpeakerStatsFile = None,
    speaker: Speaker = None,
    adapt: Adapt = False,
    explain: Explain = False,
    coverage: Coverage = None,
    coverage_by: By = "emotion",
    threads: Threads = 0,
    quiet: Quiet = False,
    old_transcript: Annotated[str | None, renamed("--text", "--transcript")] = None,
    old_explain: Annotated[bool, renamed("--why", "--explain")] = False,
) -> None:
    """Recognise emotion in recordings, in words, or in both."""
    model, paths = _model_in_front(model, paths or [])
    by_asr, told = transcribe or translate, transcript is not None
    _check_words(paths, {"--transcript": told, "--transcripts": transcripts is not None, "--transcribe": by_asr})
    people = _speaker_options(speakers, segmentation, speaker, speaker_stats, channels, timeline)
    share = _check_adapt(adapt, parse_coverage(coverage), paths)
    opened = _open(model, download, threads, preload=bool(paths))
    choose = opened.set_chooser(share, coverage_by)  # a model without sets is refused before it works
    if not paths:
        return _recognize_words(opened, transcript or "", form, explain, choose)
    from bimodal.cli.write_results import OutputOptions, write_results
    from bimodal.inference.batch import RecognizeOptions, read_words

    recordings = _find_recordings(paths, "" if out else form, {"--transcript": told, "--plot": plot is not None})
    opened = _adapted(opened, recordings, out, track, quiet) if adapt else opened
    options = RecognizeOptions(
        timeline=timeline,
        channels=channels,
        track=track,
        transcript=transcript,
        words=read_words(transcripts, recordings, root) if transcripts else None,
        explain=explain,
        coverage=share,
        coverage_by=coverage_by,
        **people,
    )
    transcriber = _transcriber(asr, download, _asr_threads(threads, recordings, options)) if by_asr else None
    options = options if transcriber is None else _with_asr(options, transcriber, _task(translate), language)
    settings = _settings(options, transcriber, f"{language} {_task(translate)}") if out else {}
    output = OutputOptions(form=form, out=out, plot=plot, speaker_stats=speaker_stats, quiet=quiet)
    sys.exit(0 if write_results(opened, recordings, options, output, settings) else 1)


def _open(name: str | None, download: bool, threads: int, *, preload: bool) -> "OpenModel":
    """The model, named on stderr; with recordings, what `preload` began to load before the command line was read."""
    from bimodal.inference.installed import find_model
    from bimodal.inference.model import Model as OpenModel
    from bimodal.inference.preload import open_model

    folder = find_model(name, download=download)
    opened = open_model(folder, threads) if preload else OpenModel(folder, threads=threads)
    say(f"{opened.config.name} {opened.config.version}, licence of the weights: {opened.config.licence}")
    return opened


def _adapted(
    model: "OpenModel", recordings: "Sequence[Recording]", out: Path | None, track: int | None, quiet: bool
) -> "OpenModel":
    """The model, adapted to the recordings; the adaptation is kept in the folder of results, if there is one."""
    from bimodal.inference.adapt_recordings import adapt_to_recordings
    from bimodal.inference.model_folder import ADAPTATION

    file = None if out is None else out / ADAPTATION
    earlier = file is not None and file.exists()
    progress = partial(bar, quiet=quiet or not sys.stderr.isatty())
    adapted = adapt_to_recordings(model, recordings, file, track=track, progress=progress)
    kept = f" (an earlier call kept this in {file}; delete the file to adapt again)" if earlier else ""
    say(f"adapted to {adapted.config.adapted_to}{kept}")
    return adapted


def _task(translate: bool) -> "Task":
    return "translate" if translate else "transcribe"


def _with_asr(
    options: "RecognizeOptions", transcriber: "Transcriber", task: "Task", language: str
) -> "RecognizeOptions":
    from bimodal.asr.timed_words import make_asr

    return replace(options, asr=make_asr(transcriber, task, language or None))


def _asr_threads(threads: int, recordings: "Sequence[Recording]", options: "RecognizeOptions") -> tuple[int, int]:
    """Threads of one call of speech recognition, and calls at once: all threads for a clip, one each for a timeline."""
    from bimodal.audio.recordings import header_seconds
    from bimodal.inference.batch import WHOLE_SECONDS

    threads = threads or os.cpu_count() or 1
    long = any(options.over_time(longer=header_seconds(one) > WHOLE_SECONDS) for one in recordings)
    return (1, min(threads, _AT_ONCE)) if long else (threads, 1)


def _model_in_front(model: str | None, paths: list[Path]) -> tuple[str | None, list[Path]]:
    """The model and the recordings. Without --model, the first path may be a model folder."""
    if model is None and paths and _is_model(paths[0]):
        return str(paths[0]), paths[1:]
    return model, paths


def _is_model(folder: Path) -> bool:
    from bimodal.inference.model_folder import CONFIG

    return (folder / CONFIG).is_file()


def _check_adapt(adapt: bool, share: float | None, paths: Sequence[Path]) -> float | None:
    """The coverage of prediction sets, unless something does not go with an adaptation."""
    if adapt and share is not None:
        raise typer.BadParameter("--coverage cannot be used with --adapt: prediction sets are calibrated without it")
    if adapt and not paths:
        raise typer.BadParameter("--adapt needs recordings")
    return share


def _check_words(paths: Sequence[Path], ways: dict[str, bool]) -> None:
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise typer.BadParameter(f"use only one of {' and '.join(given)}")
    if not paths and given != ["--transcript"]:
        raise typer.BadParameter("give recordings, folders of them, - for standard input, or --transcript alone")


def _speaker_options(
    speakers: str | None,
    segmentation: Path | None,
    speaker: str | None,
    speaker_stats: Path | None,
    channels: str,
    timeline: bool | None,
) -> dict[str, Any]:
    """What `RecognizeOptions` holds of speakers, by field; checked before any work."""
    _check_speakers(speaker_stats, speaker, channels)
    people = _check_found_speakers(_speakers(speakers), segmentation, speaker_stats or speaker, channels, timeline)
    known = _known_speakers(speaker_stats)
    return {"speaker": speaker, "speaker_stats": known, "speakers": people, "segmentation": segmentation}


def _check_speakers(speaker_stats: Path | None, speaker: str | None, channels: str) -> None:
    """Refuse speaker statistics of nobody."""
    if speaker_stats is not None and speaker is None and channels == "mix":
        raise typer.BadParameter("--speaker-stats needs --speaker, or --channels speakers")


def _check_found_speakers(
    people: "int | Literal['auto'] | None",
    segmentation: Path | None,
    known: Path | str | None,
    channels: str,
    timeline: bool | None,
) -> "int | Literal['auto'] | None":
    """The number of speakers, unless something does not go with it; what it needs is looked for before any work."""
    if people is None:
        return None
    if known is not None:
        raise typer.BadParameter("--speakers finds who speaks; leave out --speaker and --speaker-stats")
    if channels == "speakers":
        raise typer.BadParameter("--channels speakers has one speaker a channel; leave out --speakers")
    if timeline is False:
        raise typer.BadParameter("--speakers gives results over time; leave out --whole")
    from bimodal.diarisation.networks import open_networks  # here, since few calls need it

    open_networks(segmentation)
    return people


def _settings(options: "RecognizeOptions", transcriber: "Transcriber | None", heard_as: str) -> dict[str, str]:
    """What decides results beside model, recording and words, for the index of a result folder."""
    settings = {} if options.track is None else {"track": str(options.track)}
    settings |= {} if options.speakers is None else {"speakers": str(options.speakers)}
    settings |= {} if options.coverage is None else {"coverage": f"{options.coverage} {options.coverage_by}"}
    return settings | ({} if transcriber is None else {"asr": f"{transcriber.digest[:12]} {heard_as}"})


def _find_recordings(paths: list[Path], form: str, options: dict[str, bool]) -> "list[Recording]":
    """The recordings below some paths; several are refused for options that need one."""
    from bimodal.audio.recordings import find_recordings

    recordings = find_recordings(paths)
    for option, given in options.items():
        if given and len(recordings) > 1:
            raise typer.BadParameter(f"{option} needs exactly one recording, found {len(recordings)}")
    if len(recordings) > 1 and form and not _holds_several(form):
        raise typer.BadParameter(
            f"--format {form} holds one recording, found {len(recordings)}; use --out FOLDER to write one file for each"
        )
    return recordings


def _holds_several(form: str) -> bool:
    if form == "table":
        return True
    from bimodal.output.formats import FORMATS

    return FORMATS[form].append is not None


def _recognize_words(model: Any, transcript: str, form: str, explain: bool, choose: "Chooser") -> None:
    """Recognise words alone."""
    from bimodal.inference.batch import recognize_signals
    from bimodal.output.console import format_result, json_line
    from bimodal.output.formats import write_recognitions
    from bimodal.records import Clip

    (result,) = recognize_signals(model, [Clip(transcript=transcript)], [None], explain=explain)
    result = choose(result)
    if form in ("table", "jsonl"):
        typer.echo(json_line(result, None) if form == "jsonl" else format_result(result, None))
    else:
        write_recognitions([result], sys.stdout, form)


def _transcriber(asr: str, download: bool, threads: tuple[int, int]) -> "Transcriber":
    """Speech recognition with the threads of `_asr_threads`."""
    from bimodal.asr.whisper import Transcriber
    from bimodal.errors import TranscriptionError

    try:
        return Transcriber(asr, threads=threads[0], at_once=threads[1], download=download)
    except TranscriptionError as error:
        raise BimodalError(
            f"--transcribe: {error}; use --asr-model with any Whisper model in CTranslate2 format"
        ) from (error)


def _known_speakers(file: Path | None) -> Any:
    """Speaker statistics from a file; None if no file is given."""
    if file is None:
        return None
    from bimodal.features.speaker_stats import SpeakerStatsStore, load_speaker_stats

    return load_speaker_stats(file) if file.exists() else SpeakerStatsStore()
