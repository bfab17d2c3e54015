"""A model that somebody else made: one sentence for whatever is wrong with it, never a traceback or a wrong result."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

from bimodal import Recognizer
from bimodal.errors import BimodalError, ModelFolderError, ModelFolderWarning
from bimodal.features.ood import load_ood_stats
from bimodal.inference.check_model import check_config, run_network
from bimodal.inference.model import Model
from bimodal.inference.model_config import ModelConfig
from bimodal.inference.model_folder import CONFIG, load_model_config, save_model_config, seal_model
from bimodal.runtime import make_session


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / CONFIG).read_text())
    change(content)
    (folder / CONFIG).write_text(json.dumps(content))


def linear(inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], value: float = 0.0) -> onnx.ModelProto:
    """A network that gives a constant for each row of its first input."""
    first = next(iter(inputs))
    nodes, constants = [], [numpy_helper.from_array(np.array([0], np.int64), "zero")]
    nodes += [helper.make_node("Shape", [first], ["shape"]), helper.make_node("Gather", ["shape", "zero"], ["rows"])]
    for name, shape in outputs.items():
        row = np.full(shape[1:], value, np.float32)
        constants.append(numpy_helper.from_array(row, f"{name}_row"))
        constants.append(numpy_helper.from_array(np.array(shape[1:], np.int64), f"{name}_rest"))
        nodes.append(helper.make_node("Concat", ["rows", f"{name}_rest"], [f"{name}_shape"], axis=0))
        nodes.append(helper.make_node("Expand", [f"{name}_row", f"{name}_shape"], [name]))
    told = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in named.items()]
        for named in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "network", *told, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def shapes_of(file: Path) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    session = make_session(file, threads=1)
    named = [{one.name: list(one.shape) for one in told} for told in (session.get_inputs(), session.get_outputs())]
    return named[0], named[1]


def put(folder: Path, stage: str, network: onnx.ModelProto) -> None:
    """Replace a network and write all digests anew, as a stranger would."""
    onnx.save(network, folder / f"{stage}.onnx")
    save_model_config(folder, load_model_config(folder, verify=False))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["emotions"].reverse(),
        lambda content: content.update(priors=[0.5, 0.25, 0.25]),
        lambda content: content["text"].update(temperature=2 * content["text"]["temperature"]),
        lambda content: content.update(licence="MIT"),
        lambda content: content.update(digest="0" * 64),
    ],
    ids=["labels reversed", "priors", "temperature", "licence", "another digest"],
)
def test_an_edited_configuration_is_noticed(folder, change):
    edit(folder, change)
    with pytest.raises(ModelFolderError, match=r"config\.json: edited"):
        Recognizer(folder)


def test_an_edit_of_ones_own_can_be_sealed_and_a_folder_without_digest_warns(folder):
    before = load_model_config(folder)
    edit(folder, lambda content: content.pop("digest"))
    with pytest.warns(ModelFolderWarning, match="has no digest"):
        assert load_model_config(folder) == before
    assert seal_model(folder) == before
    edit(folder, lambda content: content.update(licence="MIT"))
    assert seal_model(folder).licence == "MIT"


PACKAGED = [
    Path(__file__).parents[2] / "models/src/bimodal_models/permissive",
    Path(__file__).parents[2] / "models-research/src/bimodal_models_research/research",
]


def test_packaged_models_carry_the_digest_of_their_configuration(recwarn):
    for model in PACKAGED:
        load_model_config(model)
    assert not [warning for warning in recwarn if warning.category is ModelFolderWarning]


FAULTS = {
    "'joy' is listed twice": {"emotions": ("joy", "joy", "neutral")},
    "2 emotions, but 3 priors": {"emotions": ("joy", "neutral")},
    "4 emotions, but 3 priors": {"emotions": ("anger", "joy", "neutral", "sadness")},
    "holds control characters": {"emotions": ("anger\x1b[31m", "joy", "neutral")},
    "name holds control characters": {"name": "\x1b]0;owned\x07"},
    "licence holds control characters": {"licence": "MIT\u202e"},
    "name is empty": {"name": " "},
    "name has 101 characters": {"name": "a" * 101},
    "the priors sum to 2": {"priors": (1.0, 0.5, 0.5)},
    "the priors sum to nan": {"priors": (float("nan"), 0.5, 0.5)},
    "a temperature of fusion is 0": {"fusion_temperatures": (0.0, 1.0, 1.0)},
    "a temperature of fusion is inf": {"fusion_temperatures": (float("inf"), 1.0, 1.0)},
    "2 fusion temperatures": {"fusion_temperatures": (1.0, 1.0)},
    "neither a speech nor a text network": {"speech": None, "text": None},
    "not both a speech and a text network": {"speech": None},
    r"outside its folder \('\.\./a'\)": {"files": {"../a": "0" * 64}},
    r"outside its folder \('\.\.'\)": {"files": {"..": "0" * 64}},
    r"outside its folder \('a.*b'\)": {"files": {"a\\b": "0" * 64}},
    "no digest of a": {"files": {"a": "0"}},
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_a_configuration_that_no_training_writes_is_refused(tiny_model, sentence):
    sound = load_model_config(tiny_model)
    check_config(sound, "config.json")
    with pytest.raises(ModelFolderError, match=sentence) as told:
        check_config(replace(sound, **FAULTS[sentence]), "config.json")
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"temperature": -1.0}, "a temperature of text is -1"),
        ({"embedding_width": 0}, "text.embedding_width is 0"),
        ({"embedding_width": 10**9}, "text.embedding_width is 1000000000"),
        ({"logit_variance": -1.0}, "text.logit_variance is -1"),
        ({"context": -1}, "text.context is -1"),
        ({"backbone": ""}, "neither a backbone nor columns"),
        ({"tta": ("noise10:/etc/passwd",)}, "names a file of another machine"),
    ],
)
def test_a_modality_that_no_training_writes_is_refused(tiny_model, change, sentence):
    sound = load_model_config(tiny_model)
    with pytest.raises(ModelFolderError, match=sentence):
        check_config(replace(sound, text=replace(sound.text, **change)), "config.json")


def test_a_network_without_a_digest_is_refused(folder):
    edit(folder, lambda content: content["files"].pop("text.onnx"))
    with pytest.raises(ModelFolderError, match=r"no digest of text\.onnx"):
        seal_model(folder)


def test_swapped_networks_and_a_label_list_of_another_length_are_one_sentence(folder):
    (folder / "speech.onnx").rename(folder / "other")
    (folder / "text.onnx").rename(folder / "speech.onnx")
    (folder / "other").rename(folder / "text.onnx")
    sound = load_model_config(folder, verify=False)
    save_model_config(folder, sound)
    with pytest.raises(ModelFolderError, match=r"text\.onnx: is no text network of this model: its inputs are statist"):
        Recognizer(folder).recognize(transcript="hello")
    save_model_config(folder, replace(sound, emotions=(*sound.emotions, "joy"), priors=(*sound.priors, 0.0)))
    with pytest.raises(ModelFolderError, match=r"fusion\.onnx: does not fit tiny: 'speech_logits' has the shape"):
        Model(folder).session("fusion")


@pytest.mark.parametrize("stage", ["text", "fusion"])
def test_nan_out_of_a_network_is_no_result(folder, stage):
    put(folder, stage, linear(*shapes_of(folder / f"{stage}.onnx"), value=float("nan")))
    with pytest.raises(ModelFolderError, match=rf"{stage}\.onnx: the network gives NaN or infinity"):
        Recognizer(folder).recognize(transcript="hello")
    put(folder, stage, linear(*shapes_of(folder / f"{stage}.onnx"), value=0.0))
    assert Recognizer(folder).recognize(transcript="hello").emotion is not None


def test_a_network_of_another_width_or_number_of_classes_is_refused(folder):
    inputs, outputs = shapes_of(folder / "text.onnx")
    put(folder, "text", linear(inputs, outputs | {"logits": ["batch", 4]}))
    with pytest.raises(ModelFolderError, match=r"'logits' has the shape \(any, 4\), expected \(any, 3\)"):
        Recognizer(folder).recognize(transcript="hello")
    put(folder, "text", linear({"pooled": ["batch", 3, 77]}, outputs))
    with pytest.raises(ModelFolderError, match=r"text\.onnx: the network fails"):
        Recognizer(folder).recognize(transcript="hello")


def test_a_network_that_gives_other_rows_than_asked_is_refused():
    node = helper.make_node("Concat", ["x", "x"], ["y"], axis=0)
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    graph = helper.make_graph([node], "twice", told[:1], told[1:])
    twice = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = make_session(twice.SerializeToString(), threads=1)
    with pytest.raises(ModelFolderError, match="gives 2 rows for 1"):
        run_network(session, {"x": np.ones((1, 2), np.float32)}, "a.onnx")


def external(location: str) -> onnx.ModelProto:
    network = linear({"pooled": ["batch", 2]}, {"logits": ["batch", 3]})
    (weights,) = [one for one in network.graph.initializer if one.name == "logits_row"]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", location
    return network


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../secret.bin", "link.bin", "pipe.bin", "missing.bin", "\x1b[31m"]
)
def test_weights_outside_the_folder_are_not_read(folder, location):
    (folder.parent / "secret.bin").write_bytes(bytes(12))
    (folder / "link.bin").symlink_to("../secret.bin")
    os.mkfifo(folder / "pipe.bin")
    onnx.save(external(location), folder / "text.onnx")
    with pytest.raises(BimodalError, match=r"text\.onnx: cannot be loaded as an ONNX model") as told:
        make_session(folder / "text.onnx", threads=1)
    assert "\x1b" not in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("domain", ["evil", "com.microsoft"])
def test_custom_operators_and_damaged_graphs_are_one_sentence(folder, domain, capfd):
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("PyOp\x1b[31m", ["x"], ["y"], domain=domain)], "custom", *([one] for one in told)
    )
    sets = [helper.make_opsetid("", 18), helper.make_opsetid(domain, 1)]
    custom = helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString()
    for content in (custom, custom[:50], b"", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x7f" + bytes(50)):
        (folder / "text.onnx").write_bytes(content)
        with pytest.raises(BimodalError, match="cannot be loaded as an ONNX model"):
            make_session(folder / "text.onnx", threads=1)
    assert "\x1b" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text.mean", np.full((3, 384), np.nan, np.float32)),
        ("text.std", np.full((3, 384), -1, np.float32)),
        ("text.mean", np.zeros((3, 5), np.float32)),
        ("text.threshold", np.array(0, np.float32)),
        ("text.typical", np.array(np.inf, np.float32)),
        ("text.threshold", np.zeros(3, np.float32)),
    ],
)
def test_statistics_with_nan_or_of_another_shape_are_refused(folder, name, value):
    file = folder / "ood_stats.safetensors"
    save_file(load_file(file) | {name: value}, file)
    with pytest.raises(ModelFolderError, match=r"ood_stats\.safetensors"):
        load_ood_stats(file)


def test_statistics_of_another_backbone_are_refused(folder):
    file, shape = folder / "ood_stats.safetensors", (3, 5)
    parts = {"text.mean": np.zeros(shape, np.float32), "text.std": np.ones(shape, np.float32)}
    save_file(load_file(file) | parts, file)
    save_model_config(folder, load_model_config(folder, verify=False))
    with pytest.raises(ModelFolderError, match=r"have the shape \(3, 5\), expected \(3, 384\)"):
        Recognizer(folder).recognize(transcript="hello")


def test_a_giant_header_or_configuration_is_refused(folder):
    (folder / "ood_stats.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelFolderError, match="damaged"):
        load_ood_stats(folder / "ood_stats.safetensors")
    (folder / CONFIG).write_text("[" * 100_000)
    with pytest.raises(ModelFolderError, match="damaged"):
        Recognizer(folder)
    with (folder / CONFIG).open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ModelFolderError, match="expected at most"):
        Recognizer(folder)


def test_every_packaged_model_passes():
    for model in PACKAGED:
        config: ModelConfig = load_model_config(model)
        opened = Model(model, threads=1)
        for stage in ("speech", "text", "fusion"):
            assert opened.session(stage)
        assert opened.ood_stats and config.revision
