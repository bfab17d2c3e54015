"""Manifests: what is written reads back the same, and a broken file is told with line and reason, all at once."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bimodal.data.manifest import (
    MAX_CELL,
    column_names,
    feature_columns,
    feature_matrix,
    has_features,
    inspect_manifest,
    read_manifest,
    write_manifest,
)
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

# any text at all, save NUL and halves of surrogate pairs
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
TIDY = TEXT.map(str.strip).filter(bool)
SEGMENTS = st.tuples(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.booleans(), st.booleans())


@st.composite
def utterances(draw) -> list[Utterance]:
    others = draw(st.lists(st.sampled_from(["gender", "größe, cm", 'a"b', "x;y", "pros_pitch"]), unique=True))
    rows = []
    for name in draw(st.lists(TIDY, min_size=1, max_size=5, unique=True)):
        start, length, has_start, has_end = draw(SEGMENTS)
        rows.append(
            Utterance(
                id=name,
                path=draw(st.sampled_from([None, "a.wav", "audio/ä b.flac", "a,b/c'd.wav"])),
                start=start if has_start else None,
                end=start + length if has_end else None,
                transcript=draw(TEXT.filter(str.strip)),
                emotion=draw(st.none() | TIDY),
                speaker=draw(st.none() | TIDY),
                split=draw(st.sampled_from([None, "train", "dev", "test"])),
                lang=draw(st.none() | TIDY),
                dialogue=draw(st.none() | TIDY),
                extra={other: draw(TEXT) for other in others},
            )
        )
    return rows


@pytest.mark.parametrize("name", ["round.csv", "round.jsonl"])
@given(rows=utterances())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_back_the_same(tmp_path, name, rows):
    columns = ("id", "path", "start", "end", "transcript", "emotion", "speaker", "split", "lang", "dialogue")
    columns = (*columns, *rows[0].extra)
    returned = write_manifest(tmp_path / name, rows, columns)
    assert read_manifest(tmp_path / name) == returned
    assert returned == Manifest(path=tmp_path / name, utterances=tuple(rows), columns=columns)


def read(tmp_path: Path, content: str | bytes, name: str = "train.csv") -> Manifest:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_manifest(file)


def problems(tmp_path: Path, content: str | bytes, name: str = "train.csv") -> list[str]:
    """The lines of the error, without the folder in front of the file's name."""
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, content, name)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def test_all_columns_reach_the_record_and_empty_cells_are_absent(tmp_path):
    text = "path,start,end,transcript,emotion,speaker,split,lang,dialogue,id,gender\n"
    manifest = read(tmp_path, text + "a.wav,0.5,2,Hello.,joy,03,validation,en,d1,u1,female\n,,, Only words ,,,,,,u2,\n")
    assert manifest.utterances == (
        Utterance(
            id="u1", path="a.wav", start=0.5, end=2.0, transcript="Hello.", emotion="joy", speaker="03", split="dev",
            lang="en", dialogue="d1", extra={"gender": "female"},
        ),
        Utterance(id="u2", transcript=" Only words ", extra={"gender": ""}),
    )  # fmt: skip
    assert manifest.folder == tmp_path


def test_split_names_of_other_houses_are_understood(tmp_path):
    names = ["train", "Training", "dev", "val", "valid", "validation", "test", "eval"]
    manifest = read(tmp_path, "transcript,split\n" + "".join(f"hi,{name}\n" for name in names))
    assert [row.split for row in manifest.utterances] == ["train"] * 2 + ["dev"] * 4 + ["test"] * 2


