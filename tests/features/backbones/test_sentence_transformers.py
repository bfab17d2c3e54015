"""Folders of sentence-transformers: the language model inside, its longest text, lower case, first token or mean."""

import json

import numpy as np
import pytest

from bimodal.errors import BackboneError
from bimodal.features.backbone import load_backbone
from bimodal.features.backbones.sentence_transformers import read_sentence_transformer, transformer_folder
from tests.features.backbones.tiny import build, save_words

TYPES = "sentence_transformers.models."


def save_sentences(folder, pooling, inside="0_Transformer", **settings):
    """A folder as sentence-transformers lays it out, with a ModernBERT inside."""
    save_words(folder / inside, "ModernBert", local_attention=8)
    (folder / "1_Pooling").mkdir()
    modules = [
        {"idx": 0, "name": "0", "path": inside, "type": f"{TYPES}Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{TYPES}Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))
    (folder / inside / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20} | settings))
    return folder


def test_the_artifact_gives_what_transformers_gives_of_the_first_token_in_lower_case(tmp_path):
    folder = save_sentences(tmp_path / "model", {"pooling_mode_cls_token": True}, do_lower_case=True)
    found = build(folder, "sentence-transformers", tmp_path / "out")
    assert (found.max_tokens, found.preprocessing) == (20, "NFKC, first token")
    assert found.parity_cosine > 0.9999
    backbone, encoder = load_backbone(tmp_path / "out", verify=True), read_sentence_transformer(folder)
    texts = ["No.", "I can't believe you did that!", "a b c " * 40]
    for text, row in zip(texts, backbone.extract(texts), strict=True):
        assert np.abs(row - encoder.reference(text, found.layers)).max() < 1e-4
    assert np.array_equal(backbone.extract(["STOP"]), backbone.extract(["stop"]))


def test_the_mean_over_tokens_stands_for_a_text_where_the_folder_says_so(tmp_path):
    folder = save_sentences(tmp_path, {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, inside="")
    encoder = read_sentence_transformer(folder)
    assert transformer_folder(folder) == folder
    assert (encoder.preprocessing, encoder.max_tokens) == ("NFKC, mean over tokens", 20)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("modules.json", "{}", "not a list of modules"),
        ("modules.json", "[]", "no module of the type Transformer"),
        ("modules.json", json.dumps([{"path": "../..", "type": f"{TYPES}Transformer"}]), "names a folder outside"),
        ("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}', "pools by pooling_mode_max_tokens, expected"),
    ],
)
def test_a_folder_that_is_laid_out_otherwise_is_refused(tmp_path, file, content, complaint):
    folder = save_sentences(tmp_path / "model", {"pooling_mode_mean_tokens": True})
    (folder / file).write_text(content)
    with pytest.raises(BackboneError, match=complaint):
        read_sentence_transformer(folder)
