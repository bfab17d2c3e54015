"""EmoBox: its rows, label maps and folds as published."""

import json
from pathlib import Path

import pytest

from bimodal.data.exchange import convert
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError

ROW = {
    "key": "ased-a5-02-01-01-33", "dataset": "ased", "wav": "downloads/ased/05Angry/a5-02-01-01-33.wav", "type": "raw",
    "sample_rate": 16000, "num_frame": 48000.0, "task": "category", "length": 3.0, "emo": "a", "channel": 1,
}  # fmt: skip
OTHER = {**ROW, "key": "ased-n1-01", "wav": "downloads/ased/01Neutral/n1-01.wav", "emo": "n"}


def emobox(folder: Path, folds: int, *, suffix: str = ".jsonl") -> Path:
    """`data/ased` and `downloads` as in the repository: each fold tests one of the two rows."""
    for row in (ROW, OTHER):
        (folder / row["wav"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / row["wav"]).touch()
    data = folder / "data" / "ased"
    write(data / f"ased{suffix}", [ROW, OTHER])
    (data / "label_map.json").write_text('{"a": "Angry", "n": "Neutral"}', encoding="utf-8")
    for fold in range(1, folds + 1):
        rows = [ROW, OTHER] if fold == 1 else [OTHER, ROW]
        write(data / f"fold_{fold}" / f"ased_train_fold_{fold}{suffix}", rows[:1])
        write(data / f"fold_{fold}" / f"ased_test_fold_{fold}{suffix}", rows[1:])
    return data


def write(file: Path, rows: list[dict]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    objects = json.dumps({row["key"]: {name: row[name] for name in ("wav", "length", "emo")} for row in rows})
    file.write_text(lines if file.suffix == ".jsonl" else objects, encoding="utf-8")


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_labels_have_their_names_and_one_fold_is_the_split(suffix, tmp_path):
    convert(emobox(tmp_path / "EmoBox", 1, suffix=suffix), tmp_path / "out")
    first, second = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert (first.id, first.path) == ("ased-a5-02-01-01-33", "audio/downloads/ased/05Angry/a5-02-01-01-33.wav")
    assert (first.emotion, first.split, first.start) == ("Angry", "train", None)
    assert (second.emotion, second.split, dict(second.extra)) == ("Neutral", "test", {})


def test_several_folds_are_a_column(tmp_path):
    convert(emobox(tmp_path / "EmoBox", 2), tmp_path / "out")
    rows = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert [(row.split, row.extra["fold"]) for row in rows] == [(None, "2"), (None, "1")]


def test_rows_have_what_emobox_reads(source, tmp_path):
    convert(source, tmp_path / "mine", "emobox")
    rows = [json.loads(line) for line in (tmp_path / "mine" / "mine.jsonl").read_text().splitlines()]
    assert ROW.keys() <= rows[0].keys()
    assert (rows[0]["emo"], rows[1]["emo"], rows[1]["emotions"]) == ("joy", "anger", "anger|anger|neutral")
    assert (rows[1]["start_time"], rows[1]["end_time"], rows[1]["length"]) == (0.25, 0.625, 0.375)
    assert json.loads((tmp_path / "mine" / "label_map.json").read_text()).keys() == {"joy", "anger", "sadness"}
    parts = {file.name for file in (tmp_path / "mine" / "fold_1").iterdir()}
    assert parts == {f"mine_{part}_fold_1.jsonl" for part in ("train", "valid", "test")}


def test_other_content_is_told(tmp_path):
    data = emobox(tmp_path / "EmoBox", 1)
    (data / "ased.jsonl").write_text('{"key": "a", "emo": "a"}\n', encoding="utf-8")
    with pytest.raises(ManifestError, match="'a' has no wav, expected rows of EmoBox"):
        convert(data, tmp_path / "out")
    (data / "label_map.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"label_map\.json: found a list"):
        convert(data, tmp_path / "out")
