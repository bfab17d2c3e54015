"""Sections that are tables, matrices and bars: main figures, confusions, recalls, conflicts."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bimodal.arrays import Doubles, ratio
from bimodal.evaluation import metrics
from bimodal.evaluation.describe import comparison_sentences
from bimodal.evaluation.figures import Estimate, confusions_of, known
from bimodal.evaluation.html.blocks import (
    Bar,
    BarGroup,
    Bars,
    Block,
    Cell,
    Heat,
    HeatCell,
    LeftOut,
    Listing,
    Section,
    Table,
)
from bimodal.evaluation.html.material import Material, percent, short, system_colour
from bimodal.evaluation.metrics import METRICS, MetricInfo
from bimodal.evaluation.report import Report, SystemReport

MEANING: Final = {
    "uar": "mean recall over the emotions",
    "accuracy": "share of right answers",
    "macro_f1": "mean F1 over the emotions",
    "weighted_f1": "F1, weighted by how often an emotion occurs",
    "nll": "lower is better",
    "brier": "lower is better",
    "mcc": "correlation of answer and truth, -1 to 1",
    "auroc": "each emotion against the rest; 50 is chance",
    "ece": "gap between confidence and accuracy; lower is better",
    "adaptive_ece": "the same, bins of equal count",
    "aurc": "mean error over all coverages; lower is better",
}
"""What a metric says, where its name does not."""

GUESSED: Final = ("chance", "majority")
"""Systems that need no model; a report that has one of this name itself keeps its own."""

_STEPS: Final = 20  # of the colour of a confusion matrix
_MOST_EMOTIONS: Final = 40  # with bars of their own
_REPLICATES: Final = 1000  # of the intervals of recalls


def main_table(material: Material) -> Section:
    """All systems side by side, with chance and majority; the main one first, where a phone shows it."""
    report = material.report
    guesses = _guesses(report)
    systems = sorted(report.systems, key=lambda one: one.system != material.main)
    header = ["metric", *(short(one.system) for one in systems), *guesses]
    counted = [Cell(text="utterances"), *(Cell(text=f"{one.rows:,}") for one in systems)]
    rows = [[*counted, *(Cell(text=f"{report.rows:,}") for _ in guesses)]]
    for name, metric in METRICS.items():
        cells = [_cell(one.metrics.get(name), metric) for one in systems]
        rows.append([_metric_name(name, metric), *cells, *(_guess_cell(metric, one) for one in guesses.values())])
    caption = (
        f"Shares are in percent. Small: {100 * report.confidence:g} % intervals, from {report.replicates:,} resamples "
        f"of whole {report.cluster_name}s."
    )
    blocks: list[Block] = [Table(caption=caption, header=header, rows=rows, marked=1)]
    if sentences := comparison_sentences(report):
        blocks.append(Listing(heading="Differences on the same utterances", sentences=sentences))
    return Section(
        lead="Each column is a system on the same recordings. Guessing and always answering the most frequent emotion "
        "stand beside them.",
        blocks=[*blocks, *_further_tables(report)],
    )


def _further_tables(report: Report) -> list[Table]:
    """Prediction sets and derived dimensions, where the report has any."""
    sets = [(one.system, one.sets) for one in report.systems if one.sets is not None]
    found = []
    if sets:
        header = ["prediction sets", f"coverage % ({100 * sets[0][1].asked:g} asked)", "least, %", "of", "mean size"]
        rows = [
            [name, percent(one.coverage), percent(one.worst_coverage), short(one.worst), f"{one.mean_size:.2f}"]
            for name, one in sets
        ]
        found.append(plain_table("How often a prediction set holds the true emotion", header, rows))
    names = list(dict.fromkeys(name for one in report.systems for name in one.dimensions))
    if names:
        values = [[one.dimensions.get(name) for name in names] for one in report.systems]
        rows = [
            [short(one.system), *("-" if value is None else f"{value:.3f}" for value in row)]
            for one, row in zip(report.systems, values, strict=True)
        ]
        found.append(plain_table("Agreement with the ratings (CCC, -1 to 1)", ["system", *names], rows))
    return found


def plain_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: bool = True) -> Table:
    """A table of plain texts."""
    cells = [[Cell(text=one) for one in row] for row in rows]
    return Table(caption=caption, header=list(header), rows=cells, numeric=numeric)


def _metric_name(name: str, metric: MetricInfo) -> Cell:
    unit = " %" if metric.is_share else ""
    return Cell(text=f"{metric.title}{unit}", small=MEANING.get(name) or metric.explained)


def _cell(estimate: Estimate | None, metric: MetricInfo) -> Cell:
    if estimate is None or estimate.value is None:
        return Cell(text="-")
    factor, decimals = (100, 1) if metric.is_share else (1, 3)
    text = f"{factor * estimate.value:.{decimals}f}"
    if estimate.low is None or estimate.high is None:
        return Cell(text=text)
    return Cell(text=text, small=f"{factor * estimate.low:.{decimals}f} to {factor * estimate.high:.{decimals}f}")


def _guesses(report: Report) -> dict[str, Doubles]:
    """Expected confusion matrices of guessing among the emotions that occur, and of the most frequent emotion."""
    counts = np.array([report.counts[emotion] for emotion in report.emotions], np.float64)
    present = (counts > 0) / max(1, (counts > 0).sum())
    often = np.eye(len(counts))[int(counts.argmax())]
    taken = {one.system for one in report.systems}
    found = {"chance": counts[:, None] * present, "majority": counts[:, None] * often}
    return {name: found[name] for name in GUESSED if name not in taken}


def _guess_cell(metric: MetricInfo, matrix: Doubles) -> Cell:
    if metric.of_confusions is None:
        return Cell(text="-")
    return _cell(Estimate(value=known(float(metric.of_confusions(matrix)))), metric)


def confusion_section(material: Material) -> Section:
    """Confusion matrices of speech, text and fused."""
    wanted = [one for one in material.report.systems if one.system != "late" and one.rows]
    return Section(
        lead="A row is the true emotion, a column the answer. Numbers are percent of the row; the diagonal is the "
        "recall.",
        blocks=[_heat(one, material.report) for one in wanted],
    )


def _heat(system: SystemReport, report: Report) -> Heat:
    counts = np.array(system.confusion, np.float64)
    shares = np.nan_to_num(ratio(counts, counts.sum(axis=1, keepdims=True)))
    rows = [
        [
            HeatCell(
                text=f"{100 * shares[row, column]:.0f}" if counts[row].any() else "-",
                count=int(counts[row, column]),
                step=round(_STEPS * shares[row, column]),
                right=row == column,
            )
            for column in range(len(counts))
        ]
        for row in range(len(counts))
    ]
    totals = [int(count) for count in counts.sum(axis=1)]
    names = [short(name) for name in report.emotions]
    return Heat(caption=f"{short(system.system)}: {system.rows:,} utterances", names=names, totals=totals, rows=rows)


def recall_section(material: Material) -> Section | LeftOut:
    """Recall of each emotion by each system, with intervals."""
    report = material.report
    present = material.present
    if len(present) > _MOST_EMOTIONS:
        return LeftOut(reason=f"There are {len(present)} emotions, more than {_MOST_EMOTIONS}; see the confusions.")
    names = tuple(one.system for one in report.systems)
    ends = {one.system: recall_intervals(material, one.system) for one in report.systems if one.rows}
    groups = []
    for emotion in present:
        place = report.emotions.index(emotion)
        bars = [
            Bar(
                name=short(one.system),
                value=_hundred(one.recalls[emotion]),
                low=_hundred(known(ends[one.system][0][place])),
                high=_hundred(known(ends[one.system][1][place])),
                colour=system_colour(one.system, names),
            )
            for one in report.systems
            if one.system in ends
        ]
        groups.append(BarGroup(name=short(emotion), count=report.counts[emotion], bars=bars))
    return Section(
        lead="The share of an emotion's utterances that is recognised. A bar that ends left of the dashed line is no "
        "better than guessing.",
        blocks=[
            Bars(caption=f"Recall in percent, {_interval_words(report)}", groups=groups, line=100 * material.chance)
        ],
    )


def _interval_words(report: Report) -> str:
    return f"with {100 * report.confidence:g} % intervals over {report.cluster_name}s"


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100 * value


def recall_intervals(material: Material, system: str) -> tuple[Doubles, Doubles]:
    """Ends of the recalls' intervals, each (C,), by the bootstrap of the report; NaN where there is none."""
    report, rows = material.report, material.predictions.answered(system)
    matrices = confusions_of(material.predictions, system, rows)
    ends = np.full((2, len(report.emotions)), np.nan)
    for place in range(len(report.emotions)):
        one = _two_by_two(matrices, place)
        if len(one) > 1:
            found = metrics.bootstrap_interval(
                one,
                _first_recall,
                replicates=min(report.replicates, _REPLICATES),
                confidence=report.confidence,
                seed=report.seed,
            )
            ends[:, place] = found.low, found.high
    return ends[0], ends[1]


