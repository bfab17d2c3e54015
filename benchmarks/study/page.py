"""Write docs/study.md from docs/results/study.json: summary, tables, then conclusions, all by rules."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.study.findings import BETTER_BELOW, CUT_RECALL, ECE, F1, MASS, RARE, UAR, Row, Section, Study
from benchmarks.study.losses import CUT
from bimodal.evaluation.markdown import markdown_table

ALPHA = 0.05
JOINT = ("pairwise + focal", "gaussian + focal")
CONDITIONS = {
    "both": "Voice and words present",
    "voice missing": "Voice missing",
    "words missing": "Words missing",
    "words of another": "Words from another utterance",
    "voice of another": "Voice from another utterance",
}
"""What the page calls the conditions of the fusion."""
PREFACE = """\
# Study: focal and affinity losses, class imbalance, and speech-text fusion for emotion recognition
"""
READING = """\
## Setup

- The method claims: a joint *affinity + focal* loss separates confused emotions and helps rare ones; two modalities are
  better than one.
- All networks use the same frozen features. They differ in their loss alone.
- Voice networks use one head instead of the usual ensemble of four. This takes a quarter of the time.
- Gamma and beta were chosen by UAR on inner folds of the training speakers of each tested fold, before any test. MELD:
  on its dev part. EmoDB uses the choices of RAVDESS. No tested fold was used for a choice.

## How to read the tables

- All values are percent: the mean over seeds, ± the standard deviation over seeds.
- In brackets: the difference to the reference in percentage points, then its 95 % interval. The interval comes from a
  paired bootstrap that resamples whole speakers (MELD: dialogues), with the predictions of all seeds.
- `*`: significant difference, p < 0.05 after Holm's correction for all differences of that metric in that table. The
  conclusions use these alone.
- `p over seeds`: a paired t-test over the seeds, not corrected. It shows whether the result depends on the random seed.
- `confusion mass`: share of an emotion's utterances that are recognised as its confused counterpart. The pairs are
  named below each table. Lower is better.
- `ECE`: expected calibration error of the scores as trained, without temperature scaling. Lower is better. Focal losses
  are not trained for calibration; a temperature removes most of the error.
"""


def write_page(study: Study, page: Path) -> None:
    """Write the page beside the folder `results` that holds the plots."""
    seconds = sum(study.minutes.values())
    run = (
        f"Seeds: {', '.join(map(str, study.seeds))}. Last run: {study.date} UTC. Total time: {seconds:.0f} CPU "
        "minutes.\n\n"
        "This page is written by `python -m benchmarks.study` from docs/results/study.json; do not edit it by hand."
    )
    parts = [PREFACE, summarise(study), READING, run, *(describe_section(section) for section in study.sections)]
    parts += ["## Conclusions", *(say(section) for section in study.sections)]
    parts.append("Command: `python -m benchmarks.study`")
    page.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


def summarise(study: Study) -> str:
    """The main results in at most five lines, by rules."""
    losses = [row for section in study.sections if section.name.startswith("losses/") for row in section.rows]
    lines = [_count_joint(losses, metric) for metric in (UAR, MASS, RARE)]
    lines += [_summarise_imbalance(one) for one in study.sections if one.name.startswith("imbalance/")]
    lines += [_summarise_fusion(one) for one in study.sections if one.name.startswith("fusion/")]
    return "\n".join(f"- {line}" for line in lines)


def _count_joint(rows: Sequence[Row], metric: str) -> str:
    """In how many comparisons the joint losses are better or worse."""
    joint = [row for row in rows if row.figure.metric == metric and row.system in JOINT]
    better = sum(certain(row) and improves(row) for row in joint)
    worse = sum(certain(row) and not improves(row) for row in joint)
    return (
        f"**Joint losses, {metric}**: significantly better than cross-entropy in {better} of {len(joint)} comparisons, "
        f"significantly worse in {worse}."
    )


def _summarise_imbalance(section: Section) -> str:
    """Recall of the rare emotion, where it is rarest: the best loss, then the joint ones."""
    rows = [row for row in section.rows if row.gain is not None and row.figure.metric == CUT_RECALL]
    rows = [row for row in rows if row.condition == rows[-1].condition]
    best = max(rows, key=lambda row: row.figure.mean)
    others = [row for row in rows if row.system in JOINT and row is not best]
    return (
        f"**Rare emotion** ({rows[0].condition} of {CUT} in training), change of its recall: best {listed([best])}. "
        f"Joint losses: {listed(others)}."
    )


def _summarise_fusion(section: Section) -> str:
    """The best fusion with both modalities, and how many fail where the words contradict the voice."""
    rows = [row for row in section.rows if row.gain is not None]
    best = max((row for row in rows if row.condition == "both"), key=lambda row: row.figure.mean)
    wrong = [row for row in rows if row.condition == "words of another"]
    worse = sum(certain(row) and not improves(row) for row in wrong)
    return (
        f"**Fusion**: best is {listed([best])}, compared with words alone. With words from another utterance, "
        f"{worse} of {len(wrong)} methods are significantly worse than voice alone."
    )


def read_study(path: Path) -> Study:
    """Read the recorded results."""
    return msgspec.json.decode(path.read_bytes(), type=Study)


def describe_section(section: Section) -> str:
    """A section's tables, one a condition, and notes."""
    parts = [f"## {heading(section)}"]
    for condition in dict.fromkeys(row.condition for row in section.rows):
        rows = [row for row in section.rows if row.condition == condition]
        parts += [f"### {condition_title(section, condition)}"] if condition else []
        parts.append(table(rows))
    notes = (*section.notes, f"Commit: {section.commit}.")
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join([*parts, picture(section)])


