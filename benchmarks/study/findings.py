"""Figures of the study and paired tests against a reference, corrected for their number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.record import Figure, make_figure
from benchmarks.study.fusion import CONDITIONS
from benchmarks.study.losses import CE, CUT, LOSSES, SHARES, SWEPT, Choice
from benchmarks.study.tasks import Task, rarest
from bimodal.arrays import mean_of_known
from bimodal.evaluation import metrics

UAR, F1, RARE, MASS, ECE = "UAR", "macro F1", "rare recall", "confusion mass", "ECE"
CUT_RECALL = f"recall of {CUT}"
BETTER_BELOW = (MASS, ECE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One system's figure and its difference to the reference.

    Attributes:
        system: A loss or a kind of fusion.
        condition: What it was tested or trained under; empty where there is one only.
        figure: In percent.
        gain: Difference to the reference, in points; None for the reference and for metrics without interval.
        holm: p of the gain over clusters, corrected for all gains of the section in this metric (Holm 1979).
        seeds_p: p of a paired t-test over the seeds, not corrected.
    """

    system: str
    condition: str
    figure: Figure
    gain: Figure | None = None
    holm: float | None = None
    seeds_p: float | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the study.

    Attributes:
        name: Such as `losses/ravdess`.
        title: For the page.
        reference: System that the gains are compared with.
        notes: Sentences on the choices made.
        rows: By metric, condition, system.
        commit: Of this repository, when it was run.
    """

    name: str
    title: str
    reference: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    commit: str = ""


@dataclass(frozen=True, kw_only=True)
class Study:
    """All sections that are done.

    Attributes:
        sections: In order.
        seeds: Of the reported networks.
        minutes: CPU minutes of all cells, by part.
        date: When the last one was, UTC.
    """

    sections: tuple[Section, ...]
    seeds: tuple[int, ...]
    minutes: dict[str, float]
    date: str


Metric = Callable[[Any], Any]
Matrices = Sequence[Any]


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Corrects p values for their number (Holm 1979); None stays None.

    Example:
        >>> holm([0.01, None, 0.04, 0.03])
        [0.03, None, 0.06, 0.06]
    """
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (value, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * value))
        corrected[place] = highest
    return corrected


