"""Commands that test on labelled recordings: evaluate, calibrate."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bimodal.cli.folds import (
    Address,
    AllowOverlap,
    EngineOption,
    Estimate,
    FoldOptions,
    Folds,
    Seeds,
    WorkersOption,
    check_folds,
    cross_validate,
    tell_seeds,
    training_config,
)
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
from bimodal.cli.tracking import Tracker, report_figures, tracking

EvaluatedModel = Annotated[Path | None, typer.Option(help="Model folder to evaluate.")]
Split = Annotated[str, typer.Option(help="Split to evaluate on. [default: test if there is one, else all rows]")]
Cluster = Annotated[str, typer.Option(help="Unit of the confidence intervals: speaker, dialogue or utterance.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for report.html, report.json, report.md, predictions.csv and more."),
]
NoAudio = Annotated[
    bool, typer.Option("--no-audio", help="Leave recordings and transcripts out of the report (sensitive data).")
]
SeenRows = Annotated[
    bool, typer.Option("--seen-rows", help="Evaluate on rows that the model was trained on; the report says so.")
]
ScoreFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--predictions",
        metavar="FILE",
        help="Scores of another model: CSV or JSON Lines with id or path, a column an emotion. Repeatable.",
    ),
]
Logits = Annotated[bool, typer.Option("--logits", help="The files of --predictions have logits.")]
Baseline = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Train and test a baseline, too: egemaps (openSMILE and SVM), logmel (and SVM), majority or chance. "
        "Repeatable.",
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Results by a column of the manifest, such as sex. Repeatable."),
]
CoverageTarget = Annotated[
    float | None, typer.Option(help="Abstain from the least confident; answer this share, such as 0.8.")
]
Costs = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Abstain where it costs least: TOML with abstain and [wrong].")
]
ThresholdSplit = Annotated[
    str,
    typer.Option(help="Split to choose the thresholds on. [default: other speakers of the reported rows]"),
]
Votes = Annotated[
    str, typer.Option(metavar="COLUMN", help="Column with the labels of several annotators: 'anger|anger|fear'.")
]
OverTime = Annotated[
    bool,
    typer.Option(
        "--timeline",
        help="Evaluate results over time (EDER). MANIFEST has the turns of long recordings (start, end; an .rttm, "
        "a .TextGrid or a folder of these will do), or clips, which are joined to recordings.",
    ),
]
Channels = Annotated[
    Literal["mix", "speakers"],
    typer.Option(help="With --timeline: mix averages all channels, speakers takes each for one speaker."),
]


def evaluate(
    manifest: ManifestFile,
    model: EvaluatedModel = None,
    folds: Folds = "",
    allow_overlap: AllowOverlap = "",
    estimate: Estimate = False,
    seeds: Seeds = 1,
    workers: WorkersOption = 1,
    engine: EngineOption = "local",
    ray_address: Address = "",
    split: Split = "",
    cluster: Cluster = "speaker",
    out: Out = None,
    no_audio: NoAudio = False,
    seen_rows: SeenRows = False,
    scores: ScoreFiles = None,
    logits: Logits = False,
    baseline: Baseline = None,
    by: By = None,
    coverage_target: CoverageTarget = None,
    costs: Costs = None,
    threshold_split: ThresholdSplit = "",
    votes: Votes = "votes",
    timeline: OverTime = False,
    channels: Channels = "mix",
    config: ConfigFile = None,
    settings: Settings = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    root: RootFolder = None,
    tracker: Tracker = "folder",
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Evaluate a model, a configuration, or the scores of others.

    Reports speech alone, text alone, late fusion and the trained fusion; beside them other models and baselines. With
    --timeline: how good the results of long recordings are over time.
    """
    foreign: dict[str, Any] = {"folds": folds, "predictions": scores, "baseline": baseline, "by": by, "costs": costs}
    foreign |= {"coverage-target": coverage_target, "config": config, "cache": cache, "no-cache": no_cache}
    foreign |= {"seeds": seeds != 1, "workers": workers != 1, "engine": engine != "local"}
    if _is_timeline(timeline, channels, model, foreign) and model is not None:
        return _evaluate_turns(manifest, model, split, channels, settings or [], seen_rows, root, out, threads, quiet)
    others = _Others(scores=scores or [], logits=logits, baselines=baseline or [], split=split, cluster=cluster)
    many: Any = {"seeds": seeds, "workers": workers, "engine": engine, "address": ray_address}
    wanted = FoldOptions(folds=folds, allow_overlap=allow_overlap, only_estimate=estimate, cluster=cluster, **many)
    _check_what(model, wanted, others, seen_rows=seen_rows, no_cache=no_cache)
    rule = _rule(coverage_target, costs, threshold_split, known=bool(model or scores))
    progress, read = partial(bar, quiet=quiet), _read(manifest_below(manifest, root), others.baselines, by or ())
    ours = _Ours() if model is None else _of_model(model, read, others, seen_rows, threads, progress)
    if folds:
        trained, kept = training_config(config, settings), chosen_cache(cache, no_cache)
        found = _of_folds(read, wanted, trained, (kept, out), quiet, tracker)
        if found is None:
            return None
        ours = found
    held = _held_out(model, others, read, threshold_split, progress) if threshold_split else None
    told = _report_options(by or (), rule, held, threshold_split, votes)
    evaluated = {"manifest": str(manifest), "model": str(model or ""), "folds": folds, "split": split}
    report, predictions = _reported(ours, others, read, told, evaluated, progress)
    with tracking(tracker, out, "evaluate", evaluated) as track:
        track("figures", report_figures(report))
    tell_report(report, predictions, out, {"model": model, "manifest": read, "sound": not no_audio, "threads": threads})
    return tell_seeds(ours.seeds, out)