def heading(section: Section) -> str:
    """Kind and corpus."""
    kind = {"losses": "Loss functions", "imbalance": "Class imbalance", "fusion": "Speech-text fusion"}
    return f"{kind[section.name.partition('/')[0]]}: {section.title}"


def condition_title(section: Section, condition: str) -> str:
    """Heading of a condition."""
    return f"{condition} of {CUT}" if section.name.startswith("imbalance/") else CONDITIONS.get(condition, condition)


def plot_name(section: Section) -> str:
    """File name of a section's plot."""
    return f"study-{section.name.replace('/', '-')}.svg"


def picture(section: Section) -> str:
    return f"![{heading(section)}](results/{plot_name(section)})"


def table(rows: Sequence[Row]) -> str:
    """One system per row, one metric per column, then the p over seeds of the first metric."""
    names = list(dict.fromkeys(row.figure.metric for row in rows))
    cells = {(row.system, row.figure.metric): row for row in rows}
    found = []
    for system in dict.fromkeys(row.system for row in rows):
        first = cells[system, names[0]]
        p = "-" if first.seeds_p is None else f"{first.seeds_p:.3f}"
        found.append([system, *(cell(cells[system, name]) for name in names), p])
    return markdown_table(["system", *names, f"p over seeds ({names[0]})"], found)


def cell(row: Row) -> str:
    """Figure, deviation over the seeds, and difference."""
    text = f"{row.figure.mean:.1f} ±{row.figure.sd:.1f}"
    return text if row.gain is None else f"{text} ({difference(row)}){'*' if certain(row) else ''}"


def difference(row: Row) -> str:
    """Such as `+0.2, -0.9 to +1.3`."""
    assert row.gain is not None  # noqa: S101
    return f"{row.gain.mean:+.1f}, {row.gain.low:+.1f} to {row.gain.high:+.1f}"


def certain(row: Row) -> bool:
    """Whether the difference is significant after the correction."""
    return row.gain is not None and row.holm is not None and row.holm < ALPHA


def improves(row: Row) -> bool:
    """Whether the difference is for the better."""
    assert row.gain is not None  # noqa: S101
    return (row.gain.mean > 0) != (row.figure.metric in BETTER_BELOW)


def say(section: Section) -> str:
    """Conclusions of a section, from its rows by rules."""
    kind = section.name.partition("/")[0]
    sentences = {"losses": say_losses, "imbalance": say_imbalance, "fusion": say_fusion}[kind](section)
    return "\n".join([f"**{heading(section)}.**", "", *(f"- {sentence}" for sentence in sentences)])


def say_losses(section: Section) -> list[str]:
    """The claims of the joint loss, then all other significant differences."""
    claims = {UAR: "Overall recognition", MASS: "Confused emotions", RARE: "Rare emotions"}
    sentences = [
        f"{claim}: {verdict(row, section.reference)}"
        for metric, claim in claims.items()
        for row in section.rows
        if row.figure.metric == metric and row.system in JOINT
    ]
    others = [row for row in section.rows if row.system not in JOINT and row.gain is not None]
    sentences += [verdict(row, section.reference) for row in others if certain(row)]
    silent = [row.system for row in others if row.figure.metric == UAR and not certain(row)]
    if silent:
        sentences.append(f"No significant difference to {section.reference} in UAR: {', '.join(silent)}.")
    calibrated = sorted((row for row in section.rows if row.figure.metric == ECE), key=lambda row: row.figure.mean)
    best, worst = calibrated[0], calibrated[-1]
    sentences.append(
        f"Calibration as trained: {best.system} is best (ECE {best.figure.mean:.1f}), {worst.system} is worst "
        f"({worst.figure.mean:.1f})."
    )
    return sentences


def say_imbalance(section: Section) -> list[str]:
    """Recall of the rare emotion for every loss and share, then significant differences in UAR and macro F1."""
    sentences = []
    for row in section.rows:
        if row.gain is not None and row.figure.metric == CUT_RECALL:
            sentences.append(f"With {row.condition} of {CUT}: {verdict(row, section.reference)}")
    costs = [row for row in section.rows if row.figure.metric in (UAR, F1) and certain(row)]
    sentences += [f"With {row.condition} of {CUT}: {verdict(row, section.reference)}" for row in costs]
    return sentences


def say_fusion(section: Section) -> list[str]:
    """Every fusion method in every condition, compared with the more informative modality alone."""
    sentences = []
    for condition in dict.fromkeys(row.condition for row in section.rows):
        rows = [row for row in section.rows if row.condition == condition and row.gain is not None]
        alone = [row for row in section.rows if row.condition == condition and row.gain is None]
        above, below = ([row for row in rows if certain(row) and improves(row) == better] for better in (True, False))
        alike = [row for row in rows if not certain(row)]
        named = ((above, "Significantly better"), (below, "Significantly worse"), (alike, "No significant difference"))
        values = ", ".join(f"{row.system} {row.figure.mean:.1f}" for row in alone)
        head = f"{condition_title(section, condition)}. UAR: {values}. Reference: {reference_of(condition)}."
        sentences.append("\n".join([head, *(f"  - {word}: {listed(group)}." for group, word in named if group)]))
    return sentences


def reference_of(condition: str) -> str:
    return "voice alone" if condition.startswith("words") else "words alone"


def listed(rows: Sequence[Row]) -> str:
    """Systems with their differences."""
    return "; ".join(f"{row.system} ({difference(row)})" for row in rows)


def verdict(row: Row, reference: str) -> str:
    """One row in words."""
    if not certain(row):
        return (
            f"{row.system} is not significantly different from {reference} in {row.figure.metric}: {difference(row)}."
        )
    better = "better" if improves(row) else "worse"
    return f"**{row.system} is significantly {better} than {reference}** in {row.figure.metric}: {difference(row)}."
