"""The command that searches settings: search."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bimodal.cli.evaluate import Cluster
from bimodal.cli.folds import AllowOverlap, training_config
from bimodal.cli.options import (
    CacheFolder,
    ConfigFile,
    ManifestFile,
    NoCache,
    Quiet,
    RootFolder,
    Settings,
    chosen_cache,
    manifest_below,
)
from bimodal.cli.terminal import bar, say
from bimodal.cli.tracking import Tracker, report_figures, tracking


def search(
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the search. A second call continues.")],
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="TOML file with the values of each setting to try. [default: nine common settings]"
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="Trials of each outer fold.")] = 20,
    folds: Annotated[
        str, typer.Option(help="Outer folds, which are reported: as in 'bimodal evaluate --folds'.")
    ] = "5",
    inner: Annotated[int, typer.Option(min=2, max=1000, help="Inner folds of speakers, which choose.")] = 3,
    allow_overlap: AllowOverlap = "",
    cluster: Cluster = "speaker",
    estimate: Annotated[bool, typer.Option("--estimate", help="Only estimate the time.")] = False,
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    root: RootFolder = None,
    tracker: Tracker = "folder",
    quiet: Quiet = False,
) -> None:
    """Choose settings on some speakers, and test them on others.

    Inner folds choose the settings. Outer folds hold out other speakers; they compare the chosen settings with the
    default ones. Use the result with 'bimodal train --config OUT/best.toml'. An interrupted search continues when the
    command is repeated.
    """
    resolved, kept = training_config(config, settings), chosen_cache(cache, no_cache)
    from bimodal.evaluation.search.plan import estimate_search, plan_search
    from bimodal.evaluation.search.result import BEST, describe_search, write_search
    from bimodal.evaluation.search.run import run_search, trials_left

    options: dict[str, Any] = {"folds": folds, "inner": inner, "allow_overlap": allow_overlap, "cluster": cluster}
    plan = plan_search(manifest_below(manifest, root), resolved, space, **options)
    for sentence in estimate_search(plan, trials_left(plan, out, trials), kept):
        say(sentence)
    if estimate:
        return
    tried = {"space": {one.name: str(one) for one in plan.space}, "settings": resolved}
    with tracking(tracker, out, "search", tried) as track:
        found = run_search(plan, out, trials, kept, progress=partial(bar, quiet=quiet), track=partial(track, "epoch"))
        track("figures", report_figures(found.report))
    typer.echo(describe_search(plan, found))
    write_search(out, plan, found)
    say(f"written to {out}; next: bimodal train {manifest} RUN --config {out / BEST}")
