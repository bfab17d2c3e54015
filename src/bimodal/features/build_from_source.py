"""`bimodal backbone build`: from a Hub id or a folder of `transformers` to a backbone, checked at each step."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bimodal.errors import BackboneError
from bimodal.features.backbone import BACKBONES, DESCRIPTION, BackboneDescription, Weights
from bimodal.features.backbones.sentence_transformers import transformer_folder
from bimodal.features.backbones.source import (
    MODULES,
    card_facts,
    find_pretrained,
    pickled_weights,
    read_config,
)
from bimodal.features.build_backbone import ENCODERS, build_backbone
from bimodal.features.licences import canonical_licence
from bimodal.files import atomic_write
from bimodal.records import printable

ALL: Final = "all"
_RANGE: Final = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")
_LANGUAGE_MODEL: Final = "bert"
_SENTENCES: Final = "sentence-transformers"
_EXAMPLES: Final = "BERT, RoBERTa, XLM-R, DeBERTa, ModernBERT, ..."


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What a backbone is to be.

    Attributes:
        layers: Blocks whose outputs it gives, such as `2-4` or `1,6,12`, or `all`.
        precision: How weights are stored. In a speech encoder, those of `int8` are multiplied in 8 bits.
        licence: Licence of the weights, an SPDX expression or `LicenseRef-NAME`; empty for the one that the model's
            README.md names.
        languages: ISO 639-1 codes of the languages whose words it reads; empty for those that README.md names.
        name: Its name; empty for that of its folder.
    """

    layers: str = ALL
    precision: Weights = "float16"
    licence: str = ""
    languages: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Built:
    """A backbone that was built.

    Attributes:
        description: Of the artifact.
        pickled: Whether the pretrained weights were pickled.
    """

    description: BackboneDescription
    pickled: bool


def build_from_source(source: str, out: Path, request: BuildRequest) -> Built:
    """Build a backbone from a pretrained model.

    Args:
        source: Hub id, or folder as `transformers` or sentence-transformers saves it.
        out: New folder.
        request: What it is to be.

    Raises:
        BackboneError: The model is not there, of an unknown family, incomplete, without a licence, or its backbone
            does not give what the model gives. Nothing is written then.
    """
    check_new(out)
    asked = canonical_licence(request.licence) if request.licence.strip() else ""
    found = find_pretrained(source)
    family = find_pretrained_family(found.folder)
    inner = transformer_folder(found.folder) if family == _SENTENCES else found.folder
    pickled = pickled_weights(inner)
    licence, languages = card_facts(found.folder)
    if not (licence := asked or licence):
        raise BackboneError(
            f"{found.name}: its README.md names no licence; look it up where the model is published, and give it with "
            "--licence, such as --licence Apache-2.0"
        )
    encoder = ENCODERS[family](found.folder)
    described = BackboneDescription(
        name=request.name or out.name,
        kind=BACKBONES[family].kind,
        source=found.name,
        licence=licence,
        layers=parse_layers(request.layers, encoder.count),
        width=encoder.width,
        weights=request.precision,
        preprocessing=encoder.preprocessing,
        max_tokens=encoder.max_tokens,
        languages=request.languages or languages,
        family=family,
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as unfinished:
            finished = build_backbone(encoder, unfinished, described)
    except OSError as error:
        raise BackboneError(f"{out}: cannot be written ({error.strerror or error}); name another folder") from error
    return Built(description=finished, pickled=pickled)


def check_new(out: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        BackboneError: There is a file, or a folder that is not empty.
    """
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        what = "a backbone" if (out / DESCRIPTION).is_file() else "something"
        raise BackboneError(f"{out}: holds {what} already; name another folder, or delete it first")


def find_pretrained_family(folder: Path) -> str:
    """The family of `BACKBONES` that a pretrained model belongs to.

    Raises:
        BackboneError: To none.
    """
    sentences = (folder / MODULES).is_file()
    inner = transformer_folder(folder) if sentences else folder
    config = read_config(inner)
    name = config["model_type"]
    if name in ENCODERS and name not in (_LANGUAGE_MODEL, _SENTENCES) and not sentences:
        return str(name)
    if _reads_both_ways(name, config):
        return _SENTENCES if sentences else _LANGUAGE_MODEL
    speech = [one for one, info in BACKBONES.items() if info.kind == "speech"]
    raise BackboneError(
        f"{folder}: architecture '{printable(name)}' is of no known family; expected a speech encoder "
        f"({', '.join(speech)}) or an encoder-type language model ({_EXAMPLES})"
    )


def _reads_both_ways(name: str, config: dict[str, Any]) -> bool:
    """Whether `transformers` knows an architecture as one that fills gaps in a text: an encoder-type language model."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    known = name in MODEL_FOR_MASKED_LM_MAPPING_NAMES and name not in ENCODERS.keys() - {_LANGUAGE_MODEL}
    return known and not config.get("is_encoder_decoder") and not config.get("is_decoder")


def parse_layers(text: str, count: int) -> tuple[int, ...]:
    """Numbers of layers as they are written.

    Args:
        text: `all`, or numbers and ranges with commas between.
        count: How many layers there are.

    Raises:
        BackboneError: It is neither, or there is no such layer.

    Example:
        >>> parse_layers("2-4", 6), parse_layers("1, 6", 6), parse_layers("all", 3)
        ((2, 3, 4), (1, 6), (1, 2, 3))
    """
    parts = ["1-" + str(count)] if text.strip() == ALL else text.split(",")
    matches = [_RANGE.fullmatch(part.strip()) for part in parts]
    numbers: set[int] = set()
    for match in matches:
        if match is None:
            raise BackboneError(f"layers '{printable(text)}': expected numbers such as 2-4 or 1,6,12, or '{ALL}'")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise BackboneError(f"layers '{printable(text)}': expected the lower number first, such as {last}-{first}")
        numbers |= set(range(first, last + 1))
    if not numbers or not 1 <= min(numbers) <= max(numbers) <= count:
        raise BackboneError(f"layers '{printable(text)}': the encoder has {count}, expected numbers from 1 to {count}")
    return tuple(sorted(numbers))
