"""An emotion has one colour: that of the page's script."""

import re
from pathlib import Path

import bimodal
from bimodal.output.colours import COLOURS, OTHERS, emotion_colour

SCRIPT = Path(bimodal.__file__).parent / "service" / "static" / "drawing.js"


def test_plots_and_the_page_have_the_same_colours():
    script = SCRIPT.read_text(encoding="utf-8")
    table = script[script.index("const COLOURS") : script.index("};")]
    assert dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', table)) == COLOURS
    others = script[script.index("const OTHERS") : script.index("];")]
    assert tuple(re.findall(r'"(#[0-9a-f]{6})"', others)) == OTHERS


def test_an_unknown_emotion_has_a_colour_that_does_not_depend_on_the_others():
    assert emotion_colour("boredom") == OTHERS[sum(ord(letter) for letter in "boredom") % 6]