@dataclass(frozen=True, kw_only=True)
class _Ours:
    """Predictions of our own model or folds; empty if only those of others are evaluated.

    Attributes:
        predictions: None if there are none.
        notes: Sentences on them.
        caveat: What stands before the report.
        divided: Ids of the training rows and of the test rows of each fold.
        seeds: Results over seeds; None for one seed.
    """

    predictions: Any = None
    notes: tuple[str, ...] = ()
    caveat: str = ""
    divided: Sequence[tuple[list[str], list[str]]] = ()
    seeds: Any = None


def _read(manifest: Any, baselines: Sequence[str], by: Sequence[str]) -> Any:
    """The manifest, once baselines and columns are known to be there."""
    from bimodal.data.manifest import open_manifest
    from bimodal.evaluation.baselines import check_baselines
    from bimodal.evaluation.subgroups import check_columns

    read = open_manifest(manifest)
    check_baselines(baselines)
    check_columns(by, read)
    return read


def _check_what(model: Path | None, wanted: FoldOptions, others: "_Others", *, seen_rows: bool, no_cache: bool) -> None:
    """Refuse options that do not go together."""
    folds = wanted.folds
    if (model is not None and folds) or not (model or folds or others.scores or others.baselines):
        alone = "or --predictions or --baseline without them"
        raise typer.BadParameter(f"give either --model or --folds, {alone}", param_hint="--model/--folds")
    if (wanted.allow_overlap or wanted.only_estimate) and not folds:
        raise typer.BadParameter("they need --folds", param_hint="--allow-overlap/--estimate")
    if seen_rows and model is None:
        raise typer.BadParameter("--seen-rows needs --model: folds test on rows that were not trained on")
    check_folds(wanted, no_cache=no_cache)


def _of_model(model: Path, read: Any, others: "_Others", seen_rows: bool, threads: int, progress: Any) -> _Ours:
    """Predictions of a model folder, unless the model was trained on the rows."""
    from bimodal.evaluation.predict import evaluate_model
    from bimodal.evaluation.rows import check_seen_rows

    split, cluster = others.split, others.cluster
    caveat = check_seen_rows(model, read, split=split, allow=seen_rows)
    predictions, notes = evaluate_model(model, read, split=split, cluster=cluster, threads=threads, progress=progress)
    return _Ours(predictions=predictions, notes=notes, caveat=caveat)


def _of_folds(
    read: Any,
    options: FoldOptions,
    config: Any,
    folders: tuple[Path | None, Path | None],
    quiet: bool,
    tracker: Any,
) -> _Ours | None:
    """Predictions of a configuration by cross-validation; None if only the estimate was asked for."""
    with tracking(tracker, None if options.only_estimate else folders[1], "evaluate", config) as track:
        plan, found = cross_validate(read, options, config, folders, quiet, partial(track, "epoch"))
    if found is None:
        return None
    first = found.predictions[config.seed]
    notes, seeds = (*plan.notes, *found.notes), found.seeds
    return _Ours(predictions=first, notes=notes, caveat=plan.caveat, divided=_ids_of(plan), seeds=seeds)


def _reported(
    ours: _Ours, others: "_Others", read: Any, options: Any, evaluated: dict[str, str], progress: Any
) -> tuple[Any, Any]:
    """The report on our systems and those of others, and all predictions."""
    from bimodal.evaluation.report import evaluate_further

    found, notes = _with_others(ours.predictions, others, read, ours.divided, progress)
    notes = (*ours.notes, *notes)
    report, found = evaluate_further(found, title=evaluated["manifest"], notes=notes, options=options)
    return replace(report, caveat=ours.caveat), found


