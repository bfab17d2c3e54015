"""A model folder knows the rows that it was trained on by their content, and nothing else of them."""

import shutil
from dataclasses import replace

import pytest

from bimodal.inference.seen_rows import SEEN_ROWS, find_seen_rows, load_seen_rows, save_seen_rows
from bimodal.records import Utterance

ROWS = [
    Utterance(id="1", path="a.wav", emotion="joy"),
    Utterance(id="2", path="b.wav", start=2.0, end=4.0, transcript="Hi."),
    Utterance(id="3", transcript="Get out!", emotion="anger"),
    Utterance(id="4", transcript="Yes.", extra={"pros_pitch": "120"}),
]


@pytest.fixture
def seen(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(name.encode())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"weights")
    save_seen_rows(tmp_path / "model", ROWS, tmp_path)
    return load_seen_rows(tmp_path / "model")


def found(seen, folder, *rows):
    told = find_seen_rows(seen, rows, folder)
    return [*told.recordings, *told.words]


def test_rows_are_known_by_content_whatever_their_path_id_and_label(seen, tmp_path):
    shutil.copy(tmp_path / "a.wav", tmp_path / "copy.wav")
    assert found(seen, tmp_path, *ROWS) == ["1", "2", "3", "4"]
    assert found(seen, tmp_path, Utterance(id="x", path="copy.wav", emotion="fear", speaker="bob")) == ["x"]
    assert found(seen, tmp_path, Utterance(id="x", transcript="  Get\u00a0out! ", emotion="fear")) == ["x"]
    assert found(seen, tmp_path, replace(ROWS[0], start=1.0, end=2.0)) == ["1"]
    assert found(seen, tmp_path, replace(ROWS[1], start=2.5, end=4.5)) == ["2"]


def test_other_rows_are_not_known(seen, tmp_path):
    (tmp_path / "c.wav").write_bytes(b"c")
    others = [
        Utterance(id="c", path="c.wav", transcript="Get out!"),
        replace(ROWS[1], start=4.0, end=6.0),
        Utterance(id="x", transcript="Stay!"),
        replace(ROWS[3], extra={"pros_pitch": "121"}),
        Utterance(id="none", path="none.wav"),
    ]
    assert found(seen, tmp_path, *others) == []


def test_the_salt_is_the_models_and_the_file_names_nothing(seen, tmp_path):
    text = (tmp_path / "model" / SEEN_ROWS).read_text()
    assert "wav" not in text and "Get out" not in text and "joy" not in text
    save_seen_rows(tmp_path / "model", ROWS, tmp_path)
    assert (tmp_path / "model" / SEEN_ROWS).read_text() == text
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"others")
    save_seen_rows(tmp_path / "model", ROWS, tmp_path)
    other = load_seen_rows(tmp_path / "model")
    assert other.salt != seen.salt and not set(other.words) & set(seen.words)
    assert load_seen_rows(tmp_path) is None
