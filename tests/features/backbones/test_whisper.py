"""Whisper as a backbone: of a whole model its own encoder is taken, not a random one."""

import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from bimodal.errors import BackboneError
from bimodal.features.backbones.whisper import read_whisper
from bimodal.features.logmel import log_mel
from tests.features.backbones.tiny import noises


@pytest.fixture
def whole(tmp_path):
    config = WhisperConfig(
        d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=80, vocab_size=64, pad_token_id=1, bos_token_id=1,
        eos_token_id=1, decoder_start_token_id=1, max_target_positions=16,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    model.save_pretrained(tmp_path)
    return tmp_path, model.model.encoder


@torch.inference_mode()
def test_the_encoder_of_a_whole_model_is_its_own(whole):
    folder, encoder = whole
    mel = torch.from_numpy(log_mel(noises(480_000)[0]))[None]
    theirs = encoder(mel, output_hidden_states=True).hidden_states[1]
    ours = read_whisper(folder).network((1,))(mel, torch.tensor([3000]))[0, 0]
    assert torch.allclose(ours, theirs[0], atol=1e-4)


def test_a_feature_extractor_of_another_sampling_rate_is_refused(whole):
    WhisperFeatureExtractor(sampling_rate=8_000).save_pretrained(whole[0])
    with pytest.raises(BackboneError, match="takes 8000 Hz, expected 16000"):
        read_whisper(whole[0])
