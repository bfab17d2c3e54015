"""What a benchmark found, as JSON; the ledger of every look at a test set; the options that all benchmarks take."""

import argparse
import csv
import datetime
import hashlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bimodal.config import TrainConfig, TuneConfig
from bimodal.evaluation import metrics
from bimodal.evaluation.predictions import Predictions

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
LEDGER = ROOT / "docs" / "ledger.csv"
LEDGER_COLUMNS = ("date", "commit", "kind", "benchmark", "config", "figure")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every benchmark is told.

    Attributes:
        data: Folder that holds the corpora.
        cache: Folder of the feature cache.
        seeds: One run each.
        threads: Of torch and onnxruntime.
        results: Folder of the results.
        ledger: CSV that is appended to.
    """

    data: Path
    cache: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    threads: int = 1
    results: Path = RESULTS
    ledger: Path = LEDGER


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure in percent, or a difference in points of percent.

    Attributes:
        system: What was measured.
        metric: Such as `UAR`.
        mean: Over the seeds.
        sd: Sample deviation over the seeds; 0 for one.
        seeds: One value per seed.
        low: Lower end of the 95 % interval.
        high: Upper end.
        clusters: What the interval resamples, such as `24 speakers`.
        p: Of a difference, two-sided.
    """

    system: str
    metric: str
    mean: float
    sd: float
    seeds: tuple[float, ...]
    low: float | None = None
    high: float | None = None
    clusters: str = ""
    p: float | None = None


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """A figure of somebody else, not measured here.

    Attributes:
        system: Who.
        metric: Such as `UA`.
        value: In percent, as published.
        source: Where.
    """

    system: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one benchmark found.

    Attributes:
        name: Of the benchmark's module.
        title: A heading.
        protocol: What was trained on what and tested on what.
        licence: Of the data.
        command: Regenerates the figures.
        seeds: Of the runs.
        figures: Measured here.
        quoted: Published by others.
        notes: Overlaps and what to mind.
        tried: What was tried, and on what it was decided.
        target: What was aimed at.
        config: Digest of the configuration.
        settings: The configuration.
        minutes: Wall time.
        date: When, UTC.
        commit: Of this repository.
    """

    name: str
    title: str
    protocol: str
    licence: str
    seeds: tuple[int, ...]
    figures: tuple[Figure, ...]
    quoted: tuple[Quoted, ...]
    notes: tuple[str, ...]
    tried: tuple[str, ...]
    target: str
    config: str
    settings: dict[str, Any]
    minutes: float
    command: str = ""
    date: str = ""
    commit: str = ""


def read_options(description: str, arguments: Sequence[str] | None = None) -> Options:
    """Options from the command line."""
    return to_options(options_parser(description).parse_args(arguments))


def options_parser(description: str) -> argparse.ArgumentParser:
    """What every benchmark can be told."""
    parser = argparse.ArgumentParser(description=description)
    data = Path(os.environ.get("BIMODAL_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help=f"folder that holds the corpora (default {data})")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "bimodal", help="feature cache")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    return parser


def to_options(found: argparse.Namespace) -> Options:
    """Options from parsed arguments; others are left aside."""
    known = {item.name: getattr(found, item.name) for item in fields(Options)}
    return Options(**(known | {"seeds": tuple(found.seeds)}))


def summed_confusions(predictions: Iterable[Predictions], system: str) -> Any:
    """Confusions of each cluster, (G, C, C), summed over the seeds' predictions of the same utterances."""
    return sum(_confusions(one, system) for one in predictions)


def _confusions(predictions: Predictions, system: str) -> Any:
    rows = np.flatnonzero(predictions.answered(system))
    names = predictions.emotions
    return metrics.cluster_confusions(
        [names[predictions.targets[row]] for row in rows],
        [names[guess] for guess in predictions.scores[system][rows].argmax(axis=1)],
        [predictions.clusters[row] for row in rows],
        names,
    )


