"""Where a pretrained encoder comes from: a folder as `transformers` saves it, or the Hugging Face Hub. No torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from bimodal.audio.decode import SAMPLING_RATE
from bimodal.errors import BackboneError
from bimodal.features.hub import find_on_hub
from bimodal.features.licences import licence_of_card
from bimodal.files import JSON_ERRORS
from bimodal.records import printable

CONFIG: Final = "config.json"
CARD: Final = "README.md"
MODULES: Final = "modules.json"
"""The list of modules that sentence-transformers saves."""

_EXTRACTORS: Final = ("preprocessor_config.json", "processor_config.json")
_LARGEST: Final = 1 << 24  # bytes of a JSON file
_HUB_FILES: Final = ("*.json", "*.txt", "*.model", CARD)
_NOT_ON_HUB: Final = ("onnx/*", "openvino/*", "*.onnx")
_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A pretrained model on this machine.

    Attributes:
        name: Hub id, or the name of its folder.
        folder: Where it is.
    """

    name: str
    folder: Path


def find_pretrained(source: str) -> Pretrained:
    """A pretrained model: a folder, or a Hub id, which is downloaded.

    Raises:
        BackboneError: Neither, or the Hub cannot be reached.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return Pretrained(name=path.resolve().name, folder=path)
    if path.exists() or not _ID.fullmatch(source):
        found = "is a file" if path.exists() else "no such folder"
        raise BackboneError(
            f"{printable(source)}: {found}; give a folder as transformers saves it, or a Hub id such as "
            "microsoft/wavlm-base-plus"
        )
    return Pretrained(name=source, folder=_download(source))


def _download(name: str) -> Path:
    """Folder of a Hub id in the Hub's cache on this machine; weights as safetensors where there are any."""
    options: dict[str, Any] = {"download": True, "raises": BackboneError, "otherwise": "", "ignored": _NOT_ON_HUB}
    found = find_on_hub(name, [*_HUB_FILES, "*.safetensors"], **options)
    if not list(found.rglob("*.safetensors")):
        found = find_on_hub(name, [*_HUB_FILES, "*.bin"], **options)
    return found


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file; an empty one if there is no file.

    Raises:
        BackboneError: It is no JSON object.
    """
    if not file.is_file():
        return {}
    try:
        if (size := file.stat().st_size) > _LARGEST:
            raise BackboneError(f"{file}: {size} bytes, expected at most {_LARGEST}")
        found = msgspec.json.decode(file.read_bytes())
    except (OSError, *JSON_ERRORS) as error:
        raise BackboneError(f"{file}: not valid JSON ({printable(str(error))})") from error
    if not isinstance(found, dict):
        raise BackboneError(f"{file}: holds no JSON object; copy it again from where the model is published")
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model.

    Raises:
        BackboneError: There is none, or it does not say what the model is.
    """
    config = read_json(folder / CONFIG)
    if not isinstance(config.get("model_type"), str):
        raise BackboneError(
            f"{folder}: no {CONFIG} with a model_type; expected a folder as transformers saves it (save_pretrained)"
        )
    return config


def extractor_settings(folder: Path) -> dict[str, Any]:
    """Settings of a model's feature extractor; empty if it has none.

    Raises:
        BackboneError: It works at another sampling rate than 16 kHz.
    """
    found: dict[str, Any] = {}
    for name in _EXTRACTORS:
        read = read_json(folder / name)
        inner = read.get("feature_extractor")
        found = found or (inner if isinstance(inner, dict) else read)
    rate = found.get("sampling_rate", SAMPLING_RATE)
    if rate != SAMPLING_RATE:
        raise BackboneError(
            f"{folder}: its feature extractor takes {printable(str(rate))} Hz, expected {SAMPLING_RATE}; choose an "
            "encoder for speech at 16 kHz"
        )
    return found


def pickled_weights(folder: Path) -> bool:
    """Whether a model's weights are pickled alone. Pickles run code, unless they are read with care.

    Raises:
        BackboneError: There are no weights.
    """
    if list(folder.glob("*.safetensors")):
        return False
    if list(folder.glob("pytorch_model*.bin")):
        return True
    others = sorted(
        file.name for file in folder.glob("*") if file.suffix in (".h5", ".msgpack", ".pt", ".pth", ".ckpt")
    )
    found = f"found {', '.join(map(printable, others))}" if others else "found none"
    raise BackboneError(f"{folder}: no weights; {found}, expected model.safetensors or pytorch_model.bin")


def card_facts(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Licence (SPDX) and languages (ISO 639-1) that the head of a model's README.md names; empty where it does not."""
    file = folder / CARD
    try:
        text = file.read_text(encoding="utf-8")[: 1 << 16] if file.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return "", ()
    head = re.match(r"---\s*\n(.*?)\n---", text, flags=re.DOTALL)
    return _head_facts(head[1]) if head else ("", ())


def _head_facts(head: str) -> tuple[str, tuple[str, ...]]:
    r"""Licence and languages of a card's head.

    Example:
        >>> _head_facts("license: apache-2.0\nlanguage:\n- en\n- de\ntags:\n- x")
        ('Apache-2.0', ('en', 'de'))
        >>> _head_facts("language: en\nlicense: cc-by-nc-4.0")
        ('CC-BY-NC-4.0', ('en',))
    """
    entries: Mapping[str, str] = dict(re.findall(r"^(\w+):[ \t]*((?:.*)(?:\n[ \t]*- .*)*)", head, flags=re.MULTILINE))
    words = {
        name: re.findall(r"[\w.+-]+", re.sub(r"^\s*- ", "", value, flags=re.MULTILINE))
        for name, value in entries.items()
    }
    licence = " ".join(words.get("license", [])[:1])
    spoken = tuple(code for code in words.get("language", []) if re.fullmatch("[a-z]{2}", code))
    return licence_of_card(licence), spoken if len(spoken) == len(words.get("language", [])) else ()
