"""All three stages over a manifest, to a model folder; each stage restartable."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from bimodal.asr.transcribe import transcript_confidence
from bimodal.config import TrainConfig
from bimodal.data.batches import Examples
from bimodal.data.manifest import feature_columns, feature_matrix
from bimodal.data.splits import Fold, comparable_text
from bimodal.errors import SplitError, TrainingError
from bimodal.evaluation.metrics import fit_temperature
from bimodal.features.augmentation import PLAIN, check_augmentation
from bimodal.features.backbone import BackboneDescription, SpeechBackbone, TextBackbone, load_backbone
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import cache_speech, cache_text
from bimodal.features.ood import tempered
from bimodal.inference.model_folder import GIVEN, LABEL_MATCHED, PAIRING, ModalityConfig
from bimodal.records import Utterance
from bimodal.training.loop import predict
from bimodal.training.ood import measure_temperature_factors
from bimodal.training.pairing import draw_once, pair_by_label, pairable, train_fusion_by_label
from bimodal.training.rows import LabelledRows, Parts
from bimodal.training.sides import (
    Side,
    audio_side,
    columns_side,
    context_side,
    pooling_of,
    read_texts,
    speaker_stats_side,
    text_side,
)
from bimodal.training.speaker_stats import group_by_column
from bimodal.training.stages import (
    Evidence,
    RunContext,
    check_paired,
    cross_fit,
    cross_fitting_folds,
    find_evidence,
    fusion_examples,
    train_fusion,
    train_side,
)

log = logging.getLogger(__name__)
Progress = Callable[[Iterable[Any], str], Iterable[Any]]
Stage = Literal["speech", "text", "fusion"]
STAGES: Final[tuple[Stage, ...]] = ("speech", "text", "fusion")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Labelled utterances with the inputs of both sides.

    Attributes:
        rows: The utterances and their targets.
        folder: Folder that their paths are relative to.
        sides: Speech and text, those that the corpus has.
        configs: How a model folder describes them.
    """

    rows: LabelledRows
    folder: Path
    sides: dict[str, Side]
    configs: dict[str, ModalityConfig]


def prepare_sides(
    rows: LabelledRows,
    folder: Path,
    config: TrainConfig,
    cache: FeatureCache,
    progress: Progress = lambda items, label: items,
    stages: Sequence[str] = STAGES,
) -> Prepared:
    """Run the frozen backbones over everything once, through the cache (step 203's precondition).

    Args:
        rows: Labelled utterances.
        folder: Folder that their paths are relative to.
        config: Names the backbones, or the columns that stand for speech.
        cache: Read and written.
        progress: Wraps an iterable with a bar and a label.
        stages: Sides that no named stage needs are not prepared.

    Raises:
        AudioError: A recording that cannot be used.
        TrainingError: No utterance has speech or words.
    """
    prepared = Prepared(rows=rows, folder=folder, sides={}, configs={})
    fusing = "fusion" in stages
    if fusing or "speech" in stages:
        if config.speech.columns:
            _prepare_columns(prepared, config)
        elif any(utterance.path for utterance in rows.utterances):
            _prepare_audio(prepared, config, cache, progress)
    if (fusing or "text" in stages) and any(utterance.transcript for utterance in rows.utterances):
        _prepare_text(prepared, config, cache)
    if not prepared.sides:
        raise TrainingError("no utterance has what the stage needs: recordings for speech, transcripts for text")
    return prepared


def _prepare_columns(prepared: Prepared, config: TrainConfig) -> None:
    utterances = prepared.rows.utterances
    names = feature_columns(utterances, config.speech.columns)
    values = feature_matrix(utterances, names)
    emotions = len(prepared.rows.emotions)
    prepared.sides["speech"] = columns_side(values, prepared.rows.targets, names, config.speech, emotions)
    prepared.configs["speech"] = ModalityConfig(columns=tuple(names))


