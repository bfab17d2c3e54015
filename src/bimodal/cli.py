"""The command line: each command is a typed function; data go to stdout, everything else to stderr."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from bimodal.errors import BimodalError

LAW = (
    "In the EU, inferring emotions from voice at work or in education is forbidden except for medical or safety "
    "reasons (AI Act, Art. 5(1)(f)); persons exposed must be told (Art. 50(3))."
)
app = typer.Typer(
    name="bimodal",
    help="Recognises the emotion expressed in speech, as perceived, from both what is heard and what is said.\n\n"
    + LAW,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ManifestFile = Annotated[Path, typer.Argument(help="CSV or JSON Lines, one utterance a line.", metavar="MANIFEST")]
ModelFolder = Annotated[Path, typer.Argument(help="Model folder, as 'bimodal train' writes it.", metavar="MODEL")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file; what it leaves out keeps its default.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="One value, such as speech.epochs=5; repeatable.")]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Feature cache. [default: $BIMODAL_CACHE or ~/.cache]")
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="Threads of one operator; 0: one per core.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def main() -> None:
    """Run the command line; exit 0, 1 with one sentence, or 2 for wrong usage."""
    try:
        app()
    except BimodalError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _say("interrupted; what was finished is kept")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}")


def _fail(sentence: str) -> NoReturn:
    _say(f"bimodal: {sentence}")
    sys.exit(1)


def _say(line: str) -> None:
    typer.echo(line, err=True)


@app.command()
def prepare(
    corpus: Annotated[str, typer.Argument(help="ravdess, emodb, meld, ..., or manifest for one's own.")],
    source: Annotated[Path, typer.Argument(help="Folder (or manifest) as it was downloaded.")],
    out: Annotated[Path, typer.Argument(help="Folder to write manifest.csv and audio/ to.")],
) -> None:
    """Turn a published corpus, or one's own manifest, into a folder that the other commands read."""
    from bimodal.corpora import prepare_corpus

    manifest = prepare_corpus(corpus, source, out)
    _say(f"{len(manifest.utterances)} utterances in {manifest.path}; next: bimodal check {manifest.path}")


@app.command()
def check(
    manifest: ManifestFile,
    vocabulary: Annotated[
        str, typer.Option(help="Vocabulary or published grouping that the labels are mapped to, or a TOML map.")
    ] = "ekman7",
    official_split: Annotated[str, typer.Option(help="Accept the overlap of a published split of this name.")] = "",
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Read the header of every recording.")] = True,
    quiet: Quiet = False,
) -> None:
    """Say what a manifest holds, which rows would drop and why, what crosses its splits, what is wrong."""
    from bimodal.checking import check_manifest, describe
    from bimodal.labels import find_map

    report = check_manifest(
        manifest,
        emotion_map=find_map(vocabulary),
        official_split=official_split or None,
        probe_audio=audio,
        progress=lambda items: _bar(items, "recordings", quiet),
    )
    typer.echo(describe(report))
    if report.problems:
        sys.exit(1)


@app.command()
def train(
    arguments: Annotated[
        list[str], typer.Argument(metavar="[speech|text|fusion] MANIFEST OUT", help="One stage, or all; run folder.")
    ],
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    quiet: Quiet = False,
) -> None:
    """Train a model: the speech stage, the text stage, the fusion stage, or all of them; restartable."""
    from bimodal.config import TrainConfig, read_config

    stages, manifest, out = _stages(arguments)
    train_all = _training().train
    resolved = read_config(TrainConfig(), config, settings or ())
    folder = cache or default_cache()
    _say(f"feature cache {folder}: {_megabytes(folder)} before")
    with _epochs(quiet) as on_epoch:
        model = train_all(
            manifest,
            out,
            resolved,
            folder,
            stages=stages,
            progress=lambda items, label: _bar(items, label, quiet),
            on_epoch=on_epoch,
        )
    _say(f"feature cache {folder}: {_megabytes(folder)} after")
    _say(f"model in {model} (licence: {resolved.licence}); next: bimodal evaluate {manifest} --model {model}")


@app.command()
def tune(
    side: Annotated[Literal["speech", "text"], typer.Argument(help="Which encoder is tuned.")],
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(help="Backbone folder to write.")],
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    quiet: Quiet = False,
) -> None:
    """Tune a pretrained encoder and store it as a backbone, for 'bimodal train --set speech_backbone=OUT'; restartable.

    What an encoder finds in data that it was tuned on looks surer than it is: tune on other data than you train on, or
    judge the result on speakers that neither has seen.
    """
    from bimodal.config import TuneSpeechConfig, TuneTextConfig, read_config

    module = _training("finetune", f"tuning_{side}")
    with _epochs(quiet) as on_epoch:
        if side == "speech":
            heard = read_config(TuneSpeechConfig(), config, settings or ())
            folder, licence = cache or default_cache(), heard.licence
            folder = module.tune_speech(
                manifest,
                out,
                heard,
                folder,
                progress=lambda items, label: _bar(items, label, quiet),
                on_epoch=on_epoch,
            )
        else:
            said = read_config(TuneTextConfig(), config, settings or ())
            folder, licence = module.tune_text(manifest, out, said, on_epoch), said.licence
    _say(f"backbone in {folder} (licence: {licence}); next: bimodal train ... --set {side}_backbone={folder}")


