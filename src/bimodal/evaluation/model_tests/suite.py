"""Run the tests: on a model and a manifest, or on scores that any other model gave."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimodal.arrays import Doubles
from bimodal.errors import BimodalError
from bimodal.evaluation.model_tests import TESTS
from bimodal.evaluation.model_tests.records import (
    Disturbed,
    Material,
    Outcome,
    TestOptions,
    TestReport,
    cell,
    count,
    skipped,
)
from bimodal.evaluation.predict import Progress, plain
from bimodal.evaluation.predictions import Predictions
from bimodal.records import Utterance

NEEDS_MODEL = "the clips have to be recognised again under each change, which needs the model"
_SHOWN = 5  # columns of a manifest that an error names


def run_tests(
    material: Material,
    options: TestOptions,
    *,
    system: str = "",
    title: str = "",
    notes: Sequence[str] = (),
    caveat: str = "",
    progress: Progress = plain,
) -> TestReport:
    """All tests of all systems, and of a model that guesses.

    Args:
        material: Answers and rows.
        options: Groups, simulations, categories.
        system: The system whose outcomes are the verdict; empty for `fused`, or the only one there is.
        title: What was tested on what.
        notes: Sentences to print with the results.
        caveat: Sentence that stands before everything else.
        progress: Wraps iterables with a bar.

    Raises:
        BimodalError: There is no such system, column or category.
    """
    check_options(options, material.utterances)
    chosen, told = choose_system(material.predictions, system)
    named = progress(material.predictions.systems, "testing")
    outcomes = {name: check_all(material, name, options) for name in named}
    guess = check_all(guessing(material, options.seed), chosen, options)
    return TestReport(
        title=title,
        system=chosen,
        outcomes=outcomes,
        random={name: count(guess, name)[:2] for name in TESTS},
        notes=(*notes, *told),
        caveat=caveat,
        seed=options.seed,
        runs=options.runs,
    )


def check_options(options: TestOptions, utterances: Sequence[Utterance]) -> None:
    """Refuse categories and columns that do not exist, before anything long starts.

    Raises:
        BimodalError: There is no such category or column.
    """
    unknown = [name for name in options.only if name not in TESTS]
    if unknown:
        raise BimodalError(f"--only: unknown category '{unknown[0]}', expected one of {', '.join(TESTS)}")
    missing = [name for name in options.by if not any(cell(row, name) for row in utterances)]
    if missing:
        known = sorted({name for row in utterances for name in row.extra})[:_SHOWN]
        raise BimodalError(f"--by: the manifest has no column '{missing[0]}'; others are {', '.join(known) or 'none'}")


def choose_system(predictions: Predictions, system: str) -> tuple[str, tuple[str, ...]]:
    """The system of the verdict, and a note where it was not asked for by name and is not `fused`.

    Raises:
        BimodalError: There is no such system.
    """
    known = predictions.systems
    if system and system not in known:
        raise BimodalError(f"--system: no system '{system}', there is {', '.join(known)}")
    if system or "fused" in known:
        return system or "fused", ()
    return known[0], (f"the verdict is on {known[0]}: there are no fused answers",)


def check_all(material: Material, system: str, options: TestOptions) -> tuple[Outcome, ...]:
    """The outcomes of one system in every category that was asked for."""
    found: list[Outcome] = []
    for name, category in TESTS.items():
        if options.only and name not in options.only:
            continue
        if category.needs_model and not material.disturbed and not material.unusable:
            found.append(skipped(name, name, "", NEEDS_MODEL))
        else:
            found += category.check(material, system, options)
    return tuple(found)


def guessing(material: Material, seed: int) -> Material:
    """The same clips with the answers of a model that guesses, each emotion as often, and anew after each change."""
    rng = np.random.default_rng([seed, 1])
    predictions = material.predictions
    scores = _guessed(predictions.scores, rng)
    disturbed = {
        name: Disturbed(rows=one.rows, scores=_guessed(one.scores, rng)) for name, one in material.disturbed.items()
    }
    return replace(material, predictions=replace(predictions, scores=scores, sets={}), disturbed=disturbed)


def _guessed(scores: Mapping[str, NDArray[np.floating[Any]]], rng: np.random.Generator) -> dict[str, Doubles]:
    """Random scores where there were some."""
    found = {}
    for name, one in scores.items():
        drawn = rng.dirichlet(np.ones(one.shape[1]), len(one))
        found[name] = np.where(np.isnan(one), np.nan, drawn)
    return found
