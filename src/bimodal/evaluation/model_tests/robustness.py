"""Robustness: does the model keep its answers when the recording or the words change?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bimodal.arrays import Doubles, Integers
from bimodal.evaluation.metrics import paired_bootstrap, unweighted_average_recall
from bimodal.evaluation.model_tests.conditions import CONDITIONS, Condition
from bimodal.evaluation.model_tests.records import (
    LEAST_CLIPS,
    Disturbed,
    Material,
    Outcome,
    TestOptions,
    answers,
    judged,
    skipped,
)
from bimodal.evaluation.model_tests.thresholds import group_confusions
from bimodal.evaluation.model_tests.words import WORD_CONDITIONS, WordCondition

Mask = NDArray[np.bool_]

CATEGORY: Final = "robustness"
UAR: Final = "change of UAR"
UNCHANGED: Final = "unchanged answers"
_REPLICATES: Final = 1000  # of the interval of a change of UAR


def check_robustness(material: Material, system: str, options: TestOptions) -> list[Outcome]:
    """All tests of robustness of one system, on the clips whose answers under each change are known."""
    found: list[Outcome] = []
    for name, condition in CONDITIONS.items():
        reason = _reason(material, name, system)
        found += [skipped(CATEGORY, name, "", reason)] if reason else _changes(material, name, system, condition)
    for name, words in WORD_CONDITIONS.items():
        reason = _word_reason(material, name, system)
        found += [skipped(CATEGORY, name, "", reason)] if reason else _words(material, name, words)
    return found


def _reason(material: Material, name: str, system: str) -> str:
    """Why a change of recordings is not tested; empty if it is."""
    if system == "text":
        return "the words do not change"
    if name not in material.disturbed:
        return material.unusable.get(name, "it was not run")
    known = _known(material, material.disturbed[name], system).sum()
    return "" if known >= LEAST_CLIPS else f"{system} answers {known} of the clips, at least {LEAST_CLIPS} are needed"


def _word_reason(material: Material, name: str, system: str) -> str:
    """Why a change of words is not tested; empty if it is."""
    if system != "fused":
        return f"it concerns the fused answer, not that of {system}"
    return "" if name in material.disturbed else material.unusable.get(name, "it was not run")


def _clean(material: Material, disturbed: Disturbed, system: str) -> Doubles:
    """Scores of the undisturbed clips."""
    return material.scores(system)[disturbed.rows]


def _known(material: Material, disturbed: Disturbed, system: str) -> Mask:
    return np.asarray(~np.isnan(_clean(material, disturbed, system)).any(axis=1), dtype=np.bool_)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Answered:
    """Answers to n clips before and after a change; C where there is none."""

    targets: Integers
    before: Integers
    after: Integers
    clusters: list[str]
    emotions: int

    def uar(self) -> tuple[float, float]:
        """UAR before and after; a clip without an answer counts as not recognised."""
        first, second = (self._confusions(told).sum(axis=0) for told in (self.before, self.after))
        return float(unweighted_average_recall(first)), float(unweighted_average_recall(second))

    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the change of UAR, speakers resampled; None with one speaker."""
        after, before = self._confusions(self.after), self._confusions(self.before)
        found = paired_bootstrap(after, before, unweighted_average_recall, replicates=_REPLICATES)
        return None if np.isnan(found.low) else (found.low, found.high)

    def _confusions(self, told: Integers) -> Integers:
        """One confusion matrix per speaker, with a last row and column for no answer."""
        groups = np.unique(self.clusters, return_inverse=True)[1]
        return group_confusions(self.targets, told, groups, self.emotions + 1)


def _answered(material: Material, disturbed: Disturbed, before: Doubles, after: Doubles) -> _Answered:
    """The clips that have an answer before the change."""
    known = ~np.isnan(before).any(axis=1)
    rows = disturbed.rows[known]
    return _Answered(
        targets=material.targets[rows],
        before=answers(before[known]),
        after=answers(after[known]),
        clusters=[material.predictions.clusters[row] for row in rows.tolist()],
        emotions=len(material.predictions.emotions),
    )


def _changes(material: Material, name: str, system: str, condition: Condition) -> Iterator[Outcome]:
    """Change of UAR and share of unchanged answers."""
    disturbed = material.disturbed[name]
    found = _answered(material, disturbed, _clean(material, disturbed, system), disturbed.scores[system])
    told = _told(name, disturbed)
    if condition.uar is not None:
        yield _uar(name, found, condition.uar, condition.source, told, "without it")
    if condition.unchanged is not None:
        yield _unchanged(name, found, condition.unchanged, condition.source, told)


def _told(name: str, disturbed: Disturbed) -> str:
    return f"With {name} ({disturbed.detail})" if disturbed.detail else f"With {name}"


def _uar(name: str, found: _Answered, limit: float, source: str, told: str, against: str) -> Outcome:
    before, after = found.uar()
    ends = found.interval()
    shown = "" if ends is None else f" (change {100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
    return judged(
        CATEGORY,
        name,
        UAR,
        after - before,
        limit,
        sentence=f"{told}, UAR is {100 * after:.1f} %, {100 * before:.1f} % {against}{shown}; expected a loss of at "
        f"most {-100 * limit:g} points.",
        clips=len(found.targets),
        source=source,
        interval=ends,
    )


def _unchanged(name: str, found: _Answered, limit: float, source: str, told: str) -> Outcome:
    value, clips = float((found.before == found.after).mean()), len(found.targets)
    return judged(
        CATEGORY,
        name,
        UNCHANGED,
        value,
        limit,
        sentence=f"{told}, {100 * value:.1f} % of {clips} answers stay the same, expected at least {100 * limit:g} %.",
        clips=clips,
        source=source,
    )


def _words(material: Material, name: str, condition: WordCondition) -> Iterator[Outcome]:
    """Fused answers under a change of words, against the reference."""
    disturbed = material.disturbed[name]
    reference = _clean(material, disturbed, condition.reference)
    found, told = _answered(material, disturbed, reference, disturbed.scores["fused"]), _told(name, disturbed)
    if not len(found.targets):
        yield skipped(CATEGORY, name, "", f"{condition.reference} answers none of the clips")
        return
    against = "without it" if condition.reference == "fused" else f"of {condition.reference} alone"
    yield _uar(name, found, condition.uar, condition.source, told, against)
    if condition.unchanged is not None:
        yield _unchanged(name, found, condition.unchanged, condition.source, told)
