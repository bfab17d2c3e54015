"""Recordings lie below the manifest's folder or one that is allowed; either form of an accent finds them."""

import unicodedata

import pytest

from bimodal.data.paths import PathFinder, spelled_on_disk


@pytest.fixture
def folders(tmp_path):
    here, root = tmp_path / "here", tmp_path / "corpus"
    for folder in (here, root):
        folder.mkdir()
        (folder / f"{folder.name}.wav").touch()
    (here / "link.wav").symlink_to(root / "corpus.wav")
    (tmp_path / "outside.wav").touch()
    return here, root


def test_without_a_root_paths_stay_below_the_manifest(folders):
    here, root = folders
    finder = PathFinder(folder=here)
    assert finder.find("here.wav") == ("here.wav", [])
    for path in (str(root / "corpus.wav"), "../corpus/corpus.wav", "link.wav", "~/x.wav"):
        (complaint,) = finder.find(path)[1]
        assert complaint.endswith("; --root FOLDER allows recordings below another folder")


def test_a_root_allows_what_ends_below_it_and_nothing_else(folders, monkeypatch):
    here, root = folders
    monkeypatch.setenv("HOME", str(root))
    finder = PathFinder(folder=here, root=root)
    file = str(root / "corpus.wav")
    found = {"here.wav": "here.wav", "link.wav": "link.wav", file: file, "corpus.wav": file, "~/corpus.wav": file}
    found |= {"../corpus/corpus.wav": "../corpus/corpus.wav"}
    for path, expected in found.items():
        assert finder.find(path) == (expected, [])
        assert (here / expected).exists()
    for path in ("../outside.wav", str(here.parent / "outside.wav"), "/etc/passwd"):
        assert "is neither below the manifest's folder nor below --root" in finder.find(path)[1][0]
    assert finder.find("none.wav") == ("none.wav", [])


def test_a_name_is_found_in_either_form_of_its_accents(tmp_path):
    for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
        folder = tmp_path / form
        name = unicodedata.normalize(form, "Köln/müller.wav")
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
        assert spelled_on_disk(folder, unicodedata.normalize(other, name)) == name
        assert spelled_on_disk(folder, str(folder) + "/" + unicodedata.normalize(other, name)) == f"{folder}/{name}"
        assert spelled_on_disk(folder, "Köln/none.wav").endswith("/none.wav")
        assert PathFinder(folder=folder).find(unicodedata.normalize(other, name)) == (name, [])
