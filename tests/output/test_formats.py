"""What we write is read by other people's readers, with nasty words and all."""

import csv
import datetime
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
import srt
import webvtt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from praatio import textgrid

from bimodal import Recognition
from bimodal.data.dimensions import expected_position
from bimodal.errors import BimodalError
from bimodal.output.formats import EMOTIONML, FORMATS, write_recognitions
from bimodal.records import PredictionSet, failed_recognition

NASTY = 'a --> b\n\n00:01 <v x> & "größe" \x00 \ud800 泣 ]]> =1+1'
ONE_LINE = 'a --> b 00:01 <v x> & "größe" ? 泣 ]]> =1+1'
FIRST = Recognition(
    emotion="anger", scores={"anger": 0.75, "sadness": 0.25}, speech_scores={"anger": 0.75, "sadness": 0.25},
    text_scores={"anger": 0.75, "sadness": 0.25}, gate=0.5, start=0.5, end=2.0, speaker="Ünal <b> & co",
    transcript=NASTY, transcript_source="given", model="tiny", revision="0",
)  # fmt: skip
SECOND = replace(FIRST, emotion="sadness", start=1.0, end=3.0005, speaker="other", transcript=None)
ABSTAINED = replace(FIRST, emotion=None, abstained=True, reason="silent", start=3.5, end=3.5, transcript="hm")
LATE = replace(FIRST, start=36_000.0, end=36_001.9999, transcript="ten hours in")
RESULTS = [FIRST, SECOND, ABSTAINED, LATE]


def written(kind, results=RESULTS, recording="my call.wav") -> str:
    stream = io.StringIO(newline="")
    write_recognitions(iter(results), stream, kind, recording=recording)
    stream.getvalue().encode("utf-8")
    return stream.getvalue()


def test_json_lines_hold_every_field():
    rows = [json.loads(line) for line in written("jsonl").splitlines()]
    assert rows[1] == json.loads(json.dumps(SECOND.to_dict()))
    assert rows[0]["transcript"] == NASTY.replace("\ud800", "?")


def test_csv_keeps_words_as_they_are():
    rows = list(csv.DictReader(io.StringIO(written("csv"), newline="")))
    assert len(rows) == 4
    assert rows[0]["transcript"] == NASTY.replace("\ud800", "?")
    assert (rows[0]["anger"], rows[0]["emotion"], rows[2]["emotion"]) == ("0.7500", "anger", "")


def test_webvtt_is_read_by_webvtt_py():
    captions = list(webvtt.from_string(written("vtt")))
    assert [(one.start, one.end) for one in captions] == [
        ("00:00:00.500", "00:00:02.000"),
        ("00:00:01.000", "00:00:03.000"),
        ("00:00:03.500", "00:00:03.501"),
        ("10:00:00.000", "10:00:02.000"),
    ]
    assert written("vtt").count("-->") == 4
    assert "a --&gt; b 00:01 &lt;v x&gt; &amp;" in written("vtt")
    assert "größe" in captions[0].text and "泣" in captions[0].text


def test_srt_is_read_by_srt():
    cues = list(srt.parse(written("srt"), ignore_errors=False))
    assert [cue.index for cue in cues] == [1, 2, 3, 4]
    assert cues[0].content == f"Ünal <b> & co: [anger 0.75] {ONE_LINE.replace('-->', '->')}"
    assert cues[3].start.total_seconds() == 36_000 and cues[3].end.total_seconds() == 36_002


def test_textgrid_is_read_by_praatio(tmp_path):
    file = tmp_path / "a.TextGrid"
    file.write_text(written("textgrid"), encoding="utf-8")
    grid = textgrid.openTextgrid(str(file), includeEmptyIntervals=True, reportingMode="error")
    assert grid.tierNames == (
        "Ünal <b> & co emotion", "Ünal <b> & co transcript", "other emotion", "other transcript",
    )  # fmt: skip
    for tier in grid.tiers:
        assert tier.entries[0].start == 0 and tier.entries[-1].end == 36_002
        assert all(one.end == two.start for one, two in zip(tier.entries, tier.entries[1:], strict=False))
    assert [one.label for one in grid.getTier("Ünal <b> & co transcript").entries if one.label] == [
        ONE_LINE, "hm", "ten hours in",
    ]  # fmt: skip


