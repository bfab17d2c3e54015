"""Commands that set results side by side: compare, cross-corpus."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bimodal.cli.evaluate import By, tell_report
from bimodal.cli.folds import training_config
from bimodal.cli.options import CacheFolder, ConfigFile, NoCache, Quiet, Settings, chosen_cache
from bimodal.cli.terminal import bar, say


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of 'bimodal evaluate --out', or predictions.csv.")
    ],
    system: Annotated[
        str, typer.Option(help="System of each run: speech, text, late, fused or a name. [default: the fusion]")
    ] = "",
    common: Annotated[bool, typer.Option("--common", help="Take the utterances that all runs have.")] = False,
    by: By = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.json, report.md, predictions.csv, ...")
    ] = None,
) -> None:
    """Compare two or more runs on the same utterances.

    Differences are paired; Holm's correction is over all pairs of runs.
    """
    from bimodal.evaluation.compare import join_runs
    from bimodal.evaluation.report import Options, evaluate

    predictions, notes = join_runs(runs, system=system, common=common)
    report = evaluate(predictions, title="Comparison of runs", notes=notes, options=Options(by=tuple(by or ())))
    tell_report(report, predictions, out, {})


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

    resolved, folder, store = training_config(config, settings), chosen_cache(cache, no_cache), out / FOLDS_FOLDER
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
