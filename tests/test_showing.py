"""What the command line shows of a result."""

import json
from pathlib import Path

from bimodal.records import Recognition
from bimodal.showing import for_people, json_line

RESULT = Recognition(
    emotion="anger",
    scores={"anger": 0.75, "neutral": 0.25},
    speech_scores={"anger": 0.9, "neutral": 0.1},
    text_scores=None,
    gate=None,
)


def test_people_see_the_emotion_first_and_the_sides_that_were_there():
    lines = for_people(RESULT, Path("a.wav")).splitlines()
    assert lines[0] == "a.wav: anger"
    assert lines[1].split() == ["all", "voice"]
    assert lines[2].split() == ["anger", "0.75", "0.90"]


def test_a_line_of_json_names_the_recording():
    told = json.loads(json_line(RESULT, None))
    assert told["path"] is None and told["scores"]["anger"] == 0.75
