"""A report of tests as text: a table of categories and the worst failures, for a terminal or as Markdown."""

from collections.abc import Sequence
from typing import Final

from bimodal.evaluation.markdown import aligned, escaped, escaped_table, listed, section
from bimodal.evaluation.model_tests import PUBLISHED_RATES, PUBLISHED_SOURCE, TESTS
from bimodal.evaluation.model_tests.records import Outcome, TestReport, count, pass_rate

WORST: Final = 10
"""Failures that are told in a sentence each on the terminal; the files hold all."""

_SKIPPED_SHOWN: Final = 8

Table = list[list[str]]


def describe(report: TestReport) -> str:
    """The report as plain text: verdict, categories, systems, worst failures, reasons of skipped tests."""
    parts = [
        report.caveat,
        f"{report.title}\n{verdict(report)}" if report.title else verdict(report),
        aligned(categories(report)),
        comparison(report),
        aligned(systems(report)) if len(report.outcomes) > 1 else "",
        listed("Worst failures:", [_told(one) for one in worst(report.verdict, WORST)]),
        listed("Skipped:", _cut(skipped_reasons(report.verdict))),
        listed("Notes:", report.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def describe_markdown(report: TestReport) -> str:
    """The report as Markdown, with every failed and skipped test."""
    failed = worst(report.verdict, len(report.verdict))
    parts = [
        f"**{escaped(report.caveat)}**" if report.caveat else "",
        f"# {escaped(report.title) or 'Tests of a model'}",
        verdict(report),
        escaped_table(categories(report)),
        comparison(report),
        escaped_table(systems(report)) if len(report.outcomes) > 1 else "",
        section("Failed tests", [_told(one) for one in failed]),
        section("Skipped tests", skipped_reasons(report.verdict)),
        section("Notes", report.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(report: TestReport) -> str:
    """One sentence: how many tests the chosen system passes."""
    passed, failed, skips = count(report.verdict)
    rate = pass_rate(report.verdict)
    share = "no test could be run" if rate is None else f"{100 * rate:.1f} %"
    most = " Most tests were skipped: this says little." if skips > passed + failed else ""
    return f"{report.system}: {passed} of {passed + failed} tests passed ({share}), {skips} skipped.{most}"


def comparison(report: TestReport) -> str:
    """The published pass rates and that of guessing, with their source."""
    published = " and ".join(f"{rate:.1f}" for rate in PUBLISHED_RATES)
    passed, failed = (sum(pair[place] for pair in report.random.values()) for place in (0, 1))
    guess = f" A model that guesses passes {100 * passed / (passed + failed):.1f} % here." if passed + failed else ""
    return f"Published for the two best of eleven models: {published} % ({PUBLISHED_SOURCE}).{guess}"


def categories(report: TestReport) -> Table:
    """One category a row: passed, failed, skipped, rate, rates of others."""
    header = ["category", "passed", "failed", "skipped", "rate %", "published %", "guessing %"]
    rows = []
    ran = [name for name in TESTS if sum(count(report.verdict, name))]
    for name in ran:
        category = TESTS[name]
        published = " to ".join(f"{rate:.1f}" for rate in sorted({100 * a / (a + b) for a, b in category.published}))
        passed, failed = report.random.get(name, (0, 0))
        guess = f"{100 * passed / (passed + failed):.1f}" if passed + failed else "-"
        rows.append([*_row(name, report.verdict, name), published or "-", guess])
    totals = [sum(pair[place] for pair in report.random.values()) for place in (0, 1)]
    guess = f"{100 * totals[0] / sum(totals):.1f}" if sum(totals) else "-"
    published = " to ".join(f"{rate:.1f}" for rate in PUBLISHED_RATES) if len(ran) == len(TESTS) else "-"
    return [header, *rows, [*_row("all", report.verdict, ""), published, guess]]


def _row(title: str, outcomes: Sequence[Outcome], category: str) -> list[str]:
    rate = pass_rate(outcomes, category)
    return [title, *map(str, count(outcomes, category)), "-" if rate is None else f"{100 * rate:.1f}"]


def systems(report: TestReport) -> Table:
    """Pass rate of each system by category, one system a row."""
    rows = []
    for system, outcomes in report.outcomes.items():
        rates = [pass_rate(outcomes, name) for name in (*TESTS, "")]
        rows.append([system, *("-" if rate is None else f"{100 * rate:.1f}" for rate in rates)])
    return [["passed, %", *TESTS, "all"], *rows]


def worst(outcomes: Sequence[Outcome], shown: int) -> list[Outcome]:
    """The failures that miss their threshold by most."""
    failed = [one for one in outcomes if one.status == "failed"]
    return sorted(failed, key=lambda one: -one.miss)[:shown]


def skipped_reasons(outcomes: Sequence[Outcome]) -> list[str]:
    """Why tests were skipped, one line for those of one category and reason; whole categories first."""
    told: dict[str, list[str]] = {}
    for one in sorted(outcomes, key=lambda one: one.test != one.category):
        if one.status == "skipped":
            told.setdefault(f"{one.category}: {one.sentence}", []).append(one.name)
    return [f"{reason} ({_first(names)})" for reason, names in told.items()]


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _told(outcome: Outcome) -> str:
    """A failure in a sentence, with its category and test."""
    return f"{outcome.category}, {outcome.test}: {outcome.sentence}"


def _cut(reasons: Sequence[str]) -> list[str]:
    """The first reasons, and how many there are besides."""
    rest = len(reasons) - _SKIPPED_SHOWN
    return [*reasons[:_SKIPPED_SHOWN], *([f"{rest} more reasons; --out FOLDER writes all"] if rest > 0 else [])]