def _stages(arguments: list[str]) -> tuple[tuple[str, ...], str, str]:
    """Stages, manifest and run folder from `[STAGE] MANIFEST OUT`."""
    named = arguments[0] if arguments[0] in ("speech", "text", "fusion", "all") and len(arguments) == 3 else "all"
    rest = arguments[1:] if len(arguments) == 3 and arguments[0] == named else arguments
    if len(rest) != 2:
        raise typer.BadParameter("expected [speech|text|fusion] MANIFEST OUT", param_hint="arguments")
    return ("speech", "text", "fusion") if named == "all" else (named,), rest[0], rest[1]


def _training(extra: str = "train", module: str = "packing") -> Any:
    """A module that trains, or a sentence that says how to get what it needs."""
    try:
        return import_module(f"bimodal.training.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("bimodal"):
            raise
        raise BimodalError(f"training needs '{error.name}': pip install 'bimodal-emotion[{extra}]'") from error


@app.command()
def evaluate(
    manifest: ManifestFile,
    model: Annotated[Path | None, typer.Option(help="Model folder to evaluate.")] = None,
    folds: Annotated[str, typer.Option(help="Or train and test per fold: 'loso', a number, or a column name.")] = "",
    split: Annotated[
        str, typer.Option(help="Rows to test a model on. [default: test where there is one, else all]")
    ] = "",
    cluster: Annotated[
        str, typer.Option(help="What intervals are clustered by: speaker, dialogue or utterance.")
    ] = "speaker",
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.json, report.md, report.png, predictions.csv.")
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Measure a model, or a configuration over folds: speech alone, text alone, late fusion and fused side by side."""
    from bimodal.evaluation import describe, evaluate, write_report
    from bimodal.evaluation.protocols import evaluate_folds, evaluate_model

    if (model is None) == (not folds):
        raise typer.BadParameter("give either --model or --folds", param_hint="--model/--folds")

    def progress(items: Iterable[Any], label: str) -> Iterable[Any]:
        return _bar(items, label, quiet)

    if model is not None:
        predictions, notes = evaluate_model(
            model, manifest, split=split, cluster=cluster, threads=threads, progress=progress
        )
    else:
        from bimodal.config import TrainConfig, read_config

        _training()
        resolved = read_config(TrainConfig(), config, settings or ())
        predictions, notes = evaluate_folds(
            manifest, folds, resolved, cache or default_cache(), cluster=cluster, progress=progress
        )
    report = evaluate(predictions, title=str(manifest), notes=notes)
    typer.echo(describe(report))
    if out is not None:
        write_report(out, report, predictions)
        _say(f"written to {out}")


@app.command()
def adapt(
    model: ModelFolder,
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(help="New model folder.")],
    by: Annotated[
        Literal["corpus", "speaker"],
        typer.Option(help="Adapt to all recordings together, or to each named speaker by their own."),
    ] = "corpus",
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Adapt a model to recordings of one's own, without labels; figures of the adapted one must be measured anew."""
    from bimodal.adapting import adapt_model

    adapt_model(model, manifest, out, by=by, threads=threads, progress=lambda items, label: _bar(items, label, quiet))
    _say(f"adapted model in {out}; its card says to what. Next: bimodal recognize {out} RECORDING")


@app.command()
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
    threads: Threads = 0,
) -> None:
    """Recognise the emotion expressed in recordings, in words, or in both."""
    from bimodal.recognizer import Recognizer

    if text is not None and (timeline or (paths and len(paths) > 1)):
        raise typer.BadParameter("--text goes with one recording, taken as a whole")
    if form not in ("table", "jsonl") and not timeline:
        raise typer.BadParameter(f"--format {form} goes with --timeline")
    if timeline and not paths:
        raise typer.BadParameter("--timeline needs a recording")
    if baselines is not None and speaker is None and channels == "mix":
        raise typer.BadParameter("--baselines needs --speaker, or --channels speakers")
    recognizer = Recognizer(model, threads=threads)
    _say(f"{recognizer.config.name} {recognizer.config.version}, licence of the weights: {recognizer.config.licence}")
    known = _known_speakers(baselines)
    failed = False
    wanted: list[Path | None] = [*paths] if paths else [None]
    for path in wanted:
        try:
            if timeline and path is not None:
                _follow(recognizer, path, channels, form, speaker, known)
            else:
                _recognize_whole(recognizer, path, text, form, speaker, known)
        except BimodalError as error:
            _say(f"bimodal: {error}")
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
    recognizer: Any, path: Path | None, text: str | None, form: str, speaker: str | None, known: Any
) -> None:
    """One recording, or words alone, as one utterance."""
    from bimodal.records import Clip
    from bimodal.showing import for_people, json_line

    result = recognizer.recognize_batch([Clip(audio=path, transcript=text, speaker=speaker)], known)[0]
    typer.echo(json_line(result, path) if form == "jsonl" else for_people(result, path))


