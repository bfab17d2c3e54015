"""docs/study.md from docs/results/study.json: the tables first, then what they say, by rules."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.study.findings import BETTER_BELOW, CUT_RECALL, ECE, F1, MASS, RARE, UAR, Row, Section, Study
from benchmarks.study.losses import CUT

ALPHA = 0.05
JOINT = ("pairwise + focal", "gaussian + focal")
PREFACE = """\
# Study: does the joint loss do what the method claims?

Written by `python -m benchmarks.study` from docs/results/study.json; do not edit by hand. The claims: a joint *affinity
+ focal* loss keeps confused emotions apart and helps rare ones; two modalities are better than one.

All networks stand on the same frozen features and differ in their loss alone. Voice: one head of the shipped ensemble
of four, which is enough to compare losses and costs a quarter. Gamma and beta were chosen per tested fold on inner
folds of its training speakers (MELD: on its dev part), by UAR, before any tested row was looked at, and kept in the
study's cells; EmoDB takes RAVDESS'. No fold that is reported chose anything.

All figures are percent: the mean over seeds. In brackets the difference to the reference of the table with its 95 %
interval, from a paired bootstrap that resamples whole speakers (MELD: dialogues) with the predictions of all seeds.
`*` marks differences that stay below p = 0.05 after Holm's correction for all differences of that metric in that table;
the sections at the end go by it alone. The seeds' p is a paired t-test over the seeds and tells only whether another
start would have given another sign. Confusion mass is the share of an emotion's utterances that go to its counterpart
in the pairs named below the table: less is better, as with ECE, which is of the scores as trained, without a
temperature; the focal losses are not made to be calibrated, and a temperature mends most of it.
"""


def write_page(study: Study, page: Path) -> None:
    """Write the page beside the folder `results` that holds the plots."""
    seconds = sum(study.minutes.values())
    head = (
        f"Seeds {', '.join(map(str, study.seeds))}; the last part {study.date} UTC; all cells together took "
        f"{seconds:.0f} CPU minutes on this machine."
    )
    parts = [PREFACE, head, *(describe_section(section) for section in study.sections), "## What it says"]
    parts += [say(section) for section in study.sections]
    parts.append("Again: `python -m benchmarks.study`")
    page.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


def read_study(path: Path) -> Study:
    """What was found."""
    return msgspec.json.decode(path.read_bytes(), type=Study)


def describe_section(section: Section) -> str:
    """A section's tables, one a condition, and notes."""
    parts = [f"## {heading(section)}"]
    for condition in dict.fromkeys(row.condition for row in section.rows):
        rows = [row for row in section.rows if row.condition == condition]
        parts += [f"### {condition}"] if condition else []
        parts.append(table(rows))
    notes = (*section.notes, f"Run on commit {section.commit}.")
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join([*parts, picture(section)])


def heading(section: Section) -> str:
    """Kind and corpus."""
    kind = {"losses": "Losses", "imbalance": "One emotion made rare", "fusion": "Fusion"}
    return f"{kind[section.name.partition('/')[0]]}: {section.title}"


def plot_name(section: Section) -> str:
    """File name of a section's plot."""
    return f"study-{section.name.replace('/', '-')}.svg"


def picture(section: Section) -> str:
    return f"![{heading(section)}](results/{plot_name(section)})"


def table(rows: Sequence[Row]) -> str:
    """Systems down, metrics across, then the seeds' p of the first metric."""
    names = list(dict.fromkeys(row.figure.metric for row in rows))
    cells = {(row.system, row.figure.metric): row for row in rows}
    lines = [f"| system | {' | '.join(names)} | seeds' p ({names[0]}) |", "|---|" + "---:|" * (len(names) + 1)]
    for system in dict.fromkeys(row.system for row in rows):
        first = cells[system, names[0]]
        p = "-" if first.seeds_p is None else f"{first.seeds_p:.3f}"
        lines.append(f"| {system} | {' | '.join(cell(cells[system, name]) for name in names)} | {p} |")
    return "\n".join(lines)


