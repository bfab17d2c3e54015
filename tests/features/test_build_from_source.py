"""From a folder of transformers to a backbone and to a model with it; each problem is one sentence, nothing is left."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bimodal.config import TrainConfig, read_config
from bimodal.errors import BackboneError
from bimodal.features.backbone import load_backbone
from bimodal.features.build_from_source import BuildRequest, build_from_source, find_pretrained_family
from bimodal.inference.export import export_model
from bimodal.training.train import train
from tests.conftest import FAST
from tests.features.backbones.tiny import noises, padded, save_speech, save_words

CARD = "---\nlicense: apache-2.0\nlanguage: en\n---\n# Tiny\n"
RECOGNISE = """
import sys
sys.modules.update(dict.fromkeys(["torch", "transformers", "onnx"]))
import bimodal, soundfile
model, file = sys.argv[1:]
recognizer = bimodal.Recognizer(model, threads=1)
print(recognizer.recognize(file).emotion)
signal, rate = soundfile.read(file, dtype="float32")
stream = recognizer.stream(rate)
streamed = [result for start in range(0, len(signal), 999) for result in stream.push(signal[start : start + 999])]
assert streamed + stream.finish() == list(recognizer.recognize_long(file))
"""


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = save_speech(tmp_path_factory.mktemp("hub") / "tiny-wav2vec2", "wav2vec2", num_hidden_layers=1)
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def built(pretrained, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "new" / "wav2vec2"
    build_from_source(str(pretrained), out, BuildRequest())
    return out


def test_a_backbone_says_what_it_is_and_gives_what_transformers_gives(built):
    backbone = load_backbone(built, verify=True)
    found = backbone.description
    assert (found.name, found.family, found.kind, found.source) == ("wav2vec2", "wav2vec2", "speech", "tiny-wav2vec2")
    assert (found.layers, found.width, found.licence, found.languages) == ((1,), 32, "Apache-2.0", ("en",))
    assert found.parity_cosine > 0.999 and found.weights == "float16"
    signals = noises(1, 399, 400, 5_000, 20_000)
    lengths = [backbone.run(signal).shape for signal in signals]
    assert lengths == [(1, frames, 32) for frames in (1, 1, 1, 15, 62)]
    for signal, row in zip(signals[2:], backbone.run_probe(padded(signals[2:])), strict=True):
        alone = backbone.run(signal)
        assert np.abs(row[:, : alone.shape[1]] - alone).max() < 1e-4 * np.abs(alone).max()


def test_a_model_with_it_trains_is_packaged_recognises_and_streams_without_torch(built, tiny_manifest, clip, tmp_path):
    settings = [*FAST, "threads=1", f"speech_backbone={built}"]
    model = train(
        tiny_manifest, tmp_path / "run", read_config(TrainConfig(), settings=settings), None, stages=("speech",)
    )
    portable = export_model(model, tmp_path / "portable")
    told = [
        subprocess.run(
            [sys.executable, "-c", RECOGNISE, folder, clip], capture_output=True, text=True, check=True
        ).stdout
        for folder in (model, portable)
    ]
    assert told[0] == told[1] and told[0].strip() in {"anger", "happiness", "sadness"}


@pytest.fixture(scope="session")
def clip(corpus_data):
    """A recording of a person."""
    return corpus_data / "ravdess" / "audio" / "03-01-05-01-01-01-01.flac"


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"layers": "2-3"}, "layers '2-3': the encoder has 1, expected numbers from 1 to 1"),
        ({"layers": "0"}, "layers '0': the encoder has 1"),
        ({"layers": "2-1"}, "layers '2-1': expected the lower number first, such as 1-2"),
        ({"layers": "top"}, "layers 'top': expected numbers such as 2-4 or 1,6,12, or 'all'"),
    ],
)
def test_layers_that_are_not_there_are_refused(pretrained, tmp_path, request_, complaint):
    with pytest.raises(BackboneError, match=complaint):
        build_from_source(str(pretrained), tmp_path / "out", BuildRequest(**request_))
    assert not list(tmp_path.iterdir())


def test_a_licence_is_given_or_named_by_the_model_card(tmp_path):
    save_words(tmp_path / "words")
    with pytest.raises(BackboneError, match=r"words: its README\.md names no licence; .* --licence Apache-2\.0"):
        build_from_source(str(tmp_path / "words"), tmp_path / "out", BuildRequest())


@pytest.mark.parametrize(
    ("licence", "near"),
    [
        ("Apache 2", "did you mean Apache-2.0"),
        ("MIT AND nothing", "expected one of spdx"),
        ("free for all?", "no SPDX"),
    ],
)
def test_a_licence_that_spdx_does_not_know_is_refused_before_anything_is_read(tmp_path, licence, near):
    with pytest.raises(BackboneError, match=near) as caught:
        build_from_source(str(tmp_path / "no-such-folder"), tmp_path / "out", BuildRequest(licence=licence))
    assert str(caught.value).startswith(f"licence '{licence}': no SPDX identifier; ") and "LicenseRef-" in str(
        caught.value
    )


def test_a_folder_that_holds_something_is_left_alone(built, pretrained, tmp_path):
    with pytest.raises(BackboneError, match="holds a backbone already; name another folder"):
        build_from_source(str(pretrained), built, BuildRequest())
    (tmp_path / "mine.txt").touch()
    with pytest.raises(BackboneError, match="holds something already"):
        build_from_source(str(pretrained), tmp_path, BuildRequest())
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({"model_type": "wavlm"}, "wavlm"),
        ({"model_type": "xlm-roberta"}, "bert"),
        ({"model_type": "modernbert"}, "bert"),
        ({"model_type": "gpt2"}, ""),
        ({"model_type": "bart", "is_encoder_decoder": True}, ""),
        ({"model_type": "bert", "is_decoder": True}, ""),
        ({"model_type": "wav2vec2-conformer"}, ""),
    ],
)
def test_the_architecture_decides_the_family(tmp_path, config, family):
    (tmp_path / "config.json").write_text(json.dumps(config))
    if family:
        assert find_pretrained_family(tmp_path) == family
        return
    with pytest.raises(BackboneError, match=r"is of no known family; expected a speech encoder \(whisper, wav2vec2, "):
        find_pretrained_family(tmp_path)


def test_pickled_weights_are_read_with_care_and_said(tmp_path):
    """Only what the builder asks before it exports: an export takes seconds."""
    folder = save_words(tmp_path / "words")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    request = BuildRequest(licence="MIT", layers="9")
    with pytest.raises(BackboneError, match="layers '9': the encoder has 1"):  # so the weights were read
        build_from_source(str(folder), tmp_path / "out", request)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Intruder(tmp_path / "ran")))
    with pytest.raises(BackboneError, match="cannot be loaded"):
        build_from_source(str(folder), tmp_path / "out", request)
    assert not (tmp_path / "ran").exists()
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(BackboneError, match="no weights; found none"):
        build_from_source(str(folder), tmp_path / "out", request)


class _Intruder:
    """What makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


def test_damaged_weights_are_one_sentence(pretrained, tmp_path):
    folder = save_speech(tmp_path / "damaged", "hubert")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(BackboneError, match="damaged: cannot be loaded") as caught:
        build_from_source(str(folder), tmp_path / "out", BuildRequest(licence="MIT"))
    assert "\n" not in str(caught.value)
