"""What the command line shows of a result."""

import json
from dataclasses import replace
from pathlib import Path

from bimodal.inference.summary import summarise
from bimodal.output.console import describe_summary, format_result, json_line
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


def test_a_summary_tells_speakers_changes_and_moments():
    calm = replace(RESULT, emotion="neutral", scores={"anger": 0.1, "neutral": 0.9}, start=0.0, end=2.0, speaker="one")
    loud = replace(RESULT, scores={"anger": 0.9, "neutral": 0.1}, transcript="Stop that!", speaker="one")
    timeline = [replace(calm, start=2.0 * place, end=2.0 * place + 2) for place in range(10)]
    timeline += [replace(loud, start=2.0 * place, end=2.0 * place + 2) for place in range(10, 20)]
    timeline.append(replace(calm, start=3723.0, end=3725.0, speaker="two"))
    told = describe_summary(summarise(timeline)).splitlines()
    assert told[0] == "speech 42.0 of 3725.0 s: neutral 52 %, anger 48 %"
    assert told[1:3] == ["  one, 40.0 s: anger 50 %, neutral 50 %", "  two, 2.0 s: neutral 100 %"]
    assert told[4:7] == [
        "     0:00.0 to    0:20.0  neutral  one",
        "     0:20.0 to    0:40.0  anger  one",
        "  1:02:03.0 to 1:02:05.0  neutral  two",
    ]
    assert told[7] == "most telling moments:" and told[8] == '     0:20.0  anger 0.90  one  "Stop that!"'