def cell(row: Row) -> str:
    """Figure, deviation over the seeds, and difference."""
    text = f"{row.figure.mean:.1f} ±{row.figure.sd:.1f}"
    return text if row.gain is None else f"{text} ({difference(row)}){'*' if certain(row) else ''}"


def difference(row: Row) -> str:
    """Such as `+0.2, -0.9 to +1.3`."""
    assert row.gain is not None  # noqa: S101
    return f"{row.gain.mean:+.1f}, {row.gain.low:+.1f} to {row.gain.high:+.1f}"


def certain(row: Row) -> bool:
    """Whether the difference is there after the correction."""
    return row.gain is not None and row.holm is not None and row.holm < ALPHA


def improves(row: Row) -> bool:
    """Whether the difference is for the better."""
    assert row.gain is not None  # noqa: S101
    return (row.gain.mean > 0) != (row.figure.metric in BETTER_BELOW)


def say(section: Section) -> str:
    """What a section says, from its rows by rules."""
    kind = section.name.partition("/")[0]
    sentences = {"losses": say_losses, "imbalance": say_imbalance, "fusion": say_fusion}[kind](section)
    return "\n".join([f"**{heading(section)}.**", "", *(f"- {sentence}" for sentence in sentences)])


def say_losses(section: Section) -> list[str]:
    """The claims of the joint loss, then everything else that differs."""
    claims = {UAR: "recognises more", MASS: "keeps confused emotions apart", RARE: "helps rare emotions"}
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
        sentences.append(f"In UAR none of these differs from {section.reference}: {', '.join(silent)}.")
    calibrated = sorted((row for row in section.rows if row.figure.metric == ECE), key=lambda row: row.figure.mean)
    best, worst = calibrated[0], calibrated[-1]
    sentences.append(
        f"As trained, {best.system} is best calibrated (ECE {best.figure.mean:.1f}), {worst.system} worst "
        f"({worst.figure.mean:.1f})."
    )
    return sentences


def say_imbalance(section: Section) -> list[str]:
    """Every loss at every share, in the recall of the rare emotion; what it costs in UAR and macro F1 where it does."""
    sentences = []
    for row in section.rows:
        if row.gain is not None and row.figure.metric == CUT_RECALL:
            sentences.append(f"With {row.condition} of {CUT}: {verdict(row, section.reference)}")
    costs = [row for row in section.rows if row.figure.metric in (UAR, F1) and certain(row)]
    sentences += [f"With {row.condition} of {CUT}: {verdict(row, section.reference)}" for row in costs]
    return sentences


def say_fusion(section: Section) -> list[str]:
    """Every kind of fusion in every condition, against the side that can be right."""
    sentences = []
    for condition in dict.fromkeys(row.condition for row in section.rows):
        alone = {row.system: row for row in section.rows if row.condition == condition and row.gain is None}
        sides = ", ".join(f"{name} {row.figure.mean:.1f}" for name, row in alone.items())
        rows = [row for row in section.rows if row.condition == condition and row.gain is not None]
        above, below = ([row for row in rows if certain(row) and improves(row) == better] for better in (True, False))
        alike = [row for row in rows if not certain(row)]
        named = [(above, "above"), (below, "below"), (alike, "not told apart from")]
        told = "; ".join(f"{word} it {listed(group)}" for group, word in named if group)
        sentences.append(f"{condition} (UAR: {sides}); against {reference_of(condition)}: {told}.")
    return sentences


def reference_of(condition: str) -> str:
    return "voice alone" if condition.startswith("words") else "words alone"


def listed(rows: Sequence[Row]) -> str:
    """Systems with their differences."""
    return ", ".join(f"{row.system} ({difference(row)})" for row in rows)


def verdict(row: Row, reference: str) -> str:
    """One row in words."""
    if not certain(row):
        return f"{row.system} does not differ from {reference} in {row.figure.metric}: {difference(row)}."
    better = "better" if improves(row) else "worse"
    return f"**{row.system} is {better} than {reference}** in {row.figure.metric}: {difference(row)}."
