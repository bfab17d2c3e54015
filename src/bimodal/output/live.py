"""The live view of the terminal: level, scores of the running segment, the last results (extra `listen`)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bimodal.inference.live import Moment
from bimodal.records import Recognition

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

SHOWN: Final = 12
"""Results that the view shows."""

_BAR: Final = 30  # characters
_QUIETEST: Final = -60.0  # dB at which the level shows nothing


def draw(seen: Iterable[Recognition], moment: Moment) -> "RenderableType":
    """The live view in the terminal: level, provisional scores, the last results."""
    from rich.console import Group
    from rich.text import Text

    loud = round(_BAR * min(1.0, max(0.0, 1 - moment.level / _QUIETEST)))
    head = Text(f"{moment.duration:8.1f} s  {'|' * loud:<{_BAR}}", style="bold")
    return Group(head, _scores(moment.partial), _results(seen))


def _scores(partial: Recognition | None) -> "RenderableType":
    """Bars of the provisional scores."""
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    if partial is None:
        return Text("  nobody is speaking\n", style="dim")
    if partial.emotion is None:
        return Text(f"  no answer yet: {partial.reason}\n", style="dim")
    table = Table.grid(padding=(0, 1))
    for emotion, score in partial.scores.items():
        style = "bold" if emotion == partial.emotion else "dim"
        table.add_row(Text(f"  {emotion:<12}", style=style), Bar(1.0, 0.0, score, width=_BAR), f"{score:.2f}")
    return table


def _results(seen: Iterable[Recognition]) -> "Table":
    """The last results, newest below."""
    from rich.table import Table

    table = Table("from", "to", "emotion", "score", "words", box=None, header_style="dim")
    for result in seen:
        score = "" if result.emotion is None else f"{result.scores[result.emotion]:.2f}"
        times = (f"{result.start or 0.0:.2f}", f"{result.end or 0.0:.2f}")
        table.add_row(*times, result.emotion or f"- ({result.reason})", score, result.transcript or "")
    return table
