"""A report as text: aligned tables for a terminal, Markdown for a file."""

from bimodal.evaluation.describe_further import abstention_sentences, subgroup_tables, vote_sentences
from bimodal.evaluation.markdown import aligned, escaped, escaped_table, listed, p_value, section
from bimodal.evaluation.metrics import METRICS, MetricInfo
from bimodal.evaluation.report import Comparison, Estimate, Gain, Report, SystemReport

Table = list[list[str]]  # rows of cells, the header first

SIGNIFICANT = 0.05
NAMES = {"speech": "speech alone", "text": "text alone", "late": "late fusion"}  # in a sentence


def describe(report: Report) -> str:
    """The report as plain text: all systems, recalls, differences, warnings.

    Values are in percent, with the interval in brackets.
    """
    parts = [
        report.caveat,
        _heading(report),
        aligned(_transposed(_figures(report))),
        aligned(_recalls(report)),
        aligned(_transposed(_sets(report))) if _has_sets(report) else "",
        aligned(_transposed(_dimensions(report))) if _has_dimensions(report) else "",
        _legend(report),
        *(f"{heading}\n{aligned(table)}" for heading, table in subgroup_tables(report)),
        listed("Abstention:", abstention_sentences(report)),
        listed("Votes of several annotators:", vote_sentences(report)),
        listed("Paired differences:", comparison_sentences(report)),
        listed("Warnings:", report.warnings),
        listed("Notes:", report.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def describe_markdown(report: Report) -> str:
    """The report as Markdown, one system per row."""
    parts = [
        f"**{escaped(report.caveat)}**" if report.caveat else "",
        f"# {escaped(report.title) or 'Evaluation'}",
        _counted(report),
        escaped_table(_figures(report)),
        "Recall of each emotion in percent:",
        escaped_table(_recalls(report)),
        *(["Prediction sets:", escaped_table(_sets(report))] if _has_sets(report) else []),
        *([escaped_table(_dimensions(report))] if _has_dimensions(report) else []),
        escaped(_legend(report)),
        *(f"{escaped(heading)}\n\n{escaped_table(table)}" for heading, table in subgroup_tables(report)),
        section("Abstention", abstention_sentences(report)),
        section("Votes of several annotators", vote_sentences(report)),
        section("Paired differences", comparison_sentences(report)),
        section("Warnings", report.warnings),
        section("Notes", report.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def comparison_sentences(report: Report) -> list[str]:
    """One sentence per paired comparison; differences in percentage points."""
    return [_comparison_sentence(comparison, report.confidence) for comparison in report.comparisons]


def _comparison_sentence(comparison: Comparison, confidence: float) -> str:
    name = NAMES.get(comparison.other, comparison.other)
    standing = f"{comparison.system} is {_verdict(comparison)} {name}"
    figures = f"UAR {_points(comparison.uar)}, weighted F1 {_points(comparison.weighted_f1)}"
    where = f"on the {comparison.rows} utterances with input for both"
    return f"{standing} {where}: {figures} ({100 * confidence:g} % intervals){_tests(comparison)}."


def _tests(comparison: Comparison) -> str:
    """McNemar's test, and Holm's correction where it changes a p."""
    exact = comparison.mcnemar
    if exact is None:
        return ""
    counts = f"; it alone is right on {exact.first}, the other alone on {exact.second}, McNemar {p_value(exact.p)}"
    corrected = comparison.uar_p_holm
    if corrected is None or comparison.uar.p is None or (corrected == comparison.uar.p and exact.p_holm == exact.p):
        return counts
    return f"{counts}; after Holm's correction {p_value(corrected)} for UAR, {p_value(exact.p_holm)} for McNemar"


def _legend(report: Report) -> str:
    """How to read the metrics of the table, and their resamples where these are fewer."""
    shown = {name for system in report.systems for name in system.metrics}
    sentences = [info.explained for name, info in METRICS.items() if info.explained and name in shown]
    if report.score_replicates and report.score_replicates < report.replicates:
        sentences.append(f"metrics of scores have {report.score_replicates} resamples")
    text = "; ".join(sentences)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _verdict(comparison: Comparison) -> str:
    """The verdict of the UAR's interval; a difference that Holm's correction makes uncertain is called so."""
    gain, corrected = comparison.uar, comparison.uar_p_holm
    if gain.low is not None and gain.high is not None and (corrected or 0.0) > SIGNIFICANT:
        return "not significantly different from"
    if gain.value is None or gain.low is None or gain.high is None:
        return "not comparable with"
    if gain.low > 0:
        return "significantly better than"
    return "significantly worse than" if gain.high < 0 else "not significantly different from"


def _points(gain: Gain) -> str:
    """A difference in percentage points, such as `+2.1 [+0.3, +3.9], p = 0.020`."""
    if gain.value is None:
        return "unknown"
    value = f"{100 * gain.value:+.1f}"
    if gain.low is None or gain.high is None or gain.p is None:
        return value
    return f"{value} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}], {p_value(gain.p)}"


def _cell(estimate: Estimate, metric: MetricInfo) -> str:
    """A value in percent, such as `67.5 [61.0, 73.2]`; any other metric with three decimals."""
    return estimate.shown(*((100, 1) if metric.is_share else (1, 3)))


def _counted(report: Report) -> str:
    clusters = "" if report.cluster_name == "utterance" else f" of {report.clusters} {report.cluster_name}s"
    emotions = ", ".join(f"{escaped(emotion)} {count}" for emotion, count in report.counts.items())
    intervals = f"{100 * report.confidence:g} % intervals from {report.replicates} resamples of {report.cluster_name}s"
    return f"{report.rows} utterances{clusters} ({emotions}); {intervals}."


def _heading(report: Report) -> str:
    lines = [report.title] if report.title else []
    return "\n".join([*lines, _counted(report)])


def _figures(report: Report) -> Table:
    titles = [f"{metric.title} %" if metric.is_share else metric.title for metric in METRICS.values()]
    return [["system", "utterances", *titles], *(_system_row(system) for system in report.systems)]


def _system_row(system: SystemReport) -> list[str]:
    cells = [_cell(system.metrics[name], metric) if name in system.metrics else "-" for name, metric in METRICS.items()]
    return [system.system, str(system.rows), *cells]


def _recalls(report: Report) -> Table:
    header = ["recall %", "utterances", *(system.system for system in report.systems)]
    rows = [[emotion, str(report.counts[emotion])] for emotion in report.emotions]
    for row, emotion in zip(rows, report.emotions, strict=True):
        recalls = [system.recalls[emotion] for system in report.systems]
        row.extend("-" if recall is None else f"{100 * recall:.1f}" for recall in recalls)
    return [header, *rows]


def _has_sets(report: Report) -> bool:
    return any(system.sets for system in report.systems)


def _sets(report: Report) -> Table:
    """One system per row: coverage of its prediction sets, of the emotion covered least, and their mean size."""
    known = [(system.system, system.sets) for system in report.systems if system.sets]
    header = ["prediction sets", f"coverage % ({100 * known[0][1].asked:g} asked)", "least, %", "of", "mean size"]
    rows = [
        [name, f"{100 * one.coverage:.1f}", f"{100 * one.worst_coverage:.1f}", one.worst, f"{one.mean_size:.2f}"]
        for name, one in known
    ]
    return [header, *rows]


def _has_dimensions(report: Report) -> bool:
    return any(system.dimensions for system in report.systems)


def _dimensions(report: Report) -> Table:
    """One system per row: CCC of its derived arousal and valence with ratings."""
    names = list(dict.fromkeys(name for system in report.systems for name in system.dimensions))
    rows = []
    for system in report.systems:
        found = [system.dimensions.get(name) for name in names]
        rows.append([system.system, *("-" if one is None else f"{one:.3f}" for one in found)])
    return [["dimensions", *(f"{name} CCC" for name in names)], *rows]


def _transposed(table: Table) -> Table:
    return [list(column) for column in zip(*table, strict=True)]
