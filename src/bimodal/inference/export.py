"""A model with its backbones as one folder, which another machine can use offline. Imports no torch."""

import shutil
from pathlib import Path

from bimodal.errors import ModelFolderError
from bimodal.features.backbone import find_backbone, read_description
from bimodal.files import atomic_write
from bimodal.inference.model_config import ModelConfig
from bimodal.inference.model_folder import BACKBONES, CARD, CONFIG, copy_backbone, load_model_config


def export_model(model: Path, out: str | Path) -> Path:
    """Copy a model and the backbones that it uses into a new folder.

    Args:
        model: Model folder.
        out: Folder to write; must not exist, or be empty.

    Returns:
        The new folder, of the same revision.

    Raises:
        ModelFolderError: A file is missing or altered, or `out` holds something.
        BackboneError: A backbone is missing or altered.
    """
    config, out = load_model_config(model), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelFolderError(f"{out}: exists already; name a new folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as unfinished:
            unfinished.mkdir()
            for name in (CONFIG, CARD, *config.files):
                if (model / name).is_file():
                    shutil.copyfile(model / name, unfinished / name)
            _copy_backbones(model, config, unfinished)
    except OSError as error:
        raise ModelFolderError(f"{out}: cannot be written ({error.strerror})") from error
    return out


def _copy_backbones(model: Path, config: ModelConfig, out: Path) -> None:
    for stage, modality in (("speech", config.speech), ("text", config.text)):
        if modality is None or not modality.backbone:
            continue
        inside = model / BACKBONES / stage
        folder = inside if inside.is_dir() else find_backbone(modality.backbone)
        if read_description(folder).digest != modality.backbone_digest:
            raise ModelFolderError(f"{model}: was trained on another version of the backbone in {folder}")
        copy_backbone(folder, out / BACKBONES / stage)
