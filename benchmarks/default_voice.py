"""A voice for a default model: whisper-base with layers 3 and 4 tuned on its training speakers. None is packaged."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.acted import progress
from benchmarks.crema_d_tuned import TUNING
from benchmarks.record import Options
from benchmarks.tuned import pretrained_source
from bimodal.config import TuneSpeechConfig
from bimodal.data.manifest import write_manifest
from bimodal.inference.model_folder import BACKBONES, copy_backbone, load_model_config, save_model_config
from bimodal.records import Utterance
from bimodal.training.tune_speech import tune_speech

NAME = "whisper-base-emotion"


def configure_voice(options: Options, licence: str, trained_on: str) -> TuneSpeechConfig:
    """As `benchmarks.crema_d_tuned`, at 8 bits."""
    return replace(
        TUNING,
        name=NAME,
        source=pretrained_source("whisper-base-encoder", TUNING.source),
        licence=licence,
        trained_on=trained_on,
        weights="int8",
        threads=options.threads,
    )


def tune_voice(rows: Sequence[Utterance], work: Path, config: TuneSpeechConfig, options: Options) -> Path:
    """Tune the encoder on the training rows of a model, with the emotion that the actor intended.

    The held-out speakers are its dev part, which chooses nothing: the number of epochs is fixed.

    Args:
        rows: All rows of the model.
        work: Folder that their paths are relative to.
        config: From `configure_voice`.
        options: The cache.

    Returns:
        The backbone.
    """
    voices = [replace(row, emotion=row.extra["truth"]) for row in rows if row.path]
    manifest = write_manifest(work / f"{config.name}.csv", voices).path
    return tune_speech(manifest, work / config.name, config, options.cache, progress=progress)


def bundle_voice(folder: Path, voice: Path) -> None:
    """Put a backbone into a model folder, which then needs no other one for the voice."""
    config = load_model_config(folder)
    assert config.speech is not None  # noqa: S101
    if not (folder / BACKBONES / "speech").is_dir():
        copy_backbone(voice, folder / BACKBONES / "speech")
    save_model_config(folder, replace(config, speech=replace(config.speech, backbone=NAME)))
