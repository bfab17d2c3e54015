"""audiofolder: 'datasets' builds ours, and folders of others are read."""

import pytest

from bimodal.data.exchange import convert
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


def test_datasets_finds_parts_rows_and_recordings(source, tmp_path):
    from datasets import DownloadManager, load_dataset_builder

    convert(source, tmp_path / "folder", "audiofolder")
    cache = str(tmp_path / "cache")
    builder = load_dataset_builder("audiofolder", data_dir=str(tmp_path / "folder"), cache_dir=cache)
    # not load_dataset: it would need torchcodec, even where nothing is decoded
    parts = builder._split_generators(DownloadManager())
    rows = {str(part.name): [row for _, row in builder._generate_examples(**part.gen_kwargs)] for part in parts}
    assert {name: len(found) for name, found in rows.items()} == {"train": 2, "validation": 1, "test": 2}
    assert rows["test"][0]["emotion"] == "anger|anger|neutral" and rows["test"][0]["start"] == 0.25
    assert rows["train"][0]["audio"].endswith("train/audio/a b.wav")


def test_a_folder_without_parts_is_read(source, tmp_path):
    folder = source.parent
    source.unlink()
    (folder / "metadata.csv").write_text("file_name,transcription,label\naudio/e.wav,Hi,joy\n", encoding="utf-8")
    assert convert(folder, tmp_path / "out").read_as == "audiofolder"
    (row,) = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert (row.path, row.transcript, row.emotion, row.split) == ("audio/e.wav", "Hi", "joy", None)


def test_rows_without_a_split_are_beside_the_metadata_or_told(source, tmp_path):
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(",train,", ",,"), encoding="utf-8")
    assert "2 rows without a split" in convert(source, tmp_path / "some", "audiofolder").lost[1]
    source.write_text(text.replace(",train,", ",,").replace(",dev,", ",,").replace(",test,", ",,"), encoding="utf-8")
    convert(source, tmp_path / "all", "audiofolder")
    assert (tmp_path / "all" / "metadata.jsonl").is_file()
    convert(tmp_path / "all", tmp_path / "back")
    assert {row.split for row in read_manifest(tmp_path / "back" / "manifest.csv").utterances} == {None}


def test_metadata_with_a_problem_are_told(source, tmp_path):
    (source.parent / "metadata.csv").write_text("name,label\na,joy\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"metadata\.csv:1: none of path, transcript"):
        convert(source.parent, tmp_path / "out", read_as="audiofolder")
