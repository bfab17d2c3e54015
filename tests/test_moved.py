"""An old import path is refused in one sentence that names the new place, which exists."""

import importlib
import subprocess
import sys

import pytest

from bimodal.moved import MOVED


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_old_path_names_its_new_place_which_exists(old, new):
    sentence = f"^bimodal.{old} is now bimodal.{new}; import from there$"
    with pytest.raises(ImportError, match=sentence):
        importlib.import_module(f"bimodal.{old}")
    package, _, name = f"bimodal.{new}".rpartition(".")
    try:
        importlib.import_module(f"bimodal.{new}")
    except ModuleNotFoundError:
        assert hasattr(importlib.import_module(package), name)


@pytest.mark.parametrize(
    ("statement", "new"),
    [
        ("import bimodal.timeline", "inference.timeline"),
        ("from bimodal.recognizer import Recognizer", "inference.recognizer"),
        ("from bimodal import timeline", "inference.timeline"),
        ("from bimodal.audio import load_signal", "audio.decode.load_signal"),
        ("from bimodal.corpora.ravdess import prepare", "data.corpora"),
    ],
)
def test_every_form_of_import_is_told(statement, new):
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ImportError: ") and f"is now bimodal.{new};" in done.stderr


@pytest.mark.parametrize("name", ["nothing", "audio.nothing"])
def test_a_path_that_never_was_is_no_module(name):
    with pytest.raises(ModuleNotFoundError, match=f"No module named 'bimodal.{name}'"):
        importlib.import_module(f"bimodal.{name}")
