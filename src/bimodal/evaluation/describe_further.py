"""The further parts of a report as tables and sentences: subgroups, abstention, votes of several annotators."""

from collections.abc import Sequence

from bimodal.evaluation.abstention import Abstention
from bimodal.evaluation.figures import Estimate
from bimodal.evaluation.report import Report
from bimodal.evaluation.soft_truth import SoftTruth
from bimodal.evaluation.subgroups import Group, Subgroups

Table = list[list[str]]  # rows of cells, the header first


def percent(estimate: Estimate, decimals: int = 1) -> str:
    """A share in percent with its interval.

    Example:
        >>> percent(Estimate(value=0.5, low=0.25, high=0.75)), percent(Estimate(value=None))
        ('50.0 [25.0, 75.0]', '-')
    """
    return estimate.shown(100, decimals)


def subgroup_tables(report: Report) -> list[tuple[str, Table]]:
    """A heading and a table for each column and system; one row for each group."""
    return [(_heading(one), _groups(one, report.emotions)) for one in report.subgroups]


def abstention_sentences(report: Report) -> list[str]:
    """Sentences on what abstaining buys each system."""
    return [_abstention(one) for one in report.abstention]


def vote_sentences(report: Report) -> list[str]:
    """Sentences on the votes of several annotators; none if there are none."""
    return [] if report.soft_truth is None else _votes(report.soft_truth)


def _heading(found: Subgroups) -> str:
    start = f"{found.system} by {found.column}"
    if found.gap.value is None:
        return f"{start} (no gap: fewer than two groups are large enough or share an emotion):"
    return f"{start}; gap in UAR {percent(found.gap)} points, {found.best} above {found.worst}:"


def _groups(found: Subgroups, emotions: Sequence[str]) -> Table:
    sets = any(group.set_coverage is not None for group in found.groups)
    shown = [emotion for emotion in emotions if any(group.recalls[emotion].value is not None for group in found.groups)]
    header = [found.column, "utterances", "clusters", "UAR %", *(f"{emotion} %" for emotion in shown)]
    rows = [_group(group, shown, sets) for group in found.groups]
    return [[*header, *(["set coverage %"] if sets else [])], *rows]


def _group(group: Group, emotions: Sequence[str], sets: bool) -> list[str]:
    recalls = [percent(group.recalls[emotion], 0) for emotion in emotions]
    coverage = [] if group.set_coverage is None else [percent(group.set_coverage)]
    return [group.name, str(group.rows), str(group.clusters), percent(group.uar), *recalls, *(coverage if sets else [])]


def _abstention(found: Abstention) -> str:
    cost = ""
    if found.cost is not None and found.cost_of_all is not None:
        cost = f" Cost {found.cost.shown(1, 3)}, of answering all {found.cost_of_all.shown(1, 3)}."
    return (
        f"{found.system} ({found.rule}; threshold chosen on {found.chosen_on}) answers {found.answered} "
        f"of {found.rows} utterances, {percent(found.coverage)} %: {percent(found.error)} % of these answers are "
        f"wrong, {percent(found.error_of_all)} % if it answers all. UAR of the answered: {percent(found.uar)} %.{cost}"
    )


def _votes(found: SoftTruth) -> list[str]:
    outside = f" {found.outside} votes for other emotions are left out." if found.outside else ""
    sentences = [
        f"{found.rows} utterances have {found.votes:.1f} votes on average (column '{found.column}').{outside}",
        f"A human among them agrees with {percent(found.human)} % of the other annotators, and with most of them on "
        f"{percent(found.human_majority)} % of the utterances. The emotion with most votes would reach "
        f"{percent(found.best)} %, the least cross-entropy is {found.entropy.shown(1, 3)}.",
    ]
    for system, one in found.systems.items():
        sentences.append(
            f"{system} agrees with {percent(one.expected_accuracy)} % of the annotators, and with most of them on "
            f"{percent(one.majority_accuracy)} % of {one.rows} utterances; cross-entropy "
            f"{one.cross_entropy.shown(1, 3)}."
        )
    return sentences