def corrected(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows with p values corrected within each metric."""
    found = list(rows)
    for name in dict.fromkeys(row.figure.metric for row in rows):
        places = [place for place, row in enumerate(rows) if row.figure.metric == name]
        values = holm([row.gain.p if (row := rows[place]).gain else None for place in places])
        for place, value in zip(places, values, strict=True):
            found[place] = replace(found[place], holm=value)
    return tuple(found)


def compare(
    system: str, condition: str, metric: tuple[str, Metric], own: Matrices, reference: Matrices | None, clusters: str
) -> Row:
    """A row from confusions (G, C, C), one array a seed."""
    name, function = metric
    values = [100 * float(function(one.sum(0))) for one in own]
    interval = metrics.bootstrap_interval(sum(own), function)
    text = f"{len(own[0])} {clusters}s"
    figure = make_figure(system, name, values, low=100 * interval.low, high=100 * interval.high, clusters=text)
    if reference is None:
        return Row(system=system, condition=condition, figure=figure)
    differences = [
        100 * float(function(one.sum(0)) - function(two.sum(0))) for one, two in zip(own, reference, strict=True)
    ]
    found = metrics.paired_bootstrap(sum(own), sum(reference), function)
    ends = {"low": 100 * found.low, "high": 100 * found.high, "clusters": text, "p": found.p}
    gain = make_figure(system, name, differences, **ends)
    return Row(system=system, condition=condition, figure=figure, gain=gain, seeds_p=over_seeds(differences))


def over_seeds(differences: Sequence[float]) -> float | None:
    """The p of a t-test that the mean difference is 0; None for fewer than two seeds or no spread."""
    from scipy.stats import ttest_1samp

    if len(differences) < 2 or np.ptp(differences) < 1e-9:
        return None
    return float(ttest_1samp(differences, 0.0).pvalue)


def confusions(task: Any, rows: Any, guesses: Any, targets: Any, emotions: Sequence[str]) -> Any:
    """One matrix a cluster, (G, C, C), of some rows."""
    names = list(emotions)
    return metrics.cluster_confusions(
        [names[targets[row]] for row in rows],
        [names[guess] for guess in guesses],
        [task.clusters[row] for row in rows],
        names,
    )


def pair_confusions(task: Task, chosen: Sequence[Choice], scores: Any) -> Any:
    """Per cluster (G, 2 K, 2 K): of the K pairs that each fold chose, who was taken for the counterpart.

    Row and column 2 k and 2 k + 1 are the emotions of a fold's k-th pair; all that was not taken for the counterpart
    stands on the diagonal. So folds may have chosen different pairs.
    """
    order = {cluster: place for place, cluster in enumerate(dict.fromkeys(task.clusters))}
    matrices = np.zeros((len(order), 2 * task.pairs, 2 * task.pairs))
    for fold, choice in zip(task.folds, chosen, strict=True):
        for row in fold.test:
            guess, truth = scores[row].argmax(), task.targets[row]
            for place, pair in enumerate(choice.pairs):
                if truth in pair:
                    own = pair.index(truth)
                    taken = 1 - own if guess == pair[1 - own] else own
                    matrices[order[task.clusters[row]], 2 * place + own, 2 * place + taken] += 1
    return matrices[matrices.sum((1, 2)) > 0]


def recall_of(positions: Sequence[int]) -> Metric:
    """Mean recall of some emotions."""
    return lambda matrix: mean_of_known(metrics.recall_per_class(matrix)[..., list(positions)])


def loss_section(task: Task, chosen: Sequence[Choice], scores: dict[str, list[Any]]) -> Section:
    """Eight losses on one corpus."""
    rows = [row for fold in task.folds for row in fold.test]
    matrices = {
        name: [confusions(task, rows, one[rows].argmax(axis=1), task.targets, task.emotions) for one in seeds]
        for name, seeds in scores.items()
    }
    pairs = {name: [pair_confusions(task, chosen, one) for one in seeds] for name, seeds in scores.items()}
    slots = [(2 * place, 2 * place + 1) for place in range(task.pairs)]
    wanted: tuple[tuple[str, Metric, dict[str, list[Any]]], ...] = (
        (UAR, metrics.unweighted_average_recall, matrices),
        (F1, metrics.macro_f1, matrices),
        (RARE, recall_of(rarest(task)), matrices),
        (MASS, lambda matrix: metrics.confusion_mass(matrix, slots), pairs),
    )
    found = [
        compare(name, "", (metric, function), source[name], None if name == CE else source[CE], task.cluster_name)
        for metric, function, source in wanted
        for name in LOSSES
    ]
    targets = task.targets[rows]
    for name, seeds in scores.items():
        values = [100 * metrics.expected_calibration_error(one[rows], targets) for one in seeds]
        found.append(Row(system=name, condition="", figure=make_figure(name, ECE, values)))
    return Section(
        name=f"losses/{task.name}",
        title=task.title,
        reference=CE,
        notes=loss_notes(task, chosen),
        rows=corrected(found),
    )


def loss_notes(task: Task, chosen: Sequence[Choice]) -> tuple[str, ...]:
    """Notes of a table: values chosen on inner folds, rare emotions, confused pairs."""
    rare = ", ".join(task.emotions[position] for position in rarest(task))
    betas = [
        f"{name} {', '.join(f'{value:g}' for value in sorted({choice.beta[name] for choice in chosen}))}"
        for name in chosen[0].beta
    ]
    gammas = ", ".join(f"{value:g}" for value in sorted({choice.gamma for choice in chosen}))
    where = "inner folds of the training part" if task.choose else "the inner folds of RAVDESS, not on this corpus"
    pairs = sorted({" and ".join(task.emotions[one] for one in pair) for choice in chosen for pair in choice.pairs})
    return (
        f"Values chosen on {where}: gamma {gammas}; beta of {'; '.join(betas)}.",
        f"Rare emotions: {rare}. Confused pairs of cross-entropy on inner folds: {'; '.join(pairs)}.",
    )


def imbalance_section(task: Task, scores: dict[tuple[str, float], list[Any]]) -> Section:
    """One emotion made rare."""
    rows = [row for fold in task.folds for row in fold.test]
    matrices = {
        key: [confusions(task, rows, one[rows].argmax(axis=1), task.targets, task.emotions) for one in seeds]
        for key, seeds in scores.items()
    }
    position = task.emotions.index(CUT)
    wanted = ((UAR, metrics.unweighted_average_recall), (F1, metrics.macro_f1), (CUT_RECALL, recall_of([position])))
    found = [
        compare(
            name,
            f"{100 * share:g} %",
            metric,
            matrices[name, share],
            None if name == CE else matrices[CE, share],
            task.cluster_name,
        )
        for metric in wanted
        for share in SHARES
        for name in SWEPT
    ]
    return Section(
        name=f"imbalance/{task.name}",
        title=f"{task.title}, reduced share of {CUT} in training",
        reference=CE,
        notes=(
            f"{CUT} was chosen before the study. Each seed draws its training rows at random; "
            "all losses get the same rows.",
        ),
        rows=corrected(found),
    )


def fusion_section(task: Any, guesses: dict[tuple[str, str], list[Any]]) -> Section:
    """Fusion methods, each compared with the informative modality alone."""
    rows, targets = list(task.test), task.prepared.rows.targets
    matrices = {}
    for key, seeds in guesses.items():
        if (seeds[0] >= 0).all():
            matrices[key] = [confusions(task, rows, one, targets, task.prepared.rows.emotions) for one in seeds]
    found = []
    metric = (UAR, metrics.unweighted_average_recall)
    for system, condition in matrices:
        reference = trusted(condition)
        other = None if system.endswith(" alone") else matrices[reference, condition]
        found.append(compare(system, condition, metric, matrices[system, condition], other, task.cluster_name))
    return Section(
        name=f"fusion/{task.name}",
        title=task.title,
        reference="the informative modality alone",
        notes=(
            "All fusion methods use the same two networks. The reference is voice alone if the words are missing or "
            "from another utterance, otherwise words alone.",
        ),
        rows=corrected(sorted(found, key=lambda row: _place(row.condition))),
    )


def trusted(condition: str) -> str:
    """The modality that fusion is compared with in a condition."""
    return "voice alone" if condition.startswith("words") else "words alone"


def _place(condition: str) -> int:
    return CONDITIONS.index(condition)
