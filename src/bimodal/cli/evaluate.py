"""Commands that test a model on labelled recordings: evaluate, calibrate."""

import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

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
        Path | None, typer.Option(help="Folder for report.html, report.json, report.md, predictions.csv, ...")
    ] = None,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Leave recordings and transcripts out of the report (sensitive data).")
    ] = False,
    seen_rows: Annotated[
        bool, typer.Option("--seen-rows", help="Evaluate on rows that the model was trained on; the report says so.")
    ] = False,
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    root: RootFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Evaluate a model, or a configuration by cross-validation.

    Reports speech alone, text alone, late fusion and the trained fusion.
    """
    from bimodal.data.manifest import open_manifest
    from bimodal.evaluation.describe import describe
    from bimodal.evaluation.html.material import ReportSources
    from bimodal.evaluation.protocols import evaluate_folds, evaluate_model
    from bimodal.evaluation.report import evaluate
    from bimodal.evaluation.rows import check_seen_rows
    from bimodal.evaluation.writing import PAGE, write_report
    from bimodal.inference.installed import find_model

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
        sources = ReportSources(
            command=shlex.join(["bimodal", *sys.argv[1:]]),
            model=None if model is None else find_model(str(model)),
            manifest=open_manifest(read),
            sound=not no_audio,
            threads=threads,
        )
        write_report(out, report, predictions, sources=sources)
        say(f"written to {out}; open {out / PAGE} in a browser")


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
