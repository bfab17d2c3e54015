"""Drawings by matplotlib as SVG that stands in a page: letters are text, colours follow the page, no inline style."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any, Final
from xml.etree import ElementTree as Xml

from bimodal.errors import BimodalError
from bimodal.records import printable, shortened

INK: Final = "#010203"
"""Colour of lines and letters while matplotlib draws; the page's own colour of letters replaces it."""

LONGEST_LABEL: Final = 24
_WIDTH, _HEIGHT = 4.7, 3.3  # inches: readable on a phone, where it is scaled down to 300 pixels
_LETTERS: Final = 10  # points
_NAMESPACE: Final = "http://www.w3.org/2000/svg"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_KEPT: Final = frozenset({
    "fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-dashoffset",
    "stroke-linecap", "stroke-linejoin", "opacity", "font-size", "font-weight", "text-anchor",
})  # fmt: skip
"""Properties of style that SVG also knows as attributes, which the page's policy allows."""

Draw = Callable[[Any], None]
"""Draws on a figure of matplotlib."""


def drawn(draw: Draw, name: str, title: str, *, width: float = _WIDTH, height: float = _HEIGHT) -> str:
    """What `draw` draws on an empty figure, as an SVG element.

    Args:
        draw: Takes the figure.
        name: Unique in the page; letters and digits.
        title: Read out to those who cannot see it.
        width: In inches.
        height: In inches.

    Raises:
        BimodalError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BimodalError("plots need matplotlib: pip install 'bimodal-emotion[report]'") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_visible(False)
    draw(figure)
    for axes in figure.get_axes():
        _colour_axes(axes)
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _element(file.getvalue(), name, title)


def _colour_axes(axes: Any) -> None:
    """Letters, ticks and frame in the colour that the page replaces; no background."""
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=_LETTERS)
    for spine in axes.spines.values():
        spine.set_color(INK)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(INK)
        text.set_fontsize(_LETTERS)
    if (legend := axes.get_legend()) is not None:
        for text in legend.get_texts():
            text.set_color(INK)
            text.set_fontsize(_LETTERS)


def label(text: str, longest: int = LONGEST_LABEL) -> str:
    r"""Text from a stranger's file as a label of a plot: short, on one line, no formula.

    Example:
        >>> label("a\n$b$")
        'a \\$b\\$'
    """
    return shortened(" ".join(printable(text).split()), longest).replace("$", r"\$")


def _element(svg: str, name: str, title: str) -> str:
    """The root element for a page: named, scaled by the page, free of style."""
    Xml.register_namespace("", _NAMESPACE)
    root = Xml.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", svg))  # noqa: S314 (our own)
    for parent in list(root.iter()):
        for child in [one for one in parent if one.tag.endswith(("}metadata", "}style"))]:
            parent.remove(child)
    for element in root.iter():
        _without_style(element)
        _own_names(element, name)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": title, "stroke-linejoin": "round", "fill": "currentColor"}
    return (
        Xml.tostring(root, encoding="unicode").replace("xmlns:ns1=", "xmlns:xlink=").replace("ns1:href", "xlink:href")
    )


def _without_style(element: Xml.Element) -> None:
    for name, value in _properties(element.attrib.pop("style", "")):
        if name in _KEPT:
            element.set(name, "currentColor" if value == INK else value)
    if "d" in element.attrib:
        element.set("d", " ".join(element.attrib["d"].split()))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _properties(style: str) -> Iterator[tuple[str, str]]:
    for one in style.split(";"):
        name, _, value = one.partition(":")
        yield name.strip(), value.strip()


def _own_names(element: Xml.Element, name: str) -> None:
    """Names that no other drawing of the page has."""
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.get('id')}")
    if (link := element.get(_LINK)) is not None:
        element.set(_LINK, f"#{name}-{link[1:]}")
    if (clip := element.get("clip-path")) is not None:
        element.set("clip-path", clip.replace("url(#", f"url(#{name}-"))
