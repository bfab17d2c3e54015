"""SpeechBrain: manifests as its recipes write them."""

import json

import pytest

from bimodal.data.exchange import convert
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


def test_json_of_a_recipe_is_read_with_stretches_in_samples(source, tmp_path):
    folder = source.parent
    source.unlink()
    rows = {
        "Ses01_F000": {"wav": "{data_root}/audio/e.wav", "length": 1.0, "emo": "ang", "words": "Hi", "spk_id": "1F"},
        "Ses01_F001": {"wav": {"file": "{data_root}/audio/sub/c.wav", "start": 2000, "stop": 4000}, "emo": "neu"},
    }
    (folder / "valid.json").write_text(json.dumps(rows), encoding="utf-8")
    convert(folder, tmp_path / "out")
    first, second = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert (first.id, first.path, first.split) == ("Ses01_F000", "audio/e.wav", "dev")
    assert (first.transcript, first.emotion, first.speaker) == ("Hi", "ang", "1F")
    assert (second.start, second.end, second.path) == (0.25, 0.5, "audio/sub/c.wav")


def test_csv_of_a_recipe_is_read(source, tmp_path):
    folder = source.parent
    source.unlink()
    head = "ID, duration, wav, spk_id, wrd\n"
    (folder / "train.csv").write_text(f"{head}u1, 1.0, $data_root/audio/e.wav, s, HI YOU\n", encoding="utf-8")
    convert(folder, tmp_path / "out")
    (row,) = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert (row.id, row.path, row.split, row.transcript, row.speaker) == ("u1", "audio/e.wav", "train", "HI YOU", "s")


def test_rows_have_what_speechbrain_reads(source, tmp_path):
    convert(source, tmp_path / "json", "speechbrain")
    rows = json.loads((tmp_path / "json" / "test.json").read_text())
    assert rows["two"]["wav"] == {"file": "{data_root}/audio/sub/c.wav", "start": 2000, "stop": 5000}
    assert (rows["two"]["length"], rows["two"]["emo"], rows["two"]["wrd"]) == (0.375, "anger|anger|neutral", "Zwei")
    convert(source, tmp_path / "csv", "speechbrain_csv")
    assert (tmp_path / "csv" / "valid.csv").read_text().startswith("ID,duration,wav,")


def test_other_content_is_told(tmp_path):
    (tmp_path / "train.json").write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"train\.json: expected an object with an object for each utterance"):
        convert(tmp_path / "train.json", tmp_path / "out", read_as="speechbrain")
    (tmp_path / "train.csv").write_text("path,emotion\na,b\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="no column ID"):
        convert(tmp_path / "train.csv", tmp_path / "out", read_as="speechbrain_csv")
