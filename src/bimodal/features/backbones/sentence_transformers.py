"""Folders as sentence-transformers saves them: a language model, and how a text's vector is taken from its tokens.

What comes behind the pooling there (dense layers, unit length) is left out: a backbone gives layers, not one vector.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from bimodal.errors import BackboneError
from bimodal.features.backbones.contract import Encoder
from bimodal.features.backbones.language_model import Taken, read_text_encoder
from bimodal.features.backbones.source import MODULES, read_json
from bimodal.files import JSON_ERRORS
from bimodal.records import printable

_SETTINGS: Final = "sentence_bert_config.json"
_MOST_TOKENS: Final = 256


def read_sentence_transformer(folder: Path) -> Encoder:
    """The language model of a sentence-transformers folder, with its longest text, lower case and pooling.

    Raises:
        BackboneError: It cannot be loaded, or pools in another way than by the mean or the first token.
    """
    inner = transformer_folder(folder)
    settings = read_json(inner / _SETTINGS)
    longest = settings.get("max_seq_length")
    most = longest if isinstance(longest, int) and longest > 0 else _MOST_TOKENS
    encoder = read_text_encoder(inner, _pooling(folder), most)
    if settings.get("do_lower_case"):
        _write_small(encoder.tokenizer)
    return encoder


def transformer_folder(folder: Path) -> Path:
    """Where the language model of a sentence-transformers folder lies: there, or in a folder inside.

    Raises:
        BackboneError: `modules.json` is damaged, or names a folder elsewhere.
    """
    found = folder / _module(folder, "Transformer")
    if not found.resolve().is_relative_to(folder.resolve()):
        raise BackboneError(f"{folder / MODULES}: names a folder outside; do not use this model")
    return found


def _pooling(folder: Path) -> Taken:
    settings = read_json(folder / _module(folder, "Pooling") / "config.json")
    modes = sorted(name for name, chosen in settings.items() if name.startswith("pooling_mode") and chosen is True)
    named = settings.get("pooling_mode")  # as later versions write it
    modes += [f"pooling_mode_{named}"] if isinstance(named, str) else []
    if modes in (["pooling_mode_cls_token"], ["pooling_mode_cls"]):
        return "cls"
    if modes in (["pooling_mode_mean_tokens"], ["pooling_mode_mean"]):
        return "mean"
    raise BackboneError(
        f"{folder}: pools by {printable(', '.join(modes)) or 'nothing known'}, expected the mean over tokens or the "
        "first token"
    )


def _module(folder: Path, kind: str) -> str:
    """The path of a module by the end of its type."""
    try:
        listed: Any = msgspec.json.decode((folder / MODULES).read_bytes(), type=list[dict[str, Any]])
        paths = [str(one["path"]) for one in listed if str(one["type"]).rpartition(".")[2] == kind]
    except (OSError, KeyError, *JSON_ERRORS) as error:
        raise BackboneError(f"{folder / MODULES}: not a list of modules of sentence-transformers") from error
    if not paths:
        raise BackboneError(f"{folder / MODULES}: no module of the type {kind}; expected a text encoder with pooling")
    return paths[0]


def _write_small(tokenizer: Any) -> None:
    """Bring words to lower case in front of all that the tokeniser does."""
    from tokenizers.normalizers import Lowercase, Sequence

    tokenizer.normalizer = Sequence([Lowercase(), *([tokenizer.normalizer] if tokenizer.normalizer else [])])
