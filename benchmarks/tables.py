"""Write docs/results.md from the results of the benchmarks."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.record import Figure, Result, read_result
from bimodal.evaluation.markdown import listed, markdown_table, p_value

ORDER = (
    "ravdess",
    "ravdess_tuned",
    "speakers",
    "emodb",
    "emodb_tuned",
    "crema_d",
    "crema_d_tuned",
    "across",
    "across_four",
    "adapt_skew",
    "unlike",
    "model_tests",
    "timeline_quality",
    "diarise",
    "meld",
    "meld_tuned",
    "calibration",
    "emotiontts",
    "plain_words",
    "regimes",
    "speed",
    "short_clips",
)
STUDY = "study"  # has its own page, docs/study.md
PREFACE = """\
# Benchmark results: speech emotion recognition on RAVDESS, EmoDB, MELD and across corpora
"""
READING = """\
## How to read the tables

- All values are percent unless a unit is given.
- `mean` and `sd` are the mean and the sample standard deviation over seeds.
- `95 % interval` is a bootstrap interval. It resamples whole speakers (MELD: whole dialogues), with the predictions of
  all seeds.
- `first - second` is a difference in percentage points, tested on the same utterances.
- UAR (unweighted average recall, on RAVDESS called UA) is the mean recall over emotions. WA is accuracy. ECE is the
  expected calibration error; lower is better.
- *quoted* values are copied from publications and were not measured here. Their protocol may differ in detail.
- `Test-time augmentation` means that slower and faster copies of a clip are encoded too.
- Another machine or another release of torch changes a value by a few tenths.
- docs/ledger.csv lists every evaluation on a test set, including earlier research. The more evaluations, the less
  unseen a test set is.

The corpora are not part of this repository; download them from their publishers. Each section names the licence. The
benchmarks read `--data FOLDER/ravdess`, `/emodb`, `/crema_d`, `/emotiontts_ko`, `/meld` as the publishers pack them.
MELD also needs the prosodic columns `pros_*`, emotiontts_ko a manifest.

This page is written by `python -m benchmarks.all` from docs/results/\\*.json; do not edit it by hand.
"""
SUMMARY: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "ravdess",
        "**RAVDESS** (voice, 8 emotions, unseen actors): UA {0.mean:.2f}.",
        (("speech network, test-time augmentation (three speeds)", "UA"),),
    ),
    (
        "emodb",
        "**EmoDB** (voice, 4 emotions, unseen speakers): UAR {0.mean:.2f}.",
        (("speech network, test-time augmentation (three speeds)", "UAR"),),
    ),
    (
        "across",
        "**A corpus that the model was not trained on** (voice, 4 emotions): mean UAR {0.mean:.2f}, "
        "after `bimodal adapt` {1.mean:.2f}.",
        (
            ("not adapted", "UAR, mean of three"),
            ("same network, after `bimodal adapt` to the test corpus's unlabelled clips", "UAR, mean of three"),
        ),
    ),
    (
        "meld_tuned",
        "**MELD** (text and prosody, 7 emotions): weighted F1 {0.mean:.2f} with text. Prosody changes it by "
        "{1.mean:+.2f} points (95 % interval {1.low:+.1f} to {1.high:+.1f}).",
        (("text without context", "weighted F1"), ("fused - text without context", "weighted F1")),
    ),
    (
        "speed",
        "**Speed** (one CPU thread): {0.mean:.2f} ms for a 5-second clip; wav2vec2-base takes {1.mean:.2f} times as "
        "long.",
        (("5-second clip, voice", "ms"), ("wav2vec2-base / ours, time", "times")),
    ),
)
"""One line each: result, sentence, and the figures (system, metric) that it quotes."""


def write_results(results: Path, page: Path) -> None:
    """Write the page from all results in a folder."""
    found = {path.stem: read_result(path) for path in sorted(results.glob("*.json")) if path.stem != STUDY}
    order = [*(name for name in ORDER if name in found), *(name for name in found if name not in ORDER)]
    sections = [describe_result(found[name]) for name in order]
    page.write_text("\n".join([PREFACE, summarise(found), READING, *sections]), encoding="utf-8")


def summarise(found: Mapping[str, Result]) -> str:
    """The main results, one line each; a result that is not there has no line."""
    lines = []
    for name, sentence, wanted in SUMMARY:
        figures = {(one.system, one.metric): one for one in found[name].figures} if name in found else {}
        if all(key in figures for key in wanted):
            lines.append("- " + sentence.format(*(figures[key] for key in wanted)))
    return "\n".join([*lines, ""])


def describe_result(result: Result) -> str:
    """One benchmark's section."""
    seeds = ", ".join(map(str, result.seeds))
    parts = [
        f"## {result.title}\n\n{result.protocol}",
        f"- Target: {result.target}.\n- Licence of the data: {result.licence}.\n- Run: seeds {seeds}; commit "
        f"{result.commit}; configuration {result.config}; {result.date} UTC; {result.minutes:.0f} minutes.",
        figures_table(result),
        listed("Notes:\n", result.notes),
        listed("What else was tried:\n", result.tried),
        f"Command: `{result.command}`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def figures_table(result: Result) -> str:
    """Measured figures, then quoted ones."""
    header = ["system", "metric", "mean", "sd over seeds", "95 % interval", "each seed"]
    rows = [_figure_row(figure) for figure in result.figures]
    quoted = [
        [f"{one.system} (*quoted*: {one.source})", one.metric, f"{one.value:.1f}", "-", "-", "-"]
        for one in result.quoted
    ]
    return markdown_table(header, [*rows, *quoted], names=2)


def _figure_row(figure: Figure) -> list[str]:
    sign = "+" if " - " in figure.system else ""
    interval = "-"
    if figure.low is not None and figure.high is not None:
        p = "" if figure.p is None else f", {p_value(figure.p)}"
        interval = f"{figure.low:{sign}.1f} to {figure.high:{sign}.1f} ({figure.clusters}{p})"
    several = len(figure.seeds) > 1
    seeds = " ".join(f"{value:{sign}.1f}" for value in figure.seeds) if several else "-"
    sd = f"{figure.sd:.2f}" if several else "-"
    return [figure.system, figure.metric, f"{figure.mean:{sign}.2f}", sd, interval, seeds]
