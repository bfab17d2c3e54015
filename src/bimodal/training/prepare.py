"""Prepare a corpus for training: run the frozen backbones over every utterance once, through the feature cache."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from bimodal.config import TrainConfig
from bimodal.data.manifest import feature_columns, feature_matrix
from bimodal.errors import TrainingError
from bimodal.features.augmentation import PLAIN, check_augmentation
from bimodal.features.backbone import BackboneDescription, SpeechBackbone, TextBackbone, load_backbone
from bimodal.features.cache import FeatureCache
from bimodal.features.extraction import cache_speech, cache_text
from bimodal.inference.model_config import ModalityConfig
from bimodal.records import Utterance
from bimodal.training.modality import Modality
from bimodal.training.rows import LabelledRows
from bimodal.training.speaker_stats import group_by_column
from bimodal.training.speech import SpeechKeys, columns_modality, pooling_of, recordings_modality
from bimodal.training.text import dialogue_modality, read_texts, text_modality

log = logging.getLogger(__name__)
Progress = Callable[[Iterable[Any], str], Iterable[Any]]
Stage = Literal["speech", "text", "fusion"]
STAGES: Final[tuple[Stage, ...]] = ("speech", "text", "fusion")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Labelled utterances with the inputs of both modalities.

    Attributes:
        rows: The utterances and their targets.
        folder: Folder that their paths are relative to.
        modalities: Speech and text, those that the corpus has.
    """

    rows: LabelledRows
    folder: Path
    modalities: dict[str, Modality]


def prepare_modalities(
    rows: LabelledRows,
    folder: Path,
    config: TrainConfig,
    cache: FeatureCache,
    progress: Progress = lambda items, label: items,
    stages: Sequence[str] = STAGES,
) -> Prepared:
    """Run the frozen backbones over everything once, through the cache (what step 203 builds on).

    Args:
        rows: Labelled utterances.
        folder: Folder that their paths are relative to.
        config: Names the backbones, or the columns that stand for speech.
        cache: Read and written.
        progress: Wraps an iterable with a bar and a label.
        stages: Modalities that no named stage needs are not prepared.

    Raises:
        AudioError: A recording that cannot be used.
        TrainingError: No utterance has speech or words.
    """
    modalities: dict[str, Modality] = {}
    if {"speech", "fusion"} & set(stages):
        if config.speech.columns:
            modalities["speech"] = _prepare_columns(rows, config)
        elif any(utterance.path for utterance in rows.utterances):
            modalities["speech"] = _prepare_recordings(rows, folder, config, cache, progress)
    if {"text", "fusion"} & set(stages) and any(utterance.transcript for utterance in rows.utterances):
        modalities["text"] = _prepare_text(rows, config, cache)
    if not modalities:
        raise TrainingError("no utterance has what the stage needs: recordings for speech, transcripts for text")
    return Prepared(rows=rows, folder=folder, modalities=modalities)


def _prepare_columns(rows: LabelledRows, config: TrainConfig) -> Modality:
    names = feature_columns(rows.utterances, config.speech.columns)
    values = feature_matrix(rows.utterances, names)
    modality = columns_modality(values, rows.targets, names, config.speech, len(rows.emotions))
    return replace(modality, described=ModalityConfig(columns=tuple(names)))


def _prepare_recordings(
    rows: LabelledRows, folder: Path, config: TrainConfig, cache: FeatureCache, progress: Progress
) -> Modality:
    _check_speech(config)
    backbone = load_backbone(config.speech_backbone, threads=config.threads, verify=True)
    if not isinstance(backbone, SpeechBackbone):
        raise TrainingError(f"speech_backbone '{config.speech_backbone}' is a text backbone")
    chosen = encoded_views(config)
    found = {views: _encode(rows.utterances, folder, backbone, cache, views, progress) for views in chosen}
    keys = SpeechKeys(
        views={view: found[view,] for view in (PLAIN, *config.speech.augmentations)},
        encoded=found[PLAIN, *config.speech.tta],
    )
    named = group_by_column(rows.utterances, config.speech.speaker_stats_by) if config.speech.speaker_stats else []
    modality = recordings_modality(keys, cache, rows, backbone.description, config.speech, named)
    described = ModalityConfig(
        backbone=config.speech_backbone,
        backbone_digest=backbone.description.digest,
        pooling=pooling_of(config.speech),
        tta=config.speech.tta,
        speaker_stats=bool(config.speech.speaker_stats),
    )
    return replace(modality, described=described)