def _prepare_audio(prepared: Prepared, config: TrainConfig, cache: FeatureCache, progress: Progress) -> None:
    views = dict.fromkeys((*config.speech.augmentations, *config.speech.tta))
    for view in views:
        check_augmentation(view)
    if any(":" in view for view in config.speech.tta):
        raise TrainingError("speech.tta go with the model: views that name a file of this machine cannot")
    if config.speech.speaker_shrinkage and not config.speech.pca_components:
        raise TrainingError("speech.speaker_shrinkage needs components to shrink: set speech.pca_components above 0")
    backbone = load_backbone(config.speech_backbone, threads=config.threads, verify=True)
    if not isinstance(backbone, SpeechBackbone):
        raise TrainingError(f"speech_backbone '{config.speech_backbone}' is a text backbone")
    hear = partial(_encoded_keys, prepared, backbone, cache, progress)
    keys = {view: hear((view,)) for view in (PLAIN, *config.speech.augmentations)}
    heard = hear((PLAIN, *config.speech.tta)) if config.speech.tta else keys[PLAIN]
    inputs = (keys, heard, cache, prepared.rows, backbone.description, config.speech)
    if config.speech.speaker_stats:
        groups = group_by_column(prepared.rows.utterances, config.speech.speaker_stats_by)
        prepared.sides["speech"] = speaker_stats_side(*inputs, groups)
    else:
        prepared.sides["speech"] = audio_side(*inputs)
    prepared.configs["speech"] = ModalityConfig(
        backbone=config.speech_backbone,
        backbone_digest=backbone.description.digest,
        pooling=pooling_of(config.speech),
        tta=config.speech.tta,
        speaker_stats=bool(config.speech.speaker_stats),
    )


def _encoded_keys(
    prepared: Prepared, backbone: SpeechBackbone, cache: FeatureCache, progress: Progress, views: Sequence[str]
) -> list[str | None]:
    """Cache keys of all utterances, heard in some views together; None where there is no recording."""
    utterances = prepared.rows.utterances
    rows = [row for row, utterance in enumerate(utterances) if utterance.path]
    label = "speech features" if views == (PLAIN,) else f"speech features, {' + '.join(views)}"
    listed = progress([utterances[row] for row in rows], label)
    keys: list[str | None] = [None] * len(utterances)
    for row, key in zip(rows, cache_speech(listed, prepared.folder, backbone, cache, views), strict=True):
        keys[row] = key
    return keys


def _prepare_text(prepared: Prepared, config: TrainConfig, cache: FeatureCache) -> None:
    backbone = load_backbone(config.text_backbone, threads=config.threads, verify=True)
    if not isinstance(backbone, TextBackbone):
        raise TrainingError(f"text_backbone '{config.text_backbone}' is a speech backbone")
    warn_of_languages(prepared.rows.utterances, backbone.description)
    keys = cache_text([utterance.transcript for utterance in prepared.rows.utterances], backbone, cache)
    texts = read_texts(keys, cache, backbone.description)
    rows, emotions = prepared.rows, len(prepared.rows.emotions)
    if config.text.context:
        prepared.sides["text"] = context_side(texts, rows.utterances, rows.targets, config.text, emotions)
    else:
        prepared.sides["text"] = text_side(texts, rows.targets, config.text, emotions)
    prepared.configs["text"] = ModalityConfig(
        backbone=config.text_backbone, backbone_digest=backbone.description.digest, context=config.text.context
    )


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


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the stages gave.

    Attributes:
        networks: By stage; those that were trained.
        temperatures: Of speech and text alone, and of fusion with both sides, speech alone, text alone.
        evidence: What each side's final network found in every utterance.
        logits: Of every utterance by stage, (N, C).
        gate: Share of speech in every utterance, (N,); None without a fusion stage.
        pairing: What the fusion stage learnt from: pairs as `given`, or `label_matched`.
    """

    networks: dict[str, nn.Module]
    temperatures: dict[str, tuple[float, ...]]
    evidence: dict[str, Evidence]
    logits: dict[str, npt.NDArray[np.float32]]
    gate: npt.NDArray[np.float32] | None = field(default=None)
    pairing: str = GIVEN


@dataclass(frozen=True, kw_only=True)
class FittedModality:
    """One side's stage, and what the fusion stage needs of it.

    Attributes:
        network: Trained on all training rows.
        evidence: What it found in every utterance.
        cross_fitted: The same, the training rows' from networks that did not train on them; None without fusion.
        temperature: Of its logits: from the dev rows, else from the cross-fitted training rows, else 1.
    """

    network: nn.Module
    evidence: Evidence
    cross_fitted: Evidence | None
    temperature: float


def train_stages(
    prepared: Prepared, parts: Parts, config: TrainConfig, where: RunContext, stages: Sequence[str] = STAGES
) -> Trained:
    """Train the named stages, each in a folder of its own below `where.folder`.

    A stage that is finished there is loaded. The fusion stage needs both sides and trains them if they are not there.

    Raises:
        TrainingError: The data do not allow a stage, or a folder holds another run.
    """
    fusing = "fusion" in stages and len(prepared.sides) == 2
    if fusing and config.fusion.pairing == GIVEN:
        both = np.logical_and.reduce([side.present for side in prepared.sides.values()])
        check_paired([row for row in parts.train if both[row]])
    fitted = {
        name: fit_side(prepared, name, parts, config, where, _folds_of(prepared, side, parts, config) if fusing else ())
        for name, side in prepared.sides.items()
    }
    if fusing:
        return fuse_sides(fitted["speech"], fitted["text"], prepared.rows, parts, config, where)
    return Trained(
        networks={name: side.network for name, side in fitted.items()},
        temperatures={name: (side.temperature,) for name, side in fitted.items()},
        evidence={name: side.evidence for name, side in fitted.items()},
        logits={name: side.evidence.logits for name, side in fitted.items()},
    )


def _folds_of(prepared: Prepared, side: Side, parts: Parts, config: TrainConfig) -> tuple[Fold, ...]:
    """Folds of a side's training rows; of those alone that have the side where sides need not meet in a row."""
    if config.fusion.pairing == LABEL_MATCHED:
        parts = replace(parts, train=[row for row in parts.train if side.present[row]])
    return inner_folds(prepared.rows, parts, config)


