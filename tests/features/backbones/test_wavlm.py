"""WavLM: the bias by distance is that of transformers at any length, and the artifact equals torch."""

import torch
from transformers import WavLMModel

from bimodal.features.backbone import load_backbone
from bimodal.features.backbones.wavlm import distance_bias
from tests.features.backbones.tiny import SMALL, build, noises, padded, save_speech


@torch.inference_mode()
def test_the_bias_by_distance_is_that_of_transformers(tmp_path):
    attention = WavLMModel.from_pretrained(save_speech(tmp_path, "wavlm")).encoder.layers[0].attention
    for frames in (1, 7, 1_500):  # beyond the largest distance, 800, too
        assert torch.equal(distance_bias(attention, frames), attention.compute_bias(frames, frames))


def test_the_artifact_gives_what_transformers_gives_padded_or_not(tmp_path):
    found = build(save_speech(tmp_path / "wavlm", "wavlm", **SMALL), "wavlm", tmp_path / "out")
    assert found.parity_cosine > 0.9999
    backbone, signals = load_backbone(tmp_path / "out", verify=True), noises(400, 5_000, 20_000)
    for signal, row in zip(signals, backbone.run_probe(padded(signals)), strict=True):
        alone = backbone.run(signal)
        assert abs(row[:, : alone.shape[1]] - alone).max() <= 1e-4 * abs(alone).max()