def encoded_views(config: TrainConfig) -> list[tuple[str, ...]]:
    """The augmentations under which every recording is encoded; each tuple is one entry of the cache.

    Example:
        >>> encoded_views(TrainConfig())
        [('plain',)]
    """
    alone = [(PLAIN,), *((view,) for view in config.speech.augmentations)]
    return list(dict.fromkeys([*alone, (PLAIN, *config.speech.tta)]))


def _check_speech(config: TrainConfig) -> None:
    """Refuse settings of the speech stage that do not go together."""
    for view in dict.fromkeys((*config.speech.augmentations, *config.speech.tta)):
        check_augmentation(view)
    if any(":" in view for view in config.speech.tta):
        raise TrainingError("speech.tta: an augmentation that reads a file cannot be stored in the model; use others")
    if config.speech.speaker_shrinkage and not config.speech.pca_components:
        raise TrainingError("speech.speaker_shrinkage needs principal components: set speech.pca_components above 0")


def _encode(
    utterances: Sequence[Utterance],
    folder: Path,
    backbone: SpeechBackbone,
    cache: FeatureCache,
    views: Sequence[str],
    progress: Progress,
) -> list[str | None]:
    """Cache keys of all utterances, encoded in some views together; None if there is no recording."""
    rows = [row for row, utterance in enumerate(utterances) if utterance.path]
    label = "speech features" if tuple(views) == (PLAIN,) else f"speech features, {' + '.join(views)}"
    listed = progress([utterances[row] for row in rows], label)
    keys: list[str | None] = [None] * len(utterances)
    for row, key in zip(rows, cache_speech(listed, folder, backbone, cache, views), strict=True):
        keys[row] = key
    return keys


def _prepare_text(rows: LabelledRows, config: TrainConfig, cache: FeatureCache) -> Modality:
    backbone = load_backbone(config.text_backbone, threads=config.threads, verify=True)
    if not isinstance(backbone, TextBackbone):
        raise TrainingError(f"text_backbone '{config.text_backbone}' is a speech backbone")
    warn_of_languages(rows.utterances, backbone.description)
    keys = cache_text([utterance.transcript for utterance in rows.utterances], backbone, cache)
    texts = read_texts(keys, cache, backbone.description)
    modality = (dialogue_modality if config.text.context else text_modality)(texts, rows, config.text)
    described = ModalityConfig(
        backbone=config.text_backbone, backbone_digest=backbone.description.digest, context=config.text.context
    )
    return replace(modality, described=described)


def warn_of_languages(utterances: Sequence[Utterance], backbone: BackboneDescription) -> None:
    """One warning where the column `lang` names languages of transcripts that the text backbone does not read."""
    told = [(utterance.lang or "").replace("_", "-").split("-")[0].lower() for utterance in utterances]
    spoken = [lang for lang, utterance in zip(told, utterances, strict=True) if utterance.transcript]
    foreign = Counter(lang for lang in spoken if backbone.foreign(lang))
    if foreign:
        log.warning(
            "%d of %d transcripts are in %s, but the text backbone '%s' reads %s alone: expect little from those "
            "words; name a backbone of that language (text_backbone), translate them, or leave them out",
            foreign.total(),
            len(spoken),
            ", ".join(sorted(foreign)),
            backbone.name,
            ", ".join(backbone.languages),
        )