def test_rows_without_an_id_are_named_by_recording_segment_or_row(tmp_path):
    manifest = read(tmp_path, "path,start,end,transcript\na.wav,,,\na.wav,1,2.5,\na.wav,3,,\n,,,words\n")
    assert [row.id for row in manifest.utterances] == ["a.wav", "a.wav#1.0-2.5", "a.wav#3.0-", "row-4"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_read(tmp_path, delimiter):
    content = (
        delimiter.join(["path", "transcript", "emotion"]) + "\n" + delimiter.join(["a.wav", "Yes, no", "joy"]) + "\n"
    )
    assert read(tmp_path, content).utterances[0].transcript == "Yes, no"
    assert read(tmp_path, content, "train.tsv").utterances[0].emotion == "joy"


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_do_no_harm(tmp_path):
    manifest = read(tmp_path, b"\xef\xbb\xbf\r\n\r\nid,transcript\r\nu1,hi\r\n\r\n")
    assert manifest.columns == ("id", "transcript")
    assert manifest.utterances == (Utterance(id="u1", transcript="hi"),)


def test_utt_id_hugging_face_and_emobox_names_are_understood(tmp_path):
    assert read(tmp_path, "utt_id,transcript\nu7,hi\n").utterances == (Utterance(id="u7", transcript="hi"),)
    hugging_face = read(tmp_path, "file_name,transcription\nd/a.wav,hi\n", "metadata.csv")
    assert (hugging_face.utterances[0].path, hugging_face.utterances[0].transcript) == ("d/a.wav", "hi")
    line = '{"key": "k1", "wav": "a.wav", "emo": "hap", "length": 3.5, "channel": 1}\n'
    assert read(tmp_path, line, "emobox.jsonl").utterances == (
        Utterance(id="k1", path="a.wav", emotion="hap", extra={"length": "3.5", "channel": "1"}),
    )


def test_tables_as_pandas_excel_and_audformat_write_them_are_read(tmp_path):
    row = Utterance(id="a.wav", path="a.wav", emotion="joy")
    for content in (
        ",path,emotion\n0,a.wav,joy\n",
        "Unnamed: 0,path,emotion\n0,a.wav,joy\n",
        "path,emotion,\na.wav,joy,\n",
        "\ufeff\ufeffpath,emotion\na.wav,joy\n",
        "sep=;\npath;emotion\na.wav;joy\n",
        "Path\tEmotion\na.wav\tjoy\n",
        "file,label\na.wav,joy\n",
    ):
        assert read(tmp_path, content, "table.CSV").utterances == (row,), content
    text = "file,start,end,emotion\na.wav,0 days 00:00:00.500000,0 days 00:00:01.25,joy\nb.wav,0 days,NaT,sad\n"
    text += "c.wav,00:01:02,1 days 01:00:00,sad\n"
    times = [(row.start, row.end) for row in read(tmp_path, text).utterances]
    assert times == [(0.5, 1.25), (0.0, None), (62.0, 90_000.0)]


def test_a_table_without_a_known_column_says_what_to_rename(tmp_path):
    (told,) = problems(tmp_path, "recording,feeling\na.wav,joy\n")
    assert told.endswith("rename the column of the recordings to path, or that of the words to transcript")
    assert "found ['recording', 'feeling']" in told


def test_our_own_name_goes_before_an_alias(tmp_path):
    row = read(tmp_path, "text,transcript,utt_id,id\nforeign,own,b,a\n").utterances[0]
    assert (row.id, row.transcript, row.extra) == ("a", "own", {"text": "foreign", "utt_id": "b"})


def test_json_values_become_text_and_null_is_absent(tmp_path):
    line = '{"id": 7, "transcript": "hi", "emotion": null, "start": 0, "end": 1.25, "loud": true}'
    expected = Utterance(id="7", transcript="hi", start=0.0, end=1.25, extra={"loud": "true"})
    assert read(tmp_path, line, "a.jsonl").utterances == (expected,)


def test_a_line_separator_inside_json_text_is_no_new_line(tmp_path):
    assert read(tmp_path, '{"transcript": "a\u2028b"}\n', "a.jsonl").utterances[0].transcript == "a\u2028b"


def test_line_numbers_are_physical_even_after_quoted_newlines(tmp_path):
    content = 'id,transcript,end\nu1,"two\nlines",1\n\nu2,hi,-1\nu3,"a\nb",zero\n'
    assert [problem.split(": ")[0] for problem in problems(tmp_path, content)] == ["train.csv:5", "train.csv:6"]


def test_the_first_twenty_problems_are_shown_and_the_rest_counted(tmp_path):
    columns = [f"x{'y' * number}" for number in range(25)]
    rows = f"transcript,{','.join(columns)}\n" + "".join(
        f"hi,{','.join(chr(0) if row == column else '' for column in range(25))}\n" for row in range(25)
    )
    lines = problems(tmp_path, rows)
    assert len(lines) == 21
    assert lines[0] == "train.csv:2: x holds a NUL character"
    assert lines[-1] == "(and 5 more problems)"


def test_many_problems_of_one_cause_are_one_sentence(tmp_path):
    (line,) = problems(tmp_path, "id,transcript,end\n" + "".join(f"u{row},hi,x\n" for row in range(25)))
    assert line.startswith("train.csv:2: end is 'x'") and line.endswith(
        " (and 24 more like this, in lines 3, 4, 5, ...)"
    )


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ("u1,a.wav,,,,x", "unknown split 'x'"),
        ("u1,a.wav,2,2,,", "end 2.0 is not after start 2.0"),
        ("u1,a.wav,,0,,", "end 0.0 is not after start 0.0"),
        ("u1,a.wav,-1,,,", "start is '-1'"),
        ("u1,a.wav,nan,,,", "start is 'nan'"),
        ("u1,a.wav,,inf,,", "end is 'inf'"),
        ("u1,a.wav,,1e999,,", "end is '1e999'"),
        ("u1,a.wav,1_0,,,", "start is '1_0'"),
        ('u1,a.wav,"1,5",,,', "with a point before the decimals"),
        ("u1,a.wav,٣,,,", "start is '٣'"),
        ("u1,,,,,", "neither a path nor a transcript"),
        ("u1,,,,   ,", "neither a path nor a transcript"),
        ("u1,/etc/passwd,,,,", "must be relative"),
        ("u1,C:/a.wav,,,,", "must be relative"),
        ("u1,a\\b.wav,,,,", "must be relative"),
        ("u1,https://example.org/a.wav,,,,", "must be relative"),
        ("u1,../a.wav,,,,", "may not leave the manifest's folder"),
        ("u1,a/../../b.wav,,,,", "may not leave the manifest's folder"),
        (f"u1,{'a' * 5000},,,,", "cannot be followed"),
        ("u1,a.wav,,,h\0i,", "NUL"),
        ("u1,a.wav,,,hi", "5 cells, the header has 6"),
        ("u1,a.wav,,,hi, you,", "7 cells, the header has 6"),
        ('u1,a.wav,,,"hi" you,', "quotation mark"),
        ('u1,a.wav,,,"hi,', "quotation mark"),
        (f"u1,a.wav,,,{'x' * (MAX_CELL + 1)},", "more than 131072 characters"),
    ],
)
def test_a_wrong_row_is_told_with_its_line_and_the_others_are_still_read(tmp_path, cells, complaint):
    content = f"id,path,start,end,transcript,split\nu0,,,,hi,\n{cells}\n"
    lines = problems(tmp_path, content)
    assert len(lines) == 1
    assert lines[0].startswith("train.csv:3: ")
    assert complaint in lines[0]
    assert inspect_manifest(tmp_path / "train.csv").manifest.utterances[0].transcript == "hi"