def _follow(
    recognizer: Any,
    path: Path,
    channels: Literal["mix", "speakers"],
    form: str,
    speaker: str | None,
    known: Any,
) -> None:
    """A long recording as a timeline; results are written as they come."""
    from bimodal.formats import write_recognitions
    from bimodal.timeline import TimelineConfig, recognize_long, summarise

    names = () if speaker is None else (speaker,)
    config = TimelineConfig(channels=channels)
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


@app.command()
def transcribe(
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(help="Manifest to write: .csv or .jsonl, beside MANIFEST or above it.")],
    model: Annotated[str, typer.Option(help="Folder of a Whisper model (CTranslate2), or a Hub id.")],
    task: Annotated[
        Literal["transcribe", "translate"], typer.Option(help="The words as spoken, or in English.")
    ] = "transcribe",
    language: Annotated[str, typer.Option(help="ISO 639-1. [default: each row's lang, else detected]")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Also rows that have a transcript.")] = False,
    vad: Annotated[bool, typer.Option("--vad", help="Leave out what holds no speech.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Fetch a Hub id that is not on this machine.")] = False,
    cache: CacheFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Write the words that are heard in a manifest's recordings, by speech recognition; what was heard is kept."""
    from bimodal.speech_recognition import Transcriber
    from bimodal.transcribing import Wanted, transcribe_manifest

    written, problems = transcribe_manifest(
        manifest,
        out,
        Transcriber(model, threads=threads, download=download),
        Wanted(task=task, language=language or None, vad=vad, replace=replace),
        (cache or default_cache()) / "transcripts",
        lambda items: _bar(items, "recordings heard", quiet),
    )
    for problem in problems:
        _say(f"bimodal: {problem}")
    rows = sum("transcript_source" in row.extra and bool(row.extra["transcript_source"]) for row in written.utterances)
    _say(f"{rows} of {len(written.utterances)} rows with words by speech recognition in {written.path}")
    if problems:
        sys.exit(1)


@app.command()
def extract(
    model: ModelFolder,
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(help="File to write: .safetensors or .npz, with one row per utterance.")],
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Write the emotion embeddings and logits of every utterance, for use in other programs."""
    from bimodal.evaluation.protocols import extract_manifest

    names = extract_manifest(
        model, manifest, out, threads=threads, progress=lambda items, label: _bar(items, label, quiet)
    )
    _say(f"{out}: {', '.join(names)}")


@app.command()
def cache(
    folder: CacheFolder = None, clear: Annotated[bool, typer.Option("--clear", help="Delete what it holds.")] = False
) -> None:
    """Show the feature cache's size, or empty it."""
    from bimodal.features.cache import FeatureCache

    place = folder or default_cache()
    held = FeatureCache(place)
    if clear:
        typer.echo(f"{place}: {held.clear() / 1e6:.1f} MB freed")
    else:
        typer.echo(f"{place}: {len(held)} entries, {held.size / 1e6:.1f} MB")


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder for corpus, model and report; a second call goes on.")] = Path(
        "demo"
    ),
    size: Annotated[int, typer.Option(min=60, help="Utterances that are spoken.")] = 720,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Speak a small synthetic corpus, train all three stages on it, evaluate, recognise: the whole path in minutes."""
    _training("demo")
    from bimodal.demo import run_demo

    with _epochs(quiet) as on_epoch:
        run_demo(
            out,
            size=size,
            threads=threads,
            say=typer.echo,
            progress=lambda items, label: _bar(items, label, quiet),
            on_epoch=on_epoch,
        )


def default_cache() -> Path:
    """Folder of the feature cache: `$BIMODAL_CACHE`, else below the user's cache folder."""
    named = os.environ.get("BIMODAL_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bimodal" / "features"


def _megabytes(folder: Path) -> str:
    return (
        f"{sum(file.stat().st_size for file in folder.glob('*.safetensors')) / 1e6:.1f} MB"
        if folder.is_dir()
        else "empty"
    )


def _bar(items: Iterable[Any], label: str, quiet: bool) -> Iterable[Any]:
    """A progress bar with rate and remaining time on stderr."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, desc=label, file=sys.stderr, disable=quiet, dynamic_ncols=True, delay=0.5)
    return bar


@contextmanager
def _epochs(quiet: bool) -> Iterator[Any]:
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


if __name__ == "__main__":
    main()
