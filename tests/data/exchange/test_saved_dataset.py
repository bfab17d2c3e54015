"""Saved datasets: 'datasets' loads ours, and what it saved is read."""

import pytest

from bimodal.data.exchange import convert
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


def test_datasets_loads_what_is_written(source, tmp_path):
    from datasets import Audio, load_from_disk

    convert(source, tmp_path / "saved", "dataset")
    found = load_from_disk(str(tmp_path / "saved"))
    assert {name: part.num_rows for name, part in found.items()} == {"train": 2, "validation": 2, "test": 2}
    row = found.cast_column("audio", Audio(decode=False))["test"][1]
    assert (row["emotion"], row["transcript"], row["audio"]["path"]) == (["sadness"], None, "audio/sub/c.wav")


def test_a_dataset_that_was_saved_is_read_and_names_recordings_outside(source, tmp_path):
    from datasets import Audio, ClassLabel, Dataset, DatasetDict

    folder = source.parent
    rows = {"audio": [str(folder / "audio" / "e.wav")], "label": [1], "text": ["Hi"]}
    part = Dataset.from_dict(rows).cast_column("label", ClassLabel(names=["anger", "joy"]))
    saved = part.cast_column("audio", Audio(decode=False))
    DatasetDict({"validation": saved}).save_to_disk(str(tmp_path / "saved"))
    convert(tmp_path / "saved", tmp_path / "out", root=folder)
    (row,) = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert (row.emotion, row.transcript, row.split) == ("joy", "Hi", "dev")
    assert (tmp_path / "out" / str(row.path)).read_bytes() == (folder / "audio" / "e.wav").read_bytes()


def test_rows_without_a_split_are_one_dataset(source, tmp_path):
    source.write_text("transcript,emotion\nHi,joy\n", encoding="utf-8")
    convert(source, tmp_path / "saved", "dataset")
    assert (tmp_path / "saved" / "state.json").is_file()
    convert(tmp_path / "saved", tmp_path / "back")
    (row,) = read_manifest(tmp_path / "back" / "manifest.csv").utterances
    assert (row.transcript, row.emotion, row.split, row.path) == ("Hi", "joy", None, None)


def test_damaged_folders_are_told(source, tmp_path):
    convert(source, tmp_path / "saved", "dataset")
    with pytest.raises(ManifestError, match="expected the list 'splits' with 'extra'"):
        convert(tmp_path / "saved", tmp_path / "out", table="extra")
    (tmp_path / "saved" / "test" / "state.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"state\.json: no list of _data_files"):
        convert(tmp_path / "saved", tmp_path / "out")
    (tmp_path / "saved" / "train" / "data-00000-of-00001.arrow").write_bytes(b"no Arrow")
    with pytest.raises(ManifestError, match="not an Arrow file that can be read"):
        convert(tmp_path / "saved", tmp_path / "out", table="train")
