"""Commands that test on labelled recordings: evaluate, compare, cross-corpus, calibrate."""

import shlex
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

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
        typer.Option(help="Folder for report.html, report.json, report.md, predictions.csv and more."),
    ] = None,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Leave recordings and transcripts out of the report (sensitive data).")
    ] = False,
    seen_rows: Annotated[
        bool, typer.Option("--seen-rows", help="Evaluate on rows that the model was trained on; the report says so.")
    ] = False,
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="Scores of another model: CSV or JSON Lines with id or path, a column an emotion. Repeatable.",
        ),
    ] = None,
    logits: Annotated[bool, typer.Option("--logits", help="The files of --predictions have logits.")] = False,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Train and test a baseline, too: egemaps (openSMILE and SVM), logmel (and SVM), majority or chance. "
            "Repeatable.",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Results by a column of the manifest, such as sex. Repeatable."),
    ] = None,
    coverage_target: Annotated[
        float | None, typer.Option(help="Abstain from the least confident; answer this share, such as 0.8.")
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Abstain where it costs least: TOML with abstain and [wrong].")
    ] = None,
    threshold_split: Annotated[
        str,
        typer.Option(help="Split to choose the thresholds on. [default: other speakers of the reported rows]"),
    ] = "",
    votes: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column with the labels of several annotators: 'anger|anger|fear'.")
    ] = "votes",
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
    """Evaluate a model, a configuration, or the scores of others.

    Reports speech alone, text alone, late fusion and the trained fusion; beside them other models and baselines. With
    --timeline: how good the results of long recordings are over time.
    """
    foreign = {
        "--folds": folds,
        "--predictions": scores,
        "--baseline": baseline,
        "--by": by,
        "--coverage-target": coverage_target,
        "--costs": costs,
        "--config": config,
        "--cache": cache,
        "--no-cache": no_cache,
    }
    if _is_timeline(timeline, channels, model, foreign) and model is not None:
        _evaluate_timeline(manifest, model, split, channels, settings or [], seen_rows, root, out, threads, quiet)
        return
    from bimodal.data.manifest import open_manifest
    from bimodal.evaluation.baselines import check_baselines
    from bimodal.evaluation.describe import describe
    from bimodal.evaluation.html.material import ReportSources
    from bimodal.evaluation.predict import evaluate_model
    from bimodal.evaluation.report import Options, evaluate_further
    from bimodal.evaluation.rows import check_seen_rows
    from bimodal.evaluation.subgroups import check_columns
    from bimodal.evaluation.writing import PAGE, write_report
    from bimodal.inference.installed import find_model

    if (model is not None and folds) or not (model or folds or scores or baseline):
        alone = "or --predictions or --baseline without them"
        raise typer.BadParameter(f"give either --model or --folds, {alone}", param_hint="--model/--folds")
    if not folds and (allow_overlap or estimate):
        raise typer.BadParameter("they need --folds", param_hint="--allow-overlap/--estimate")
    rule = _rule(coverage_target, costs)
    if threshold_split and (rule is None or not (model or scores)):
        needs = "it needs --coverage-target or --costs, and --model or --predictions"
        raise typer.BadParameter(needs, param_hint="--threshold-split")
    if seen_rows and model is None:
        raise typer.BadParameter("--seen-rows needs --model: folds test on rows that were not trained on")

    progress = partial(bar, quiet=quiet)
    caveat, read = "", open_manifest(manifest_below(manifest, root))
    check_baselines(baseline or ())
    check_columns(by or (), read)
    predictions: Any
    notes: tuple[str, ...]
    divided: list[tuple[list[str], list[str]]] = []
    if model is not None:
        caveat = check_seen_rows(model, read, split=split, allow=seen_rows)
        predictions, notes = evaluate_model(
            model, read, split=split, cluster=cluster, threads=threads, progress=progress
        )
    elif folds:
        resolved = _training_config(config, settings)
        options = FoldOptions(folds=folds, allow_overlap=allow_overlap, only_estimate=estimate, cluster=cluster)
        plan, found = _cross_validate(read, options, resolved, chosen_cache(cache, no_cache), out, progress)
        if found is None:
            return
        predictions, notes, caveat = found.predictions, found.notes, found.caveat
        divided = _ids_of(plan)
    else:
        predictions, notes = None, ()
    if scores or baseline:
        others = _Others(scores=scores or [], logits=logits, baselines=baseline or [], split=split, cluster=cluster)
        predictions, more = _with_others(predictions, others, read, divided, progress)
        notes = (*notes, *more)
    held_out = None
    if rule is not None and threshold_split:
        held_out = _held_out(model, scores or [], read, threshold_split, logits, progress)
    report, predictions = evaluate_further(
        predictions,
        title=str(manifest),
        notes=notes,
        options=Options(
            by=tuple(by or ()), rule=rule, held_out=held_out, held_out_told=f"split '{threshold_split}'", votes=votes
        ),
    )
    report = replace(report, caveat=caveat)
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


