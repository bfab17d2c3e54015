"""The page: one HTML file with all sections, which loads nothing from anywhere."""

import base64
import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from bimodal.errors import BimodalError
from bimodal.evaluation.html.alerts import find_alerts
from bimodal.evaluation.html.blocks import LeftOut, Section
from bimodal.evaluation.html.clips import conflict_section, mistake_section
from bimodal.evaluation.html.curves import coverage_section, gate_section, reliability_section
from bimodal.evaluation.html.embedding import Embeddings, embed_sample, embedding_section
from bimodal.evaluation.html.groups import subgroup_section, vote_section
from bimodal.evaluation.html.material import Material, ReportSources, gather
from bimodal.evaluation.html.origin import data_section, page_title, run_section
from bimodal.evaluation.html.runs import robustness_section, training_section
from bimodal.evaluation.html.summary import headline
from bimodal.evaluation.html.tables import confusion_section, main_table, recall_section
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.report import Report

Builder = Callable[[Material, Embeddings], Section | LeftOut]

SECTIONS: Final[dict[str, tuple[str, Builder]]] = {
    "figures": ("Main figures", lambda material, _: main_table(material)),
    "confusions": ("What is taken for what", lambda material, _: confusion_section(material)),
    "recalls": ("Each emotion", lambda material, _: recall_section(material)),
    "reliability": ("Can its confidence be trusted?", lambda material, _: reliability_section(material)),
    "coverage": ("What abstaining buys", lambda material, _: coverage_section(material)),
    "robustness": ("Robustness and fairness tests", lambda material, _: robustness_section(material)),
    "subgroups": ("Groups of people", lambda material, _: subgroup_section(material)),
    "votes": ("Several annotators", lambda material, _: vote_section(material)),
    "training": ("Training", lambda material, _: training_section(material)),
    "embedding": ("Embeddings before and after the fusion", embedding_section),
    "gate": ("Voice against words", lambda material, found: gate_section(material, found.gate)),
    "mistakes": ("Worst mistakes", lambda material, _: mistake_section(material)),
    "conflicts": ("Conflicts of voice and words", lambda material, _: conflict_section(material)),
    "data": ("Data, model and licences", lambda material, _: data_section(material)),
    "run": ("Command, seeds and versions", lambda material, _: run_section(material)),
}
"""Title and builder of each section, by its anchor, in the order of the page."""


def build_page(report: Report, predictions: Predictions, sources: ReportSources, folder: Path) -> bytes:
    """The page of a report as HTML in UTF-8.

    Args:
        report: Result of `evaluate`.
        predictions: Predictions of the report.
        sources: What is known beside the figures.
        folder: Folder of the report; `tests.json` in it is shown.

    Raises:
        BimodalError: jinja2 or matplotlib is not installed.
    """
    material = gather(report, predictions, sources, folder)
    found = embed_sample(material)
    built = {name: (title, builder(material, found)) for name, (title, builder) in SECTIONS.items()}
    shown = [(name, title, one) for name, (title, one) in built.items() if isinstance(one, Section)]
    left_out = [(title, one.reason) for title, one in built.values() if isinstance(one, LeftOut)]
    style = _resource("style.css")
    page = _template().render(
        title=page_title(material),
        headline=headline(material),
        material=material,
        alerts=find_alerts(material),
        sections=shown,
        left_out=left_out,
        style=style,
        policy=_policy(style),
    )
    return str(page).encode("utf-8", "replace")


def _template() -> Any:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise BimodalError("the HTML report needs jinja2: pip install 'bimodal-emotion[report]'") from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_unbroken
    )
    return environment.from_string(_resource("page.html"))


def _unbroken(value: Any) -> Any:
    """Text in which no line breaks between a number and its percent sign; anything else as it is."""
    return value.replace(" %", "\u00a0%") if type(value) is str else value


def _resource(name: str) -> str:
    return (files("bimodal.evaluation.html") / name).read_text(encoding="utf-8")


def _policy(style: str) -> str:
    """A content security policy: this style alone, sound from the page itself, no script, no network."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; media-src data:; base-uri 'none'; form-action 'none'"