def inner_folds(rows: LabelledRows, parts: Parts, config: TrainConfig) -> tuple[Fold, ...]:
    """Folds of the training rows for the cross-fitting; no dialogue or speaker crosses them, nor a text if asked for.

    Raises:
        SplitError: One speaker (dialogue) alone is left to train on, so none can be held out.
        TrainingError: A row has no text of the column `fusion.hold_out_texts`.
    """
    train, column, texts = parts.train, config.fusion.hold_out_texts, None
    groups = [row.dialogue or row.speaker or row.id for row in rows.utterances]
    if config.split_by == "utterance" and len({groups[row] for row in train}) < 2:
        groups = [utterance.id for utterance in rows.utterances]
    if len({groups[row] for row in train}) < 2:
        raise SplitError(
            f"the fusion stage learns from speakers (dialogues) that the other stages did not train on, but only "
            f"{groups[train[0]]!r} is left to train on; give recordings of more speakers, train speech and text alone, "
            "or let speakers stand on both sides with --set split_by=utterance"
        )
    if column:
        texts = [_text_name(utterance, column) for utterance in rows.utterances]
    return cross_fitting_folds(groups, texts, train, config.fusion.n_folds, config.seed)


def _text_name(utterance: Utterance, column: str) -> str:
    """What tells whether two rows say the same; a row without words says nothing that another one says."""
    cell = utterance.transcript if column == "transcript" else utterance.extra.get(column)
    if cell is None and column != "transcript":
        raise TrainingError(f"utterance '{utterance.id}' has no column '{column}', which fusion.hold_out_texts names")
    return comparable_text(cell or "") or f"\0{utterance.id}"


def fit_side(
    prepared: Prepared, name: str, parts: Parts, config: TrainConfig, where: RunContext, folds: Sequence[Fold] = ()
) -> FittedModality:
    """Train one side's stage, and its evidence for the fusion stage where folds are given.

    Raises:
        TrainingError: As `train_stages`.
    """
    side, targets = prepared.sides[name], prepared.rows.targets
    stage_config = config.speech if name == "speech" else config.text
    network, _ = train_side(side, parts.train, parts.dev, stage_config, where.below(name))
    evidence, cross_fitted = find_evidence(network, side, where.device), None
    if folds and not config.fusion.cross_fit:
        cross_fitted = evidence
    elif folds:
        cross_fitted = cross_fit(side, network, folds, stage_config, where.below(f"fusion/{name}"))
    described = prepared.configs.get(name)
    if name == "speech" and described is not None and described.backbone:
        evidence, cross_fitted = _by_distance(prepared, parts, evidence, cross_fitted)
    judged, rows = evidence, parts.dev
    if not parts.dev and cross_fitted is not None:
        judged, rows = cross_fitted, parts.train
    rows = [row for row in rows if side.present[row]]
    temperature = _temperature(judged.logits[rows], targets[rows])
    return FittedModality(network=network, evidence=evidence, cross_fitted=cross_fitted, temperature=temperature)


