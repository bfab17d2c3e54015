"""Commands that test on labelled recordings: evaluate, cross-corpus, calibrate."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

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
        str,
        typer.Option(
            help="Cross-validation instead of --model: loso, a number of folds, a column such as session, script, "
            "script+speaker, official, or a file such as splits.json."
        ),
    ] = "",
    allow_overlap: Annotated[
        str,
        typer.Option(metavar="NAME", help="Accept speakers in train and test; the report begins with this name."),
    ] = "",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only estimate the time and disk space of --folds.")
    ] = False,
    split: Annotated[
        str, typer.Option(help="Split to evaluate on. [default: test if there is one, else all rows]")
    ] = "",
    cluster: Annotated[
        str, typer.Option(help="Unit of the confidence intervals: speaker, dialogue or utterance.")
    ] = "speaker",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.json, report.md, report.png, predictions.csv; with --folds, splits.json, too."
        ),
    ] = None,
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
    from bimodal.evaluation.describe import describe
    from bimodal.evaluation.predict import evaluate_model
    from bimodal.evaluation.report import evaluate
    from bimodal.evaluation.rows import check_seen_rows
    from bimodal.evaluation.writing import write_report

    if (model is None) == (not folds):
        raise typer.BadParameter("give either --model or --folds", param_hint="--model/--folds")
    if model is not None and (allow_overlap or estimate):
        raise typer.BadParameter("they need --folds", param_hint="--allow-overlap/--estimate")
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
        resolved = _training_config(config, settings)
        options = FoldOptions(folds=folds, allow_overlap=allow_overlap, only_estimate=estimate, cluster=cluster)
        found = _cross_validate(read, options, resolved, chosen_cache(cache, no_cache), out, progress)
        if found is None:
            return
        predictions, notes, caveat = found.predictions, found.notes, found.caveat
    report = replace(evaluate(predictions, title=str(manifest), notes=notes), caveat=caveat)
    typer.echo(describe(report))
    if out is not None:
        write_report(out, report, predictions)
        say(f"written to {out}")


def cross_corpus(
    manifests: Annotated[
        list[Path], typer.Argument(metavar="MANIFEST...", help="Two or more manifests, one for each corpus.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the leaderboard (CSV, Markdown, LaTeX) and predictions.")],
    inner: Annotated[int, typer.Option(min=2, help="Folds of unseen speakers within a corpus.")] = 5,
    allow_overlap: Annotated[
        str, typer.Option(metavar="NAME", help="Accept common speakers and recordings; the result begins with it.")
    ] = "",
    estimate: Annotated[bool, typer.Option("--estimate", help="Only estimate the time and disk space.")] = False,
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    quiet: Quiet = False,
) -> None:
    """Train on each corpus, test on each other corpus.

    Also tests each corpus by folds of its own speakers and, with three or more corpora, with a training on all
    others. Only emotions that all corpora have are used. Finished parts are kept: the command continues when it is
    repeated.
    """
    from bimodal.evaluation.corpora import describe_labels, read_corpora
    from bimodal.evaluation.cross_corpus import evaluate_corpora, plan_cells, plan_of
    from bimodal.evaluation.estimate import estimate_plan
    from bimodal.evaluation.fold_store import FOLDS_FOLDER
    from bimodal.evaluation.leaderboard import describe_cross_corpus, write_cross_corpus

    resolved, folder, store = _training_config(config, settings), chosen_cache(cache, no_cache), out / FOLDS_FOLDER
    corpora = read_corpora(manifests, resolved, allow_overlap)
    for sentence in describe_labels(corpora.labels):
        say(sentence)
    cells = plan_cells(corpora, resolved, inner)
    for sentence in estimate_plan(plan_of(corpora, cells, resolved), folder, store).sentences():
        say(sentence)
    if estimate:
        return
    progress = partial(bar, quiet=quiet)
    found, predictions = evaluate_corpora(corpora, cells, resolved, folder, store=store, progress=progress)
    typer.echo(describe_cross_corpus(found))
    write_cross_corpus(out, found, predictions)
    say(f"written to {out}")


@dataclass(frozen=True, kw_only=True)
class FoldOptions:
    """What the command line says of a cross-validation.

    Attributes:
        folds: As in `bimodal.data.folds.PROTOCOLS`.
        allow_overlap: Name under which an overlap is accepted.
        only_estimate: Stop after the estimate.
        cluster: Unit of the intervals.
    """

    folds: str
    allow_overlap: str
    only_estimate: bool
    cluster: str


def _training_config(config: Path | None, settings: list[str] | None) -> Any:
    """Settings for training; an error where the extra `train` is not installed."""
    from bimodal.config import TrainConfig, read_config

    training_module()
    return read_config(TrainConfig(), config, settings or ())


def _cross_validate(
    read: Any, options: FoldOptions, config: Any, cache: Path | None, out: Path | None, progress: Any
) -> Any:
    """What the folds give; None if only the estimate was asked for."""
    from bimodal.evaluation.estimate import estimate_plan
    from bimodal.evaluation.fold_store import FOLDS_FOLDER
    from bimodal.evaluation.plan import plan_folds, save_plan
    from bimodal.evaluation.protocols import evaluate_plan

    plan = plan_folds(read, options.folds, config, options.allow_overlap)
    store = None if out is None else out / FOLDS_FOLDER
    for sentence in estimate_plan(plan, cache, store, options.cluster).sentences():
        say(sentence)
    if options.only_estimate:
        return None
    if out is not None:
        save_plan(plan, out)
    return evaluate_plan(plan, cache, cluster=options.cluster, store=store, tell=say, progress=progress)


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
