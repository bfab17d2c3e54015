"""Sections that are plots of scores: reliability, risk over coverage, the gate."""

from typing import Any, Final

import numpy as np

from bimodal.arrays import Doubles
from bimodal.evaluation.describe_further import abstention_sentences
from bimodal.evaluation.html.blocks import LeftOut, Listing, Plot, Section
from bimodal.evaluation.html.material import Material, percent, short, system_colour
from bimodal.evaluation.html.svg import INK, drawn, label
from bimodal.evaluation.html.tables import plain_table
from bimodal.evaluation.metrics import reliability_bins, risk_coverage

BINS: Final = 10
COVERAGES: Final = (1.0, 0.9, 0.8, 0.7, 0.5)
GATE: Final = "gate"
"""Column of predictions with the share of the voice in the fusion."""

LABELS_ONLY: Final = "The main system gives labels without scores, so nothing is known of its confidence."
_MOST_POINTS: Final = 200  # of a curve
_GATE_BINS: Final = 20


def reliability_section(material: Material) -> Section | LeftOut:
    """Accuracy by confidence, with counts."""
    if material.main not in material.scored:
        return LeftOut(reason=LABELS_ONLY)
    plot = drawn(lambda figure: _draw_reliability(figure, material), "reliability", "Reliability diagram", height=4.2)
    return Section(
        lead="How often the model is right when it is so sure. Below the dotted line it is surer than it should be.",
        blocks=[
            Plot(svg=plot, caption=f"Above: accuracy by confidence, {BINS} bins. Below: utterances in each bin."),
            _reliability_table(material),
        ],
    )


def _draw_reliability(figure: Any, material: Material) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1)
    for name in material.scored:
        bins, colour = _bins(material, name), _colour(material, name)
        filled = bins.count > 0
        wide = 2.2 if name == material.main else 1.2
        above.plot(
            bins.confidence[filled],
            bins.accuracy[filled],
            color=colour,
            linewidth=wide,
            marker="o",
            markersize=3 + wide,
            label=label(name),
        )
    count = _bins(material, material.main).count
    middles = (np.arange(BINS) + 0.5) / BINS
    below.bar(middles, count, width=0.9 / BINS, color=_colour(material, material.main))
    above.set(xlim=(0, 1.02), ylim=(0, 1.02), ylabel="accuracy")
    below.set(xlabel="confidence", ylabel=label(f"n, {material.main}"))
    above.legend(loc="upper left", frameon=False)


def _reliability_table(material: Material) -> Any:
    """The bins of the main system as numbers."""
    bins = _bins(material, material.main)
    rows = [
        [
            f"{100 * bins.edges[at]:.0f} to {100 * bins.edges[at + 1]:.0f} %",
            f"{int(bins.count[at]):,}",
            percent(bins.confidence[at]),
            percent(bins.accuracy[at]),
        ]
        for at in range(BINS)
        if bins.count[at]
    ]
    return plain_table(
        f"The bins of {short(material.main)}", ["confidence", "utterances", "mean confidence %", "accuracy %"], rows
    )


def _bins(material: Material, name: str) -> Any:
    predictions, rows = material.predictions, material.predictions.answered(name)
    return reliability_bins(predictions.scores[name][rows], predictions.targets[rows], BINS)


def coverage_section(material: Material) -> Section | LeftOut:
    """Error among those answered, from answering few to all."""
    if material.main not in material.scored:
        return LeftOut(reason=LABELS_ONLY)
    plot = drawn(lambda figure: _draw_coverage(figure, material), "coverage", "Risk over coverage")
    return Section(
        lead="What abstaining buys: the error if only the surest utterances are answered. A curve that falls to the "
        "left means that confidence tells right from wrong.",
        blocks=[
            Plot(svg=plot, caption="Error among the answered utterances, by their share"),
            _abstaining(material),
            *_rule(material),
        ],
    )


def _draw_coverage(figure: Any, material: Material) -> None:
    axes = figure.subplots()
    for name in material.scored:
        found = _curve(material, name)
        places = np.unique(np.linspace(0, len(found.coverage) - 1, _MOST_POINTS).astype(int))
        axes.plot(
            100 * found.coverage[places],
            100 * found.risk[places],
            color=_colour(material, name),
            linewidth=2.2 if name == material.main else 1.2,
            label=label(f"{name} (AURC {100 * found.area:.1f} %)", 40),
        )
    axes.set(xlim=(0, 100), xlabel="answered, % (coverage)", ylabel="wrong among them, % (risk)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _abstaining(material: Material) -> Any:
    """The confidence at which a share is answered, and the accuracy among those."""
    found, rows = _curve(material, material.main), []
    for wanted in COVERAGES:
        place = int(np.searchsorted(found.coverage, wanted - 1e-9))
        place = min(place, len(found.coverage) - 1)
        rows.append(
            [
                f"{100 * found.coverage[place]:.0f} %",
                f"{found.threshold[place]:.2f}",
                percent(1 - float(found.risk[place])),
            ]
        )
    unique = list({tuple(row): row for row in rows}.values())
    caption = f"Answering only from a confidence up, {short(material.main)}"
    return plain_table(caption, ["answered", "confidence from", "accuracy % among them"], unique)


def _rule(material: Material) -> list[Listing]:
    """What the rule of abstention of the report gives, where there is one."""
    sentences = abstention_sentences(material.report)
    return [Listing(heading="The rule that was asked for", sentences=sentences)] if sentences else []


def _curve(material: Material, name: str) -> Any:
    predictions, rows = material.predictions, material.predictions.answered(name)
    return risk_coverage(predictions.scores[name][rows], predictions.targets[rows])


def gate_section(material: Material, gate: Doubles | None) -> Section | LeftOut:
    """How much the voice counts in the fusion.

    Args:
        material: Of the report.
        gate: Share of the voice of some utterances with both modalities; None if it is unknown.
    """
    values = _told_gate(material) if gate is None else gate
    if values is None or not values.size:
        return LeftOut(
            reason="The predictions do not say how much the voice counted. They do for a model with a fusion network, "
            "on utterances with speech and words."
        )
    title = "Share of the voice in the fusion"
    plot = drawn(lambda figure: _draw_gate(figure, values), "gate", title, height=2.6)
    middle, low, high = np.quantile(values, [0.5, 0.1, 0.9])
    return Section(
        lead=f"How much the voice counts against the words: {100 * middle:.0f} % in the median, {100 * low:.0f} to "
        f"{100 * high:.0f} % in four of five of {values.size:,} utterances.",
        blocks=[Plot(svg=plot, caption="Left: words alone decide. Right: the voice alone decides.")],
    )


def _told_gate(material: Material) -> Doubles | None:
    cells = [cell for cell in material.predictions.extra.get(GATE, ()) if cell]
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    return values if values.size and ((values >= 0) & (values <= 1)).all() else None


def _draw_gate(figure: Any, values: Doubles) -> None:
    axes = figure.subplots()
    axes.hist(values, bins=_GATE_BINS, range=(0, 1), color=system_colour("fused"))
    axes.set(xlim=(0, 1), xlabel="share of the voice (gate)", ylabel="utterances")


def _colour(material: Material, name: str) -> str:
    return system_colour(name, tuple(one.system for one in material.report.systems))