def _by_distance(
    prepared: Prepared, parts: Parts, evidence: Evidence, cross_fitted: Evidence | None
) -> tuple[Evidence, Evidence | None]:
    """The voice's evidence at the temperatures that recognition takes, which grow with the distance from training."""
    factors = measure_temperature_factors(prepared.sides["speech"], parts.train, owners(prepared.rows.utterances))

    def apply(one: Evidence) -> Evidence:
        identity = cache_key(one.identity, factors.tobytes())
        return replace(one, logits=tempered(one.logits, factors), identity=identity)

    return apply(evidence), None if cross_fitted is None else apply(cross_fitted)


def owners(utterances: Sequence[Utterance]) -> list[str | None]:
    """Whose each utterance is."""
    return [utterance.speaker or utterance.dialogue for utterance in utterances]


def fuse_sides(
    speech: FittedModality,
    text: FittedModality,
    rows: LabelledRows,
    parts: Parts,
    config: TrainConfig,
    where: RunContext,
) -> Trained:
    """Train the fusion stage on both sides' cross-fitted evidence.

    Raises:
        TrainingError: As `train_stages`, or a side was not cross-fitted.
    """
    if speech.cross_fitted is None or text.cross_fitted is None:
        raise TrainingError("the fusion stage needs both sides' cross-fitted evidence; fit them with folds")
    crossed, there = (speech.cross_fitted, text.cross_fitted), where.below("fusion")
    told = partial(fusion_examples, targets=rows.targets, confidence=text_weights(rows.utterances))
    if config.fusion.pairing == LABEL_MATCHED:
        network = train_fusion_by_label(*crossed, rows.targets, (parts.train, parts.dev), config.fusion, there)
    else:
        text_weight = text_weights(rows.utterances)
        made = cache_key(*(side.identity for side in crossed), *text_weight.tolist())
        network, _ = train_fusion(told(*crossed), parts.train, parts.dev, config.fusion, there, made)
    judged, held = ((speech.evidence, text.evidence), parts.dev) if parts.dev else (crossed, parts.train)
    cases = []
    for has in ((True, True), (True, False), (False, True)):
        shown = _held_examples(judged, told, held, has, rows, config)
        logits = predict(network, shown, where.device)[1] if shown.size else np.zeros((0, 1), np.float32)
        cases.append(_temperature(logits, shown.targets))
    logits, gate = predict(network, told(speech.evidence, text.evidence), where.device)[1:]
    matched = any(rows.utterances[row].extra.get(PAIRING) == LABEL_MATCHED for row in parts.train)
    return Trained(
        networks={"speech": speech.network, "text": text.network, "fusion": network},
        temperatures={"speech": (speech.temperature,), "text": (text.temperature,), "fusion": tuple(cases)},
        evidence={"speech": speech.evidence, "text": text.evidence},
        logits={"speech": speech.evidence.logits, "text": text.evidence.logits, "fusion": logits},
        gate=gate,
        pairing=LABEL_MATCHED if matched else config.fusion.pairing,
    )


def _held_examples(
    sides: tuple[Evidence, Evidence],
    told: Callable[[Evidence, Evidence], Examples],
    held: Sequence[int],
    has: tuple[bool, bool],
    rows: LabelledRows,
    config: TrainConfig,
) -> Examples:
    """The held-out rows that have the wanted sides, shown with these alone; pairs by label where none has both."""
    speech, text = (replace(side, present=side.present & wanted) for side, wanted in zip(sides, has, strict=True))
    chosen = [row for row in held if speech.present[row] >= has[0] and text.present[row] >= has[1]]
    targets, matched = rows.targets, config.fusion.pairing == LABEL_MATCHED
    if all(has) and not chosen and matched and pairable(speech, text, targets, held):
        pairs = pair_by_label(speech, text, targets, held, mismatched=config.fusion.mismatched)
        return draw_once(pairs, config.seed)
    return told(speech, text).subset(chosen)


def text_weights(utterances: Sequence[Utterance]) -> npt.NDArray[np.float32]:
    """How far the words of each row are to be trusted, (N,) from 0 to 1: 1 where somebody gave them.

    Raises:
        BimodalError: A cell of the column `asr_confidence` is no number from 0 to 1.
    """
    known = [transcript_confidence(utterance) for utterance in utterances]
    return np.array([1.0 if confidence is None else confidence for confidence in known], np.float32)


def _temperature(logits: npt.NDArray[np.float32], targets: npt.NDArray[Any]) -> float:
    """Temperature fitted on held-out rows; 1 where there are none."""
    return float(fit_temperature(logits, targets)) if len(targets) else 1.0