def test_a_wrong_row_does_not_hide_the_problems_below_it(tmp_path):
    lines = problems(tmp_path, 'id,transcript,end\nu1,"a" b,1\nu2,x,y\nu1\n')
    assert [line.split(": ")[0] for line in lines] == ["train.csv:2", "train.csv:3", "train.csv:4"]


def test_an_id_that_comes_again_is_told_with_its_first_line(tmp_path):
    assert problems(tmp_path, "id,transcript\na,x\nb,x\na,x\n") == [
        "train.csv:4: id 'a' again, first in line 2; give every utterance an id of its own"
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n \n", "is empty"),
        (b"id,transcript\n", "no utterance below"),
        (b"id,transcript,id\na,b,c\n", "column 'id' stands 2 times"),
        (b"id,transcript,\na,b,c\n", "a column has no name"),
        (b"name,age\na,3\n", "none of path, transcript or feature columns among the columns, found ['name', 'age']"),
        ("id,transcript\n".encode("utf-16"), "this is UTF-16"),
        (b"id,transcript\na,hi\nb,caf\xe9\n", "train.csv:3: byte 0xe9 at position 6 of the line is not UTF-8"),
    ],
)
def test_a_file_that_is_no_manifest_is_told_in_one_line(tmp_path, content, complaint):
    lines = problems(tmp_path, content)
    assert len(lines) == 1
    assert complaint in lines[0]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[1]", "found a list, expected an object"),
        ("3", "found a int"),
        ("{", "not JSON"),
        ('{"transcript": "a", "transcript": "b"}', "stands twice"),
        ('{"transcript": "a", "emotion": ["joy"]}', "'emotion' holds a list"),
        ('{"transcript": "a", "emotion": {"joy": 1}}', "'emotion' holds a dict"),
        ('{"transcript": "a", "start": NaN}', "NaN is not a number"),
        ('{"transcript": "\\ud800"}', "no valid Unicode"),
        ('{"transcript": "a\\u0000"}', "NUL"),
        ("[" * 100_000, "not usable JSON"),
        ('{"transcript": "a", "start": ' + "9" * 5000 + "}", "not usable JSON"),
        ('{"transcript": "' + "a" * (MAX_CELL + 1) + '"}', "longer than 131072"),
    ],
)
def test_a_wrong_line_of_json_is_told_with_its_number(tmp_path, line, complaint):
    lines = problems(tmp_path, '{"transcript": "fine"}\n' + line + "\n", "a.jsonl")
    assert len(lines) == 1
    assert lines[0].startswith("a.jsonl:2: ")
    assert complaint in lines[0]


