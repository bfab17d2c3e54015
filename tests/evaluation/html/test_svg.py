"""Drawings stand in a page: text is text, colours follow the page, names are their own."""

import sys
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from bimodal.errors import BimodalError
from bimodal.evaluation.html.svg import INK, drawn, label


def draw(figure):
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=INK, label=label("a & <b> $x_1$ \u202e"))
    axes.scatter([0, 0.5], [0, 0.7], s=10, color="#123456")
    axes.legend()


def test_a_drawing_has_letters_in_the_colour_of_the_page_and_no_style():
    root = ElementTree.fromstring(drawn(draw, "one", "A <title>"))
    assert root.get("aria-label") == "A <title>"
    assert root.get("role") == "img"
    texts = [one for one in root.iter() if one.tag.endswith("}text")]
    assert "a & <b> $x_1$ ?" in [one.text for one in texts]
    assert {one.get("fill") for one in texts} == {"currentColor"}
    assert not [one for one in root.iter() if "style" in one.attrib or one.tag.endswith(("}style", "}metadata"))]
    assert INK not in ElementTree.tostring(root, encoding="unicode")
    assert any(one.get("fill") == "#123456" for one in root.iter())


def test_two_drawings_share_no_name_and_the_same_one_is_the_same():
    first, second = drawn(draw, "one", ""), drawn(draw, "two", "")
    names = [
        {one.get("id") for one in ElementTree.fromstring(svg).iter() if "id" in one.attrib} for svg in (first, second)
    ]
    assert not names[0] & names[1]
    linked = {one.get("{http://www.w3.org/1999/xlink}href") for one in ElementTree.fromstring(first).iter()} - {None}
    assert {name[1:] for name in linked} <= names[0]
    assert drawn(draw, "one", "") == first


def test_drawing_leaves_settings_as_they_were():
    before = mpl.rcParams.copy()
    drawn(draw, "one", "")
    assert mpl.rcParams.copy() == before


def test_without_matplotlib_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(BimodalError, match=r"pip install 'bimodal-emotion\[report\]'"):
        drawn(draw, "one", "")
