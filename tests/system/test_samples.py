"""The samples of the page show what their titles promise, by the packaged model."""

import json
from pathlib import Path

import pytest

from bimodal import Recognizer, TimelineConfig
from bimodal.inference.summary import summarise

SAMPLES = Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static" / "samples"
LISTED = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(threads=1)


def test_every_sample_is_there_and_titled():
    assert all((SAMPLES / sample["file"]).stat().st_size > 5000 and sample["title"] for sample in LISTED)


@pytest.mark.parametrize("emotion", ["anger", "happiness", "sadness"])
def test_an_actors_voice_is_answered_as_it_is_called(recognizer, emotion):
    result = recognizer.recognize(SAMPLES / f"{emotion}.mp3")
    assert result.emotion == emotion and result.scores[emotion] > 0.8


def test_happy_words_contradict_a_sad_voice(recognizer):
    (words,) = [sample["words"] for sample in LISTED if sample["file"] == "conflict.mp3"]
    result = recognizer.recognize(SAMPLES / "conflict.mp3", transcript=words)
    assert max(result.speech_scores, key=result.speech_scores.get) == "sadness"
    assert max(result.text_scores, key=result.text_scores.get) == "happiness"


def test_two_voices_begin_calm_quarrel_and_end_happy(recognizer):
    results = recognizer.recognize_long(SAMPLES / "voices.mp3", config=TimelineConfig(channels="speakers"))
    summary = summarise(results)
    assert [one.speaker for one in summary.speakers] == ["channel 1", "channel 2"]
    first = [phase.emotion for phase in summary.phases if phase.speaker == "channel 1"]
    assert first == ["neutral", "anger", "happiness"]
    assert {one.emotion for one in summary.highlights} >= {"anger", "sadness", "happiness"}
