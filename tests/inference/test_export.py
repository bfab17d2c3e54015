"""An exported model answers the same without the backbones distribution, and altered backbones in it are refused."""

import json
import shutil
import subprocess
import sys

import pytest

from bimodal import Recognizer
from bimodal.errors import BackboneError, ModelFolderError
from bimodal.inference.adapt import adapt_model
from bimodal.inference.export import export_model

CODE = """
import sys
sys.modules["bimodal_backbones"] = None
import json, bimodal
result = bimodal.Recognizer(sys.argv[1], threads=1).recognize(sys.argv[2], transcript="Stop that at once!")
print(json.dumps(result.to_dict()))
"""


@pytest.fixture(scope="module")
def exported(tiny_model, tmp_path_factory):
    return export_model(tiny_model, tmp_path_factory.mktemp("export") / "model")


def test_it_answers_the_same_where_no_backbones_are_installed(exported, tiny_model, tiny_manifest, tmp_path):
    recording = tiny_manifest.parent / "audio" / "s0-anger-0.wav"
    moved = shutil.copytree(exported, tmp_path / "elsewhere")
    found = subprocess.run([sys.executable, "-c", CODE, moved, recording], capture_output=True, text=True, check=True)
    here = Recognizer(tiny_model, threads=1).recognize(recording, transcript="Stop that at once!")
    assert json.loads(found.stdout) == json.loads(json.dumps(here.to_dict()))


def test_what_is_made_of_a_model_has_the_backbones_inside_it(exported, tiny_model, tiny_manifest, tmp_path):
    """A backbone inside a model folder may be installed nowhere, so adapting must carry it on."""
    adapted = adapt_model(exported, tiny_manifest, tmp_path / "adapted", threads=1)
    inside = [file.relative_to(exported) for file in (exported / "backbones").rglob("*.*")]
    assert inside and all((adapted / name).read_bytes() == (exported / name).read_bytes() for name in inside)
    plain = adapt_model(tiny_model, tiny_manifest, tmp_path / "plain", threads=1)
    assert not (plain / "backbones").exists()


def test_an_export_can_be_exported_again(exported, tmp_path):
    again = export_model(exported, tmp_path / "again")
    assert {file.relative_to(again) for file in again.rglob("*")} == {
        file.relative_to(exported) for file in exported.rglob("*")
    }


def test_an_altered_backbone_inside_is_refused(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "model")
    graph = folder / "backbones" / "text" / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[-5] ^= 1
    graph.write_bytes(content)
    with pytest.raises(BackboneError, match=r"model\.onnx: altered"):
        Recognizer(folder).recognize(transcript="hello")
    with pytest.raises(BackboneError, match=r"model\.onnx: altered"):
        export_model(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_what_is_there_is_not_overwritten(exported, tiny_model):
    with pytest.raises(ModelFolderError, match="exists already"):
        export_model(tiny_model, exported)
