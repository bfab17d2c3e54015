"""ELAN's documents are read by pympi, with nasty words and all."""

import io
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from pympi import Elan

from bimodal import Recognition
from bimodal.output.formats import write_recognitions

NASTY = 'a --> b\n\n<v x> & "größe" \x00 \ud800 泣 ]]> =1+1'
FIRST = Recognition(
    emotion="anger", scores={"anger": 0.75, "sadness": 0.25}, speech_scores=None, text_scores=None, gate=None,
    start=0.5, end=2.0, speaker='Ünal <b> & "co"', transcript=NASTY, model="tiny",
)  # fmt: skip
SECOND = replace(FIRST, emotion="sadness", start=1.0, end=3.0005, speaker="other", transcript=None)
ABSTAINED = replace(FIRST, emotion=None, abstained=True, reason="silent", start=3.5, end=3.5, transcript="hm")


def written(results: list[Recognition], recording: str = "calls/my call.wav") -> str:
    stream = io.StringIO()
    write_recognitions(iter(results), stream, "elan", recording=recording)
    return stream.getvalue()


def read(tmp_path, results: list[Recognition]) -> Elan.Eaf:
    (tmp_path / "a.eaf").write_bytes(written(results).encode())
    return Elan.Eaf(str(tmp_path / "a.eaf"))


def test_tiers_hold_emotions_scores_and_words(tmp_path):
    eaf = read(tmp_path, [FIRST, SECOND, ABSTAINED])
    name = 'Ünal <b> & "co"'
    assert {tier for tier in eaf.get_tier_names() if eaf.get_annotation_data_for_tier(tier)} == {
        f"{name} emotion", f"{name} score", f"{name} transcript", "other emotion", "other score",
    }  # fmt: skip
    assert eaf.get_annotation_data_for_tier(f"{name} emotion") == [(500, 2000, "anger")]
    assert eaf.get_annotation_data_for_tier("other score") == [(1000, 3000, "0.25")]
    words = eaf.get_annotation_data_for_tier(f"{name} transcript")
    assert words == [(500, 2000, 'a --> b <v x> & "größe" ? 泣 ]]> =1+1'), (3500, 3501, "hm")]
    assert eaf.get_parameters_for_tier(f"{name} emotion")["PARTICIPANT"] == name
    (media,) = eaf.get_linked_files()
    assert media["RELATIVE_MEDIA_URL"] == "./my%20call.wav" and "wav" in media["MIME_TYPE"]


def test_a_tier_has_no_overlaps_and_each_name_stands_once(tmp_path):
    overlapping = replace(SECOND, speaker=FIRST.speaker)
    eaf = read(tmp_path, [FIRST, overlapping])
    tier = next(name for name in eaf.get_tier_names() if name.endswith("emotion"))
    assert eaf.get_annotation_data_for_tier(tier) == [(500, 2000, "anger"), (2000, 3000, "sadness")]
    root = ElementTree.fromstring(written([FIRST, overlapping, ABSTAINED]))
    slots = [slot.get("TIME_SLOT_ID") for slot in root.iter("TIME_SLOT")]
    used = [
        mark.get(name) for mark in root.iter("ALIGNABLE_ANNOTATION") for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
    ]
    marks = [mark.get("ANNOTATION_ID") for mark in root.iter("ALIGNABLE_ANNOTATION")]
    assert sorted(slots) == sorted(used) and len(set(slots)) == len(slots) and len(set(marks)) == len(marks)


@given(words=st.text(), speaker=st.text(), name=st.text())
@settings(max_examples=60, deadline=None)
def test_any_words_make_a_document_that_is_read(words, speaker, name):
    root = ElementTree.fromstring(written([replace(FIRST, transcript=words, speaker=speaker)], name).encode())
    assert "anger" in [value.text for value in root.iter("ANNOTATION_VALUE")]


def test_the_same_results_give_the_same_bytes():
    assert written([FIRST, SECOND]) == written([FIRST, SECOND])
