"""A model folder: ONNX graphs, safetensors weights, JSON, a card. No pickle, every file named by its digest.

`config.json` holds the digests of the other files, and in `digest` that of its own content: an edit is noticed.
"""

import hashlib
import math
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from bimodal.errors import ModelFolderError, ModelFolderWarning
from bimodal.features.backbone import SpeechBackbone, TextBackbone, load_backbone, read_description, verify_digests
from bimodal.features.pooling import Pooling
from bimodal.files import file_digest, write_json
from bimodal.records import printable
from bimodal.runtime import Device

SCHEMA: Final = 3
CONFIG: Final = "config.json"
REPORT: Final = "report.json"
CARD: Final = "README.md"
WEIGHTS: Final = "weights.safetensors"
LABELS: Final = "emotions.toml"
ADAPTATION: Final = "adaptation.safetensors"
SPEAKERS: Final = "speakers.safetensors"
OOD_STATS: Final = "ood_stats.safetensors"
BACKBONES: Final = "backbones"  # folder of a self-contained model, with one folder a side
GRAPHS: Final = {"speech": "speech.onnx", "text": "text.onnx", "fusion": "fusion.onnx"}
PAIRING: Final = "pairing"  # column of a manifest that tells how speech and words of a row came together
GIVEN: Final = "given"
LABEL_MATCHED: Final = "label_matched"
NO_EVIDENCE: Final = (
    "The fusion network learnt from speech and words of different utterances, paired by their label. What it gains on "
    "such pairs it gains by construction: they are counted in no figure, and only utterances that really have both "
    "sides can tell whether fusion pays."
)
_LARGEST_CONFIG: Final = 4 << 20
_DIGEST: Final = "digest"  # key of `config.json`; no part of `ModelConfig`, so that a revision stays what it was

_LONGEST_NAME: Final = 100
_LONGEST_TEXT: Final = 20_000
_MOST_EMOTIONS: Final = 1000
_LARGEST_WIDTH: Final = 65_536
_MOST_CONTEXT: Final = 1000
_LARGEST_TEMPERATURE: Final = 1e6
_OF_PRIORS: Final = 1e-3  # their sum may differ from 1 by this much
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FUSION_CASES: Final = 3  # both modalities, speech alone, text alone
DO_NOT_USE: Final = "do not use this model, or ask its author for a sound one"

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True)
class ModalityConfig:
    """How a model reads one modality.

    Attributes:
        backbone: Name of the frozen feature extractor; empty where columns stand for speech.
        backbone_digest: Its digest; another backbone is refused.
        columns: Numeric manifest columns that stand for speech, in order; empty for audio.
        pooling: Which statistics of a recording the network is shown.
        tta: Views that whole clips are heard in beside the plain one.
        speaker_stats: True where the network stands on a speaker's earlier clips.
        context: Utterances before each one that the text network reads beside it.
        temperature: Divides the logits of this side alone, fitted on held-out speakers.
        embedding_width: Width E.
    """

    backbone: str = ""
    backbone_digest: str = ""
    columns: tuple[str, ...] = ()
    pooling: Pooling = field(default_factory=Pooling)
    tta: tuple[str, ...] = ()
    speaker_stats: bool = False
    context: int = 0
    temperature: float = 1.0
    embedding_width: int = 0


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a model folder holds.

    Attributes:
        name: Name of the model.
        emotions: The C emotions, in the order of the logits.
        vocabulary: Name of the vocabulary or map they come from; a map of one's own lies in the folder.
        priors: Share of each emotion in the training data.
        speech: None where the model has no speech side.
        text: None where the model has no text side.
        fusion_temperatures: Divide the fused logits with both sides, speech alone, text alone; empty where there is no
            fusion stage.
        pairing: What the fusion stage learnt from: pairs as `given`, or `label_matched`, which are no evidence.
        licence: Of the weights, which carry that of the data they saw.
        trained_on: What the data were.
        adapted_to: What unlabelled recordings the speech side was adapted to; empty where it was not.
        files: SHA-256 of each file of the folder but this one.
        version: Semantic version of the model.
        schema: Version of this layout.
    """

    name: str
    emotions: tuple[str, ...]
    vocabulary: str
    priors: tuple[float, ...]
    speech: ModalityConfig | None = None
    text: ModalityConfig | None = None
    fusion_temperatures: tuple[float, ...] = ()
    pairing: str = GIVEN
    licence: str = "unknown: set it to that of the training data"
    trained_on: str = ""
    adapted_to: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    version: str = "0.1.0"
    schema: int = SCHEMA

    @property
    def revision(self) -> str:
        """Digest of weights and configuration, 12 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]


def save_model_config(folder: Path, config: ModelConfig) -> ModelConfig:
    """Write `config.json` with the digests of all files that stand beside it, and of its own content.

    Raises:
        ModelFolderError: The folder cannot be written.
    """
    try:
        held = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name not in (CONFIG, CARD)]
        files = {file.name: file_digest(file) for file in held}
        complete = replace(config, files=files)
        content = msgspec.to_builtins(complete)
        write_json(folder / CONFIG, content | {_DIGEST: _config_digest(content)})
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be written ({error.strerror})") from error
    return complete