def _two_by_two(matrices: NDArray[np.int64], place: int) -> NDArray[np.int64]:
    """An emotion against the rest, (G, 2, 2): right and wrong answers to its utterances; clusters with any."""
    right = matrices[:, place, place]
    wrong = matrices[:, place].sum(axis=1) - right
    nothing = np.zeros_like(right)
    found = np.stack([np.stack([right, wrong], 1), np.stack([nothing, nothing], 1)], 1)
    kept: NDArray[np.int64] = found[(right + wrong) > 0]
    return kept


def _first_recall(matrix: ArrayLike) -> Doubles:
    return metrics.recall_per_class(matrix)[..., 0]


def conflict_tables(material: Material) -> tuple[list[Table], NDArray[np.int64]] | LeftOut:
    """What happens where voice and words disagree; and the rows where they do, the surest first."""
    predictions = material.predictions
    if not {"speech", "text"} <= set(predictions.systems):
        return LeftOut(reason="Only one of speech and text has answers, so they cannot disagree.")
    both = predictions.answered("speech") & predictions.answered("text")
    if not both.any():
        return LeftOut(reason="No utterance has an answer from speech and from text.")
    answers = {name: predictions.scores[name].argmax(axis=1) for name in predictions.systems}
    differ = both & (answers["speech"] != answers["text"])
    right = {name: answers[name] == predictions.targets for name in predictions.systems}
    fused = "fused" if "fused" in predictions.systems and predictions.answered("fused")[both].all() else ""
    header = ["", "utterances", "voice right %", "words right %", *(["fused right %"] if fused else [])]
    rows = [
        _agreement("voice and words agree", both & ~differ, right, fused),
        _agreement("voice and words disagree", differ, right, fused),
    ]
    tables = [plain_table("How often voice and words agree, and who is right", header, rows)]
    if fused and differ.any():
        tables.append(_followed(answers, right, differ))
    sure = sum(np.nan_to_num(predictions.scores[name].max(axis=1)) for name in ("speech", "text"))
    order = np.flatnonzero(differ)
    return tables, order[np.argsort(-np.asarray(sure)[order], kind="stable")]


def _agreement(name: str, rows: NDArray[np.bool_], right: dict[str, Any], fused: str) -> list[str]:
    wanted = ["speech", "text", *([fused] if fused else [])]
    shares = [percent(float(right[one][rows].mean())) if rows.any() else "-" for one in wanted]
    return [name, f"{int(rows.sum()):,}", *shares]


def _followed(answers: dict[str, Any], right: dict[str, Any], differ: NDArray[np.bool_]) -> Table:
    """Whom fusion follows where voice and words disagree."""
    cases: dict[str, Callable[[], NDArray[np.bool_]]] = {
        "fused follows the voice": lambda: answers["fused"] == answers["speech"],
        "fused follows the words": lambda: answers["fused"] == answers["text"],
        "fused answers a third emotion": lambda: (
            (answers["fused"] != answers["speech"]) & (answers["fused"] != answers["text"])
        ),
    }
    rows = []
    for name, chosen in cases.items():
        here = differ & chosen()
        share = percent(here.sum() / differ.sum())
        rows.append([name, f"{int(here.sum()):,}", share, _agreement("", here, right, "fused")[-1]])
    return plain_table("Whom fusion follows where they disagree", ["", "utterances", "share %", "fused right %"], rows)
