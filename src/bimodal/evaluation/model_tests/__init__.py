"""Tests of a model: correctness, consistency, fairness, robustness; `TESTS` lists the categories.

Kinds of tests and thresholds follow Derington et al., Testing correctness, fairness, and robustness of speech emotion
recognition models (arXiv 2312.06270), and the pages of its results. `suite.py` runs them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bimodal.evaluation.model_tests.consistency import check_consistency
from bimodal.evaluation.model_tests.correctness import check_correctness
from bimodal.evaluation.model_tests.fairness import check_fairness
from bimodal.evaluation.model_tests.records import Material, Outcome, TestOptions
from bimodal.evaluation.model_tests.robustness import check_robustness

__all__ = ["PUBLISHED_RATES", "PUBLISHED_SOURCE", "TESTS", "Category"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """A category of tests.

    Attributes:
        title: As a heading.
        question: What it asks, in one sentence.
        check: Runs its tests on one system.
        needs_model: Whether the clips have to be recognised again, so that a file of scores is not enough.
        published: Passed and failed tests of the two best models of the published suite; empty if it has no such
            category.
    """

    title: str
    question: str
    check: Callable[[Material, str, TestOptions], list[Outcome]]
    needs_model: bool = False
    published: tuple[tuple[int, int], ...] = ()


TESTS: Final[Mapping[str, Category]] = {
    "correctness": Category(
        title="Correctness",
        question="Does the model recognise the emotions?",
        check=check_correctness,
        published=((102, 58), (102, 58)),
    ),
    "consistency": Category(
        title="Consistency",
        question="Do related clips get the answer that their relation lets one expect?",
        check=check_consistency,
    ),
    "fairness": Category(
        title="Fairness",
        question="Does the model answer alike for all groups?",
        check=check_fairness,
        published=((293, 14), (290, 17)),
    ),
    "robustness": Category(
        title="Robustness",
        question="Does the model keep its answers when the recording or the words change?",
        check=check_robustness,
        needs_model=True,
        published=((90, 58), (97, 51)),
    ),
}
"""The categories, in the order of the report."""

PUBLISHED_RATES: Final = (78.9, 79.5)
"""Passed tests in percent of the two best models for emotions in the published suite, w2v2-L-robust and hubert-L; the
other nine pass 71.4 to 78.5, a model that guesses 62.9."""

PUBLISHED_SOURCE: Final = "audeering.github.io/ser-tests, arXiv 2312.06270; other clips and other tests, 4 emotions"
