"""Parquet: 'datasets' reads ours; files of the Hub, wrong types and damaged files."""

import io
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from bimodal.data.exchange import convert
from bimodal.data.exchange import parquet as module
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


def test_datasets_reads_parts_labels_and_recordings(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import Audio, load_dataset

    convert(source, tmp_path / "rows", "parquet")
    found = load_dataset(str(tmp_path / "rows"), cache_dir=str(tmp_path / "cache"))
    assert {name: part.num_rows for name, part in found.items()} == {"train": 2, "validation": 2, "test": 2}
    assert isinstance(found["test"].features["audio"], Audio)
    row = found.cast_column("audio", Audio(decode=False))["test"][0]
    assert row["emotion"] == ["anger", "anger", "neutral"] and row["start"] == 0.25
    assert soundfile.info(io.BytesIO(row["audio"]["bytes"])).frames == 8000


def test_a_file_of_the_hub_is_read_with_class_names(source, tmp_path):
    from datasets import Audio, ClassLabel, Features, List, Value

    content = (source.parent / "audio" / "e.wav").read_bytes()
    features = Features(
        audio=Audio(), label=ClassLabel(names=["anger", "joy"]), votes=List(Value("string")),
        sentence=Value("string"), age=Value("int64"),
    )  # fmt: skip
    one = {
        "audio": {"bytes": content, "path": "x/../../e.wav"},
        "label": 1,
        "votes": ["a", "b"],
        "sentence": "Hi",
        "age": 3,
    }
    other = {"audio": {"bytes": content[:-2] + b"\1\1", "path": "e.wav"}, "votes": []}
    table = pyarrow.Table.from_pylist([one, other], schema=features.arrow_schema)
    pyarrow.parquet.write_table(table, tmp_path / "test-00000-of-00001.parquet")
    convert(tmp_path / "test-00000-of-00001.parquet", tmp_path / "out")
    first, second = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert (first.emotion, first.split, first.path) == ("joy", "test", "audio/e.wav")
    assert first.extra == {"votes": "a|b", "sentence": "Hi", "age": "3"} and second.emotion is None
    assert second.path != first.path  # another recording of the same name
    assert (tmp_path / "out" / str(first.path)).read_bytes() == content


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"audio": [1, 2], "emotion": ["a", "b"]}, "the column 'audio' holds int64, expected bytes"),
        ({"audio": [b"RIFF", b"RIFX"], "emotion": [0, 1]}, "'emotion' holds int64 without names"),
        ({"audio": [b"RIFF", b"RIFX"], "embedding": [b"1", b"2"]}, "the column 'embedding' holds bytes"),
        ({"emotion": ["a", "b"], "words": ["c", "d"]}, "none of path, transcript or feature columns"),
        ({"path": ["a.wav", "b.wav"], "start": ["now", "1"]}, "row 1: start is 'now'"),
    ],
)
def test_wrong_types_and_missing_columns_are_one_sentence(columns, told, tmp_path):
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet")
    with pytest.raises(ManifestError, match=told):
        convert(tmp_path / "rows.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_and_a_part_that_is_not_there_are_told(source, tmp_path):
    convert(source, tmp_path / "rows", "parquet")
    convert(tmp_path / "rows", tmp_path / "test", table="test")
    assert len(read_manifest(tmp_path / "test" / "manifest.csv").utterances) == 2
    with pytest.raises(ManifestError, match="whose name begins with 'extra' below"):
        convert(tmp_path / "rows", tmp_path / "out", table="extra")
    file = tmp_path / "rows" / "data" / "test-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ManifestError, match="not a Parquet file that can be read"):
        convert(tmp_path / "rows", tmp_path / "out")


def test_many_recordings_are_divided_into_files(source, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD", 20_000)  # bytes; a recording has 16 kB
    convert(source, tmp_path / "rows", "parquet")
    names = sorted(file.name for file in Path(tmp_path / "rows" / "data").glob("test-*"))
    assert names == ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"]
    convert(tmp_path / "rows", tmp_path / "back")
    assert len(read_manifest(tmp_path / "back" / "manifest.csv").utterances) == 6