def test_overlaps_within_a_speaker_are_cut_in_a_textgrid(tmp_path):
    file = tmp_path / "a.TextGrid"
    file.write_text(written("textgrid", [FIRST, replace(SECOND, speaker=FIRST.speaker)]), encoding="utf-8")
    tier = textgrid.openTextgrid(str(file), includeEmptyIntervals=False).tiers[0]
    assert [(one.start, one.end, one.label) for one in tier.entries] == [(0.5, 2.0, "anger"), (2.0, 3.0, "sadness")]


def test_rttm_has_ten_fields_a_line():
    rows = [line.split(" ") for line in written("rttm").splitlines()]
    assert all(len(row) == 10 and row[0] == "SPEAKER" for row in rows)
    assert [(row[1], row[2], float(row[3]), float(row[4]), row[7]) for row in rows] == [
        ("my_call.wav", "1", 0.5, 1.5, "anger"),
        ("my_call.wav", "2", 1.0, 2.0, "sadness"),
        ("my_call.wav", "1", 36_000.0, 2.0, "anger"),
    ]


def test_emotionml_keeps_the_rules_of_its_elements():
    root = ElementTree.fromstring(written("emotionml"))
    names = {"": EMOTIONML}
    assert root.tag == f"{{{EMOTIONML}}}emotionml" and root.get("version") == "1.0"
    vocabulary = root.find("vocabulary", names)
    assert root.get("category-set") == f"#{vocabulary.get('id')}" and vocabulary.get("type") == "category"
    items = {item.get("name") for item in vocabulary}
    emotions = root.findall("emotion", names)
    assert len(emotions) == 3  # what abstained has no category, which the element must have
    for emotion in emotions:
        categories = emotion.findall("category", names)
        assert {one.get("name") for one in categories} == items and len(categories) == len(items)
        assert all(0 <= float(one.get("confidence")) <= 1 for one in categories)
        assert emotion.get("expressed-through") == "voice text"
        reference = emotion.find("reference", names)
        assert re.fullmatch(r"my%20call\.wav#t=\d+\.\d{3},\d+\.\d{3}", reference.get("uri"))
        assert len(emotion.findall("info", names)) == 1
        assert all(not child.tag.startswith(f"{{{EMOTIONML}}}") for child in emotion.find("info", names))
    assert emotions[0].find("reference", names).tail.strip() == ONE_LINE


def test_emotionml_has_dimensions_from_0_to_1_where_the_emotions_have_positions():
    root = ElementTree.fromstring(written("emotionml", [FIRST]))
    names = {"": EMOTIONML}
    (declared,) = [one for one in root.findall("vocabulary", names) if one.get("type") == "dimension"]
    assert root.get("dimension-set") == f"#{declared.get('id')}"
    assert [item.get("name") for item in declared] == ["arousal", "valence"]
    arousal, valence = expected_position(FIRST.scores)
    values = {
        one.get("name"): float(one.get("value")) for one in root.find("emotion", names).findall("dimension", names)
    }
    assert values == pytest.approx({"arousal": (arousal + 1) / 2, "valence": (valence + 1) / 2}, abs=1e-4)
    calm = replace(FIRST, scores={"anger": 0.75, "calm": 0.25})
    assert "dimension" not in written("emotionml", [calm])


def test_csv_has_dimensions_and_prediction_sets():
    found = PredictionSet(emotions=("anger", "sadness"), coverage=0.9, by="emotion")
    told = replace(FIRST, arousal=0.375, valence=-0.54, prediction_set=found)
    first, second = csv.DictReader(io.StringIO(written("csv", [told, FIRST]), newline=""))
    names = ("arousal", "valence", "prediction_set", "coverage")
    assert [first[name] for name in names] == ["0.375", "-0.54", "anger; sadness", "0.9"]
    assert [second[name] for name in names] == ["", "", "", ""]