def load_model_config(folder: str | Path, *, verify: bool = True) -> ModelConfig:
    """Read `config.json`, check it, and compare every file of the folder with its digest.

    Args:
        folder: A model folder.
        verify: False skips the digests of the other files, and the warning where `config.json` has none of its own.

    Raises:
        ModelFolderError: Missing, damaged, altered, or of an unknown schema.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise ModelFolderError(f"{folder}: no model folder ({CONFIG} is missing); 'bimodal train' writes one")
    content = read_json(folder / CONFIG, dict[str, Any])
    config = _to_config(content, folder / CONFIG)
    check_config(config, folder / CONFIG)
    _check_digest(content, folder / CONFIG, verify)
    networks = [GRAPHS[stage] for stage in GRAPHS if _has_stage(config, stage)]
    if missing := [name for name in networks if name not in config.files]:
        raise ModelFolderError(f"{folder / CONFIG}: no digest of {missing[0]}; copy the model folder again")
    for name, expected in config.files.items():
        _check_file(folder / name, expected, verify)
    return config


def check_config(config: ModelConfig, where: object) -> None:
    """Refuse a configuration that no training writes.

    Args:
        config: The configuration.
        where: File, for the message.

    Raises:
        ModelFolderError: What is wrong first.

    Example:
        >>> text = ModalityConfig(backbone="minilm-l6", embedding_width=8)
        >>> check_config(ModelConfig(name="a", emotions=("joy", "joy"), vocabulary="native", priors=(0.5, 0.5),
        ...     text=text), "config.json")
        Traceback (most recent call last):
        bimodal.errors.ModelFolderError: config.json: the emotion 'joy' is listed twice; do not use this model, or \
ask its author for a sound one
    """
    fault = next(filter(None, (*_name_faults(config), *_number_faults(config), *_file_faults(config.files))), "")
    if fault:
        raise ModelFolderError(f"{where}: {fault}; {DO_NOT_USE}")


def _name_faults(config: ModelConfig) -> list[str]:
    names = [("name", config.name), ("version", config.version), ("vocabulary", config.vocabulary)]
    texts = [("licence", config.licence), ("trained_on", config.trained_on), ("adapted_to", config.adapted_to)]
    for stage, modality in modalities(config).items():
        texts.append((f"{stage}.backbone", modality.backbone))
        names += [(f"{stage}.columns", name) for name in modality.columns]
        names += [(f"{stage}.tta", name) for name in modality.tta]
    names += [(f"the emotion {name!r:.60}", name) for name in config.emotions]
    twice = [name for name, count in Counter(config.emotions).items() if count > 1]
    return [
        *(_text_fault(field, text, _LONGEST_NAME) for field, text in names),
        *(_text_fault(field, text, _LONGEST_TEXT) for field, text in texts if text),
        f"the emotion {twice[0]!r} is listed twice" if twice else "",
    ]


def _text_fault(field: str, text: str, longest: int) -> str:
    if not text.strip():
        return f"{field} is empty"
    if len(text) > longest:
        return f"{field} has {len(text)} characters, expected at most {longest}"
    return f"{field} holds control characters" if printable(text) != text else ""


def _number_faults(config: ModelConfig) -> list[str]:
    count, priors, fused = len(config.emotions), config.priors, config.fusion_temperatures
    sound = all(math.isfinite(one) and one >= 0 for one in priors) and abs(sum(priors) - 1) < _OF_PRIORS
    known = modalities(config)
    return [
        "" if 2 <= count <= _MOST_EMOTIONS else f"{count} emotions, expected 2 to {_MOST_EMOTIONS}",
        "" if len(priors) == count else f"{count} emotions, but {len(priors)} priors",
        "" if sound else f"the priors sum to {sum(priors):g}, expected shares of each emotion that sum to 1",
        "" if known else "neither a speech nor a text network",
        "" if len(fused) in (0, _FUSION_CASES) else f"{len(fused)} fusion temperatures, expected {_FUSION_CASES}",
        "" if not fused or len(known) == 2 else "a fusion network, but not both a speech and a text network",
        *(_temperature_fault("fusion", one) for one in fused),
        *(fault for stage, modality in known.items() for fault in _modality_faults(stage, modality)),
    ]


def _modality_faults(stage: str, modality: ModalityConfig) -> list[str]:
    width, context = modality.embedding_width, modality.context
    return [
        _temperature_fault(stage, modality.temperature),
        "" if 1 <= width <= _LARGEST_WIDTH else f"{stage}.embedding_width is {width}, expected 1 to {_LARGEST_WIDTH}",
        "" if 0 <= context <= _MOST_CONTEXT else f"{stage}.context is {context}, expected 0 to {_MOST_CONTEXT}",
        "" if modality.backbone or modality.columns else f"{stage} has neither a backbone nor columns",
        "" if modality.pooling.statistics else f"{stage}.pooling has no statistics",
        f"{stage}.tta names a file of another machine" if any(":" in name for name in modality.tta) else "",
    ]


def _temperature_fault(stage: str, value: float) -> str:
    fits = 0 < value <= _LARGEST_TEMPERATURE  # False for NaN
    return "" if fits else f"a temperature of {stage} is {value:g}, expected a number above 0"


def _file_faults(files: Mapping[str, str]) -> list[str]:
    faults = [
        f"names a file outside its folder ({name!r:.60})"
        for name in files
        if not name or name in (".", "..") or set(name) & set("/\\\0:") or printable(name) != name
    ]
    return faults + [f"no digest of {name}" for name, digest in files.items() if not _SHA256.fullmatch(digest)]


def modalities(config: ModelConfig) -> dict[str, ModalityConfig]:
    """The modalities that a model has, by stage."""
    both = {"speech": config.speech, "text": config.text}
    return {stage: modality for stage, modality in both.items() if modality is not None}


def _to_config(content: Mapping[str, Any], file: Path) -> ModelConfig:
    schema = content.get("schema", SCHEMA)
    if schema != SCHEMA:
        todo = "update bimodal" if isinstance(schema, int) and schema > SCHEMA else "train the model again"
        raise ModelFolderError(f"{file}: schema {printable(str(schema))[:20]}, expected {SCHEMA}; {todo}")
    try:
        return msgspec.convert(content, ModelConfig)
    except msgspec.ValidationError as error:
        raise ModelFolderError(f"{file}: damaged ({printable(str(error))}); copy the model folder again") from error


def _has_stage(config: ModelConfig, stage: str) -> bool:
    parts = {"speech": config.speech, "text": config.text, "fusion": config.fusion_temperatures}
    return bool(parts[stage])


def _config_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of what `config.json` says, whatever the order and layout; its own digest does not count."""
    told = {name: value for name, value in content.items() if name != _DIGEST}
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


