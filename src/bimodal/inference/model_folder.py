"""A model folder: ONNX graphs, safetensors weights, JSON, a card. No pickle, every file named by its digest.

`config.json` holds the digests of the other files, and in `digest` that of its own content: an edit is noticed.
"""

import hashlib
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from bimodal.errors import ModelFolderError, ModelFolderWarning
from bimodal.features.backbone import (
    DESCRIPTION,
    SpeechBackbone,
    TextBackbone,
    load_backbone,
    read_description,
    verify_digests,
)
from bimodal.files import JSON_ERRORS, file_digest, write_json
from bimodal.inference.check_model import check_config
from bimodal.inference.model_config import SCHEMA, ModalityConfig, ModelConfig
from bimodal.records import printable
from bimodal.runtime import Device

CONFIG: Final = "config.json"
REPORT: Final = "report.json"
CARD: Final = "README.md"
WEIGHTS: Final = "weights.safetensors"
LABELS: Final = "emotions.toml"
ADAPTATION: Final = "adaptation.safetensors"
SPEAKERS: Final = "speakers.safetensors"
OOD_STATS: Final = "ood_stats.safetensors"
PREDICTION_SETS: Final = "prediction_sets.json"
BACKBONES: Final = "backbones"  # folder of a self-contained model, with one folder a side
GRAPHS: Final = {"speech": "speech.onnx", "text": "text.onnx", "fusion": "fusion.onnx"}
PAIRING: Final = "pairing"  # column of a manifest that tells how speech and words of a row came together
LABEL_MATCHED: Final = "label_matched"
NO_EVIDENCE: Final = (
    "The fusion network learnt from speech and words of different utterances, paired by their label. What it gains on "
    "such pairs it gains by construction: they are counted in no figure, and only utterances that really have both "
    "sides can tell whether fusion pays."
)
_LARGEST_CONFIG: Final = 4 << 20
_DIGEST: Final = "digest"  # key of `config.json`; no part of `ModelConfig`, so that a revision stays what it was

Record = TypeVar("Record")


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
    """Update the digest of `config.json`, after an edit of your own or in a folder of an older version.

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


def copy_own_backbones(folder: Path, out: Path) -> None:
    """Copy the backbones inside a model folder into another one; a model without any uses the installed ones.

    Raises:
        OSError: A file cannot be read or written.
    """
    for inside in sorted((folder / BACKBONES).glob("*")):
        copy_backbone(inside, out / BACKBONES / inside.name)


def copy_backbone(folder: Path, out: Path) -> None:
    """Copy the files that the description of a backbone names into a new folder, after checking them.

    Raises:
        BackboneError: A file is missing or altered.
        OSError: A file cannot be read or written.
    """
    description = read_description(folder)
    verify_digests(folder, description.digests)
    out.mkdir(parents=True)
    for name in (DESCRIPTION, *description.digests):
        shutil.copyfile(folder / name, out / name)


def read_json(file: Path, kind: type[Record]) -> Record:
    """A record from a JSON file.

    Raises:
        ModelFolderError: Unreadable, too large, or not of that kind.
    """
    try:
        if file.stat().st_size > _LARGEST_CONFIG:
            raise ModelFolderError(f"{file}: {file.stat().st_size} bytes, expected at most {_LARGEST_CONFIG}")
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, *JSON_ERRORS) as error:
        raise ModelFolderError(f"{file}: damaged ({printable(str(error))}); copy the model folder again") from error
