"""What `bimodal evaluate --folds` does: its options, and folds and seeds one after another or side by side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bimodal.cli.terminal import StatusLine, bar, say
from bimodal.cli.train import training_module
from bimodal.errors import BimodalError

if TYPE_CHECKING:
    from bimodal.evaluation.fold_jobs import FoldsState
    from bimodal.evaluation.seeds import SeedsReport

Folds = Annotated[
    str,
    typer.Option(
        help="Cross-validation instead of --model: loso, a number of folds, a column such as session, script, "
        "script+speaker, official, or a file such as splits.json."
    ),
]
AllowOverlap = Annotated[
    str,
    typer.Option(metavar="NAME", help="Accept speakers in train and test; the report begins with this name."),
]
Estimate = Annotated[bool, typer.Option("--estimate", help="Only estimate the time and disk space of --folds.")]
Seeds = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="With --folds: train each fold with N seeds; seeds.md has mean, deviation and interval.",
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option("--workers", metavar="N", help="With --folds: train N folds at a time; 0 for one on each core."),
]
EngineOption = Annotated[
    Literal["local", "ray"],
    typer.Option("--engine", help="With --folds: processes of this machine, or a Ray cluster (extra 'scale')."),
]
Address = Annotated[
    str,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="Head of the Ray cluster; 'auto' for the one on this machine. [default: one that is started for the run]",
    ),
]

_MOST: int = 1000


@dataclass(frozen=True, kw_only=True)
class FoldOptions:
    """What the command line says of a cross-validation.

    Attributes:
        folds: As in `bimodal.data.folds.PROTOCOLS`.
        allow_overlap: Name under which an overlap is accepted.
        only_estimate: Stop after the estimate.
        cluster: Unit of the intervals.
        seeds: How many.
        workers: Folds at a time; 0 for one on each core.
        engine: What trains them.
        address: Of a Ray cluster; empty to start one.
    """

    folds: str
    allow_overlap: str
    only_estimate: bool
    cluster: str
    seeds: int
    workers: int
    engine: Literal["local", "ray"]
    address: str


@dataclass(frozen=True, kw_only=True)
class FoldsFound:
    """What a cross-validation gave.

    Attributes:
        predictions: By seed.
        notes: Sentences for the report, beside those of the plan.
        seeds: Results over seeds; None for one seed.
    """

    predictions: Mapping[int, Any]
    notes: tuple[str, ...] = ()
    seeds: "SeedsReport | None" = None


def check_folds(options: FoldOptions, *, no_cache: bool) -> None:
    """Refuse numbers out of range, and options that do not go together.

    Raises:
        BimodalError: What is wrong, and what to do.
    """
    given = {
        "--seeds": options.seeds != 1,
        "--workers": options.workers != 1,
        "--engine": options.engine != "local",
        "--ray-address": bool(options.address),
    }
    named = [name for name, there in given.items() if there]
    if named and not options.folds:
        raise BimodalError(f"{named[0]} needs --folds: it is about the training of folds")
    for name, value, least in (("--seeds", options.seeds, 1), ("--workers", options.workers, 0)):
        if not least <= value <= _MOST:
            raise BimodalError(f"{name} is {value}, expected {least} to {_MOST}")
    if no_cache and (options.workers != 1 or options.engine == "ray"):
        raise BimodalError(
            f"{'--workers' if options.workers != 1 else '--engine ray'} does not go with --no-cache: the workers read "
            "the features from the cache; leave out one of both"
        )
    if options.address and options.engine != "ray":
        raise BimodalError("--ray-address needs --engine ray")


def training_config(config: Path | None, settings: list[str] | None) -> Any:
    """Settings for training; an error where the extra `train` is not installed."""
    from bimodal.config import TrainConfig, read_config

    training_module()
    return read_config(TrainConfig(), config, settings or ())


def cross_validate(
    read: Any,
    options: FoldOptions,
    config: Any,
    folders: tuple[Path | None, Path | None],
    quiet: bool,
    on_epoch: Callable[[dict[str, Any]], None],
) -> tuple[Any, FoldsFound | None]:
    """The plan of the folds and what they give; None for the latter if only the estimate was asked for.

    Args:
        read: The manifest.
        options: Of the command line.
        config: Settings.
        folders: Of the feature cache and of the output; None for memory, and for no output.
        quiet: Show no progress.
        on_epoch: Takes each epoch.

    Raises:
        BimodalError: A problem with the manifest, a recording or a fold.
    """
    from bimodal.evaluation.estimate import estimate_plan
    from bimodal.evaluation.fold_jobs import Listener, Workers
    from bimodal.evaluation.fold_store import FOLDS_FOLDER
    from bimodal.evaluation.parallel_folds import count_workers, evaluate_seeds
    from bimodal.evaluation.plan import plan_folds, save_plan
    from bimodal.evaluation.seeds import over_seeds
    from bimodal.scale.connection import LOCAL

    cache, out = folders
    workers = Workers(count=options.workers, engine=options.engine, address=options.address or LOCAL)
    seeds = range(config.seed, config.seed + options.seeds)
    plan = plan_folds(read, options.folds, config, options.allow_overlap)
    store = None if out is None else out / FOLDS_FOLDER
    at_once = count_workers(workers)
    for sentence in estimate_plan(plan, cache, store, options.cluster, seeds=seeds, workers=at_once).sentences():
        say(sentence)
    if options.only_estimate:
        return plan, None
    if out is not None:
        save_plan(plan, out)
    shown = _Shown(quiet)
    told = Listener(tell=shown.say, watch=shown.watch, on_epoch=on_epoch, progress=partial(bar, quiet=quiet))
    try:
        found = evaluate_seeds(
            plan, cache, seeds=seeds, workers=workers, cluster=options.cluster, store=store, listener=told
        )
    finally:
        shown.end()
    if options.seeds == 1:
        return plan, FoldsFound(predictions=found)
    note = f"the figures are those of seed {config.seed}; seeds.md has mean and deviation over {options.seeds} seeds"
    return plan, FoldsFound(predictions=found, notes=(note,), seeds=over_seeds(found))


class _Shown(StatusLine):
    """Which folds run, how many are done, and when all will be."""

    _done = -1

    def watch(self, state: "FoldsState") -> None:
        """How far the run is; always when another fold is done."""
        from bimodal.evaluation.fold_jobs import describe_folds

        ended = state.done > max(self._done, state.earlier)
        self._done = state.done
        self.show(describe_folds(state), now=ended)


def tell_seeds(report: "SeedsReport | None", out: Path | None) -> None:
    """Print the results over seeds, and write seeds.json and seeds.md; nothing for one seed."""
    from bimodal.evaluation.seeds import SEEDS_PAGE, describe_seeds, write_seeds

    if report is None:
        return
    typer.echo(f"\n{describe_seeds(report)}")
    if out is not None:
        write_seeds(out, report)
        say(f"written to {out / SEEDS_PAGE}")
