"""A Whisper encoder cut in two: the upper part over what the lower one gives equals the whole."""

import numpy as np
import pytest
import torch

from bimodal.errors import BackboneError
from bimodal.features.backbone import BackboneDescription
from bimodal.features.backbones.whisper import WhisperLayers
from bimodal.features.build_backbone import build_speech_backbone
from bimodal.features.logmel import log_mel
from bimodal.features.whisper import TunableWhisper, given_layers, load_whisper_encoder


def mel_of(seconds: float, seed: int = 0) -> torch.Tensor:
    signal = np.random.default_rng(seed).normal(0, 0.1, int(16_000 * seconds)).astype(np.float32)
    return torch.from_numpy(log_mel(signal))[None]


@pytest.fixture(scope="module")
def encoder(tiny_whisper):
    return load_whisper_encoder(str(tiny_whisper)).eval()


@torch.inference_mode()
def test_the_whole_encoder_equals_the_packaged_network(encoder):
    layers = tuple(range(1, len(encoder.layers) + 1))
    mel = mel_of(0.73)
    count = torch.tensor([mel.shape[2]])
    states, real = TunableWhisper(encoder, layers, 0)(mel.mT, count)
    expected = WhisperLayers(encoder, layers)(mel, count)
    assert real.tolist() == [(mel.shape[2] + 1) // 2]
    assert torch.allclose(states, expected, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("frozen", [1, 2])
def test_the_upper_part_over_the_cached_lower_one_equals_the_whole(encoder, frozen):
    layers = (frozen, frozen + 1) if frozen + 1 <= len(encoder.layers) else (frozen - 1, frozen)
    frozen = min(frozen, max(layers) - 1)
    mel = mel_of(0.5)
    count = torch.tensor([mel.shape[2]])
    every = tuple(range(1, len(encoder.layers) + 1))
    whole, real = TunableWhisper(encoder, every, 0)(mel.mT, count)
    frames = whole[:, [layer - 1 for layer in given_layers(layers, frozen)]].permute(0, 2, 1, 3)
    upper, _ = TunableWhisper(encoder, layers, frozen)(frames, real)
    assert torch.allclose(upper, whole[:, [layer - 1 for layer in layers]], atol=1e-5)


@torch.inference_mode()
def test_padding_changes_nothing(encoder):
    short, long = mel_of(0.4), mel_of(0.9, 1)
    network = TunableWhisper(encoder, (1, len(encoder.layers)), 0)
    alone, real = network(short.mT, torch.tensor([short.shape[2]]))
    batch = torch.zeros(2, 80, long.shape[2])
    batch[0, :, : short.shape[2]], batch[1] = short[0], long[0]
    together, counts = network(batch.mT, torch.tensor([short.shape[2], long.shape[2]]))
    assert counts[0] == real[0]
    assert torch.allclose(together[0, :, : int(real[0])], alone[0], atol=1e-5)


def test_what_is_no_whisper_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(BackboneError, match="no Whisper encoder"):
        load_whisper_encoder(str(tmp_path))


def test_building_from_what_is_no_whisper_is_refused_in_the_same_sentence(tmp_path):
    description = BackboneDescription(
        name="none", kind="speech", source="none", licence="MIT", layers=(1,), width=8, weights="float16",
        preprocessing="log-mel",
    )  # fmt: skip
    with pytest.raises(BackboneError, match="no Whisper encoder"):
        build_speech_backbone(str(tmp_path), tmp_path / "out", description, "float16")
