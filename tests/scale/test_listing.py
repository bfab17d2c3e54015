"""Sources name recordings in an order that does not change; what cannot be listed is told in one sentence."""

from pathlib import Path

import fsspec
import pytest

from bimodal.errors import BimodalError
from bimodal.scale.listing import list_items


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    for name in ("calls/b.WAV", "calls/a.wav", "calls/sub/c.mp3", "calls/.hidden/d.wav", "calls/.e.wav", "calls/f.txt"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * len(name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*sources: str) -> list[str]:
    return [item.name for item in list_items(sources)]


def test_a_folder_names_its_recordings_by_path_and_size(folder):
    found = list(list_items(["calls"]))
    assert [item.name for item in found] == ["calls/a.wav", "calls/b.WAV", "calls/sub/c.mp3"]
    assert [item.url for item in found] == [str(folder / item.name) for item in found]
    assert [item.size for item in found] == [len(item.name) for item in found]


def test_files_folders_and_patterns_go_together(folder):
    assert names("calls/f.txt", "calls/sub", "calls/*.wav") == ["calls/f.txt", "calls/sub/c.mp3", "calls/a.wav"]
    assert names(str(folder / "calls" / "?.wav")) == [str(folder / "calls" / "a.wav")]
    (folder / "[a].wav").touch()
    assert names("[a].wav") == ["[a].wav"]  # a name that looks like a pattern


def test_a_name_that_is_not_utf8_is_shown_and_found(folder):
    Path("calls/caf\udce9.wav").write_bytes(b"x")
    found = [item for item in list_items(["calls"]) if "caf" in item.name]
    assert found[0].name == "calls/caf\\xe9.wav" and Path(found[0].url).exists()


def test_a_url_is_listed_like_a_folder():
    store = fsspec.filesystem("memory")
    store.pipe({"/listing/b.wav": b"12", "/listing/sub/a.wav": b"1"})
    found = list(list_items(["memory://listing"]))
    assert [(item.name, item.size) for item in found] == [
        ("memory://listing/b.wav", 2),
        ("memory://listing/sub/a.wav", 1),
    ]
    assert all(item.is_remote and item.url == item.name for item in found)
    assert names("memory://listing/*.wav") == ["memory:///listing/b.wav"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nowhere", "nowhere: no such file or folder"),
        ("calls/*.flac", "no file fits this pattern"),
        ("packed", r"use the pattern 'packed/\*\.tar'"),
        ("packed/a.tar.gz", "a compressed archive cannot be read from the middle"),
        ("gopher://x/y", "no store that fsspec knows"),
    ],
)
def test_what_cannot_be_listed_is_told(folder, source, told):
    (folder / "packed").mkdir()
    for name in ("a.tar", "a.tar.gz"):
        (folder / "packed" / name).touch()
    with pytest.raises(BimodalError, match=told):
        names(source)
