"""Trainings that differ in their seed alone: how far the figures hang on its luck."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bimodal.errors import BimodalError
from bimodal.evaluation.figures import CONFIDENCE, Estimate, Resampling, known, measure
from bimodal.evaluation.markdown import Rows, aligned, escaped, escaped_table
from bimodal.evaluation.metrics import METRICS, MetricInfo
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.files import write_bytes, write_json

SEEDS_JSON: Final = "seeds.json"
SEEDS_PAGE: Final = "seeds.md"

_SHOWN: Final = ("uar", "weighted_f1", "accuracy")


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedFigure:
    """A metric of one system over all seeds.

    Attributes:
        mean: Over the seeds; None if it is undefined for one of them.
        sd: Sample deviation over the seeds; None for one seed.
        low: Lower end of the interval over clusters, with the predictions of all seeds; None if there is none.
        high: Upper end.
        seeds: A value for each seed, in their order.
    """

    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    seeds: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsReport:
    """Results of several seeds on the same folds; written as seeds.json.

    Attributes:
        seeds: Of the trainings.
        rows: Utterances of each seed.
        clusters: Speakers or dialogues among them.
        cluster_name: Unit of resampling.
        confidence: Of the intervals, 0 to 1.
        replicates: Bootstrap resamples; metrics of scores take at most `SCORE_REPLICATES`.
        systems: Figures by system and metric.
        schema: Version of this record.
    """

    seeds: tuple[int, ...]
    rows: int
    clusters: int
    cluster_name: str
    confidence: float
    replicates: int
    systems: Mapping[str, Mapping[str, SeedFigure]]
    schema: int = 1


def over_seeds(found: Mapping[int, Predictions], resampling: Resampling | None = None) -> SeedsReport:
    """Mean, deviation and interval of each metric over seeds.

    The deviation says what the seed's luck does. The interval resamples speakers (dialogues, utterances) with the
    predictions of all seeds: it says what the choice of speakers does.

    Args:
        found: Predictions of the same utterances, by seed.
        resampling: How the intervals are made.

    Raises:
        ValueError: There are no seeds, or their emotions or clusters differ.

    Example:
        >>> one = Predictions(
        ...     ids=("1", "2"), targets=np.array([0, 1]), emotions=("anger", "joy"), clusters=("Ann", "Bob"),
        ...     cluster_name="speaker", scores={"speech": np.array([[0.9, 0.1], [0.2, 0.8]])})
        >>> other = replace(one, scores={"speech": np.array([[0.9, 0.1], [0.7, 0.3]])})
        >>> figure = over_seeds({0: one, 1: other}, Resampling(replicates=10)).systems["speech"]["uar"]
        >>> figure.mean, figure.seeds
        (0.75, (1.0, 0.5))
    """
    chosen, plain = resampling or Resampling(), [_without_extras(one) for one in found.values()]
    pooled = concatenate(*(_renamed(one, seed) for seed, one in zip(found, plain, strict=True)))
    systems = [name for name in pooled.systems if all(name in one.scores and one.answered(name).any() for one in plain)]
    return SeedsReport(
        seeds=tuple(found),
        rows=len(plain[0].ids),
        clusters=len(set(plain[0].clusters)),
        cluster_name=pooled.cluster_name,
        confidence=CONFIDENCE,
        replicates=chosen.replicates,
        systems={
            system: {name: _figure(metric, plain, pooled, system, chosen) for name, metric in METRICS.items()}
            for system in systems
        },
    )


def _without_extras(predictions: Predictions) -> Predictions:
    return replace(predictions, extra={}, sets={})


def _renamed(predictions: Predictions, seed: int) -> Predictions:
    """The predictions with ids that no other seed has; the clusters stay, so that a speaker is one of all seeds."""
    return replace(predictions, ids=tuple(f"{seed}/{name}" for name in predictions.ids))


def _figure(
    metric: MetricInfo, several: Sequence[Predictions], pooled: Predictions, system: str, resampling: Resampling
) -> SeedFigure:
    once = replace(resampling, replicates=1)  # the values alone count
    values = [measure(metric, one, system, once).value for one in several]
    told = [value for value in values if value is not None]
    ends = measure(metric, pooled, system, resampling)
    whole = len(told) == len(values)
    return SeedFigure(
        mean=known(float(np.mean(told))) if whole else None,
        sd=float(np.std(told, ddof=1)) if whole and len(told) > 1 else None,
        low=ends.low,
        high=ends.high,
        seeds=tuple(values),
    )


def seeds_table(report: SeedsReport) -> list[list[str]]:
    """A line for each system: mean, deviation, interval and each seed's value of UAR; then mean and deviation of more.

    Example:
        >>> figure = SeedFigure(mean=0.75, sd=0.05, low=0.6, high=0.9, seeds=(0.7, 0.8))
        >>> report = SeedsReport(seeds=(0, 1), rows=9, clusters=3, cluster_name="speaker", confidence=0.95,
        ...     replicates=10, systems={"speech": dict.fromkeys(METRICS, figure)})
        >>> for line in seeds_table(report): print(line)
        ['system', 'UAR %', 'sd', '95 % interval', 'each seed', 'weighted F1 %', 'WA %']
        ['speech', '75.0', '5.0', '60.0 to 90.0', '70.0 80.0', '75.0 (sd 5.0)', '75.0 (sd 5.0)']
    """
    main, *others = (name for name in _SHOWN if name in METRICS)
    titles = [f"{METRICS[name].title} %" for name in others]
    interval = f"{100 * report.confidence:g} % interval"
    header = ["system", f"{METRICS[main].title} %", "sd", interval, "each seed", *titles]
    return [header, *(_line(name, found, main, others) for name, found in report.systems.items())]


def _line(system: str, found: Mapping[str, SeedFigure], main: str, others: Sequence[str]) -> list[str]:
    figure = found[main]
    ends = "-" if figure.low is None or figure.high is None else f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"
    more = [f"{_percent(found[name].mean)} (sd {_percent(found[name].sd)})" for name in others]
    each = " ".join(map(_percent, figure.seeds))
    return [system, _percent(figure.mean), _percent(figure.sd), ends, each, *more]


def _percent(value: float | None) -> str:
    return Estimate(value=value).shown()


def seeds_sentence(report: SeedsReport) -> str:
    """What the table shows, in words."""
    named = ", ".join(map(str, report.seeds))
    return (
        f"{len(report.seeds)} seeds ({named}) on the same folds of {report.rows} utterances: mean and sample deviation "
        f"(sd) over the seeds. The intervals resample {report.clusters} {report.cluster_name}s with the predictions of "
        "all seeds."
    )


def describe_seeds(report: SeedsReport) -> str:
    """The results of all seeds as text."""
    return "\n".join([seeds_sentence(report), aligned(_narrow(seeds_table(report)))])


def _narrow(table: Rows) -> Rows:
    """The table as far as a terminal of 80 columns has room for it."""
    return [line[:4] for line in table]


def write_seeds(folder: Path, report: SeedsReport) -> None:
    """Write seeds.json, with all figures, and seeds.md, with a table.

    Args:
        folder: Made if missing.
        report: From `over_seeds`.

    Raises:
        BimodalError: The folder cannot be written.
    """
    page = f"# Results over seeds\n\n{escaped(seeds_sentence(report))}\n\n{escaped_table(seeds_table(report))}\n"
    content: Any = report
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SEEDS_JSON, content)
        write_bytes(folder / SEEDS_PAGE, page.encode())
    except OSError as error:
        raise BimodalError(f"{folder}: the results of the seeds cannot be written ({error.strerror})") from error