def _rule(coverage_target: float | None, costs: Path | None) -> Any:
    """The rule of abstention that the options name; None for none."""
    from bimodal.evaluation.abstention import Rule, read_costs

    if coverage_target is not None and costs is not None:
        raise typer.BadParameter("give either", param_hint="--coverage-target/--costs")
    if costs is not None:
        return read_costs(costs)
    return None if coverage_target is None else Rule(coverage=coverage_target)


def _held_out(model: Path | None, scores: list[Path], manifest: Any, split: str, logits: bool, progress: Any) -> Any:
    """Predictions of a split to choose thresholds on; systems that have none there choose theirs otherwise."""
    from bimodal.data.manifest import open_manifest
    from bimodal.evaluation.external import add_scores, read_scores
    from bimodal.evaluation.predict import evaluate_model

    read, files = open_manifest(manifest), list(scores)
    found: Any = None
    if model is not None:
        found, _ = evaluate_model(model, read, split=split, progress=progress)
    elif files:
        found, _ = read_scores(files.pop(0), read, split=split, logits=logits)
    for file in files if found is not None else ():
        found, _ = add_scores(found, file, read, logits=logits)
    return found


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of 'bimodal evaluate --out', or predictions.csv.")
    ],
    system: Annotated[
        str, typer.Option(help="System of each run: speech, text, late, fused or a name. [default: the fusion]")
    ] = "",
    common: Annotated[bool, typer.Option("--common", help="Take the utterances that all runs have.")] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Results by a column of the manifest, such as sex. Repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.json, report.md, predictions.csv, ...")
    ] = None,
) -> None:
    """Compare two or more runs on the same utterances.

    Differences are paired; Holm's correction is over all pairs of runs.
    """
    from bimodal.evaluation.compare import join_runs
    from bimodal.evaluation.describe import describe
    from bimodal.evaluation.html.material import ReportSources
    from bimodal.evaluation.report import Options, evaluate
    from bimodal.evaluation.writing import PAGE, write_report

    predictions, notes = join_runs(runs, system=system, common=common)
    report = evaluate(predictions, title="Comparison of runs", notes=notes, options=Options(by=tuple(by or ())))
    typer.echo(describe(report))
    if out is not None:
        sources = ReportSources(command=shlex.join(["bimodal", *sys.argv[1:]]))
        write_report(out, report, predictions, sources=sources)
        say(f"written to {out}; open {out / PAGE} in a browser")


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
) -> tuple[Any, Any]:
    """The plan of the folds and what they give; None for the latter if only the estimate was asked for."""
    from bimodal.evaluation.estimate import estimate_plan
    from bimodal.evaluation.fold_store import FOLDS_FOLDER
    from bimodal.evaluation.plan import plan_folds, save_plan
    from bimodal.evaluation.protocols import evaluate_plan

    plan = plan_folds(read, options.folds, config, options.allow_overlap)
    store = None if out is None else out / FOLDS_FOLDER
    for sentence in estimate_plan(plan, cache, store, options.cluster).sentences():
        say(sentence)
    if options.only_estimate:
        return plan, None
    if out is not None:
        save_plan(plan, out)
    return plan, evaluate_plan(plan, cache, cluster=options.cluster, store=store, tell=say, progress=progress)


def _is_timeline(timeline: bool, channels: str, model: Path | None, foreign: dict[str, Any]) -> bool:
    """Whether results over time are evaluated; refuses options that do not go with it."""
    given = [name for name, value in foreign.items() if value]
    if timeline and (given or model is None):
        reason = f"does not go with {given[0]}" if given else "needs --model"
        raise typer.BadParameter(reason, param_hint="--timeline")
    if channels != "mix" and not timeline:
        raise typer.BadParameter("needs --timeline", param_hint="--channels")
    return timeline


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
