"""Reference turns from RTTM, TextGrid, manifests and folders."""

import numpy as np
import pytest
import soundfile
from praatio import textgrid

from bimodal.data.turns import check_overlaps, read_turns
from bimodal.errors import ManifestError
from bimodal.output.formats import write_recognitions
from bimodal.records import Recognition, Utterance

LINE = "SPEAKER call 1 0.50 2.25 <NA> <NA> anger <NA> <NA>\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("call.wav", "two words.flac"):
        soundfile.write(tmp_path / name, np.zeros(16_000), 16_000)
    return tmp_path


def turns(manifest):
    return [(row.path, row.start, row.end, row.emotion, row.speaker) for row in manifest.utterances]


def test_rttm_has_the_emotion_in_the_field_for_the_name_and_the_speaker_in_that_for_the_channel(folder):
    file = folder / "call.rttm"
    file.write_text(";; comment\n" + LINE + "\nSPEAKER two_words.flac 2 1 1.5 <NA> <NA> sadness 0.7 <NA>\n")
    assert turns(read_turns(file)) == [
        ("call.wav", 0.5, 2.75, "anger", "channel 1"),
        ("two words.flac", 1.0, 2.5, "sadness", "channel 2"),
    ]


@pytest.mark.parametrize("kind", ["long_textgrid", "short_textgrid"])
def test_textgrids_that_praatio_writes_are_read_in_both_forms(folder, kind):
    grid = textgrid.Textgrid()
    for name, entries in (
        ("Anna emotion", [(0, 1.5, "anger"), (2, 3, 'say "joy"')]),
        ("Anna transcript", [(0, 1.5, "words")]),
        ("emotion", [(0.25, 2, "fear")]),
    ):
        grid.addTier(textgrid.IntervalTier(name, entries, 0, 4))
    grid.addTier(textgrid.PointTier("clicks", [(1, "x")], 0, 4))
    grid.save(str(folder / "call.TextGrid"), kind, includeBlankSpaces=True)
    assert turns(read_turns(folder / "call.TextGrid")) == [
        ("call.wav", 0.0, 1.5, "anger", "Anna"),
        ("call.wav", 2.0, 3.0, 'say "joy"', "Anna"),
        ("call.wav", 0.25, 2.0, "fear", None),
    ]


@pytest.mark.parametrize(("kind", "name"), [("rttm", "call.rttm"), ("textgrid", "call.TextGrid")])
def test_what_bimodal_writes_is_read_back(folder, kind, name):
    parts = {"scores": {"anger": 0.6, "joy": 0.4}, "speech_scores": None, "text_scores": None, "gate": None}
    results = [
        Recognition(emotion="anger", start=0.1, end=2.0, speaker="channel 1", **parts),
        Recognition(emotion="joy", start=2.5, end=4.0, speaker="channel 2", **parts),
    ]
    with (folder / name).open("w", encoding="utf-8") as stream:
        write_recognitions(results, stream, kind, recording="call.wav")
    assert sorted(turns(read_turns(folder / name))) == [
        ("call.wav", 0.1, 2.0, "anger", "channel 1"),
        ("call.wav", 2.5, 4.0, "joy", "channel 2"),
    ]


def test_utf_16_as_praat_writes_it_is_read(folder):
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("emotion", [(0, 1, "überrascht")], 0, 4))
    grid.save(str(folder / "call.TextGrid"), "long_textgrid", includeBlankSpaces=True)
    content = (folder / "call.TextGrid").read_text(encoding="utf-8")
    (folder / "call.TextGrid").write_bytes(content.encode("utf-16"))
    assert read_turns(folder / "call.TextGrid").utterances[0].emotion == "überrascht"


def test_a_folder_of_references_needs_one_for_each_recording(folder):
    (folder / "call.rttm").write_text(LINE)
    with pytest.raises(ManifestError, match=r"'two words.flac' has no reference turns; add an .rttm"):
        read_turns(folder)
    (folder / "two.rttm").write_text("SPEAKER two_words 1 0 1 <NA> <NA> joy <NA> <NA>\n")
    assert [row[0] for row in turns(read_turns(folder))] == ["call.wav", "two words.flac"]


def test_the_recordings_may_lie_in_another_folder(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "call.rttm").write_text(LINE)
    assert turns(read_turns(other / "call.rttm", folder))[0][0] == str((folder / "call.wav").resolve())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no turn has an emotion"),
        ("SPEAKER call 1 0.5\n", ":1: 'SPEAKER call 1 0.5', expected SPEAKER recording channel start"),
        (LINE.replace("0.50", "nan"), ":1: .*expected SPEAKER"),
        (LINE.replace("2.25", "0"), ":1: a turn from 0.5 to 0.5 s, expected 0 <= start < end"),
        (LINE.replace("0.50", "-1"), ":1: a turn from -1 to 1.25 s"),
        (LINE.replace("call", "gone"), "no recording 'gone' in .*--root names another folder"),
    ],
)
def test_an_rttm_that_cannot_be_used_costs_a_sentence(folder, content, told):
    (folder / "x.rttm").write_text(content)
    with pytest.raises(ManifestError, match=told):
        read_turns(folder / "x.rttm")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hello", "no TextGrid that is a text file of Praat"),
        (b'File type = "ooTextFile"\n"TextGrid" 0 4 <exists> 1 "IntervalTier" "emotion" 0 4 9 0 1 "joy"', "middle"),
        (b'File type = "ooTextFile"\n"TextGrid" 0 4 <exists> 99999999 ', "middle of a tier"),
        (b'File type = "ooTextFile"\n"TextGrid" 0 4 <exists> 0 ', "tiers are missing; expected one whose name ends in"),
        (b"\xff\xfe\x00", "neither UTF-8 nor UTF-16"),
        (b"ooTextFile \xe9", "neither UTF-8 nor UTF-16"),
    ],
)
def test_a_textgrid_that_cannot_be_used_costs_a_sentence(folder, content, told):
    (folder / "call.TextGrid").write_bytes(content)
    with pytest.raises(ManifestError, match=told):
        read_turns(folder / "call.TextGrid")


def test_two_recordings_of_one_name_are_told_apart_by_their_ending(folder):
    soundfile.write(folder / "call.flac", np.zeros(16_000), 16_000)
    (folder / "x.rttm").write_text(LINE)
    with pytest.raises(ManifestError, match=r"'call' may be 'call.flac', 'call.wav'; name it with its ending"):
        read_turns(folder / "x.rttm")
    (folder / "x.rttm").write_text(LINE.replace("call", "call.wav"))
    assert turns(read_turns(folder / "x.rttm"))[0][0] == "call.wav"


def test_turns_of_one_speaker_may_touch_and_those_of_two_may_overlap():
    rows = [
        Utterance(id="a", path="x.wav", start=0.0, end=2.0, speaker="Ann"),
        Utterance(id="b", path="x.wav", start=2.0, end=3.0, speaker="Ann"),
        Utterance(id="c", path="x.wav", start=1.0, end=3.0, speaker="Bob"),
        Utterance(id="d", path="y.wav", start=1.0, end=3.0, speaker="Ann"),
    ]
    check_overlaps(rows)
    late = Utterance(id="e", path="x.wav", start=2.9, end=4.0, speaker="Ann")
    with pytest.raises(ManifestError, match=r"x.wav: turns of Ann overlap \('b' ends at 3 s, 'e' begins at 2.9 s\)"):
        check_overlaps([late, *rows])
