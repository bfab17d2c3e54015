"""All three stages over a manifest, to a model folder; each stage restartable."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from bimodal.config import TrainConfig
from bimodal.errors import TrainingError
from bimodal.features.backbone import SpeechBackbone, TextBackbone, load_backbone
from bimodal.features.cache import FeatureCache
from bimodal.features.extraction import cache_speech, cache_text
from bimodal.features.views import PLAIN, check_view
from bimodal.manifest import feature_columns, feature_matrix
from bimodal.metrics import fit_temperature
from bimodal.modelfolder import SideConfig
from bimodal.records import Utterance
from bimodal.training.loop import predict
from bimodal.training.rows import LabelledRows, Parts
from bimodal.training.sides import Side, audio_side, columns_side, text_side
from bimodal.training.stages import (
    Evidence,
    Where,
    cross_fit,
    find_evidence,
    fusion_examples,
    parts_by_group,
    train_fusion,
    train_side,
)

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
    configs: dict[str, SideConfig]


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
    prepared.configs["speech"] = SideConfig(columns=tuple(names))


def _prepare_audio(prepared: Prepared, config: TrainConfig, cache: FeatureCache, progress: Progress) -> None:
    for view in config.speech.views:
        check_view(view)
    backbone = load_backbone(config.speech_backbone, threads=config.threads, verify=True)
    if not isinstance(backbone, SpeechBackbone):
        raise TrainingError(f"speech_backbone '{config.speech_backbone}' is a text backbone")
    utterances = prepared.rows.utterances
    heard = [row for row, utterance in enumerate(utterances) if utterance.path]
    keys: dict[str, list[str | None]] = {}
    for view in (PLAIN, *config.speech.views):
        label = "speech features" if view == PLAIN else f"speech features, {view}"
        listed = progress([utterances[row] for row in heard], label)
        keys[view] = [None] * len(utterances)
        for row, key in zip(heard, cache_speech(listed, prepared.folder, backbone, cache, view), strict=True):
            keys[view][row] = key
    description = backbone.description
    emotions = len(prepared.rows.emotions)
    side = audio_side(keys, cache, prepared.rows.targets, description, config.speech, emotions)
    prepared.sides["speech"] = side
    prepared.configs["speech"] = SideConfig(
        backbone=config.speech_backbone, backbone_digest=description.digest, collapse=config.speech.attention_width == 0
    )


def _prepare_text(prepared: Prepared, config: TrainConfig, cache: FeatureCache) -> None:
    backbone = load_backbone(config.text_backbone, threads=config.threads, verify=True)
    if not isinstance(backbone, TextBackbone):
        raise TrainingError(f"text_backbone '{config.text_backbone}' is a speech backbone")
    keys = cache_text([utterance.transcript for utterance in prepared.rows.utterances], backbone, cache)
    description = backbone.description
    emotions = len(prepared.rows.emotions)
    prepared.sides["text"] = text_side(keys, cache, prepared.rows.targets, description, config.text, emotions)
    prepared.configs["text"] = SideConfig(backbone=config.text_backbone, backbone_digest=description.digest)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the stages gave.

    Attributes:
        networks: By stage; those that were trained.
        temperatures: Of speech and text alone, and of fusion with both sides, speech alone, text alone.
        evidence: What each side's final network found in every utterance.
        logits: Of every utterance by stage, (N, C).
        gate: Share of speech in every utterance, (N,); None without a fusion stage.
    """

    networks: dict[str, nn.Module]
    temperatures: dict[str, tuple[float, ...]]
    evidence: dict[str, Evidence]
    logits: dict[str, npt.NDArray[np.float32]]
    gate: npt.NDArray[np.float32] | None = field(default=None)


def train_stages(
    prepared: Prepared, parts: Parts, config: TrainConfig, where: Where, stages: Sequence[str] = STAGES
) -> Trained:
    """Train the named stages, each in a folder of its own below `where.folder`.

    A stage that is finished there is loaded. The fusion stage needs both sides and trains them if they are not there.

    Raises:
        TrainingError: The data do not allow a stage, or a folder holds another run.
    """
    fusing = "fusion" in stages and len(prepared.sides) == 2
    trained = Trained(networks={}, temperatures={}, evidence={}, logits={})
    cross_fitted: dict[str, Evidence] = {}
    for name, side in prepared.sides.items():
        stage_config = config.speech if name == "speech" else config.text
        network, _ = train_side(side, parts.train, parts.dev, stage_config, where.below(name))
        trained.networks[name] = network
        trained.evidence[name] = find_evidence(network, side, where.device)
        trained.logits[name] = trained.evidence[name].logits
        dev = [row for row in parts.dev if side.present[row]]
        trained.temperatures[name] = (_temperature(trained.logits[name][dev], prepared.rows.targets[dev]),)
        if fusing:
            inner = parts_by_group(_groups(prepared.rows.utterances), parts.train, config.fusion.parts, config.seed)
            cross_fitted[name] = cross_fit(side, network, inner, stage_config, where.below(f"fusion/{name}"))
    if not fusing:
        return trained
    return _train_fusion(trained, cross_fitted, prepared.rows, parts, config, where)


def _train_fusion(
    trained: Trained,
    cross_fitted: dict[str, Evidence],
    rows: LabelledRows,
    parts: Parts,
    config: TrainConfig,
    where: Where,
) -> Trained:
    examples = fusion_examples(cross_fitted["speech"], cross_fitted["text"], rows.targets)
    network, _ = train_fusion(examples, parts.train, parts.dev, config.fusion, where.below("fusion"))
    trained.networks["fusion"] = network
    speech, text = trained.evidence["speech"], trained.evidence["text"]
    cases = []
    for has_speech, has_text in ((True, True), (True, False), (False, True)):
        some = fusion_examples(
            replace(speech, present=speech.present & has_speech),
            replace(text, present=text.present & has_text),
            rows.targets,
        )
        dev = [
            row for row in parts.dev if (not has_speech or speech.present[row]) and (not has_text or text.present[row])
        ]
        logits = predict(network, some.subset(dev), where.device)[1] if dev else np.zeros((0, 1), np.float32)
        cases.append(_temperature(logits, rows.targets[dev]))
    trained.temperatures["fusion"] = tuple(cases)
    _, trained.logits["fusion"], gate = predict(network, fusion_examples(speech, text, rows.targets), where.device)
    return replace(trained, gate=gate)


def _temperature(logits: npt.NDArray[np.float32], targets: npt.NDArray[Any]) -> float:
    """Temperature fitted on held-out rows; 1 where there are none."""
    return float(fit_temperature(logits, targets)) if len(targets) else 1.0


def _groups(utterances: Sequence[Utterance]) -> list[str]:
    """What cross-fitting keeps in one part: the dialogue, else the speaker, else the utterance itself."""
    return [utterance.dialogue or utterance.speaker or utterance.id for utterance in utterances]
