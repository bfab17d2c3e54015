"""Sentences and their codes."""

import re

import pytest

from bimodal.errors import MESSAGES, find_message, tell
from bimodal.records import Recognition


@pytest.mark.parametrize("code", MESSAGES)
def test_a_sentence_gives_back_its_code_and_values(code):
    values = {name: f"{name}1.5" for name in re.findall(r"\{(\w+)\}", MESSAGES[code])}
    found = find_message(tell(code, **values))
    assert found is not None and (found.code, found.values) == (code, values)


def test_a_result_has_the_codes_of_all_its_sentences():
    result = Recognition(
        emotion=None,
        scores={},
        speech_scores=None,
        text_scores=None,
        gate=None,
        abstained=True,
        reason=tell("silent"),
        warnings=(tell("overlap", share=12), "a sentence without a code"),
    )
    assert [message.code for message in result.messages] == ["silent", "overlap"]
    assert result.messages[1].values == {"share": "12"} and result.messages[1].text == result.warnings[0]
