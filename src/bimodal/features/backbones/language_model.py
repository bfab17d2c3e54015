"""Encoder-type language models of `transformers`: BERT, RoBERTa, XLM-R, DeBERTa, ModernBERT, and their like."""

from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from bimodal.arrays import Floats
from bimodal.errors import BackboneError
from bimodal.features.backbones.contract import Encoder, Layers, first_line, load_pretrained, silent

Taken = Literal["mean", "cls"]
"""What stands for a text: the mean over its tokens, or its first token."""

_SENTENCES: Final = (
    "A plain line.",
    "I can't believe you did that, it is wonderful!",
)
_VOCABULARIES: Final = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spm.model",
    "sentencepiece.bpe.model",
    "spiece.model",
)
_MOST_TOKENS: Final = 256
_TAKEN: Final = {"mean": "mean over tokens", "cls": "first token"}


class PooledTextLayers(nn.Module):
    """One vector a text and layer of an encoder-type language model: the mean over real tokens, or the first token.

    Args:
        encoder: A `transformers` BERT-like model.
        layers: 1-based numbers of the blocks whose outputs are pooled.
        taken: What stands for a text.
    """

    def __init__(self, encoder: Any, layers: Layers, taken: Taken = "mean") -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = layers
        self.taken = taken

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Pooled layers (B, L, D) of token ids (B, T) with a mask (B, T), 1 = real."""
        states = self.encoder(input_ids=tokens, attention_mask=mask, output_hidden_states=True).hidden_states
        if self.taken == "cls":
            return torch.stack([states[number][:, 0] for number in self.layers], dim=1)
        weight = (mask.to(states[0].dtype) / mask.sum(1, keepdim=True).to(states[0].dtype))[:, None]
        return torch.stack([(weight @ states[number])[:, 0] for number in self.layers], dim=1)


def read_language_model(folder: Path) -> Encoder:
    """An encoder-type language model with its tokeniser from a folder.

    Raises:
        BackboneError: It cannot be loaded, or reads from left to right only.
    """
    return read_text_encoder(folder)


def read_text_encoder(folder: Path, taken: Taken = "mean", most_tokens: int = _MOST_TOKENS) -> Encoder:
    """As `read_language_model`, with what stands for a text, and the longest text in tokens."""
    from transformers import AutoModel

    model = load_pretrained(AutoModel, folder, add_pooling_layer=False)
    config = model.config
    fast = _tokenizer(folder)
    tokenizer = fast.backend_tokenizer
    longest = _longest(config, fast, most_tokens)
    tokenizer.enable_padding(pad_id=fast.pad_token_id or 0, pad_token=fast.pad_token or "[PAD]")
    tokenizer.enable_truncation(longest)
    _check_layers(folder, model, tokenizer)
    return Encoder(
        count=config.num_hidden_layers,
        width=config.hidden_size,
        network=lambda layers: PooledTextLayers(model, layers, taken).eval(),
        reference=lambda text, layers: _reference(model, tokenizer.encode(text).ids, layers, taken),
        example=_example(tokenizer),
        shapes=_shapes(longest),
        inputs=("tokens", "mask"),
        preprocessing=f"NFKC, {_TAKEN[taken]}",
        tokenizer=tokenizer,
        max_tokens=longest,
    )


def _check_layers(folder: Path, model: Any, tokenizer: Any) -> None:
    """Refuse a model that needs more than words, or whose hidden states are not one a block and token."""
    ids = tokenizer.encode(_SENTENCES[0]).ids
    shape = (1, len(ids), getattr(model.config, "hidden_size", None))
    try:
        with torch.inference_mode():
            found = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
    except Exception as error:  # an architecture with other inputs raises what it will
        raise BackboneError(f"{folder}: does not run on words alone ({first_line(error)}); choose another") from error
    count = getattr(model.config, "num_hidden_layers", None)
    if count != len(found) - 1 or any(tuple(state.shape) != shape for state in found):
        raise BackboneError(
            f"{folder}: a {type(model).__name__} does not give one vector a token and block, which a backbone needs; "
            "choose a BERT-like encoder"
        )


def _tokenizer(folder: Path) -> Any:
    """The tokeniser of a folder. Without its vocabulary `transformers` would make an empty one up."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise BackboneError(f"{folder}: no tokeniser; expected {_VOCABULARIES[0]}, as save_pretrained writes it")
    try:
        with silent():
            found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # transformers and tokenizers raise a dozen kinds, bare Exception among them
        raise BackboneError(
            f"{folder}: its tokeniser cannot be read ({first_line(error)}); expected {_VOCABULARIES[0]}"
        ) from error
    fast = getattr(found, "backend_tokenizer", None)
    if fast is None:
        raise BackboneError(f"{folder}: a tokeniser of Python alone, expected a fast one ({_VOCABULARIES[0]})")
    ids = fast.encode(" ".join(_SENTENCES), add_special_tokens=False).ids
    if not ids or ids.count(found.unk_token_id) > len(ids) / 2:
        raise BackboneError(f"{folder}: its tokeniser knows no English letters; copy {_VOCABULARIES[0]} again")
    return found


def _longest(config: Any, tokenizer: Any, most: int) -> int:
    """Tokens that the encoder has positions for, two kept for those that number them from behind the padding."""
    positions = getattr(config, "max_position_embeddings", None) or most + 2
    return max(1, min(most, int(tokenizer.model_max_length), int(positions) - 2))


def _example(tokenizer: Any) -> tuple[Tensor, Tensor]:
    encoded = tokenizer.encode_batch(list(_SENTENCES))
    return torch.tensor([one.ids for one in encoded]), torch.tensor([one.attention_mask for one in encoded])


def _shapes(longest: int) -> tuple[dict[int, Any], ...]:
    batch, time = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("time", min=2, max=max(longest, 512))
    return ({0: batch, 1: time}, {0: batch, 1: time})


def _reference(model: Any, ids: list[int], layers: Layers, taken: Taken) -> Floats:
    """Pooled layers (L, D) as `transformers` computes them of the tokens of one text that is not padded."""
    tokens = torch.tensor([ids])
    with torch.inference_mode():
        states = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), output_hidden_states=True)
    chosen = torch.stack([states.hidden_states[layer][0] for layer in layers])
    found: Floats = (chosen[:, 0] if taken == "cls" else chosen.mean(1)).numpy()
    return found
