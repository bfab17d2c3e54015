"""Models are found by name, folder or Hub id; what is missing says how to get it; nothing is fetched unasked."""

import shutil
import sys
from pathlib import Path

import pytest

from bimodal import Recognizer
from bimodal.errors import ModelFolderError
from bimodal.inference.installed import find_model, installed_models
from bimodal.inference.model_folder import WEIGHTS


@pytest.fixture
def carried(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution that carries the tiny model as `permissive`, and none with `research`."""
    (tmp_path / "bimodal_models.py").write_text(f"FOLDERS = {{'permissive': {str(tiny_model)!r}}}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "bimodal_models_research", None)
    monkeypatch.delitem(sys.modules, "bimodal_models", raising=False)
    yield tiny_model
    sys.modules.pop("bimodal_models", None)


def test_without_a_name_the_packaged_default_answers(carried):
    assert Recognizer(threads=1).recognize(transcript="I am so glad").model == "tiny"
    assert find_model() == find_model("permissive") == find_model(Path("permissive")) == carried
    assert installed_models() == {"permissive": carried}


def test_files_of_a_packaged_model_were_compared_by_the_installer_and_those_of_a_folder_are_by_us(carried, tmp_path):
    copies = [shutil.copytree(carried, tmp_path / name) for name in ("packaged", "folder")]
    for copy in copies:
        (copy / WEIGHTS).write_bytes(b"altered")
    Path(tmp_path, "bimodal_models.py").write_text(f"FOLDERS = {{'permissive': {str(copies[0])!r}}}\n")
    assert Recognizer(threads=1).folder == Recognizer.from_pretrained("permissive").folder == copies[0]
    with pytest.raises(ModelFolderError, match="altered"):
        Recognizer(copies[1])


def test_what_is_not_installed_says_what_installs_it(carried, monkeypatch):
    with pytest.raises(ModelFolderError, match=r"'research' is not installed.*'bimodal-emotion\[research\]'"):
        find_model("research")
    monkeypatch.setitem(sys.modules, "bimodal_models", None)
    with pytest.raises(ModelFolderError, match=r"'permissive' is not installed.*'bimodal-models'"):
        Recognizer()


def test_a_carrier_that_is_broken_is_not_taken_for_a_missing_one(carried, monkeypatch):
    Path(sys.path[0], "bimodal_models.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(ModuleNotFoundError, match=r"nothing_of_this_name"):
        find_model("permissive")


def test_a_folder_goes_before_a_name(carried, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("permissive").symlink_to(carried)
    assert find_model("permissive") == Path("permissive")


@pytest.mark.parametrize("name", ["nowhere", "/nowhere/model", "./model", "a/b/c"])
def test_a_missing_folder_is_no_download(name):
    with pytest.raises(ModelFolderError, match=f"{name}: no model folder"):
        Recognizer.from_pretrained(name, download=True)


def test_a_hub_id_is_not_fetched_unasked(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelFolderError, match=r"nobody/nothing: neither a folder nor a downloaded model.*--download"):
        Recognizer.from_pretrained("nobody/nothing")
