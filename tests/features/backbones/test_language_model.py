"""Language models: any architecture, whatever number its padding has; no tokeniser or weight is made up."""

import json

import numpy as np
import pytest
import torch

from bimodal.errors import BackboneError
from bimodal.features.backbones.language_model import read_language_model, read_text_encoder
from tests.features.backbones.tiny import save_words

TEXTS = ["No.", "I can't believe you did that!", "a b c " * 40]


@torch.inference_mode()
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Roberta", {}),
        ("XLMRoberta", {}),
        ("Deberta", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 16}),
        ("DebertaV2", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}),
        ("ModernBert", {"local_attention": 8, "global_attn_every_n_layers": 2, "num_hidden_layers": 2}),
        ("Electra", {"embedding_size": 32}),
        ("MPNet", {}),
    ],
)
def test_a_padded_batch_gives_what_transformers_gives_of_single_texts(tmp_path, kind, changes):
    """For any architecture. The exported graphs are compared in test_backbone and test_sentence_transformers."""
    encoder = read_language_model(save_words(tmp_path, kind, **changes))
    encoded = encoder.tokenizer.encode_batch(TEXTS)
    tokens, mask = (torch.tensor([getattr(one, name) for one in encoded]) for name in ("ids", "attention_mask"))
    assert encoder.max_tokens == tokens.shape[1] == 64 and tokens[0, -1] == 1  # the padding's own number
    layers = tuple(range(1, encoder.count + 1))
    for text, row in zip(TEXTS, encoder.network(layers)(tokens, mask).numpy(), strict=True):
        assert np.abs(row - encoder.reference(text, layers)).max() < 1e-4


def test_the_first_token_stands_for_a_text_where_it_should(tmp_path):
    folder = save_words(tmp_path)
    mean, first = (read_text_encoder(folder, taken).reference("Well.", (1,)) for taken in ("mean", "cls"))
    assert mean.shape == first.shape == (1, 32) and np.abs(mean - first).max() > 0.1


def test_no_text_is_longer_than_the_positions_of_the_encoder(tmp_path):
    assert read_language_model(save_words(tmp_path, max_position_embeddings=30)).max_tokens == 28


def test_a_folder_without_a_tokeniser_is_refused(tmp_path):
    """transformers would make up an empty one."""
    save_words(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(BackboneError, match=r"no tokeniser; expected tokenizer\.json"):
        read_language_model(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(BackboneError, match="its tokeniser cannot be read"):
        read_language_model(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("[CLS]\n[PAD]\n[SEP]\n[UNK]\n")
    with pytest.raises(BackboneError, match=r"knows no English letters|cannot be read"):
        read_language_model(tmp_path)


def test_weights_that_are_missing_are_not_made_up(tmp_path):
    save_words(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(BackboneError, match=r"weights are missing or of another shape, such as encoder\.layer\.1\."):
        read_language_model(tmp_path)
