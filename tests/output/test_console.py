"""What the command line shows of a result."""

import json
from dataclasses import replace
from pathlib import Path

from bimodal.output.console import format_result, json_line
from bimodal.records import Recognition

RESULT = Recognition(
    emotion="anger",
    scores={"anger": 0.75, "neutral": 0.25},
    speech_scores={"anger": 0.9, "neutral": 0.1},
    text_scores=None,
    gate=None,
)


def test_people_see_the_emotion_first_and_the_sides_that_were_there():
    lines = format_result(RESULT, Path("a.wav")).splitlines()
    assert lines[0] == "a.wav: anger"
    assert lines[1].split() == ["all", "voice"]
    assert lines[2].split() == ["anger", "0.75", "0.90"]


def test_a_line_of_json_names_the_recording():
    told = json.loads(json_line(RESULT, None))
    assert told["path"] is None and told["scores"]["anger"] == 0.75


def test_an_emotion_that_nothing_given_could_tell_of_has_a_dash():
    voice = {"anger": 0.8, "neutral": 0.2}
    alone = replace(RESULT, scores=voice | {"fear": 0.0}, speech_scores=voice, text_scores=None)
    cells = {line.split()[0]: line.split()[1:] for line in format_result(alone, None).splitlines()[2:5]}
    assert cells == {"anger": ["0.80", "0.80"], "neutral": ["0.20", "0.20"], "fear": ["-", "-"]}
    both = replace(alone, scores=voice | {"fear": 0.1}, text_scores=voice | {"fear": 0.3})
    assert format_result(both, None).splitlines()[4].split() == ["fear", "0.10", "-", "0.30"]
