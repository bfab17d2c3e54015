"""docs/results.md from the results that the benchmarks wrote."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.record import Figure, Result, read_result

ORDER = (
    "ravdess",
    "ravdess_tuned",
    "speakers",
    "emodb",
    "emodb_tuned",
    "across",
    "meld",
    "meld_tuned",
    "emotiontts",
    "regimes",
    "speed",
)
STUDY = "study"  # has a page of its own
PREFACE = """\
# Results

Written by `python -m benchmarks.all` from docs/results/\\*.json; do not edit by hand. All figures are percent. A
measured figure is the mean over seeds with its sample deviation; the brackets are 95 % intervals of a bootstrap that
resamples whole speakers (MELD: dialogues), with the predictions of all seeds. Figures marked *quoted* are frozen:
copied from publications, not run here, and their protocol may differ in detail. docs/ledger.csv holds every look at a
test set, those of the research that led here too, so that you can judge how often these were seen. Another machine or
another release of torch moves a figure by some tenths.

The corpora are yours to fetch; their licences are named, none is part of this repository. The benchmarks read
`--data FOLDER/ravdess`, `/emodb`, `/emotiontts_ko`, `/meld` as the publishers pack them (MELD with
the prosodic columns `pros_*`, emotiontts_ko with a manifest).
"""


def write_results(results: Path, page: Path) -> None:
    """Write the page from all results in a folder."""
    found = {path.stem: read_result(path) for path in sorted(results.glob("*.json")) if path.stem != STUDY}
    order = [*(name for name in ORDER if name in found), *(name for name in found if name not in ORDER)]
    page.write_text("\n".join([PREFACE, *(describe_result(found[name]) for name in order)]), encoding="utf-8")


def describe_result(result: Result) -> str:
    """One benchmark's section."""
    seeds = ", ".join(map(str, result.seeds))
    parts = [
        f"## {result.title}\n\n{result.protocol}",
        f"Target: {result.target}. Data: {result.licence}. Seeds {seeds}; commit {result.commit}, configuration "
        f"{result.config}, {result.date} UTC, {result.minutes:.0f} minutes on this machine.",
        figures_table(result),
        _listed("Notes", result.notes),
        _listed("What was tried", result.tried),
        f"Again: `{result.command}`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def figures_table(result: Result) -> str:
    """Measured figures, then quoted ones."""
    header = "| system | metric | mean | sd over seeds | 95 % interval | each seed |\n|---|---|---:|---:|---:|---:|"
    rows = [_figure_row(figure) for figure in result.figures]
    quoted = [
        f"| {one.system} (*quoted*: {one.source}) | {one.metric} | {one.value:.1f} | - | - | - |"
        for one in result.quoted
    ]
    return "\n".join([header, *rows, *quoted])


def _figure_row(figure: Figure) -> str:
    sign = "+" if " - " in figure.system else ""
    interval = "-"
    if figure.low is not None and figure.high is not None:
        p = "" if figure.p is None else f", p = {figure.p:.3f}" if figure.p >= 0.001 else ", p < 0.001"
        interval = f"{figure.low:{sign}.1f} to {figure.high:{sign}.1f} ({figure.clusters}{p})"
    several = len(figure.seeds) > 1
    seeds = " ".join(f"{value:{sign}.1f}" for value in figure.seeds) if several else "-"
    sd = f"{figure.sd:.2f}" if several else "-"
    return f"| {figure.system} | {figure.metric} | {figure.mean:{sign}.2f} | {sd} | {interval} | {seeds} |"


def _listed(heading: str, sentences: Sequence[str]) -> str:
    return "\n".join([f"{heading}:\n", *(f"- {sentence}" for sentence in sentences)]) if sentences else ""
