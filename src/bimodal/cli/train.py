"""Commands that make and measure models: train, tune, adapt, evaluate, demo."""

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bimodal.cli.options import (
    CacheFolder,
    ConfigFile,
    ManifestFile,
    ModelFolder,
    Quiet,
    Settings,
    Threads,
    default_cache,
)
from bimodal.cli.serve import serve
from bimodal.cli.terminal import bar, epochs, say
from bimodal.errors import BimodalError


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
    say(f"feature cache {folder}: {_megabytes(folder)} before")
    with epochs(quiet) as on_epoch:
        model = train_all(
            manifest,
            out,
            resolved,
            folder,
            stages=stages,
            progress=lambda items, label: bar(items, label, quiet),
            on_epoch=on_epoch,
        )
    say(f"feature cache {folder}: {_megabytes(folder)} after")
    say(f"model in {model} (licence: {resolved.licence}); next: bimodal evaluate {manifest} --model {model}")


def tune(
    modality: Annotated[Literal["speech", "text"], typer.Argument(help="Which encoder is tuned.")],
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

    module = _training("finetune", f"tune_{modality}")
    with epochs(quiet) as on_epoch:
        if modality == "speech":
            heard = read_config(TuneSpeechConfig(), config, settings or ())
            folder, licence = cache or default_cache(), heard.licence
            folder = module.tune_speech(
                manifest,
                out,
                heard,
                folder,
                progress=lambda items, label: bar(items, label, quiet),
                on_epoch=on_epoch,
            )
        else:
            said = read_config(TuneTextConfig(), config, settings or ())
            folder, licence = module.tune_text(manifest, out, said, on_epoch), said.licence
    say(f"backbone in {folder} (licence: {licence}); next: bimodal train ... --set {modality}_backbone={folder}")


def _stages(arguments: list[str]) -> tuple[tuple[str, ...], str, str]:
    """Stages, manifest and run folder from `[STAGE] MANIFEST OUT`."""
    named = arguments[0] if arguments[0] in ("speech", "text", "fusion", "all") and len(arguments) == 3 else "all"
    rest = arguments[1:] if len(arguments) == 3 and arguments[0] == named else arguments
    if len(rest) != 2:
        raise typer.BadParameter("expected [speech|text|fusion] MANIFEST OUT", param_hint="arguments")
    return ("speech", "text", "fusion") if named == "all" else (named,), rest[0], rest[1]


def _training(extra: str = "train", module: str = "train") -> Any:
    """A module that trains, or a sentence that says how to get what it needs."""
    try:
        return import_module(f"bimodal.training.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("bimodal"):
            raise
        raise BimodalError(f"training needs '{error.name}': pip install 'bimodal-emotion[{extra}]'") from error


def _megabytes(folder: Path) -> str:
    return (
        f"{sum(file.stat().st_size for file in folder.glob('*.safetensors')) / 1e6:.1f} MB"
        if folder.is_dir()
        else "empty"
    )


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
    from bimodal.inference.adapt import adapt_model

    adapt_model(model, manifest, out, by=by, threads=threads, progress=lambda items, label: bar(items, label, quiet))
    say(f"adapted model in {out}; its card says to what. Next: bimodal recognize {out} RECORDING")


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
    from bimodal.evaluation.describe import describe
    from bimodal.evaluation.protocols import evaluate_folds, evaluate_model
    from bimodal.evaluation.report import evaluate
    from bimodal.evaluation.writing import write_report

    if (model is None) == (not folds):
        raise typer.BadParameter("give either --model or --folds", param_hint="--model/--folds")

    def progress(items: Iterable[Any], label: str) -> Iterable[Any]:
        return bar(items, label, quiet)

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
        say(f"written to {out}")


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
