"""Commands for training: train, tune, adapt, demo."""

import shlex
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bimodal.cli.label import fit_labels
from bimodal.cli.options import (
    CacheFolder,
    ConfigFile,
    ManifestFile,
    ModelOrName,
    NoCache,
    Quiet,
    RootFolder,
    Settings,
    Threads,
    chosen_cache,
    manifest_below,
)
from bimodal.cli.processes import Processes, is_further, share_work
from bimodal.cli.serve import serve
from bimodal.cli.terminal import bar, epochs, say
from bimodal.cli.tracking import Track, Tracker, tracking
from bimodal.errors import BimodalError


def train(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[speech|text|fusion] MANIFEST OUT",
            help="Stage to train (default: all three), manifest, run folder.",
        ),
    ],
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    root: RootFolder = None,
    processes: Processes = 1,
    tracker: Tracker = "folder",
    quiet: Quiet = False,
) -> None:
    """Train a model: speech stage, text stage, fusion stage.

    An interrupted run continues when the command is repeated.
    """
    from bimodal.config import TrainConfig, read_config

    stages, named, out = _stages(arguments)
    share_work(processes)
    quiet = quiet or is_further()
    manifest = manifest_below(Path(named), root)
    train_all = training_module().train
    resolved = read_config(TrainConfig(), config, settings or ())
    folder = chosen_cache(cache, no_cache)
    _say_size(folder, "before")
    with tracking(tracker, Path(out), "train", resolved) as track, epochs(quiet) as on_epoch:
        model = train_all(
            manifest,
            out,
            resolved,
            folder,
            stages=stages,
            progress=lambda items, label: bar(items, label, quiet),
            on_epoch=partial(_take_epoch, on_epoch, track),
        )
        if not is_further():
            track("figures", training_module("train", "summary").dev_figures(model))
    if is_further():
        return
    _say_size(folder, "after")
    options = "" if root is None else f" --root {shlex.quote(str(root))}"
    for line in training_module("train", "summary").summarise_training(manifest, model, options):
        say(line)


def tune(
    modality: Annotated[Literal["speech", "text"], typer.Argument(metavar="speech|text", help="Encoder to fine-tune.")],
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Backbone folder to write.")],
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    root: RootFolder = None,
    processes: Processes = 1,
    tracker: Tracker = "folder",
    quiet: Quiet = False,
) -> None:
    """Fine-tune a pretrained encoder and save it as a backbone.

    Use the backbone with 'bimodal train --set speech_backbone=OUT'. An interrupted run continues when the command is
    repeated. Fine-tune on other data than you train on, or evaluate on speakers that are in neither: scores on data
    that the encoder was tuned on are too good.
    """
    from bimodal.config import TuneSpeechConfig, TuneTextConfig, read_config

    share_work(processes)
    quiet = quiet or is_further()
    module = training_module("finetune", f"tune_{modality}")
    default = TuneSpeechConfig() if modality == "speech" else TuneTextConfig()
    resolved = read_config(default, config, settings or ())
    with tracking(tracker, out / "run", f"tune {modality}", resolved) as track, epochs(quiet) as show:
        on_epoch = partial(_take_epoch, show, track)
        if modality == "speech":
            folder = module.tune_speech(
                manifest_below(manifest, root),
                out,
                resolved,
                chosen_cache(cache, no_cache),
                progress=lambda items, label: bar(items, label, quiet),
                on_epoch=on_epoch,
            )
        else:
            folder = module.tune_text(manifest_below(manifest, root), out, resolved, on_epoch)
    if is_further():
        return
    say(f"backbone in {folder} (licence: {resolved.licence})")
    say(f"next: bimodal train ... --set {modality}_backbone={folder}")


def _take_epoch(show: Any, track: Track, entry: dict[str, Any]) -> None:
    """Show an epoch, and tell the tracker."""
    show(entry)
    track("epoch", entry)


def _stages(arguments: list[str]) -> tuple[tuple[str, ...], str, str]:
    """Stages, manifest and run folder from `[STAGE] MANIFEST OUT`."""
    named = arguments[0] if arguments[0] in ("speech", "text", "fusion", "all") and len(arguments) == 3 else "all"
    rest = arguments[1:] if len(arguments) == 3 and arguments[0] == named else arguments
    if len(rest) != 2:
        raise typer.BadParameter("expected [speech|text|fusion] MANIFEST OUT", param_hint="arguments")
    return ("speech", "text", "fusion") if named == "all" else (named,), rest[0], rest[1]


def training_module(extra: str = "train", module: str = "train") -> Any:
    """A training module, or an error that says how to install its dependencies."""
    try:
        return import_module(f"bimodal.training.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("bimodal"):
            raise
        raise BimodalError(f"training needs '{error.name}': pip install 'bimodal-emotion[{extra}]'") from error


def _say_size(folder: Path | None, when: str) -> None:
    if folder is not None:
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        say(f"feature cache {folder}: {f'{size / 1e6:.1f} MB' if folder.is_dir() else 'empty'} {when}")


def adapt(
    model: ModelOrName,
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New model folder.")],
    by: Annotated[
        Literal["corpus", "speaker"],
        typer.Option(help="Adapt to all recordings together, or to each speaker alone."),
    ] = "corpus",
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Learn from the labels of the manifest, too; ten are enough. [extra label]"),
    ] = False,
    root: RootFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Adapt a model to your own recordings.

    Evaluate the adapted model again; the figures of the original model do not apply to it.
    """
    from bimodal.inference.adapt import adapt_model

    read = manifest_below(manifest, root)
    if labels:
        if by != "corpus":
            raise typer.BadParameter("--labels adapts to all recordings together; leave --by out")
        fit_labels(model, read, out, threads, lambda items, label: bar(items, label, quiet))
        say(f"fitted model in {out}; its model card names the labels; next: bimodal recognize RECORDING -m {out}")
        return
    adapt_model(model, read, out, by=by, threads=threads, progress=lambda items, label: bar(items, label, quiet))
    say(f"adapted model in {out}; its model card names the recordings; next: bimodal recognize {out} RECORDING")


def demo(
    out: Annotated[
        Path, typer.Argument(metavar="[OUT]", help="Folder for corpus, model and report. A second call continues.")
    ] = Path("demo"),
    size: Annotated[int, typer.Option(min=60, help="Number of utterances to synthesise.")] = 720,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Run everything on a small synthetic corpus, in minutes.

    Synthesises speech, trains the three stages, evaluates the model and recognises a recording.
    """
    training_module("demo")
    from bimodal.demo.run import run_demo

    with epochs(quiet) as on_epoch:
        model = run_demo(
            out,
            size=size,
            threads=threads,
            say=typer.echo,
            progress=lambda items, label: bar(items, label, quiet),
            on_epoch=on_epoch,
        )
    if sys.stdin.isatty() and sys.stdout.isatty() and typer.confirm("\nSpeak to it in the browser?", default=True):
        serve(str(model), port=0, open_page=True)
