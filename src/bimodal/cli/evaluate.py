"""Commands that test a model on labelled recordings: evaluate, calibrate."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from bimodal.cli.options import (
    CacheFolder,
    ConfigFile,
    ManifestFile,
    ModelFolder,
    NoCache,
    Quiet,
    RootFolder,
    Settings,
    Threads,
    chosen_cache,
    manifest_below,
)
from bimodal.cli.terminal import bar, say
from bimodal.cli.train import training_module


def evaluate(
    manifest: ManifestFile,
    model: Annotated[Path | None, typer.Option(help="Model folder to evaluate.")] = None,
    folds: Annotated[
        str, typer.Option(help="Cross-validation instead of --model: 'loso', a number, or a column of folds.")
    ] = "",
    split: Annotated[
        str, typer.Option(help="Split to evaluate on. [default: test if there is one, else all rows]")
    ] = "",
    cluster: Annotated[
        str, typer.Option(help="Unit of the confidence intervals: speaker, dialogue or utterance.")
    ] = "speaker",
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.json, report.md, report.png, predictions.csv.")
    ] = None,
    seen_rows: Annotated[
        bool, typer.Option("--seen-rows", help="Evaluate on rows that the model was trained on; the report says so.")
    ] = False,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline",
            help="Evaluate results over time (EDER). MANIFEST has the turns of long recordings (start, end; an .rttm, "
            "a .TextGrid or a folder of these will do), or clips, which are joined to recordings.",
        ),
    ] = False,
    channels: Annotated[
        Literal["mix", "speakers"],
        typer.Option(help="With --timeline: mix averages all channels, speakers takes each for one speaker."),
    ] = "mix",
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    root: RootFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Evaluate a model, or a configuration by cross-validation.

    Reports speech alone, text alone, late fusion and the trained fusion. With --timeline: how good the results of long
    recordings are over time.
    """
    if timeline:
        options = {"--folds": folds, "--config": config, "--cache": cache, "--no-cache": no_cache}
        given = [name for name, value in options.items() if value]
        if given or model is None:
            reason = f"does not go with {given[0]}" if given else "needs --model"
            raise typer.BadParameter(reason, param_hint="--timeline")
        _evaluate_timeline(manifest, model, split, channels, settings or [], seen_rows, root, out, threads, quiet)
        return
    if channels != "mix":
        raise typer.BadParameter("needs --timeline", param_hint="--channels")
    from bimodal.evaluation.describe import describe
    from bimodal.evaluation.protocols import evaluate_folds, evaluate_model
    from bimodal.evaluation.report import evaluate
    from bimodal.evaluation.rows import check_seen_rows
    from bimodal.evaluation.writing import write_report

    if (model is None) == (not folds):
        raise typer.BadParameter("give either --model or --folds", param_hint="--model/--folds")
    if seen_rows and model is None:
        raise typer.BadParameter("--seen-rows needs --model: folds test on rows that were not trained on")

    progress = partial(bar, quiet=quiet)
    caveat, read = "", manifest_below(manifest, root)
    if model is not None:
        caveat = check_seen_rows(model, read, split=split, allow=seen_rows)
        predictions, notes = evaluate_model(
            model, read, split=split, cluster=cluster, threads=threads, progress=progress
        )
    else:
        from bimodal.config import TrainConfig, read_config

        training_module()
        resolved = read_config(TrainConfig(), config, settings or ())
        predictions, notes = evaluate_folds(
            read, folds, resolved, chosen_cache(cache, no_cache), cluster=cluster, progress=progress
        )
    report = replace(evaluate(predictions, title=str(manifest), notes=notes), caveat=caveat)
    typer.echo(describe(report))
    if out is not None:
        write_report(out, report, predictions)
        say(f"written to {out}")


def _evaluate_timeline(
    turns: Path,
    model: Path,
    split: str,
    channels: Literal["mix", "speakers"],
    settings: list[str],
    seen_rows: bool,
    root: Path | None,
    out: Path | None,
    threads: int,
    quiet: bool,
) -> None:
    """What `evaluate --timeline` does."""
    from bimodal.config import read_config
    from bimodal.data.turns import read_turns
    from bimodal.evaluation.describe_timeline import describe_timeline, write_timeline_report
    from bimodal.evaluation.rows import check_seen_rows
    from bimodal.evaluation.timeline import TimelineEvaluation, evaluate_timeline
    from bimodal.inference.recognizer import Recognizer

    resolved = read_config(TimelineEvaluation(), None, settings)
    read = read_turns(turns, root)
    caveat = check_seen_rows(model, read, split=split, allow=seen_rows)
    recognizer = Recognizer(model, threads=threads)
    progress = partial(bar, quiet=quiet)
    report = evaluate_timeline(recognizer, read, resolved, split=split, channels=channels, progress=progress)
    report = replace(report, caveat=caveat)
    typer.echo(describe_timeline(report))
    if out is not None:
        write_timeline_report(out, report)
        say(f"written to {out}")


def calibrate(
    model: ModelFolder,
    manifest: ManifestFile,
    split: Annotated[
        str, typer.Option(help="Split to calibrate on. [default: test if there is one, else all rows]")
    ] = "",
    root: RootFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Calibrate the prediction sets (--coverage) of a model.

    Give labelled recordings that it was not trained on. 'bimodal train' does it by itself; do it again for an adapted
    model, or for speakers of your own. The folder changes, and the model then counts these rows among those that it
    has seen.
    """
    from bimodal.evaluation.calibrate import calibrate_model
    from bimodal.inference.prediction_sets import describe_sets

    table = calibrate_model(
        model, manifest_below(manifest, root), split=split, threads=threads, progress=partial(bar, quiet=quiet)
    )
    for sentence in describe_sets(table):
        say(sentence)
