"""All three stages over a manifest, to a model folder; each stage restartable."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from bimodal.config import TrainConfig
from bimodal.data import Examples
from bimodal.errors import SplitError, TrainingError
from bimodal.features.backbone import BackboneDescription, SpeechBackbone, TextBackbone, load_backbone
from bimodal.features.cache import FeatureCache
from bimodal.features.extraction import cache_speech, cache_text
from bimodal.features.views import PLAIN, check_view
from bimodal.manifest import feature_columns, feature_matrix
from bimodal.metrics import fit_temperature
from bimodal.modelfolder import GIVEN, LABEL_MATCHED, PAIRING, SideConfig
from bimodal.records import Utterance
from bimodal.training.loop import predict
from bimodal.training.pairing import draw_once, pair_by_label, pairable, train_fusion_by_label
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
    warn_of_languages(prepared.rows.utterances, backbone.description)
    keys = cache_text([utterance.transcript for utterance in prepared.rows.utterances], backbone, cache)
    description = backbone.description
    emotions = len(prepared.rows.emotions)
    prepared.sides["text"] = text_side(keys, cache, prepared.rows.targets, description, config.text, emotions)
    prepared.configs["text"] = SideConfig(backbone=config.text_backbone, backbone_digest=description.digest)


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
            inner = _cross_parts(prepared.rows.utterances, parts.train, config)
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
    found, there = (cross_fitted["speech"], cross_fitted["text"], rows.targets), where.below("fusion")
    if config.fusion.pairing == LABEL_MATCHED:
        network = train_fusion_by_label(*found, (parts.train, parts.dev), config.fusion, there)
    else:
        network, _ = train_fusion(fusion_examples(*found), parts.train, parts.dev, config.fusion, there)
    trained.networks["fusion"] = network
    speech, text = trained.evidence["speech"], trained.evidence["text"]
    cases = []
    for has in ((True, True), (True, False), (False, True)):
        dev = _dev_examples((speech, text), rows.targets, parts.dev, has, config)
        logits = predict(network, dev, where.device)[1] if dev.size else np.zeros((0, 1), np.float32)
        cases.append(_temperature(logits, dev.targets))
    trained.temperatures["fusion"] = tuple(cases)
    _, trained.logits["fusion"], gate = predict(network, fusion_examples(speech, text, rows.targets), where.device)
    made = any(rows.utterances[row].extra.get(PAIRING) == LABEL_MATCHED for row in parts.train)
    return replace(trained, gate=gate, pairing=LABEL_MATCHED if made else config.fusion.pairing)


def _dev_examples(
    sides: tuple[Evidence, Evidence],
    targets: npt.NDArray[Any],
    dev: Sequence[int],
    has: tuple[bool, bool],
    config: TrainConfig,
) -> Examples:
    """The held-out rows that have the wanted sides, shown with these alone; pairs by label where none has both."""
    speech, text = (replace(side, present=side.present & wanted) for side, wanted in zip(sides, has, strict=True))
    chosen = [row for row in dev if speech.present[row] >= has[0] and text.present[row] >= has[1]]
    if all(has) and not chosen and config.fusion.pairing == LABEL_MATCHED and pairable(speech, text, targets, dev):
        pairs = pair_by_label(speech, text, targets, dev, mismatched=config.fusion.mismatched)
        return draw_once(pairs, config.seed)
    return fusion_examples(speech, text, targets).subset(chosen)


def _temperature(logits: npt.NDArray[np.float32], targets: npt.NDArray[Any]) -> float:
    """Temperature fitted on held-out rows; 1 where there are none."""
    return float(fit_temperature(logits, targets)) if len(targets) else 1.0


def _cross_parts(utterances: Sequence[Utterance], train: Sequence[int], config: TrainConfig) -> list[list[int]]:
    """Parts of the cross-fitting; what stays within one is the dialogue, else the speaker, else the utterance itself.

    Raises:
        SplitError: One speaker (dialogue) alone is left to train on, so none can be held out.
    """
    groups = [utterance.dialogue or utterance.speaker or utterance.id for utterance in utterances]
    if config.split_by == "utterance" and len({groups[row] for row in train}) < 2:
        groups = [utterance.id for utterance in utterances]
    parts = parts_by_group(groups, train, config.fusion.parts, config.seed)
    if len(parts) < 2:
        raise SplitError(
            f"the fusion stage learns from speakers (dialogues) that the other stages did not train on, but only "
            f"{groups[train[0]]!r} is left to train on; give recordings of more speakers, train speech and text alone, "
            "or let speakers stand on both sides with --set split_by=utterance"
        )
    return parts