def measure(predictions: Sequence[Predictions], system: str, name: str, metric_name: str, metric: Any) -> Figure:
    """A system's figure: mean and deviation over the seeds, interval over the clusters.

    The interval resamples speakers (dialogues) with the predictions of all seeds, so it holds no luck of one seed.
    """
    values = [100 * float(metric(_confusions(one, system).sum(0))) for one in predictions]
    matrices = summed_confusions(predictions, system)
    found = metrics.bootstrap_interval(matrices, metric)
    clusters = f"{len(matrices)} {predictions[0].cluster_name}s"
    return make_figure(name, metric_name, values, low=100 * found.low, high=100 * found.high, clusters=clusters)


def measure_gain(predictions: Sequence[Predictions], pair: tuple[str, str], metric_name: str, metric: Any) -> Figure:
    """First system minus second on the same utterances, as `measure`."""
    first, second = ([_confusions(one, system) for one in predictions] for system in pair)
    return _difference(first, second, predictions[0].cluster_name, f"{pair[0]} - {pair[1]}", metric_name, metric)


def average_scores(several: Sequence[Predictions]) -> Predictions:
    """The mean of several predictions' log scores of the same utterances, as one prediction."""
    logs = {name: np.mean([np.log(one.scores[name]) for one in several], axis=0) for name in several[0].scores}
    return replace(several[0], scores={name: metrics.softmax(values) for name, values in logs.items()})


def measure_change(
    first: Sequence[Predictions], second: Sequence[Predictions], system: str, name: str, metric_name: str, metric: Any
) -> Figure:
    """One system of two runs on the same utterances, first minus second, as `measure`."""
    sides = ([_confusions(one, system) for one in predictions] for predictions in (first, second))
    return _difference(*sides, first[0].cluster_name, name, metric_name, metric)


def _difference(
    first: Sequence[Any], second: Sequence[Any], cluster_name: str, name: str, metric_name: str, metric: Any
) -> Figure:
    """Difference of a metric between two lists of confusions, one a seed."""
    values = [100 * float(metric(one.sum(0)) - metric(other.sum(0))) for one, other in zip(first, second, strict=True)]
    found = metrics.paired_bootstrap(sum(first), sum(second), metric)
    clusters = f"{len(first[0])} {cluster_name}s"
    ends = {"low": 100 * found.low, "high": 100 * found.high, "clusters": clusters, "p": found.p}
    return make_figure(name, metric_name, values, **ends)


def make_figure(name: str, metric_name: str, values: Sequence[float], **ends: Any) -> Figure:
    """A figure from one value a seed."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Figure(system=name, metric=metric_name, mean=float(np.mean(values)), sd=sd, seeds=tuple(values), **ends)


def config_digest(config: TrainConfig | TuneConfig) -> str:
    """Short digest of a configuration, whatever its seed and threads, and where a pretrained encoder lies."""
    same: dict[str, Any] = {"seed": 0, "threads": 0} | ({"source": ""} if isinstance(config, TuneConfig) else {})
    return hashlib.sha256(msgspec.json.encode(replace(config, **same), order="sorted")).hexdigest()[:12]


def save_result(result: Result, options: Options, headline: str) -> Result:
    """Write a result and append its headline to the ledger."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
    seeds = " ".join(map(str, result.seeds))
    command = result.command or f"python -m benchmarks.{result.name} --seeds {seeds}"
    result = replace(result, date=now, commit=current_commit(), command=command)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / f"{result.name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    append_ledger(options.ledger, [now, result.commit, "benchmark", result.name, result.config, headline])
    print(headline)
    return result


def read_result(path: Path) -> Result:
    return msgspec.json.decode(path.read_bytes(), type=Result)


def append_ledger(ledger: Path, row: Sequence[str]) -> None:
    """One more look at a test set; a new file gets a header."""
    new = not ledger.exists()
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([LEDGER_COLUMNS, row] if new else [row])


def current_commit() -> str:
    """Short name of the commit, with `+` where files differ from it; `unknown` outside a checkout."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no", "src", "benchmarks") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
