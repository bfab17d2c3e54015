"""A result reads well in a terminal and in a notebook, whatever it holds."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimodal.records import Recognition, failed_recognition

ANGRY = Recognition(
    emotion="anger",
    scores={"calm": 0.13, "anger": 0.87},
    speech_scores=None,
    text_scores={"anger": 0.87, "calm": 0.13},
    gate=None,
    start=0.0,
    end=2.4,
    speaker="ann",
    transcript="Stop that!",
    warnings=("the recording is noisy",),
)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "anger 0.87, 0.00 to 2.40 s, speaker 'ann', 'Stop that!', 1 warning"),
        ({"speaker": None, "transcript": None, "warnings": ("a", "b")}, "anger 0.87, 0.00 to 2.40 s, 2 warnings"),
        ({"start": None, "end": None, "warnings": ()}, "anger 0.87, speaker 'ann', 'Stop that!'"),
        (
            {"emotion": None, "abstained": True, "reason": "the recording is silent", "transcript": None},
            "no emotion (the recording is silent), 0.00 to 2.40 s, speaker 'ann', 1 warning",
        ),
    ],
)
def test_a_result_is_one_readable_line(changes, shown):
    result = replace(ANGRY, **changes)
    assert (str(result), repr(result)) == (shown, f"<Recognition: {shown}>")


def test_a_long_transcript_is_cut():
    assert "'" + "a" * 57 + "...'" in str(replace(ANGRY, transcript="a" * 61))
    assert "'" + "a" * 60 + "'" in str(replace(ANGRY, transcript="a" * 60))


class Texts(HTMLParser):
    """The texts and the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts, self.tags, self.styles = list[str](), list[str](), list[str]()
        self.feed(page)
        self.close()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs) -> None:
        self.tags.append(tag)
        self.styles += [value for name, value in attrs if name == "style"]


def test_a_notebook_shows_the_scores_as_bars_the_largest_first():
    page = Texts(ANGRY._repr_html_())
    assert page.texts == [str(ANGRY), "anger", "0.87", "calm", "0.13"]
    assert [re.findall(r"width:(\d+)px", style) for style in page.styles] == [["87"], ["13"]]


@given(text=st.text(min_size=1))
def test_nothing_that_a_result_holds_becomes_a_tag_or_a_second_line(text):
    result = replace(ANGRY, emotion=text, scores={text: 1.0}, speaker=text, transcript=text)
    page = Texts(result._repr_html_())
    assert set(page.tags) == {"div", "strong", "table", "tr", "td"}
    assert "\n" not in repr(replace(ANGRY, speaker=text, transcript=text))


def test_a_failed_clip_is_a_result_with_its_sentence():
    failed = failed_recognition("a.wav: no such file", speaker="ann", transcript="hi", model="tiny")
    assert str(failed) == "error (a.wav: no such file), speaker 'ann', 'hi'"
    assert failed.abstained and failed.emotion is None and failed.reason == failed.error
    assert failed.to_dict()["error"] == "a.wav: no such file" and ANGRY.to_dict()["error"] is None
    assert "a.wav: no such file" in failed._repr_html_()


def test_json_gives_the_same_result_again():
    for result in (ANGRY, failed_recognition("gone")):
        assert msgspec.json.decode(msgspec.json.encode(result.to_dict()), type=Recognition) == result


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["scores", "speech_scores", "text_scores", "gate", "start", "end"])
def test_a_result_holds_no_nan(field, number):
    sound = {"emotion": "joy", "scores": {"joy": 1.0}, "speech_scores": None, "text_scores": None, "gate": None}
    value = {"joy": number} if field.endswith("scores") else number
    with pytest.raises(ValueError, match="NaN or infinite"):
        Recognition(**sound | {field: value})
    assert Recognition(**sound).scores == {"joy": 1.0}