def test_a_link_may_not_lead_out_of_the_folder_but_may_stay_inside(tmp_path):
    corpus, outside = tmp_path / "corpus", tmp_path / "outside"
    corpus.mkdir()
    outside.mkdir()
    (outside / "a.wav").touch()
    (corpus / "real.wav").touch()
    (corpus / "inside.wav").symlink_to(corpus / "real.wav")
    (corpus / "file.wav").symlink_to(outside / "a.wav")
    (corpus / "folder").symlink_to(outside)
    (corpus / "circle").symlink_to(corpus / "circle")
    lines = problems(corpus, "path\nreal.wav\ninside.wav\nfile.wav\nfolder/a.wav\ncircle/a.wav\n")
    assert [line.split(": ")[0] for line in lines] == ["train.csv:4", "train.csv:5", "train.csv:6"]
    assert "symbolic link" in lines[0] and "symbolic link" in lines[1]


def test_a_missing_file_a_folder_and_another_ending_are_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name in ("none.csv", "folder.csv", "data.xlsx"):
        with pytest.raises(ManifestError, match=name):
            read_manifest(tmp_path / name)


def test_features_may_stand_in_for_a_recording(tmp_path):
    content = "id,pros_pitch,energy\nu1,120,\nu2,,3\n"
    assert problems(tmp_path, content) == [
        "train.csv:3: neither a path nor a transcript nor features; one of them is needed"
    ]
    assert len(read_manifest(tmp_path / "train.csv", features=["pros_*", "energy"]).utterances) == 2


def rows_with(*cells: dict[str, str]) -> list[Utterance]:
    return [Utterance(id=f"u{number}", transcript="hi", extra=extra) for number, extra in enumerate(cells)]


def test_the_feature_matrix_has_the_columns_of_the_manifest_and_nan_for_empty_cells():
    rows = rows_with({"pros_b": "1", "x": "?", "pros_a": "-2.5e1"}, {"pros_b": "", "x": "", "pros_a": "NaN"})
    matrix = feature_matrix(rows, ["pros_*"])
    assert feature_columns(rows, ["pros_a", "pros_b"]) == ("pros_b", "pros_a")
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, [[1, -25], [math.nan, math.nan]])
    assert (has_features(rows[0]), has_features(rows[1]), has_features(rows[0], ["x"])) == (True, False, False)


@pytest.mark.parametrize("cell", ["high", "inf", "1e39", "1,5"])
def test_a_cell_that_is_no_feature_is_told_with_utterance_and_column(cell):
    with pytest.raises(ManifestError, match=f"'u1': pros_a is '{cell}'"):
        feature_matrix(rows_with({"pros_a": "1"}, {"pros_a": cell}), ["pros_*"])


def test_a_pattern_without_a_column_is_told_with_the_columns_there_are():
    with pytest.raises(ManifestError, match=r"no column matches 'mfcc_\*'; the columns are \['pros_a'\]"):
        feature_matrix(rows_with({"pros_a": "1"}), ["pros_*", "mfcc_*"])


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
@pytest.mark.parametrize(
    ("utterance", "complaint"),
    [
        (Utterance(id="a", transcript="hi", speaker=" 03"), "speaker ' 03', which would be read back as '03'"),
        (Utterance(id="a", transcript="hi", split="val"), "split 'val'"),
        (Utterance(id="a", path="../b.wav"), "may not leave"),
        (Utterance(id="a", speaker="03"), "none of path, transcript"),
        (Utterance(id="a", transcript="\ud800"), "no valid Unicode"),
        (Utterance(id="a", transcript="x\0"), "NUL"),
    ],
)
def test_what_would_not_read_back_the_same_is_not_written(tmp_path, name, utterance, complaint):
    (tmp_path / name).write_text("before")
    with pytest.raises(ManifestError) as caught:
        write_manifest(tmp_path / name, [utterance])
    assert complaint in str(caught.value)
    assert (tmp_path / name).read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_column_left_out_is_an_error_not_a_loss(tmp_path):
    row = Utterance(id="a", transcript="hi", emotion="joy", extra={"gender": "f"})
    with pytest.raises(ManifestError, match="emotion 'joy', which would be read back as None"):
        write_manifest(tmp_path / "a.csv", [row], ["id", "transcript", "gender"])
    with pytest.raises(ManifestError, match="has extra"):
        write_manifest(tmp_path / "a.csv", [row], ["id", "transcript", "emotion"])
    assert column_names([row]) == ("id", "transcript", "emotion", "gender")


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ManifestError, match="cannot be written"):
        write_manifest(tmp_path / "none" / "a.csv", [Utterance(id="a", transcript="hi")])


