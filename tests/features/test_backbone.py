"""Backbones: the packaged files are whole, a batch equals single calls, ONNX equals torch, blocks lose nothing."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from bimodal_backbones import FOLDERS
from transformers import BertModel, PreTrainedTokenizerFast, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from bimodal.audio.level import normalise_level
from bimodal.errors import BackboneError
from bimodal.features.backbone import (
    PARITY_BOUNDS,
    BackboneDescription,
    SpeechBackbone,
    TextBackbone,
    find_backbone,
    load_backbone,
    measure_parity,
    read_description,
)
from bimodal.features.build_backbone import build_speech_backbone, build_text_backbone
from bimodal.features.logmel import log_mel
from bimodal.features.pooling import Pooling, pool

TEXTS = [
    "No.",
    "I can't believe you did that!",
    "It is what it is, and it has been like that for a very long time, if you ask me.",
    "Grüße, 你好 🙂",
    "",
]


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """A gliding tone with overtones, pauses and noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(max(1, int(seconds * 16_000))) / 16_000
    pitch = 2 * np.pi * (140 * time + 20 * np.sin(3 * time))
    tone = sum(np.sin(k * pitch) / k for k in range(1, 10))
    return (0.1 * tone * (1 + np.sin(7 * time)) + rng.normal(0, 0.005, len(time))).astype(np.float32)


def amplified(signal: np.ndarray, decibels: float) -> np.ndarray:
    """The same through another microphone: louder, and with an offset."""
    return signal * np.float32(10 ** (decibels / 20)) + np.float32(0.1)


@pytest.fixture(scope="module")
def speech() -> SpeechBackbone:
    return load_backbone("whisper-base-4", threads=1)


@pytest.fixture(scope="module")
def text() -> TextBackbone:
    return load_backbone("minilm-l6", threads=1)


def describe(kind: str, **changes) -> BackboneDescription:
    description = BackboneDescription(
        name="tiny",
        kind=kind,
        source="random",
        licence="CC0-1.0",
        layers=(1, 2),
        width=64,
        weights="float16",
        preprocessing="none",
        max_tokens=16,
    )
    return replace(description, **changes)