def _check_digest(content: Mapping[str, Any], file: Path, verify: bool) -> None:
    """Compare `config.json` with the digest that it carries; a folder of an older version has none."""
    if _DIGEST not in content:
        if not verify:
            return
        warnings.warn(
            f"{file}: has no digest, so that an edit would not be noticed; if the model is yours, write one with "
            f"'bimodal models --seal {file.parent}'",
            ModelFolderWarning,
            stacklevel=3,
        )
    elif content[_DIGEST] != (found := _config_digest(content)):
        raise ModelFolderError(
            f"{file}: edited (SHA-256 {found[:12]}..., expected {printable(str(content[_DIGEST]))[:12]}...); copy the "
            f"model folder again, or, if the edit is yours, 'bimodal models --seal {file.parent}'"
        )


def seal_model(folder: Path) -> ModelConfig:
    """Write the digest of `config.json` anew, after an edit of one's own or for a folder of an older version.

    The digests of the other files stay, and are compared.

    Raises:
        ModelFolderError: Not a sound model folder.
    """
    content = read_json(folder / CONFIG, dict[str, Any])
    sealed = content | {_DIGEST: _config_digest(content)}
    check_config(_to_config(content, folder / CONFIG), folder / CONFIG)
    try:
        write_json(folder / CONFIG, sealed)
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be written ({error.strerror})") from error
    return load_model_config(folder)


def _check_file(file: Path, expected: str, verify: bool) -> None:
    if not file.is_file():
        raise ModelFolderError(f"{file}: missing; copy the whole model folder again")
    if verify and (found := file_digest(file)) != expected:
        raise ModelFolderError(
            f"{file}: altered (SHA-256 {found[:12]}..., expected {expected[:12]}...); copy the model folder again"
        )


def load_modality_backbone(
    folder: Path, stage: str, side: ModalityConfig | None, *, threads: int, device: Device, verify: bool
) -> SpeechBackbone | TextBackbone:
    """The backbone of one side: the one inside the model folder, else the installed one.

    Raises:
        ModelFolderError: The model lacks the side, or was trained on another version of the backbone.
        BackboneError: Missing, damaged or altered.
    """
    if side is None:
        raise ModelFolderError(f"{folder}: this side is missing")
    inside = folder / BACKBONES / stage
    if inside.is_dir() and verify:
        verify_digests(inside, read_description(inside).digests)
    backbone = load_backbone(inside if inside.is_dir() else side.backbone, threads=threads, device=device)
    if backbone.description.digest != side.backbone_digest:
        raise ModelFolderError(
            f"{folder}: was trained on another version of the backbone '{side.backbone}' "
            f"({side.backbone_digest[:12]}, found is {backbone.description.digest[:12]}); install that version"
        )
    return backbone


def read_json(file: Path, kind: type[Record]) -> Record:
    """A record from a JSON file.

    Raises:
        ModelFolderError: Unreadable, too large, or not of that kind.
    """
    try:
        if file.stat().st_size > _LARGEST_CONFIG:
            raise ModelFolderError(f"{file}: {file.stat().st_size} bytes, expected at most {_LARGEST_CONFIG}")
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFolderError(f"{file}: damaged ({printable(str(error))}); copy the model folder again") from error