@pytest.mark.parametrize(
    ("corpus", "rows", "texts"), [("meld_text_prosody", 13_708, 13_708), ("ravdess", 1_440, 1_440), ("emodb", 535, 535)]
)
def test_the_corpora_read_and_round_trip(corpus_data, tmp_path, corpus, rows, texts):
    manifest = read_manifest(corpus_data / corpus / "manifest.csv")
    assert len(manifest.utterances) == rows
    assert sum(row.transcript is not None for row in manifest.utterances) == texts
    for name in ("copy.csv", "copy.jsonl"):
        copy = write_manifest(tmp_path / name, manifest.utterances, manifest.columns)
        assert (copy.utterances, copy.columns) == (manifest.utterances, manifest.columns)


def test_melds_prosody_is_eight_columns_and_two_rows_lack_it(corpus_data):
    rows = read_manifest(corpus_data / "meld_text_prosody" / "manifest.csv").utterances
    matrix = feature_matrix(rows, ["pros_*"])
    assert matrix.shape == (13_708, 8)
    assert np.isnan(matrix).all(axis=1).sum() == 2
    assert sum(not has_features(row) for row in rows) == 2


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ManifestError, match=r"pipe\.csv: a pipe or device, expected a file"):
        read_manifest(tmp_path / "pipe.csv")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_hundred_thousand_columns_are_refused_at_once(tmp_path, suffix):
    names = ["path", "emotion", *(f"feature_{number}" for number in range(100_000))]
    lines = [",".join(names), ",".join("1" for _ in names)]
    text = "\n".join(lines) if suffix == ".csv" else json.dumps(dict.fromkeys(names, "1"))
    (tmp_path / f"wide{suffix}").write_text(text)
    with pytest.raises(ManifestError, match=r"100002 (columns|values in one object), expected at most 20000"):
        read_manifest(tmp_path / f"wide{suffix}")


def test_rows_that_each_have_names_of_their_own_are_refused(tmp_path):
    rows = [json.dumps({"transcript": "a", f"own_{number}": 1}) for number in range(8000)]
    (tmp_path / "own.jsonl").write_text("\n".join(rows))
    with pytest.raises(ManifestError, match="8000 rows with 8001 names in all make 64008000 cells"):
        read_manifest(tmp_path / "own.jsonl")


CELLS = st.text(st.sampled_from('ab1.:;,"\t\n\r \ufeff\x00nanNone-/\\~=') | st.characters(), max_size=12)
HEADS = st.sampled_from(
    ["path", "file", "start", "end", "speaker", "emotion", "label", "transcript", "id", "split", "x"]
)


@given(heads=st.lists(HEADS, min_size=1, max_size=5), rows=st.lists(st.lists(CELLS, max_size=6), max_size=5), raw=CELLS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", ["any.csv", "any.jsonl"])
def test_any_table_is_read_or_refused_line_by_line_and_what_is_read_writes_back(tmp_path, name, heads, rows, raw):
    if name == "any.csv":
        content = "\n".join([",".join(heads), *(",".join(row) for row in rows), raw])
    else:
        content = "\n".join([json.dumps(dict(zip(heads, row, strict=False))) for row in rows] + [raw])
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        found = read_manifest(tmp_path / name)
    except ManifestError as error:
        assert str(error)
        return
    for row in found.utterances:
        assert row.start is None or (row.start >= 0 and math.isfinite(row.start))
        assert row.path is None or not (Path(row.path).is_absolute() or ".." in Path(row.path).parts)
    again = write_manifest(tmp_path / f"again-{name}", found.utterances, column_names(found.utterances))
    assert read_manifest(tmp_path / f"again-{name}").utterances == again.utterances == found.utterances