def tell_report(report: Any, predictions: Any, out: Path | None, sources: dict[str, Any]) -> None:
    """Print a report, and write its folder if there is one; `sources` as `ReportSources` takes them."""
    from bimodal.evaluation.describe import describe

    typer.echo(describe(report))
    if out is None:
        return
    from bimodal.evaluation.html.material import ReportSources
    from bimodal.evaluation.writing import PAGE, write_report
    from bimodal.inference.installed import find_model

    model = sources.get("model")
    found = {"model": None if model is None else find_model(str(model))}
    command = shlex.join(["bimodal", *sys.argv[1:]])
    write_report(out, report, predictions, sources=ReportSources(command=command, **{**sources, **found}))
    say(f"written to {out}; open {out / PAGE} in a browser")


@dataclass(frozen=True, kw_only=True)
class _Others:
    """What stands beside our systems, as the options give it."""

    scores: list[Path]
    logits: bool
    baselines: list[str]
    split: str
    cluster: str


def _with_others(
    predictions: Any, others: _Others, manifest: Any, folds: Any, progress: Any
) -> tuple[Any, tuple[str, ...]]:
    """Predictions with the scores of other models and the baselines, and sentences on them."""
    from bimodal.data.manifest import open_manifest
    from bimodal.evaluation.baselines import add_baselines, reported_rows
    from bimodal.evaluation.external import add_scores, read_scores

    if predictions is not None and not (others.scores or others.baselines):
        return predictions, ()
    read, files, notes = open_manifest(manifest), list(others.scores), list[str]()
    if predictions is None and files:
        predictions, told = read_scores(
            files.pop(0), read, split=others.split, cluster=others.cluster, logits=others.logits
        )
        notes += told
    elif predictions is None:
        predictions, told = reported_rows(read, split=others.split, cluster=others.cluster)
        notes += told
    for file in files:
        predictions, told = add_scores(predictions, file, read, logits=others.logits)
        notes += told
    if others.baselines:
        predictions, told = add_baselines(predictions, read, others.baselines, folds=folds, progress=progress)
        notes += told
    return predictions, tuple(notes)


def _ids_of(plan: Any) -> list[tuple[list[str], list[str]]]:
    """Ids of the training rows, with those of the dev part, and of the test rows of each fold."""
    ids = [utterance.id for utterance in plan.rows.utterances]
    return [
        ([ids[row] for row in (*fold.train, *(fold.dev or ()))], [ids[row] for row in fold.test]) for fold in plan.folds
    ]


def _rule(coverage_target: float | None, costs: Path | None, threshold_split: str, *, known: bool) -> Any:
    """The rule of abstention that the options name; None for none. `known`: whether scores of other rows can be had."""
    from bimodal.evaluation.abstention import Rule, read_costs

    if threshold_split and not (known and (costs or coverage_target is not None)):
        needs = "it needs --coverage-target or --costs, and --model or --predictions"
        raise typer.BadParameter(needs, param_hint="--threshold-split")
    if coverage_target is not None and costs is not None:
        raise typer.BadParameter("give either", param_hint="--coverage-target/--costs")
    if costs is not None:
        return read_costs(costs)
    return None if coverage_target is None else Rule(coverage=coverage_target)


def _report_options(by: Sequence[str], rule: Any, held: Any, split: str, votes: str) -> Any:
    """Options of the report; `held` are predictions of the split, to choose thresholds on."""
    from bimodal.evaluation.report import Options

    return Options(by=tuple(by), rule=rule, held_out=held, held_out_told=f"split '{split}'", votes=votes)


def _held_out(model: Path | None, others: _Others, manifest: Any, split: str, progress: Any) -> Any:
    """Predictions of a split to choose thresholds on; systems that have none there choose theirs otherwise."""
    from bimodal.data.manifest import open_manifest
    from bimodal.evaluation.external import add_scores, read_scores
    from bimodal.evaluation.predict import evaluate_model

    read, files, logits = open_manifest(manifest), list(others.scores), others.logits
    found: Any = None
    if model is not None:
        found, _ = evaluate_model(model, read, split=split, progress=progress)
    elif files:
        found, _ = read_scores(files.pop(0), read, split=split, logits=logits)
    for file in files if found is not None else ():
        found, _ = add_scores(found, file, read, logits=logits)
    return found


def _is_timeline(timeline: bool, channels: str, model: Path | None, foreign: dict[str, Any]) -> bool:
    """Whether results over time are evaluated; refuses options that do not go with it."""
    given = [name for name, value in foreign.items() if value]
    if timeline and (given or model is None):
        reason = f"does not go with --{given[0]}" if given else "needs --model"
        raise typer.BadParameter(reason, param_hint="--timeline")
    if channels != "mix" and not timeline:
        raise typer.BadParameter("needs --timeline", param_hint="--channels")
    return timeline


def _evaluate_turns(
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
        str, typer.Option(help="Split to calibrate on. [default: dev if there is one, else all rows but test]")
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
