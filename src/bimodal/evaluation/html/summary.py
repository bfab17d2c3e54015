"""The headline: the main figure, its interval, what it beats, and its weakness, in plain sentences."""

from dataclasses import dataclass

import numpy as np

from bimodal.evaluation.describe import NAMES
from bimodal.evaluation.html.material import Material, percent, short

FEW = 10  # utterances of an emotion below which its recall is not called a weakness
MANY = 5  # emotions beyond which only the first are listed


@dataclass(frozen=True, kw_only=True, slots=True)
class Weakness:
    """The emotion that the main system recognises worst.

    Attributes:
        emotion: Its name.
        recall: 0 to 1.
        rows: Its utterances.
        taken_for: What it is taken for most often; empty if it is never mistaken.
        share: Share of its utterances that are.
    """

    emotion: str
    recall: float
    rows: int
    taken_for: str
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """What a stranger must find within a minute.

    Attributes:
        verdict: One or two sentences.
        figure: UAR in percent.
        interval: Its interval, or why there is none.
        compared: What guessing and the single modalities reach, as sentences.
        weakness: A sentence on the emotion that is recognised worst.
    """

    verdict: str
    figure: str
    interval: str
    compared: tuple[str, ...]
    weakness: str


def headline(material: Material) -> Headline:
    """The headline of a report."""
    uar = material.system.metrics["uar"]
    weak = weakness(material)
    return Headline(
        verdict=f"{_verdict(material)} {_weak_sentence(weak)}".strip(),
        figure=percent(uar.value),
        interval=_interval(material),
        compared=tuple(_compared(material)),
        weakness=_weak_sentence(weak),
    )


def weakness(material: Material) -> Weakness | None:
    """The emotion with the lowest recall, among those with enough utterances where there are any; None without one."""
    report, system = material.report, material.system
    recalls = {name: value for name, value in system.recalls.items() if value is not None}
    if not recalls:
        return None
    counts = {name: sum(row) for name, row in zip(report.emotions, system.confusion, strict=True)}
    enough = [name for name in recalls if counts[name] >= FEW] or list(recalls)
    worst = min(enough, key=lambda name: recalls[name])
    row = np.array(system.confusion[report.emotions.index(worst)])
    row[report.emotions.index(worst)] = -1
    other = int(row.argmax()) if len(row) > 1 and row.max() > 0 else -1
    return Weakness(
        emotion=worst,
        recall=recalls[worst],
        rows=counts[worst],
        taken_for=report.emotions[other] if other >= 0 else "",
        share=float(row[other] / counts[worst]) if other >= 0 else 0.0,
    )


def below_chance(material: Material) -> bool:
    """Whether the interval of the main figure reaches down to guessing, or the figure does without an interval."""
    uar = material.system.metrics["uar"]
    least = uar.value if uar.low is None else uar.low
    return least is None or least <= material.chance


def system_name(name: str) -> str:
    """A system in a sentence.

    Example:
        >>> system_name("fused"), system_name("text")
        ('voice and words together', 'text alone')
    """
    return {"fused": "voice and words together"}.get(name) or NAMES.get(name) or short(name)


def _verdict(material: Material) -> str:
    uar, count = material.system.metrics["uar"], len(material.present)
    if uar.value is None:
        return "No figure can be computed."
    what = system_name(material.main)
    beats = "which cannot be told from guessing" if below_chance(material) else "which is better than guessing"
    reach = f"With {what}, the mean recall over {count} emotions (UAR) is {percent(uar.value)} %"
    between = "" if uar.low is None else f", between {percent(uar.low)} and {percent(uar.high)} %"
    return f"{reach}{between}, {beats} ({percent(material.chance)} %)."


def _interval(material: Material) -> str:
    uar, report = material.system.metrics["uar"], material.report
    if uar.low is None or uar.high is None:
        return f"no interval: there is only one {report.cluster_name}"
    unit = f"{material.system.clusters:,} {report.cluster_name}s"
    return f"{100 * report.confidence:g} % interval {percent(uar.low)} to {percent(uar.high)} %, over {unit}"


def _compared(material: Material) -> list[str]:
    found = [f"guessing: {percent(material.chance)} %"]
    for system in material.report.systems:
        if system.system != material.main and (value := system.metrics["uar"].value) is not None:
            found.append(f"{system_name(system.system)}: {percent(value)} %")
    return found


def _weak_sentence(weak: Weakness | None) -> str:
    if weak is None:
        return ""
    counted = f"{weak.rows:,} utterance{'s' if weak.rows != 1 else ''}"
    sentence = f"The weakest emotion is {short(weak.emotion)}: {percent(weak.recall, 0)} % of {counted} are recognised"
    if not weak.taken_for or weak.recall == 1:
        return f"{sentence}."
    return f"{sentence}, and {percent(weak.share, 0)} % are taken for {short(weak.taken_for)}."
