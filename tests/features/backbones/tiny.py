"""Tiny random encoders of every family, saved as transformers saves them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, Wav2Vec2FeatureExtractor

from bimodal.features.backbone import BACKBONES, BackboneDescription
from bimodal.features.build_backbone import ENCODERS, build_backbone

SPEECH = {
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    "hubert": (transformers.HubertConfig, transformers.HubertModel),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
    "data2vec-audio": (transformers.Data2VecAudioConfig, transformers.Data2VecAudioModel),
}
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
"""What the large models of wav2vec 2.0 have, and the base models have not."""

SMALL = {
    "num_hidden_layers": 1, "conv_dim": (16,), "conv_kernel": (400,), "conv_stride": (320,),
    "num_feat_extract_layers": 1,
}  # fmt: skip
"""One block over frames by one convolution instead of seven: quicker to export."""


def save_speech(folder: Path, family: str, do_normalize: bool = True, rate: int = 16_000, **changes: Any) -> Path:
    """Save an encoder over bare samples with its feature extractor; gives the folder."""
    positions = {"num_conv_pos_embeddings": 3 if family == "data2vec-audio" else 16, "conv_pos_kernel_size": 7}
    settings = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
        "conv_dim": (16,) * 7, "num_conv_pos_embedding_groups": 2, "initializer_range": 0.3, "vocab_size": 32,
    }  # fmt: skip
    config, model = SPEECH[family]
    torch.manual_seed(0)
    model(config(**(settings | positions | changes))).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=do_normalize, sampling_rate=rate).save_pretrained(folder)
    return folder


def save_words(folder: Path, kind: str = "Roberta", **changes: Any) -> Path:
    """Save a language model that reads letters, with its tokeniser; its padding has the number 1."""
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 0))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    settings = {
        "vocab_size": len(pieces), "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 48, "max_position_embeddings": 66, "initializer_range": 0.3, "pad_token_id": 1,
        "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**(settings | changes))
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return folder


def build(folder: Path, family: str, out: Path, **changes: Any) -> BackboneDescription:
    """Build the artifact of all layers of a saved encoder."""
    encoder = ENCODERS[family](folder)
    described: dict[str, Any] = {
        "name": "tiny", "kind": BACKBONES[family].kind, "source": "random", "licence": "CC0-1.0", "family": family,
        "layers": tuple(range(1, encoder.count + 1)), "width": encoder.width, "weights": "float32",
        "preprocessing": encoder.preprocessing, "max_tokens": encoder.max_tokens,
    }  # fmt: skip
    return build_backbone(encoder, out, BackboneDescription(**(described | changes)))


def noises(*lengths: int) -> list[np.ndarray]:
    """Noises of some lengths in samples."""
    rng = np.random.default_rng(0)
    return [rng.normal(0.02, 0.1, length).astype(np.float32) for length in lengths]


def padded(signals: list[np.ndarray]) -> dict[str, np.ndarray]:
    """A batch of signals; what lies beyond their ends is no silence."""
    longest = max(map(len, signals))
    rows = [np.pad(signal, (0, longest - len(signal)), constant_values=0.3) for signal in signals]
    return {"signal": np.stack(rows), "samples": np.array(list(map(len, signals)))}


def rewrite_json(file: Path, **changes: Any) -> None:
    """Change entries of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
