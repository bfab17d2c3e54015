"""Encoders over bare samples: each equals transformers' own forward, and padding changes nothing."""

import json

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from bimodal.errors import BackboneError
from bimodal.features.backbones.waveform import unit_variance
from bimodal.features.build_backbone import ENCODERS
from tests.features.backbones.tiny import LAYER_NORM, SPEECH, noises, padded, rewrite_json, save_speech

KINDS = {
    "wav2vec2": ("wav2vec2", {}),
    "wav2vec2-large": ("wav2vec2", LAYER_NORM),
    "hubert": ("hubert", {}),
    "hubert-batch-norm": ("hubert", {"conv_pos_batch_norm": True, "feat_proj_layer_norm": False}),
    "wavlm": ("wavlm", {}),
    "wavlm-large": ("wavlm", LAYER_NORM),
    "data2vec-audio": ("data2vec-audio", {}),
}
LENGTHS = (400, 719, 720, 9_000, 33_000)


@pytest.fixture(params=KINDS, scope="module")
def saved(request, tmp_path_factory):
    """Family, folder, and the model as transformers loads it."""
    family, changes = KINDS[request.param]
    folder = save_speech(tmp_path_factory.mktemp("encoders") / request.param, family, **changes)
    return family, folder, SPEECH[family][1].from_pretrained(folder).eval()


@torch.inference_mode()
def test_the_network_gives_the_hidden_states_of_transformers(saved):
    family, folder, model = saved
    network = ENCODERS[family](folder).network((1, 2))
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    for signal in noises(*LENGTHS):
        values = extractor(signal, sampling_rate=16_000, return_tensors="pt").input_values
        theirs = model(values, output_hidden_states=True).hidden_states
        ours = network(torch.from_numpy(signal)[None], torch.tensor([len(signal)]))[0]
        assert ours.shape == (2, (len(signal) - 400) // 320 + 1, 32)
        assert torch.allclose(ours[0], theirs[1][0], atol=1e-3 * float(theirs[1].abs().max()))


def test_the_reference_of_the_build_is_transformers_own(saved):
    family, folder, model = saved
    encoder, (signal,) = ENCODERS[family](folder), noises(5_000)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    with torch.inference_mode():
        values = extractor(signal, sampling_rate=16_000, return_tensors="pt").input_values
        theirs = model(values, output_hidden_states=True)
        ours = encoder.network((1, 2))(torch.from_numpy(signal)[None], torch.tensor([len(signal)]))[0].numpy()
    found = encoder.reference(signal, (1, 2))
    assert np.abs(found[0] - theirs.hidden_states[1][0].numpy()).max() < 1e-3
    assert np.abs(found - ours).max() < 1e-4 * np.abs(found).max()
    if not model.config.to_dict().get("do_stable_layer_norm"):
        assert np.abs(found[1] - theirs.last_hidden_state[0].numpy()).max() < 1e-3


@torch.inference_mode()
def test_a_padded_batch_gives_what_single_signals_give(saved):
    family, folder, _ = saved
    network, signals = ENCODERS[family](folder).network((1, 2)), noises(*LENGTHS)
    batch = padded(signals)
    together = network(torch.from_numpy(batch["signal"]), torch.from_numpy(batch["samples"]))
    for signal, row in zip(signals, together, strict=True):
        alone = network(torch.from_numpy(signal)[None], torch.tensor([len(signal)]))[0]
        assert torch.allclose(row[:, : alone.shape[1]], alone, atol=1e-4 * float(alone.abs().max()))


def test_transformers_lets_padding_change_models_with_group_norm(tmp_path):
    """Why the first convolution is normalised over real frames alone here."""
    model = SPEECH["wav2vec2"][1].from_pretrained(save_speech(tmp_path, "wav2vec2")).eval()
    (signal,) = noises(9_000)
    with torch.inference_mode():
        alone = model(torch.from_numpy(signal)[None]).last_hidden_state
        beyond = torch.nn.functional.pad(torch.from_numpy(signal)[None], (0, 24_000))
        mask = torch.tensor([[1] * 9_000 + [0] * 24_000])
        together = model(beyond, attention_mask=mask).last_hidden_state[:, : alone.shape[1]]
    assert float((alone - together).abs().max()) > 0.1


@pytest.mark.parametrize("seconds", [0.1, 2.0])
def test_unit_variance_is_that_of_the_feature_extractor(seconds):
    signals = noises(int(16_000 * seconds), 16_000)
    theirs = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)(
        signals, sampling_rate=16_000, padding=True, return_tensors="pt"
    )
    batch = padded(signals)
    ours = unit_variance(torch.from_numpy(batch["signal"]), torch.from_numpy(batch["samples"]))
    assert torch.allclose(ours, theirs.input_values, atol=1e-4)


@torch.inference_mode()
def test_a_signal_is_normalised_only_where_the_feature_extractor_says_so(tmp_path):
    (signal,) = noises(8_000)
    save_speech(tmp_path, "wav2vec2", do_normalize=False, **LAYER_NORM)
    model = SPEECH["wav2vec2"][1].from_pretrained(tmp_path).eval()
    bare = model(torch.from_numpy(signal)[None], output_hidden_states=True).hidden_states[1][0].numpy()
    differences = {}
    for normalise in (True, False):
        rewrite_json(tmp_path / "preprocessor_config.json", do_normalize=normalise)
        encoder = ENCODERS["wav2vec2"](tmp_path)
        assert ("unit variance" in encoder.preprocessing) == normalise
        found = encoder.network((1,))(torch.from_numpy(signal)[None], torch.tensor([len(signal)]))[0, 0].numpy()
        differences[normalise] = np.abs(found - bare).max()
    assert differences[False] < 1e-4 < 1e-1 < differences[True]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"conv_stride": (5, 2, 2, 2, 2, 2, 1)}, r"a frame of 400 samples in 160, expected 400 in 320 \(20 ms\)"),
        ({"add_adapter": True}, "has an adapter that makes fewer frames"),
    ],
)
def test_an_encoder_with_other_frames_is_refused(tmp_path, changes, complaint):
    save_speech(tmp_path, "wav2vec2", **changes)
    with pytest.raises(BackboneError, match=complaint):
        ENCODERS["wav2vec2"](tmp_path)


def test_without_a_feature_extractor_it_is_unknown_whether_signals_are_normalised(tmp_path):
    save_speech(tmp_path, "hubert")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(BackboneError, match=r"no preprocessor_config\.json with do_normalize"):
        ENCODERS["hubert"](tmp_path)
    settings = {"feature_extractor": {"do_normalize": False, "sampling_rate": 16_000}}
    (tmp_path / "processor_config.json").write_text(json.dumps(settings))  # where later versions keep it
    assert ENCODERS["hubert"](tmp_path).preprocessing == "level -20 dB, bare samples"
