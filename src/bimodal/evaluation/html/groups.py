"""Sections on people: results by subgroup of the speakers, and the votes of several annotators."""

from collections.abc import Sequence
from typing import Final

from bimodal.evaluation.describe_further import vote_sentences
from bimodal.evaluation.figures import Estimate
from bimodal.evaluation.html.blocks import Block, Cell, LeftOut, Listing, Section, Table
from bimodal.evaluation.html.material import Material, percent, short
from bimodal.evaluation.subgroups import FEW_ROWS, Group, Subgroups

_USUAL: Final = ("sex", "gender", "age", "accent", "lang", "ethnicity", "race")
_MOST_EMOTIONS: Final = 12  # with a column of their own


def subgroup_section(material: Material) -> Section | LeftOut:
    """Results of the main system by each column that was asked for, and the gaps of all systems."""
    found = [one for one in material.report.subgroups if one.system == material.main]
    if not found:
        usual = [name for name in _USUAL if name in material.predictions.extra]
        have = f" The manifest has {', '.join(usual)}." if usual else ""
        return LeftOut(reason=f"No column was asked for: --by COLUMN compares the groups of a column.{have}")
    blocks: list[Block] = [_group_table(one, material) for one in found]
    return Section(
        lead="Does the model serve everybody alike? The gap is that between the best and the worst group over the "
        f"emotions that both have. Groups below {FEW_ROWS} utterances take no part in it.",
        blocks=[_gap_table(material.report.subgroups), *blocks],
    )


def _gap_table(found: Sequence[Subgroups]) -> Table:
    rows = [
        [
            Cell(text=f"{short(one.system)} by {short(one.column)}"),
            _cell(one.gap),
            Cell(text=short(one.best) or "-"),
            Cell(text=short(one.worst) or "-"),
        ]
        for one in found
    ]
    header = ["system and column", "gap in UAR, points", "best group", "worst group"]
    return Table(caption="Gaps between groups, with intervals", header=header, rows=rows)


def _group_table(found: Subgroups, material: Material) -> Table:
    shown = [name for name in material.present if any(one.recalls[name].value is not None for one in found.groups)]
    shown = shown[:_MOST_EMOTIONS]
    sets = any(group.set_coverage is not None for group in found.groups)
    header = [short(found.column), "utterances", "UAR %", *(f"{short(name)} %" for name in shown)]
    rows = [_row(group, shown, sets=sets) for group in found.groups]
    unknown = f"; {found.unknown:,} utterances have no group" if found.unknown else ""
    return Table(
        caption=f"{short(found.system)} by {short(found.column)}: UAR and recall of each emotion{unknown}",
        header=[*header, *(["set coverage %"] if sets else [])],
        rows=rows,
        marked=2,
    )


def _row(group: Group, emotions: Sequence[str], *, sets: bool) -> list[Cell]:
    found = [_cell(group.recalls[name], 0) for name in emotions]
    coverage = [_cell(group.set_coverage or Estimate(value=None))] if sets else []
    return [Cell(text=short(group.name)), Cell(text=f"{group.rows:,}"), _cell(group.uar), *found, *coverage]


def _cell(estimate: Estimate, decimals: int = 1) -> Cell:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return Cell(text=percent(estimate.value, decimals))
    ends = f"{percent(estimate.low, decimals)} to {percent(estimate.high, decimals)}"
    return Cell(text=percent(estimate.value, decimals), small=ends)


def vote_section(material: Material) -> Section | LeftOut:
    """Results against the votes of several annotators, and what a human among them reaches."""
    sentences = vote_sentences(material.report)
    if not sentences:
        return LeftOut(reason="The manifest has no column with the votes of several annotators.")
    return Section(
        lead="People differ about emotions. A model cannot agree with them more than they do with one another.",
        blocks=[Listing(sentences=[short(one, 400) for one in sentences])],
    )