def test_no_results_are_an_empty_document_except_for_annotation_programs():
    assert {kind: written(kind, []) for kind in ("jsonl", "csv", "vtt", "srt", "rttm")} == {
        "jsonl": "", "csv": "", "vtt": "WEBVTT\n", "srt": "", "rttm": "",
    }  # fmt: skip
    assert len(ElementTree.fromstring(written("emotionml", []))) == 0
    for kind in ("textgrid", "elan", "labelstudio"):
        with pytest.raises(BimodalError, match=f"no results to write as {kind}"):
            written(kind, [])


@pytest.mark.parametrize("kind", FORMATS)
def test_words_alone_have_no_times(kind):
    result = replace(FIRST, start=None, end=None)
    if kind in ("jsonl", "json", "csv", "emotionml"):
        assert "anger" in written(kind, [result])
    else:
        with pytest.raises(BimodalError, match=f"'{kind}' needs results with times"):
            written(kind, [result])


def test_json_is_one_document_with_the_summary():
    document = json.loads(written("json", [FIRST, replace(FIRST, transcript="\ud800")]))
    assert document["recording"] == "my call.wav" and document["summary"]["results"] == 2
    assert document["summary"]["dominant"] == FIRST.emotion and document["summary"]["phases"]
    assert (
        document["results"][0] == json.loads(written("jsonl", [FIRST])) and document["results"][1]["transcript"] == "?"
    )
    assert json.loads(written("json", []))["results"] == []


def test_an_unknown_format_is_said():
    with pytest.raises(BimodalError, match="unknown format 'docx', expected one of"):
        written("docx")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_result_with_an_error_is_written_by_json_lines_and_csv_and_left_out_elsewhere(kind):
    failed = failed_recognition("a.wav: no such file")
    text = written(kind, [failed, FIRST, failed])
    if kind == "jsonl":
        assert [json.loads(line)["error"] for line in text.splitlines()] == [failed.error, None, failed.error]
    elif kind == "json":
        assert [one["error"] for one in json.loads(text)["results"]] == [failed.error, None, failed.error]
    elif kind == "csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["error"] for row in rows] == [failed.error, "", failed.error]
        assert [row["anger"] for row in rows] == ["", "0.7500", ""]
    else:
        assert text == written(kind, [FIRST])


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_runs_no_formula_in_a_spreadsheet(words):
    strange = replace(FIRST, transcript=words, speaker=words, scores={"=a": 1.0}, emotion="=a", model=words)
    (row,) = csv.DictReader(io.StringIO(written("csv", [strange]), newline=""))
    assert {row["transcript"], row["speaker"], row["model"]} == {f"'{words}"}
    assert (row["'=a"], row["emotion"]) == ("1.0000", "'=a")
    assert json.loads(written("jsonl", [strange]))["transcript"] == words


@pytest.mark.parametrize("kind", ["vtt", "srt", "textgrid", "elan", "labelstudio", "rttm", "emotionml"])
@pytest.mark.parametrize(("start", "end"), [(1e308, 1e308), (-1.0, 2.0), (0.0, 1e8)])
def test_absurd_times_are_one_sentence(kind, start, end):
    with pytest.raises(BimodalError, match="needs times from 0 to 1e\\+07 s"):
        written(kind, [replace(FIRST, start=start, end=end)])


WORDS = st.text(st.characters() | st.sampled_from("<>&\"'=-+@,;\n\r\t\x00\ud800\u2028 ->"), max_size=40)
MILLISECONDS = st.integers(0, 36_000_000)