@pytest.fixture(scope="module")
def built_speech(tiny_whisper, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts") / "speech"
    build_speech_backbone(str(tiny_whisper), folder, describe("speech"), "float16")
    return folder


@pytest.fixture(scope="module")
def built_text(tiny_bert, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts") / "text"
    build_text_backbone(str(tiny_bert), folder, describe("text"), "int8")
    return folder


# The packaged files


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_the_packaged_files_are_the_described_ones(name):
    load_backbone(name, threads=1, verify=True)


@pytest.mark.parametrize(("name", "file"), [("minilm-l6", "tokenizer.json"), ("whisper-base-4", "model.onnx")])
def test_one_flipped_bit_in_a_packaged_file_is_found(tmp_path, name, file):
    folder = shutil.copytree(FOLDERS[name], tmp_path / name)
    with (folder / file).open("r+b") as stream:
        stream.seek(100_000)
        byte = stream.read(1)[0]
        stream.seek(100_000)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(BackboneError, match=rf"{file}: altered"):
        load_backbone(folder, verify=True)


def test_a_file_that_is_missing_or_no_model_is_one_sentence(tmp_path, built_text):
    folder = shutil.copytree(built_text, tmp_path / "text")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(BackboneError, match=r"tokenizer\.json: "):
        load_backbone(folder)
    (folder / "tokenizer.json").unlink()
    for verify in (True, False):
        with pytest.raises(BackboneError, match=r"tokenizer\.json: "):
            load_backbone(folder, verify=verify)
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(BackboneError, match=r"model\.onnx: cannot be loaded"):
        load_backbone(folder)
    (folder / "backbone.json").write_text('{"name": "x"}')
    with pytest.raises(BackboneError, match="not a backbone description"):
        load_backbone(folder)


def test_an_unknown_name_is_refused_with_the_packaged_ones():
    with pytest.raises(
        BackboneError, match=r"no backbone 'whisper-huge': expected one of \['minilm-goemotions', 'mini"
    ):
        find_backbone("whisper-huge")


def test_the_digest_depends_on_all_that_decides_the_outputs():
    base = describe("speech", digests={"model.onnx": "a"})
    changes = [
        {"digests": {"model.onnx": "b"}},
        {"preprocessing": "other"},
        {"layers": (1, 3)},
        {"max_seconds": 20.0},
        {"max_tokens": 17},
    ]
    digests = {base.digest, *(replace(base, **change).digest for change in changes)}
    assert len(digests) == 1 + len(changes)
    assert replace(base, parity_cosine=0.5, licence="other").digest == base.digest


@pytest.mark.parametrize("which", [*sorted(FOLDERS), "built_speech", "built_text"])
def test_no_graph_names_a_path_of_the_machine_it_was_made_on(which, request):
    folder = Path(FOLDERS[which]) if which in FOLDERS else request.getfixturevalue(which)
    content = (folder / "model.onnx").read_bytes()
    found = re.search(rb"/(tmp|work|home|root|usr)/|site-packages|\w\.py\b|\\Users\\", content)
    assert found is None, content[max(0, found.start() - 60) : found.end() + 60]


# A batch equals single calls


def test_speech_padded_into_a_batch_equals_single_calls(built_speech):
    backbone, signals = load_backbone(built_speech), [voice(seconds) for seconds in (0.04, 0.5, 0.77, 2.0)]
    mels = [log_mel(signal) for signal in signals]
    frames = np.array([mel.shape[1] for mel in mels])
    padded = np.stack([np.pad(mel, ((0, 0), (0, 200 - mel.shape[1]))) for mel in mels])
    batch = backbone.run_probe({"mel": padded, "frames": frames})
    for signal, count, together in zip(signals, frames, batch, strict=True):
        single = backbone.run(signal)
        assert single.shape == (2, (count + 1) // 2, 64)
        assert np.abs(together[:, : single.shape[1]] - single).max() < 1e-4 * max(1, np.abs(single).max())


def test_words_padded_into_a_batch_equal_single_calls(text):
    together = text.extract(TEXTS, batch_size=3)
    assert together.shape == (len(TEXTS), 3, 384)
    for row, words in zip(together, TEXTS, strict=True):
        assert np.abs(row - text.extract([words])[0]).max() < 1e-4
    assert np.abs(together[0] - together[1]).max() > 0.1


def test_words_beyond_the_longest_text_are_cut_off(built_text):
    backbone = load_backbone(built_text)
    assert np.array_equal(backbone.extract(["a" * 14]), backbone.extract(["a" * 40]))
    assert not np.array_equal(backbone.extract(["a" * 13]), backbone.extract(["a" * 40]))
    assert backbone.extract([]).shape == (0, 2, 64)


# Frames


@pytest.mark.parametrize("decibels", [-12, 12])
def test_a_microphones_gain_and_offset_change_neither_frames_nor_levels(built_speech, decibels):
    plain, louder = (load_backbone(built_speech).extract(one) for one in (voice(1.5), amplified(voice(1.5), decibels)))
    assert np.abs(plain.states - louder.states).max() < 5e-3 * np.abs(plain.states).max()
    assert np.abs(plain.level - louder.level).max() < 0.1


@pytest.mark.parametrize("decibels", [-12, 12])
def test_of_what_is_computed_in_bytes_a_microphones_gain_changes_little(speech, decibels):
    plain, louder, other = (
        pool(speech.extract(one), Pooling()) for one in (voice(2.0), amplified(voice(2.0), decibels), voice(2.0, 1))
    )
    assert np.abs(plain - louder).mean() < 0.1 * np.abs(plain - other).mean()


@pytest.mark.parametrize("samples", [1, 2, 160, 399, 400])
def test_very_short_signals_give_one_finite_frame(speech, samples):
    heard = speech.extract(voice(1.0)[:samples])
    assert len(heard) == 1 and heard.states.shape == (1, 3, 512)
    assert np.isfinite(heard.states).all() and np.isfinite(heard.level).all()


def test_digital_silence_is_finite(speech):
    assert np.isfinite(speech.extract(np.zeros(8000, np.float32)).states).all()


def test_speech_longer_than_the_backbone_hears_is_cut_into_equal_parts(built_speech):
    backbone = load_backbone(built_speech)
    signal = voice(70.0)
    heard = backbone.extract(signal)
    assert len(heard) == pytest.approx(70 * 50, abs=3)
    middle = backbone.run(np.array_split(normalise_level(signal), 3)[1]).swapaxes(0, 1)
    first = len(heard) // 3
    assert np.array_equal(heard.states[first : 2 * first], middle)


# ONNX equals torch


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_the_packaged_backbones_give_what_torch_gave(name):
    description = read_description(Path(FOLDERS[name]))
    assert description.parity_cosine >= PARITY_BOUNDS[description.arithmetic]


def test_bytes_are_multiplied_where_they_were_asked_for(tiny_whisper, built_speech, tmp_path):
    build_speech_backbone(str(tiny_whisper), tmp_path / "out", describe("speech"), "int8")
    quick, plain = load_backbone(tmp_path / "out", verify=True), load_backbone(built_speech)
    assert (quick.description.arithmetic, plain.description.arithmetic) == ("int8", "float32")
    kinds = {node.op_type for node in onnx.load(tmp_path / "out" / "model.onnx").graph.node}
    assert {"MatMulInteger", "MatMul"} <= kinds
    signal = voice(2.0)
    assert 0.98 < measure_parity(plain.run(signal), quick.run(signal), "int8") < 0.99999


@pytest.mark.parametrize("seconds", [0.05, 0.333, 4.0, 30.0])
def test_a_built_speech_backbone_equals_the_transformers_encoder(tiny_whisper, built_speech, seconds):
    """The encoder insists on 30 s, where both ways agree; shorter speech goes through its parts one by one."""
    encoder = WhisperEncoder.from_pretrained(tiny_whisper, attn_implementation="eager").eval()
    mel = log_mel(voice(seconds, seed=3))
    with torch.inference_mode():
        hidden = torch.nn.functional.gelu(encoder.conv1(torch.from_numpy(mel)[None]))
        hidden = torch.nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        expected = []
        for block in encoder.layers:
            hidden = block(hidden, attention_mask=None)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            expected.append(hidden[0].numpy())
        if mel.shape[1] == 3000:
            theirs = encoder(torch.from_numpy(mel)[None], output_hidden_states=True).hidden_states
            assert theirs[2][0].numpy() == pytest.approx(expected[1], abs=1e-4)
    found = load_backbone(built_speech, verify=True).run(voice(seconds, seed=3))
    for ours, layer in zip(found, expected[:2], strict=True):
        assert np.abs(ours - layer).max() < 0.01 * np.abs(layer).max()


def test_a_built_text_backbone_equals_the_transformers_model(tiny_bert, built_text):
    model = BertModel.from_pretrained(tiny_bert, add_pooling_layer=False).eval()
    backbone = load_backbone(built_text, verify=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny_bert)
    texts = ["A.", "well, now", "quite", "Nein"]
    for words, ours in zip(texts, backbone.extract(texts), strict=True):
        with torch.inference_mode():
            states = model(**tokenizer(words, return_tensors="pt"), output_hidden_states=True).hidden_states
        for layer, number in zip(ours, (1, 2), strict=True):
            expected = states[number][0].mean(0).numpy()
            assert np.abs(layer - expected).max() < 0.1 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("changes", "complaint"), [({"layers": (1, 4)}, r"has \d layers"), ({"width": 32}, "is 64 wide")]
)
def test_a_description_that_does_not_fit_the_encoder_is_refused(tiny_whisper, tiny_bert, tmp_path, changes, complaint):
    with pytest.raises(BackboneError, match=complaint):
        build_speech_backbone(str(tiny_whisper), tmp_path / "out", describe("speech", **changes), "float16")
    with pytest.raises(BackboneError, match=complaint):
        build_text_backbone(str(tiny_bert), tmp_path / "out", describe("text", **changes), "float16")
    assert not (tmp_path / "out").exists()


def test_an_encoder_with_another_spectrogram_is_refused(tmp_path):
    config = WhisperConfig(
        d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32, num_mel_bins=128
    )
    WhisperEncoder(config).save_pretrained(tmp_path / "large")
    with pytest.raises(BackboneError, match="128 mel bins, expected 80"):
        build_speech_backbone(
            str(tmp_path / "large"), tmp_path / "out", describe("speech", layers=(1,), width=32), "float16"
        )
