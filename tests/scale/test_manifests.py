"""Manifests of all kinds mean the same; a bad row is an item with a problem, a bad file is refused."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from bimodal.errors import ManifestError
from bimodal.scale.listing import list_items
from bimodal.scale.records import Item

ROWS = [
    {"file": "a.wav", "start": 0.5, "end": 1.5, "text": "Größe, 'x'", "speaker_id": "ann"},
    {"file": "sub/b.wav", "start": None, "end": None, "text": None, "speaker_id": None},
    {"file": None, "start": None, "end": None, "text": "Words alone.", "speaker_id": "bo"},
]


def listed(file: Path, root: str | None = None) -> list[Item]:
    return list(list_items([str(file)], root))


def write(folder: Path, kind: str) -> Path:
    file = folder / f"m.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=2)
    elif kind == "jsonl":
        file.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    else:
        mark = {"csv": ",", "tsv": "\t"}[kind]
        lines = [mark.join("" if cell is None else f'"{cell}"' for cell in row.values()) for row in ROWS]
        file.write_text("\ufeff" + "\r\n".join([mark.join(ROWS[0]), *lines]), encoding="utf-8")
    return file


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_all_kinds_give_the_same_items(tmp_path, kind):
    first, second, third = listed(write(tmp_path, kind))
    assert first == Item(
        name="a.wav", url=str(tmp_path / "a.wav"), id="a.wav#0.5-1.5", start=0.5, end=1.5, transcript="Größe, 'x'",
        speaker="ann",
    )  # fmt: skip
    assert (second.url, second.id, second.transcript) == (str(tmp_path / "sub/b.wav"), "sub/b.wav", None)
    assert (third.url, third.transcript, third.problem) == ("", "Words alone.", "")


def test_a_row_with_a_problem_is_an_item_that_says_so(tmp_path):
    lines = ["path,start,text", "../x.wav,,", "/etc/passwd,,", "a.wav,-1,", ",,", "a,b,c,d", "s3://other/a.wav,,"]
    (tmp_path / "m.csv").write_text(
        "\n".join([*lines, "a.wav,0,caf\udce9"]), encoding="utf-8", errors="surrogateescape"
    )
    told = [item.problem for item in listed(tmp_path / "m.csv")]
    expected = [
        "may not leave",
        "--root FOLDER",
        "start is '-1'",
        "neither a path",
        "4 cells",
        "--root URL",
        "not UTF-8",
    ]
    assert len(told) == len(expected)
    for line, (problem, words) in enumerate(zip(told, expected, strict=True), start=2):
        assert problem.startswith(f"{tmp_path}/m.csv:{line}: ") and words in problem


def test_a_root_allows_recordings_elsewhere(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "a.wav").touch()
    (tmp_path / "lists" / "m.csv").write_text(f"path\n{tmp_path}/a.wav\ns3://calls/x.wav\ns3://callsother/x.wav\n")
    assert [bool(item.problem) for item in listed(tmp_path / "lists/m.csv")] == [True, True, True]
    local = listed(tmp_path / "lists/m.csv", str(tmp_path))
    assert [bool(item.problem) for item in local] == [False, True, True] and local[0].url == f"{tmp_path}/a.wav"
    remote = listed(tmp_path / "lists/m.csv", "s3://calls")
    assert [bool(item.problem) for item in remote] == [True, False, True] and remote[1].url == "s3://calls/x.wav"


@pytest.mark.parametrize("form", ["struct", "binary"])
def test_parquet_with_bytes_names_row_groups_and_rows(tmp_path, form):
    content = [bytes([number] * 1000) for number in range(5)]
    audio = [{"bytes": one, "path": "x.wav"} for one in content] if form == "struct" else content
    table = pa.table({"audio": audio, "transcription": ["Hi."] * 5})
    parquet.write_table(table, tmp_path / "held.parquet", row_group_size=2)
    found = listed(tmp_path / "held.parquet")
    assert [(item.group, item.row) for item in found] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert {item.transcript for item in found} == {"Hi."} and all(item.size > 0 and item.held_in for item in found)


def test_parquet_whose_bytes_are_all_missing_names_paths(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"audio": pa.array([{"bytes": None, "path": "a.wav"}], kind)})
    parquet.write_table(table, tmp_path / "m.parquet")
    (item,) = listed(tmp_path / "m.parquet")
    assert (item.url, item.group, item.problem) == (str(tmp_path / "a.wav"), None, "")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.csv", b"", "the file is empty"),
        ("m.csv", b"a,b\n1,2\n", "no column 'path' or 'transcript', found \\['a', 'b'\\]"),
        ("m.csv", b"path,path\n1,2\n", "no header of distinct column names"),
        ("m.csv", "path\na.wav".encode("utf-16"), "UTF-8"),
        ("m.parquet", b"PAR1 cut", "no Parquet file that can be read"),
        ("m.jsonl", b'{"x": 1}', "no column 'path'"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=told):
        listed(tmp_path / name)


@pytest.mark.parametrize(("column", "told"), [("path", "'path' is int64, expected text"), ("x", "no column 'path'")])
def test_parquet_with_wrong_types_is_refused(tmp_path, column, told):
    parquet.write_table(pa.table({column: [1, 2]}), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=told):
        listed(tmp_path / "m.parquet")
