"""Sections from what other commands wrote: training curves of a run folder, robustness of `bimodal test`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from safetensors import SafetensorError, safe_open

from bimodal.evaluation.html.blocks import Block, LeftOut, Listing, Plot, Section, Table
from bimodal.evaluation.html.material import OTHERS, Material, percent, short
from bimodal.evaluation.html.svg import INK, drawn, label
from bimodal.evaluation.html.tables import plain_table
from bimodal.files import JSON_ERRORS

RECORD: Final = "stage.json"
CHECKPOINT: Final = "checkpoint.safetensors"
STAGES: Final = ("speech", "text", "fusion")
COLOUR: Final = {"loss": "#d0553f", "dev": "#0072b2"}

TESTS: Final = "tests.json"
CHANGE: Final = "change of UAR"
UNCHANGED: Final = "unchanged answers"
"""Cases of a test of robustness, as `bimodal test` names them."""

MOST_FAILED: Final = 12
LONGEST_SENTENCE: Final = 300
_RATIO: Final = re.compile(r",? *(-?\d+(?:\.\d+)?) *dB$")

Epochs = Sequence[Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class TestOutcome:
    """What the page shows of a test of `bimodal test`.

    Attributes:
        category: Such as `robustness`.
        test: What was tested, such as `white noise, 20 dB`.
        status: `passed`, `failed` or `skipped`.
        sentence: What was found.
        case: On what; empty for all clips.
        value: What was measured.
        interval: Ends of its 95 % interval; None if there is none.
        clips: How many clips it was measured on.
    """

    __test__ = False  # no test of pytest, in spite of its name

    category: str
    test: str
    status: str
    sentence: str
    case: str = ""
    value: float | None = None
    interval: tuple[float, float] | None = None
    clips: int = 0


@dataclass(frozen=True, kw_only=True)
class TestFile:
    """What the page shows of `tests.json`.

    Attributes:
        title: What was tested.
        system: Whose outcomes count.
        outcomes: By system.
        random: Passed and failed tests of a model that guesses, by category.
        notes: Sentences that help to read the results.
        caveat: Sentence that stands before them.
        revision: Of the model that was tested; empty for a file of scores.
    """

    __test__ = False

    title: str
    system: str
    outcomes: Mapping[str, tuple[TestOutcome, ...]]
    random: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...] = ()
    caveat: str = ""
    revision: str = ""


def training_section(material: Material) -> Section | LeftOut:
    """Loss and dev score of each epoch of the run that made the model."""
    model = material.sources.model
    if model is None:
        return LeftOut(reason="There is no model folder; folds keep no record of their epochs.")
    found = {stage: _epochs(model.parent / stage) for stage in STAGES}
    told = {stage: epochs for stage, epochs in found.items() if not isinstance(epochs, str) and epochs}
    reasons = [reason for reason in found.values() if isinstance(reason, str) and reason]
    if not told:
        told_why = f" {' '.join(reasons)}" if reasons else ""
        return LeftOut(reason=f"No training run stands beside the model folder; 'bimodal train' keeps one.{told_why}")
    plots = [_curves(stage, epochs) for stage, epochs in told.items()]
    lead = "Loss on the training rows and, where rows were held out and decided, unweighted average recall on them."
    return Section(lead=" ".join([lead, *reasons]), blocks=plots)


def _epochs(folder: Path) -> Epochs | str:
    """History of a stage, finished or not; a sentence where it is damaged; nothing where there is none."""
    try:
        if (folder / RECORD).is_file():
            return _checked(msgspec.json.decode((folder / RECORD).read_bytes())["history"])
        if (folder / CHECKPOINT).is_file():
            with safe_open(folder / CHECKPOINT, framework="numpy") as handle:
                return _checked(msgspec.json.decode(handle.metadata()["notes"])["history"])
    except (*JSON_ERRORS, SafetensorError, OSError, TypeError, KeyError, ValueError):
        return f"The record of the stage {folder.name} is damaged and left out."
    return ()


def _checked(history: Any) -> Epochs:
    return msgspec.convert(history, list[dict[str, float]])


def _curves(stage: str, epochs: Epochs) -> Plot:
    title = f"Training of the {stage} stage"
    svg = drawn(lambda figure: _draw_curves(figure, epochs), f"training{stage}", title)
    has_dev = any("dev" in entry for entry in epochs)
    shown = "training loss (left) and held-out UAR (right)" if has_dev else "training loss"
    return Plot(svg=svg, caption=f"{stage} stage: {shown} over {len(epochs):,} epochs")


def _draw_curves(figure: Any, epochs: Epochs) -> None:
    axes = figure.subplots()
    numbers = range(1, len(epochs) + 1)
    axes.plot(numbers, [entry.get("loss", float("nan")) for entry in epochs], color=COLOUR["loss"], label="loss")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.locator_params(axis="x", integer=True)
    if any("dev" in entry for entry in epochs):
        right = axes.twinx()
        scores = [100 * entry.get("dev", float("nan")) for entry in epochs]
        right.plot(numbers, scores, color=COLOUR["dev"], linestyle="--", label="held-out UAR, %")
        right.set_ylabel("held-out UAR, %")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, labelcolor=INK)


def robustness_section(material: Material) -> Section | LeftOut:
    """What `bimodal test` found on the same model: pass rates, failed tests, and curves over noise."""
    file = material.folder / TESTS
    if not file.is_file():
        return LeftOut(reason=f"There is no {TESTS} in the folder of the report; 'bimodal test' writes one with --out.")
    try:
        found = read_tests(file)
    except (*JSON_ERRORS, OSError, KeyError, TypeError) as error:
        return LeftOut(reason=f"{TESTS} cannot be read ({short(str(error), 120)}); run 'bimodal test' again.")
    outcomes = found.outcomes[found.system]
    blocks: list[Block] = [_pass_rates(outcomes, found.random)]
    if curves := _noise_curves(outcomes):
        title = "Change of UAR under noise"
        svg = drawn(lambda figure: _draw_noise(figure, curves), "robustness", title)
        blocks.append(
            Plot(
                svg=svg, caption="Change of UAR against clean recordings, with 95 % intervals; less noise to the right"
            )
        )
    blocks += _changes(outcomes)
    failed = [short(one.sentence, LONGEST_SENTENCE) for one in outcomes if one.status == "failed"]
    if failed:
        more = [f"and {len(failed) - MOST_FAILED} others, in {TESTS}"] if len(failed) > MOST_FAILED else []
        blocks.append(Listing(heading="Failed tests", sentences=[*failed[:MOST_FAILED], *more]))
    remarks = [short(one, LONGEST_SENTENCE) for one in (found.caveat, *found.notes) if one]
    if remarks:
        blocks.append(Listing(heading="Notes on the tests", sentences=remarks))
    return Section(
        lead=f"What 'bimodal test' found for {short(found.title)}: does the model stay right under noise and changes, "
        "and is it fair?",
        blocks=blocks,
    )


def read_tests(file: Path) -> TestFile:
    """What a `tests.json` holds.

    Raises:
        OSError: It cannot be read.
        KeyError: The system of its verdict has no outcomes.
        TypeError, ValueError: It is no such file (`JSON_ERRORS`).
    """
    found = msgspec.convert(msgspec.json.decode(file.read_bytes()), TestFile)
    if found.system not in found.outcomes:
        raise KeyError(found.system)
    return found


def _pass_rates(outcomes: Sequence[TestOutcome], random: Mapping[str, tuple[int, int]]) -> Table:
    """Passed and failed tests by category, beside those of a model that guesses."""
    rows = []
    for category in dict.fromkeys(one.category for one in outcomes):
        status = [one.status for one in outcomes if one.category == category]
        passed, failed = status.count("passed"), status.count("failed")
        guessed = random.get(category, (0, 0))
        rates = [percent(one / (one + other)) if one + other else "-" for one, other in ((passed, failed), guessed)]
        rows.append([short(category), str(passed), str(failed), str(status.count("skipped")), *rates])
    header = ["tests of", "passed", "failed", "skipped", "passed %", "by guessing %"]
    return plain_table("Tests by category", header, rows)


def _changes(outcomes: Sequence[TestOutcome]) -> list[Table]:
    """What each change of the input costs, where there is any."""
    told: dict[str, dict[str, TestOutcome]] = {}
    for one in outcomes:
        if one.case in (CHANGE, UNCHANGED) and one.value is not None:
            told.setdefault(one.test, {})[one.case] = one
    rows = []
    for test, cases in told.items():
        values = {case: one.value for case, one in cases.items() if one.value is not None}
        change = _points(cases[CHANGE]) if CHANGE in values else "-"
        clips = max(one.clips for one in cases.values())
        failed = ", ".join(case for case, one in cases.items() if one.status == "failed")
        rows.append([short(test), str(clips or "-"), change, percent(values.get(UNCHANGED), 0), failed or "-"])
    header = ["change of the input", "clips", "UAR, points (95 % interval)", "answers unchanged %", "failed"]
    return [plain_table("What each change of the input costs", header, rows)] if rows else []


def _points(one: TestOutcome) -> str:
    """A change in percentage points with its interval, such as `-5.5 [-9.0, -1.2]`."""
    told = [one.value or 0.0, *(one.interval or ())]
    value, *ends = [f"{round(100 * number, 1) + 0.0:+.1f}" for number in told]
    return f"{value} [{', '.join(ends)}]" if ends else value


def _noise_curves(outcomes: Sequence[TestOutcome]) -> dict[str, list[tuple[float, ...]]]:
    """Ratio in dB, change of UAR in points and its interval, by kind of noise; kinds with at least two ratios."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for one in outcomes:
        if (ratio := _RATIO.search(one.test)) and one.value is not None and one.case == CHANGE:
            ends = one.interval or (one.value, one.value)
            values = (100 * number for number in (one.value, *ends))
            found.setdefault(_RATIO.sub("", one.test), []).append((float(ratio[1]), *values))
    return {name: sorted(points) for name, points in found.items() if len(points) > 1}


def _draw_noise(figure: Any, curves: Mapping[str, Sequence[tuple[float, ...]]]) -> None:
    axes = figure.subplots()
    for number, (name, points) in enumerate(curves.items()):
        ratios, values, low, high = (list(column) for column in zip(*points, strict=True))
        colour = OTHERS[number % len(OTHERS)]
        axes.plot(ratios, values, marker="o", color=colour, label=label(name))
        axes.vlines(ratios, low, high, color=colour, alpha=0.5)
    axes.axhline(0, color=INK, linestyle=":", linewidth=1)
    axes.set(xlabel="signal-to-noise ratio, dB", ylabel="change of UAR, points")
    axes.legend(frameon=False)
