"""A report for others to read: a section of a model card, and results in the format of the Hugging Face Hub."""

import datetime
from collections.abc import Iterator
from typing import Final

import msgspec

from bimodal.evaluation.describe_further import percent
from bimodal.evaluation.figures import Estimate
from bimodal.evaluation.html.material import main_system, short
from bimodal.evaluation.markdown import escaped, markdown_table
from bimodal.evaluation.report import Report, SystemReport

DATASET: Final = "OWNER/DATASET"
"""What stands for the id of the data on the Hub, which only the user knows."""

SHOWN: Final = {"uar": "UAR", "accuracy": "WA", "weighted_f1": "weighted F1"}
UNKNOWN: Final = Estimate(value=None)
_CARD_EMOTIONS: Final = 30
_LONGEST: Final = 300


def card_section(report: Report) -> str:
    """A section of a model card in Markdown: figures with intervals, the weakest emotion, what to know."""
    lines = ["## Evaluation", "", _tested(report), ""]
    if report.caveat:
        lines += [f"**{_escaped(report.caveat)}**", ""]
    lines += [_table(report), "", *_recalls(report), ""]
    remarks = [*report.warnings, *report.notes]
    lines += [f"- {_escaped(one)}" for one in remarks]
    return "\n".join(lines).rstrip() + "\n"


def _tested(report: Report) -> str:
    unit = "" if report.cluster_name == "utterance" else f" of {report.clusters:,} {report.cluster_name}s"
    return (
        f"Tested on {_escaped(report.title) or 'labelled recordings'}: {report.rows:,} utterances{unit}. Values are in "
        f"percent, with {100 * report.confidence:g} % intervals that resample whole {report.cluster_name}s."
    )


def _table(report: Report) -> str:
    rows = [
        [_escaped(one.system), f"{one.rows:,}", *(percent(one.metrics.get(name, UNKNOWN)) for name in SHOWN)]
        for one in report.systems
    ]
    chance = f"{100 / max(1, sum(count > 0 for count in report.counts.values())):.1f}"
    guessing = ["guessing", f"{report.rows:,}", chance, *["-"] * (len(SHOWN) - 1)]
    return markdown_table(["system", "utterances", *SHOWN.values()], [*rows, guessing])


def _recalls(report: Report) -> Iterator[str]:
    """Recalls of the main system, the worst first."""
    system = _main(report)
    known = {name: value for name, value in system.recalls.items() if value is not None}
    worst = sorted(known, key=lambda name: known[name])
    told = ", ".join(f"{_escaped(name)} {100 * known[name]:.0f} %" for name in worst[:_CARD_EMOTIONS])
    more = "" if len(worst) <= _CARD_EMOTIONS else f", and {len(worst) - _CARD_EMOTIONS} others"
    if told:
        yield f"Recall of each emotion ({_escaped(system.system)}), the weakest first: {told}{more}."


def _main(report: Report) -> SystemReport:
    name = main_system(report)
    return next(one for one in report.systems if one.system == name)


def hub_results(report: Report) -> str:
    """The main system's figures for the folder `.eval_results` of a model on the Hugging Face Hub, as YAML.

    A list of results, each with `dataset` (`id`, `task_id`), `value`, `date` and `notes`. The Hub shows those whose
    dataset has a leaderboard with that task.
    """
    system, now = _main(report), datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    lines = [
        f"# Write the id of the data on the Hugging Face Hub in place of {DATASET}, and copy this file into the folder",
        "# .eval_results of the model's repository. Values are from 0 to 1.",
    ]
    for name, title in SHOWN.items():
        estimate = system.metrics.get(name)
        if estimate is not None and estimate.value is not None:
            lines += _entry(name, estimate.value, now, _note(report, system, title, estimate))
    return "\n".join(lines if len(lines) > 2 else [*lines, "[]"]) + "\n"


def _entry(name: str, value: float, date: str, note: str) -> list[str]:
    return [
        "- dataset:",
        f"    id: {DATASET}",
        f"    task_id: {name}",
        f"  value: {value:.4f}",
        f'  date: "{date}"',
        f"  notes: {_quoted(note)}",
    ]


def _note(report: Report, system: SystemReport, title: str, estimate: Estimate) -> str:
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        interval = f", {100 * report.confidence:g} % interval {estimate.low:.4f} to {estimate.high:.4f}"
    data = f"{system.rows} utterances of {short(report.title)}" if report.title else f"{system.rows} utterances"
    return f"{title} of {short(system.system)} on {data}{interval}. {short(report.caveat, 300)}".strip()


def _quoted(text: str) -> str:
    """A string of YAML, which those of JSON are."""
    told = text.encode("utf-8", "replace").decode()
    return msgspec.json.encode(told).decode()


def _escaped(text: str) -> str:
    return escaped(short(text, _LONGEST))
