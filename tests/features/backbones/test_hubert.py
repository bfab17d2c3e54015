"""hubert: the artifact equals transformers, padded or not."""

from bimodal.features.backbone import load_backbone
from tests.features.backbones.tiny import SMALL, build, noises, padded, save_speech


def test_the_artifact_gives_what_transformers_gives_padded_or_not(tmp_path):
    folder = save_speech(tmp_path / "encoder", "hubert", **SMALL)
    found = build(folder, "hubert", tmp_path / "out")
    assert found.parity_cosine > 0.9999
    backbone, signals = load_backbone(tmp_path / "out", verify=True), noises(400, 5_000, 20_000)
    for signal, row in zip(signals, backbone.run_probe(padded(signals)), strict=True):
        alone = backbone.run(signal)
        assert abs(row[:, : alone.shape[1]] - alone).max() <= 1e-4 * abs(alone).max()