@st.composite
def timelines(draw) -> list[Recognition]:
    """Results in order, with times in whole milliseconds, any words and any speaker."""
    found = []
    for start in sorted(draw(st.lists(MILLISECONDS, min_size=1, max_size=5))):
        share = draw(st.integers(0, 10_000)) / 10_000
        scores = {"anger": share, "sadness": round(1 - share, 4)}
        words, speaker = draw(st.none() | WORDS), draw(st.none() | WORDS.filter(str.strip))
        end = start + draw(st.integers(1, 60_000))
        one = replace(FIRST, emotion=max(scores, key=scores.get), scores=scores, start=start / 1000, end=end / 1000)
        found.append(replace(one, transcript=words, speaker=speaker))
    return found


def shown(text: str | None) -> str:
    """Words as a format of lines can hold them: without control characters and repeated spaces."""
    plain = (text or "").encode("utf-8", "replace").decode()
    spaced = "".join(" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in plain)
    return " ".join(spaced.split())


fuzzed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(results=timelines())
@fuzzed
def test_any_results_are_read_back_from_json_lines_and_csv(results):
    rows = [json.loads(line) for line in written("jsonl", results).split("\n") if line]
    plain = [(one.transcript or "").encode("utf-8", "replace").decode() for one in results]
    assert [row["transcript"] or "" for row in rows] == plain
    assert [(row["start"], row["end"], row["scores"]) for row in rows] == [
        (one.start, one.end, one.scores) for one in results
    ]
    table = list(csv.DictReader(io.StringIO(written("csv", results), newline="")))
    assert [row["transcript"].removeprefix("'") for row in table] == [words.removeprefix("'") for words in plain]
    assert [float(row["anger"]) for row in table] == [one.scores["anger"] for one in results]


@given(results=timelines())
@fuzzed
def test_any_results_are_read_back_from_subtitles(results):
    times = [(round(one.start * 1000), round(one.end * 1000)) for one in results]
    cues = list(srt.parse(written("srt", results), ignore_errors=False))
    assert [(cue.start / MS, cue.end / MS) for cue in cues] == times
    for cue, one in zip(cues, results, strict=True):
        told = f"[{one.emotion} {one.scores[one.emotion]:.2f}] {shown(one.transcript)}".rstrip()
        assert cue.content.endswith(told.replace("-->", "->"))
    captions = list(webvtt.from_string(written("vtt", results)))
    assert [(seconds(one.start), seconds(one.end)) for one in captions] == [(a / 1000, b / 1000) for a, b in times]
    assert all("-->" not in one.text and "\n" not in one.text for one in captions)


MS = datetime.timedelta(milliseconds=1)


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return round(int(hours) * 3600 + int(minutes) * 60 + float(rest), 3)


@given(results=timelines())
@fuzzed
def test_any_results_are_read_back_from_a_textgrid(tmp_path, results):
    file = tmp_path / "a.TextGrid"
    file.write_bytes(written("textgrid", results).encode())
    grid = textgrid.openTextgrid(str(file), includeEmptyIntervals=True, reportingMode="error")
    labels = [one.label for tier in grid.tiers for one in tier.entries if one.label]
    assert {"anger", "sadness"} >= {label for label in labels if label in ("anger", "sadness")} != set()
    told = {shown(one.transcript) for one in results}
    assert len(grid.tierNames) == 2 * len({one.speaker for one in results})
    assert set(labels) - {"anger", "sadness"} <= told | {""}
    for tier in grid.tiers:
        assert tier.entries[0].start == 0
        assert all(one.end == two.start for one, two in zip(tier.entries, tier.entries[1:], strict=False))


@given(results=timelines())
@fuzzed
def test_any_results_are_read_back_from_rttm_and_emotionml(results):
    rows = [line.split(" ") for line in written("rttm", results).splitlines()]
    assert all(len(row) == 10 for row in rows)
    assert [(float(row[3]), row[7]) for row in rows] == [(one.start, one.emotion) for one in results]
    root = ElementTree.fromstring(written("emotionml", results))
    references = [one.find("reference", {"": EMOTIONML}) for one in root.findall("emotion", {"": EMOTIONML})]
    assert [(one.tail or "").strip() for one in references] == [shown(one.transcript) for one in results]
