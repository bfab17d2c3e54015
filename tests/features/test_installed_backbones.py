"""Backbones on this machine are found with family, size and parity."""

import shutil
from pathlib import Path

import pytest
from bimodal_backbones import FOLDERS

from bimodal.errors import BackboneError
from bimodal.features.installed_backbones import list_backbones


def test_installed_backbones_are_listed_with_what_they_are():
    found = {one.name: one for one in list_backbones()}
    assert set(found) == set(FOLDERS)
    whisper = found["whisper-base-4"]
    assert (whisper.family, whisper.description.layers, whisper.description.licence) == ("whisper", (2, 3, 4), "MIT")
    on_disk = sum(file.stat().st_size for file in Path(FOLDERS["whisper-base-4"]).iterdir())
    assert whisper.size == on_disk and found["minilm-l6"].family == "bert"


def test_a_folder_is_a_backbone_or_holds_some(tmp_path):
    for name in ("a", "b"):
        shutil.copytree(FOLDERS["minilm-l6"], tmp_path / name)
    names = [one.name for one in list_backbones([tmp_path])]
    assert names == [*FOLDERS, str(tmp_path / "a"), str(tmp_path / "b")]
    assert [one.name for one in list_backbones([tmp_path / "a"])] == [*FOLDERS, str(tmp_path / "a")]


def test_a_folder_without_backbones_is_refused(tmp_path):
    with pytest.raises(BackboneError, match="holds no backbone; expected a folder that 'bimodal backbone build' wrote"):
        list_backbones([tmp_path])
    with pytest.raises(BackboneError, match="no such folder"):
        list_backbones([tmp_path / "missing"])
    shutil.copy(Path(FOLDERS["minilm-l6"]) / "backbone.json", tmp_path)
    with pytest.raises(BackboneError, match="no such file; copy the whole backbone, or build it again"):
        list_backbones([tmp_path])
    (tmp_path / "backbone.json").write_text("{}")
    with pytest.raises(BackboneError, match="not a backbone description"):
        list_backbones([tmp_path])
