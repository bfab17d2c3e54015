"""Robustness: does the model keep its answers when the recording or the words change?"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bimodal.arrays import Doubles, Integers
from bimodal.evaluation.metrics import unweighted_average_recall
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
from bimodal.evaluation.model_tests.words import WORD_CONDITIONS, WordCondition

Mask = NDArray[np.bool_]

CATEGORY: Final = "robustness"
UAR: Final = "change of UAR"
UNCHANGED: Final = "unchanged answers"


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


def _changes(material: Material, name: str, system: str, condition: Condition) -> Iterator[Outcome]:
    """Change of UAR and share of unchanged answers."""
    disturbed = material.disturbed[name]
    known = _known(material, disturbed, system)
    targets = material.targets[disturbed.rows][known]
    before = answers(_clean(material, disturbed, system)[known])
    after = answers(disturbed.scores[system][known])
    detail = f" ({disturbed.detail})" if disturbed.detail else ""
    if condition.uar is not None:
        yield _uar(name, (targets, before, after), condition.uar, condition.source, detail, material, "without it")
    if condition.unchanged is not None:
        yield _unchanged(name, before, after, condition.unchanged, condition.source, detail)


def uar_of(targets: Integers, told: Integers, emotions: int) -> float:
    """Mean recall, 0 to 1; a clip without an answer counts as not recognised.

    Example:
        >>> uar_of(np.array([0, 0, 1]), np.array([0, 2, 1]), 2)
        0.75
    """
    matrix = np.zeros((emotions + 1, emotions + 1), np.int64)
    np.add.at(matrix, (targets, told), 1)
    return float(unweighted_average_recall(matrix))


def _uar(
    name: str,
    answered: tuple[Integers, Integers, Integers],
    limit: float,
    source: str,
    detail: str,
    material: Material,
    against: str,
) -> Outcome:
    targets, before, after = answered
    emotions = len(material.predictions.emotions)
    first, second = (uar_of(targets, told, emotions) for told in (before, after))
    return judged(
        CATEGORY,
        name,
        UAR,
        second - first,
        limit,
        sentence=f"With {name}{detail}, UAR is {100 * second:.1f} %, {100 * first:.1f} % {against}; expected a loss of "
        f"at most {-100 * limit:g} points.",
        clips=len(targets),
        source=source,
    )


def _unchanged(name: str, before: Integers, after: Integers, limit: float, source: str, detail: str) -> Outcome:
    value = float((before == after).mean())
    return judged(
        CATEGORY,
        name,
        UNCHANGED,
        value,
        limit,
        sentence=f"With {name}{detail}, {100 * value:.1f} % of {len(before)} answers stay the same, expected at least "
        f"{100 * limit:g} %.",
        clips=len(before),
        source=source,
    )


def _words(material: Material, name: str, condition: WordCondition) -> Iterator[Outcome]:
    """Fused answers under a change of words, against the reference."""
    disturbed = material.disturbed[name]
    reference = _clean(material, disturbed, condition.reference)
    known = ~np.isnan(reference).any(axis=1)
    targets = material.targets[disturbed.rows][known]
    before, after = answers(reference[known]), answers(disturbed.scores["fused"][known])
    detail = f" ({disturbed.detail})" if disturbed.detail else ""
    against = "without it" if condition.reference == "fused" else f"of {condition.reference} alone"
    yield _uar(name, (targets, before, after), condition.uar, condition.source, detail, material, against)
    if condition.unchanged is not None:
        yield _unchanged(name, before, after, condition.unchanged, condition.source, detail)
