"""What any tuning of a pretrained encoder shares: data, learning rates by depth, description, the backbone."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from bimodal.config import TuneConfig
from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.errors import BackboneError, TrainingError
from bimodal.features.backbone import DESCRIPTION, BackboneDescription, load_backbone, read_description
from bimodal.features.backbones.contract import silent
from bimodal.features.backbones.source import find_pretrained
from bimodal.features.build_backbone import build_speech_backbone, build_text_backbone
from bimodal.files import atomic_write
from bimodal.training.rows import LabelledRows, Parts, check_recordings, label_rows, split_rows

ENCODER: Final = "encoder"
"""Folder below a tuned backbone that holds the encoder as `transformers` saves it, to tune it further."""

RUN: Final = "run"
"""Folder below a tuned backbone that holds the tuning itself; it may be deleted."""

_BUILT: Final = "built"  # folder in which the backbone is built before its files replace older ones

_LORA_SCALE: Final = 2  # of a low-rank update when it is added: alpha / rank


@dataclass(frozen=True, kw_only=True)
class TuningData:
    """What an encoder is tuned on.

    Attributes:
        rows: Labelled utterances.
        parts: Those that are trained on, and those that are held out.
        folder: Folder that their paths are relative to.
    """

    rows: LabelledRows
    parts: Parts
    folder: Path


def read_tuning_data(manifest: ManifestSource, config: TuneConfig) -> TuningData:
    """Read, label and split a manifest as a configuration says; torch gets the threads that it names.

    Raises:
        BimodalError: What is wrong with the manifest or its split.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    read = open_manifest(manifest)
    rows = label_rows(read.utterances, config.vocabulary, multiple_labels=config.multiple_labels)
    parts = check_recordings(rows, read.folder, split_rows(rows, config), config.official_split)
    return TuningData(rows=rows, parts=parts, folder=read.folder)


def layer_lr_multipliers(embeddings: Sequence[str], blocks: Sequence[str], config: TuneConfig) -> dict[str, float]:
    """Factors of the learning rate for a pretrained encoder: falling from its last block down, 0 for what is frozen.

    Args:
        embeddings: Starts of the names of the parameters below the first block.
        blocks: The same of each block, lowest first.
        config: How to tune.

    Raises:
        TrainingError: Everything would be frozen.

    Example:
        >>> config = TuneConfig(encoder_lr_multiplier=0.1, layer_decay=0.5, frozen=1)
        >>> layer_lr_multipliers(["e."], ["b.0.", "b.1.", "b.2."], config)
        {'e.': 0.0, 'b.0.': 0.0, 'b.1.': 0.05, 'b.2.': 0.1}
    """
    if config.frozen >= len(blocks):
        raise TrainingError(f"frozen is {config.frozen}, but the encoder has {len(blocks)} blocks; leave one to tune")
    multipliers: dict[str, float] = {}
    for depth, names in enumerate([embeddings, *([block] for block in blocks)]):
        rate = config.encoder_lr_multiplier * config.layer_decay ** (len(blocks) - depth)
        multipliers |= dict.fromkeys(names, 0.0 if config.frozen and depth <= config.frozen else rate)
    return multipliers


def add_lora(encoder: nn.Module, rank: int) -> None:
    """Put low-rank updates beside an encoder's linear layers, in place; they alone are trained, and begin at nothing.

    Args:
        encoder: Any module.
        rank: Of the updates; with 0 nothing is done.

    Raises:
        TrainingError: `peft` is not installed.
    """
    if not rank:
        return
    try:
        from peft import LoraConfig, inject_adapter_in_model  # imports for seconds
    except ModuleNotFoundError as error:
        raise TrainingError("lora_rank needs 'peft': pip install 'bimodal-emotion[finetune]'") from error
    linear = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=_LORA_SCALE * rank, target_modules=linear), encoder)


def merge_lora(encoder: nn.Module) -> None:
    """Add the updates of `add_lora` to the layers that they stand beside, in place; the encoder is as it was built."""
    for name, layer in list(encoder.named_modules()):
        if hasattr(layer, "lora_A"):
            layer.merge(safe_merge=True)
            encoder.set_submodule(name, layer.get_base_layer())


def encoder_folder(source: str) -> Path:
    """The folder that `transformers` loads: of a Hub id, a folder, or that in the folder of an earlier tuning.

    Raises:
        BackboneError: There is none, or the Hub cannot be reached.
    """
    return Path(source) / ENCODER if (Path(source) / ENCODER).is_dir() else find_pretrained(source).folder


def describe_tuned(config: TuneConfig, described: BackboneDescription) -> BackboneDescription:
    """The description of a tuned backbone: a fresh one, with the history of an earlier tuning that it went on from."""
    if not (Path(config.source) / DESCRIPTION).is_file():
        source = Path(config.source).name if Path(config.source).is_dir() else config.source
        return replace(described, source=source, tuned_on=config.trained_on or "not described")
    earlier = read_description(Path(config.source))
    history = [earlier.tuned_on, config.trained_on or "not described"]
    return replace(described, source=earlier.source, tuned_on="; then ".join(part for part in history if part))


def store_backbone(out: Path, description: BackboneDescription, saved: Sequence[Any]) -> None:
    """Save a tuned encoder, to tune it further, and build the backbone from it; one that is there already is left.

    Args:
        out: Folder of the backbone.
        description: Of it.
        saved: What `transformers` saves: the encoder, and its tokeniser where it has one.

    Raises:
        BackboneError: The folder cannot be written.
    """
    shutil.rmtree(out / _BUILT, ignore_errors=True)  # of a process that was killed
    if is_built(out, description):
        return
    try:
        with silent(), atomic_write(out / ENCODER) as unfinished:
            for part in saved:
                part.save_pretrained(unfinished)
    except OSError as error:
        raise BackboneError(f"{out}: cannot be written ({error.strerror or error}); free some space") from error
    build = build_speech_backbone if description.kind == "speech" else build_text_backbone
    with silent():
        build(str(out / ENCODER), out / _BUILT, description, description.weights)
    install(out / _BUILT, out)


def is_built(out: Path, description: BackboneDescription) -> bool:
    """True if the folder holds this very backbone, sound."""
    if not (out / DESCRIPTION).is_file():
        return False
    try:
        found = load_backbone(out, verify=True).description
    except BackboneError:
        return False
    return replace(found, digests={}, parity_cosine=0.0, family=description.family) == description


def install(built: Path, out: Path) -> None:
    """Move the files of a built backbone into the folder above it, the description last.

    Raises:
        BackboneError: The folder cannot be written.
    """
    try:
        (out / DESCRIPTION).unlink(missing_ok=True)
        for file in sorted(built.iterdir(), key=lambda file: file.name == DESCRIPTION):
            file.replace(out / file.name)
        shutil.rmtree(built)
    except OSError as error:
        raise BackboneError(f"{out}: cannot be written ({error.strerror}); free some space, then run again") from error
