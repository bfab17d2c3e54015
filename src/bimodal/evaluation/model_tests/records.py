"""What the tests of a model take and give: answers to labelled clips, outcomes of tests, the report of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bimodal.arrays import Doubles, Integers
from bimodal.evaluation.predictions import Predictions
from bimodal.records import Utterance

Status = Literal["passed", "failed", "skipped"]

LEAST_CLIPS: Final = 8
"""Fewest clips that a share is tested on; the published suite asks as many of a speaker and emotion."""

PUBLISHED: Final = "published suite (arXiv 2312.06270)"
"""Source of thresholds that are taken over as they were published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one test found.

    Attributes:
        category: One of `TESTS`.
        test: What was tested, such as `recall` or `white noise, 20 dB`.
        case: On what: an emotion, a group; empty for all clips.
        status: Whether it passed. A test without enough data is skipped.
        sentence: What was found, in plain words; of a skipped test the reason.
        value: What was measured; None if skipped.
        threshold: What the value is compared with; None if skipped.
        at_least: True: the value must reach the threshold. False: its magnitude must not exceed it.
        clips: Number of clips that were counted.
        source: Where the threshold comes from.
        interval: Ends of the 95 % interval of the value; None if there is none.
    """

    category: str
    test: str
    case: str = ""
    status: Status
    sentence: str
    value: float | None = None
    threshold: float | None = None
    at_least: bool = True
    clips: int = 0
    source: str = ""
    interval: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """Test and case in one line."""
        return f"{self.test}: {self.case}" if self.case else self.test

    @property
    def miss(self) -> float:
        """How far the value is beyond the threshold; 0 for a test that did not fail."""
        if self.status != "failed" or self.value is None or self.threshold is None:
            return 0.0
        return self.threshold - self.value if self.at_least else abs(self.value) - self.threshold


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Disturbed:
    """Answers to the same clips after a change of the input.

    Attributes:
        rows: (n,) positions of the clips in the predictions.
        scores: (n, C) by system; a row of NaN where the model gave no answer.
        detail: What to know of this change, such as a word error rate or that a sound is synthetic.
    """

    rows: Integers
    scores: Mapping[str, Doubles]
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Material:
    """All that the tests look at.

    Attributes:
        predictions: Answers to N labelled clips.
        utterances: (N,) their rows of the manifest.
        pitch: (N,) mean fundamental frequency in Hz, NaN where unknown; None if it was not measured.
        pitch_reason: Why it was not measured.
        disturbed: Answers under each of the `CONDITIONS`.
        unusable: Conditions that could not be run, with the reason.
    """

    predictions: Predictions
    utterances: Sequence[Utterance]
    pitch: Doubles | None = None
    pitch_reason: str = "the pitch was not measured"
    disturbed: Mapping[str, Disturbed] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)

    @property
    def targets(self) -> Integers:
        """Positions of the true emotions, (N,)."""
        return self.predictions.targets.astype(np.int64)

    def scores(self, system: str) -> Doubles:
        """Scores of a system, (N, C)."""
        return self.predictions.scores[system].astype(np.float64)

    def column(self, name: str) -> list[str | None]:
        """The cells of a column of the manifest, None where empty."""
        return [cell(utterance, name) for utterance in self.utterances]


@dataclass(frozen=True, kw_only=True, slots=True)
class TestOptions:
    """How a model is tested.

    Attributes:
        by: Columns of the manifest whose groups are compared, besides the usual ones.
        runs: Random models of a simulation.
        seed: Of the simulations, the draw of clips and the changes of recordings.
        only: Categories to run; empty for all.
    """

    __test__ = False  # no test of pytest, in spite of its name

    by: tuple[str, ...] = ()
    runs: int = 10_000
    seed: int = 0
    only: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TestReport:
    """The outcomes of all tests; written as tests.json.

    Attributes:
        title: What was tested on what.
        system: The system whose outcomes are the verdict.
        outcomes: Of each system.
        random: Passed and failed tests by category of a model that guesses, on the same clips.
        notes: Sentences that help to read the results.
        caveat: Sentence that stands before everything else; empty if there is none.
        seed: Of all that is random.
        runs: Random models of each simulation.
        revision: Of the model that was tested; empty for a file of scores.
        schema: Version of this record.
    """

    __test__ = False

    title: str
    system: str
    outcomes: Mapping[str, tuple[Outcome, ...]]
    random: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...]
    caveat: str = ""
    seed: int = 0
    runs: int = 0
    revision: str = ""
    schema: int = 1

    @property
    def verdict(self) -> tuple[Outcome, ...]:
        """The outcomes of the chosen system."""
        return self.outcomes[self.system]


def cell(utterance: Utterance, name: str) -> str | None:
    """A cell of a manifest by the name of its column; None if it is empty or there is no such column.

    Example:
        >>> cell(Utterance(id="a", lang="en", extra={"sex": "female"}), "sex")
        'female'
    """
    known = ("speaker", "lang", "dialogue", "split", "transcript", "emotion")
    return (getattr(utterance, name) if name in known else utterance.extra.get(name)) or None


def answers(scores: NDArray[np.floating[Any]]) -> Integers:
    """The emotion that each row of scores (N, C) is highest for, (N,); C where there is no answer.

    Example:
        >>> answers(np.array([[0.2, 0.8], [np.nan, np.nan]])).tolist()
        [1, 2]
    """
    silent = np.isnan(scores).any(axis=1)
    found: Integers = np.where(silent, scores.shape[1], np.nan_to_num(scores).argmax(axis=1)).astype(np.int64)
    return found


def pass_rate(outcomes: Sequence[Outcome], category: str = "") -> float | None:
    """Share of passed tests among those that were not skipped, 0 to 1; None if all were skipped.

    Example:
        >>> told = [Outcome(category="fairness", test="UAR", status=s, sentence="") for s in ("passed", "skipped")]
        >>> pass_rate(told), pass_rate(told, "robustness")
        (1.0, None)
    """
    passed, failed, _ = count(outcomes, category)
    return passed / (passed + failed) if passed + failed else None


def count(outcomes: Sequence[Outcome], category: str = "") -> tuple[int, int, int]:
    """How many tests passed, failed and were skipped; of one category, or of all."""
    found = [outcome.status for outcome in outcomes if category in ("", outcome.category)]
    return found.count("passed"), found.count("failed"), found.count("skipped")


def judged(
    category: str,
    test: str,
    case: str,
    value: float,
    threshold: float,
    *,
    sentence: str,
    clips: int,
    source: str,
    at_least: bool = True,
    interval: tuple[float, float] | None = None,
) -> Outcome:
    """An outcome by comparison with a threshold.

    Args:
        category: One of `TESTS`.
        test: As in `Outcome`.
        case: As in `Outcome`.
        value: What was measured.
        threshold: What it is compared with.
        sentence: What was found.
        clips: Number of clips.
        source: Where the threshold comes from.
        at_least: As in `Outcome`.
        interval: As in `Outcome`.
    """
    met = value >= threshold - _ROUNDING if at_least else abs(value) <= threshold + _ROUNDING
    return Outcome(
        category=category,
        test=test,
        case=case,
        status="passed" if met else "failed",
        sentence=sentence,
        value=float(value),
        threshold=float(threshold),
        at_least=at_least,
        clips=int(clips),
        source=source,
        interval=interval,
    )


_ROUNDING: Final = 1e-9


def skipped(category: str, test: str, case: str, reason: str, clips: int = 0) -> Outcome:
    """A test that was not run, and why."""
    return Outcome(category=category, test=test, case=case, status="skipped", sentence=reason, clips=int(clips))
