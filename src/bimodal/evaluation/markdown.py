"""Text and Markdown of all result pages: of reports, of model cards, and of the benchmarks in the documentation."""

from collections.abc import Sequence
from typing import Final

Rows = Sequence[Sequence[str]]
_SPECIAL: Final = "\\`*_|<["


def escaped(text: str) -> str:
    r"""Text on one line, escaped for Markdown and HTML.

    Example:
        >>> escaped("a_b\n<c>")
        'a\\_b \\<c>'
    """
    for special in _SPECIAL:
        text = text.replace(special, f"\\{special}")
    return " ".join(text.split())


def markdown_table(header: Sequence[str], rows: Rows, names: int = 1) -> str:
    """A table in Markdown; its cells are Markdown already.

    Args:
        header: Names of the columns.
        rows: As long as the header.
        names: How many columns, from the left, hold names; the others hold numbers, on the right of their column.

    Example:
        >>> print(markdown_table(["system", "UAR %"], [["speech", "7.5"]]))
        | system | UAR % |
        |---|---:|
        | speech | 7.5 |
    """
    rule = f"|{'---|' * names}{'---:|' * (len(header) - names)}"
    first, *others = [f"| {' | '.join(row)} |" for row in [header, *rows]]
    return "\n".join([first, rule, *others])


def escaped_table(table: Rows, names: int = 1) -> str:
    """As `markdown_table`, of plain cells, the header first."""
    header, *rows = [[escaped(cell) for cell in row] for row in table]
    return markdown_table(header, rows, names)


def aligned(table: Rows) -> str:
    """Columns of equal width: names on the left, numbers on the right.

    Example:
        >>> print(aligned([["system", "speech"], ["UAR %", "7.5"]]))
        system  speech
        UAR %      7.5
    """
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    lines = []
    for name, *figures in table:
        cells = [f"{figure:>{width}}" for figure, width in zip(figures, widths[1:], strict=True)]
        lines.append("  ".join([f"{name:<{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)


def section(heading: str, sentences: Sequence[str]) -> str:
    """A section in Markdown with plain sentences as a list; empty without sentences."""
    return listed(f"## {heading}\n", [escaped(sentence) for sentence in sentences])


def listed(heading: str, sentences: Sequence[str]) -> str:
    r"""Sentences as a list below a heading; empty without sentences.

    Example:
        >>> listed("Notes:", ["One.", "Two."])
        'Notes:\n- One.\n- Two.'
    """
    return "\n".join([heading, *(f"- {sentence}" for sentence in sentences)]) if sentences else ""


def p_value(value: float) -> str:
    """A p as text.

    Example:
        >>> p_value(0.0201), p_value(0.0001)
        ('p = 0.020', 'p < 0.001')
    """
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
