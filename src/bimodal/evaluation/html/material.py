"""What the sections of the page are made of: the figures, and what is known beside them."""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.report import Report, SystemReport
from bimodal.records import Manifest, Utterance, printable, shortened

LONGEST_NAME: Final = 60
COLOURS: Final = {"speech": "#0072b2", "text": "#c77f00", "late": "#7f7f7f", "fused": "#009e73"}
"""Colour of each system, distinct for colour-blind readers, and visible on a light and on a dark page."""

OTHERS: Final = ("#b0549c", "#a0682d", "#4b8bbe", "#8a8d00", "#d05050")
"""Colours of systems from elsewhere, in their order."""

LIBRARIES: Final = ("bimodal-emotion", "numpy", "onnxruntime", "soundfile", "av", "torch", "matplotlib")
"""Libraries whose version the page names; torch only where the process has loaded it."""

_PREFERRED: Final = ("fused", "speech", "text", "late")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSources:
    """Where the figures come from. What is not known is left out of the page, with the reason.

    Attributes:
        command: The exact command; empty if there was none.
        model: Folder of the model; None for cross-validation.
        manifest: What was tested on.
        sound: Whether the page may hold recordings and transcripts.
        threads: As in `Recognizer`, for what the page computes itself.
    """

    command: str = ""
    model: Path | None = None
    manifest: Manifest | None = None
    sound: bool = True
    threads: int = 0


@dataclass(frozen=True, kw_only=True)
class Material:
    """What sections are made of.

    Attributes:
        report: The figures.
        predictions: What they follow from.
        sources: What else is known.
        folder: Where the report is written, which may hold `tests.json`.
        utterances: Rows of the manifest by id; empty without a manifest.
        main: Name of the system in the headline.
    """

    report: Report
    predictions: Predictions
    sources: ReportSources
    folder: Path
    utterances: Mapping[str, Utterance] = field(default_factory=dict)
    main: str = ""

    @property
    def system(self) -> SystemReport:
        """Figures of the main system."""
        return next(one for one in self.report.systems if one.system == self.main)

    @property
    def scored(self) -> list[str]:
        """Systems that give scores, not labels alone."""
        names = [one.system for one in self.report.systems if one.rows]
        return [name for name in names if not self.predictions.labels_only(name)]

    @property
    def present(self) -> list[str]:
        """Emotions that occur among the tested utterances."""
        return [emotion for emotion in self.report.emotions if self.report.counts[emotion]]

    @property
    def chance(self) -> float:
        """Unweighted average recall of guessing."""
        return 1 / max(1, len(self.present))


def gather(report: Report, predictions: Predictions, sources: ReportSources, folder: Path) -> Material:
    """Material of a report."""
    rows = () if sources.manifest is None else sources.manifest.utterances
    return Material(
        report=report,
        predictions=predictions,
        sources=sources,
        folder=folder,
        utterances={row.id: row for row in rows},
        main=main_system(report),
    )


def main_system(report: Report) -> str:
    """The system whose figure stands in the headline: fused if there is one, else the first of the report's own."""
    known = {one.system: one.rows for one in report.systems}
    best = [name for name in _PREFERRED if known.get(name)]
    return best[0] if best else report.systems[0].system


def system_colour(name: str, systems: Sequence[str] = ()) -> str:
    """Colour of a system as `#rrggbb`.

    Example:
        >>> system_colour("speech"), system_colour("svm", ("speech", "svm"))
        ('#0072b2', '#b0549c')
    """
    others = [one for one in systems if one not in COLOURS]
    return COLOURS.get(name) or OTHERS[(others.index(name) if name in others else 0) % len(OTHERS)]


def short(text: str, longest: int = LONGEST_NAME) -> str:
    r"""Text from a stranger's file on one line, without control characters, its middle left out where it is long.

    Example:
        >>> short("a\nb" + "c" * 100, 12)
        'a bc...cccc'
    """
    return shortened(" ".join(printable(text).split()), longest)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that made the figures."""
    found = {"Python": platform.python_version()}
    for name in LIBRARIES:
        if name == "torch" and name not in sys.modules:
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {"machine": f"{platform.system()} {platform.machine()}"}


def percent(value: float | None, decimals: int = 1) -> str:
    """A share in percent; `-` where it is undefined.

    Example:
        >>> percent(0.4567), percent(None)
        ('45.7', '-')
    """
    return "-" if value is None else f"{100 * value:.{decimals}f}"
