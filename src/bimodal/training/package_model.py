"""From trained stages to a model folder: ONNX graphs, weights, configuration, report, card."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import onnxruntime
import torch
from safetensors.torch import save_file

from bimodal.config import TrainConfig
from bimodal.data.batches import main_emotion
from bimodal.errors import ModelFolderError
from bimodal.evaluation.metrics import count_confusions, unweighted_average_recall
from bimodal.features.adaptation import emotion_columns, logit_variance
from bimodal.features.ood import save_ood_stats
from bimodal.files import atomic_write, write_json
from bimodal.inference.model_config import GIVEN, ModalityConfig, ModelConfig
from bimodal.inference.model_folder import (
    CARD,
    CONFIG,
    GRAPHS,
    LABELS,
    NO_EVIDENCE,
    OOD_STATS,
    PREDICTION_SETS,
    REPORT,
    WEIGHTS,
    read_json,
    save_model_config,
)
from bimodal.inference.prediction_sets import describe_sets, save_prediction_sets, sets_section
from bimodal.inference.seen_rows import save_seen_rows
from bimodal.records import LAW
from bimodal.training.export import export_network, fusion_example
from bimodal.training.ood import measure_ood_stats, owners
from bimodal.training.prepare import Prepared
from bimodal.training.rows import Parts
from bimodal.training.trained import Trained

CONFIG_USED: Final = "training.json"
_EXAMPLES: Final = 3


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a training run saw and reached on the speakers that it held out.

    Attributes:
        train_rows: Utterances trained on.
        dev_rows: Utterances held out for temperature and early stopping.
        soft_rows: Of those trained on, those with several emotions.
        dropped: Rows left out, by reason.
        overlaps: What an official split shares between its parts.
        counts: Training utterances of each emotion; those with several count by share.
        dev_uar: Unweighted average recall on the held-out rows, by stage, 0 to 1; it chose, so it is no headline.
        dev_chance: That of guessing on the held-out rows.
        sets: What the prediction sets were calibrated on, a sentence for each kind of input.
        remarks: Warnings for readers of the figures.
        parameters: Trained parameters of each stage.
        versions: Of the libraries.
    """

    train_rows: int
    dev_rows: int
    soft_rows: int
    dropped: dict[str, int]
    overlaps: list[str]
    counts: dict[str, float]
    dev_uar: dict[str, float]
    remarks: list[str]
    parameters: dict[str, int]
    versions: dict[str, str]
    dev_chance: float = 0.0
    sets: tuple[str, ...] = ()


def package_model(trained: Trained, prepared: Prepared, parts: Parts, config: TrainConfig, folder: Path) -> Path:
    """Write the model folder: ONNX graphs, weights, configuration, report, card.

    Raises:
        ModelFolderError: The folder cannot be written, or an exported graph differs from torch.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder) as unfinished:
            unfinished.mkdir()
            _write_model(trained, prepared, parts, _with_known_licence(config, folder), unfinished)
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be written ({error.strerror or error}); free some space") from error
    return folder


def _write_model(trained: Trained, prepared: Prepared, parts: Parts, config: TrainConfig, folder: Path) -> None:
    """Write the files of a model into an empty folder."""
    _export_all(trained, prepared, folder)
    weights = {
        f"{stage}.{name}": value.detach().cpu().contiguous()
        for stage, network in trained.networks.items()
        for name, value in network.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS)
    _save_ood_stats(prepared, parts, config, folder / OOD_STATS)
    seen = [prepared.rows.utterances[row] for row in sorted({*parts.train, *parts.dev})]
    save_seen_rows(folder, seen, prepared.folder)
    if trained.sets is not None and trained.sets.kinds:
        save_prediction_sets(folder / PREDICTION_SETS, trained.sets)
    if config.vocabulary.endswith(".toml"):
        shutil.copyfile(config.vocabulary, folder / LABELS)
    write_json(folder / CONFIG_USED, replace(config, vocabulary=_vocabulary_of(config)))
    report = _report(trained, prepared, parts)
    write_json(folder / REPORT, report)
    model = save_model_config(folder, _model_config(trained, prepared, parts, config))
    (folder / CARD).write_text(model_card(model, report), encoding="utf-8")


def _with_known_licence(config: TrainConfig, folder: Path) -> TrainConfig:
    """A configuration that does not name licence or training data gets those of the model that it replaces."""
    if not (folder / CONFIG).is_file():
        return config
    before, default = read_json(folder / CONFIG, ModelConfig), TrainConfig()
    return replace(
        config,
        licence=before.licence if config.licence == default.licence else config.licence,
        trained_on=before.trained_on if config.trained_on == default.trained_on else config.trained_on,
    )


def _vocabulary_of(config: TrainConfig) -> str:
    """How the model folder names its vocabulary: a file of one's own travels with it."""
    return LABELS if config.vocabulary.endswith(".toml") else config.vocabulary


def _save_ood_stats(prepared: Prepared, parts: Parts, config: TrainConfig, file: Path) -> None:
    groups = owners(prepared.rows.utterances)
    known = {
        name: measure_ood_stats(one, parts.train, groups, config.distance_exponent)
        for name, one in prepared.modalities.items()
    }
    save_ood_stats(file, {stage: found for stage, found in known.items() if found is not None})


def _export_all(trained: Trained, prepared: Prepared, folder: Path) -> None:
    for stage, network in trained.networks.items():
        file = folder / GRAPHS[stage]
        if stage == "fusion":
            export_network(network, stage, fusion_example(network, len(prepared.rows.emotions)), file)
            continue
        modality = prepared.modalities[stage]
        rows = np.flatnonzero(modality.present)[:_EXAMPLES].tolist()
        export_network(network, stage, modality.examples.read(rows), file)


def _model_config(trained: Trained, prepared: Prepared, parts: Parts, config: TrainConfig) -> ModelConfig:
    rows = prepared.rows
    counts = rows.counts(parts.train)
    return ModelConfig(
        name=config.name,
        emotions=rows.emotions,
        vocabulary=_vocabulary_of(config),
        priors=tuple((counts / counts.sum()).tolist()),
        speech=_modality_config("speech", trained, prepared, parts),
        text=_modality_config("text", trained, prepared, parts),
        fusion_temperatures=trained.temperatures.get("fusion", ()),
        pairing=trained.pairing,
        licence=config.licence,
        trained_on=config.trained_on,
    )


def _modality_config(stage: str, trained: Trained, prepared: Prepared, parts: Parts) -> ModalityConfig | None:
    if stage not in trained.networks:
        return None
    rows = prepared.modalities[stage].present_rows(parts.train)
    logits = trained.logits[stage][rows][:, emotion_columns(prepared.rows.emotions)]
    return replace(
        prepared.modalities[stage].described,
        temperature=trained.temperatures[stage][0],
        embedding_width=trained.outputs[stage].embedding.shape[1],
        logit_variance=round(logit_variance(logits), 6),
    )


def _report(trained: Trained, prepared: Prepared, parts: Parts) -> TrainReport:
    rows = prepared.rows
    counts = [int(count) if count.is_integer() else round(count, 2) for count in rows.counts(parts.train).tolist()]
    return TrainReport(
        train_rows=len(parts.train),
        dev_rows=len(parts.dev),
        soft_rows=len(parts.train) - len(rows.single(parts.train)),
        dropped=dict(rows.dropped),
        overlaps=[str(overlap) for overlap in parts.overlaps],
        counts=dict(zip(rows.emotions, counts, strict=True)),
        dev_uar={
            stage: _dev_uar(stage, trained, prepared, parts)
            for stage in trained.networks
            if stage != "fusion" or trained.pairing == GIVEN
        },
        dev_chance=round(1 / max(1, len(set(rows.names(rows.single(parts.dev))))), 4),
        remarks=[NO_EVIDENCE] if trained.pairing != GIVEN else [],
        parameters={
            stage: sum(parameter.numel() for parameter in network.parameters())
            for stage, network in trained.networks.items()
        },
        sets=() if trained.sets is None else tuple(describe_sets(trained.sets)),
        versions={"torch": str(torch.__version__), "onnxruntime": onnxruntime.__version__, "numpy": np.__version__},
    )


def _dev_uar(stage: str, trained: Trained, prepared: Prepared, parts: Parts) -> float:
    dev: Any = prepared.rows.single(parts.dev)
    if stage in prepared.modalities:
        dev = [row for row in dev if prepared.modalities[stage].present[row]]
    predicted = trained.logits[stage][dev].argmax(axis=1)
    matrix = count_confusions(main_emotion(prepared.rows.targets[dev]), predicted, len(prepared.rows.emotions))
    return round(float(unweighted_average_recall(matrix)), 4) if len(dev) else 0.0


def model_card(config: ModelConfig, report: TrainReport) -> str:
    """The model card: what it is, what it saw, how good, what it must not be used for."""
    figures = "\n".join(f"| {stage} | {100 * value:.1f} |" for stage, value in report.dev_uar.items())
    counts = ", ".join(f"{emotion} {count}" for emotion, count in report.counts.items())
    soft = f"; {report.soft_rows} of them have several emotions, as soft targets" if report.soft_rows else ""
    counted = "\n\nHeld-out rows with several emotions are not counted." if report.soft_rows else ""
    remarks = "".join(f"\n**{remark}**\n" for remark in report.remarks)
    overlaps = "".join(f"\n- {overlap}" for overlap in report.overlaps) or "\n- none between train and dev speakers"
    return f"""---
license: other
license_name: "{config.licence}"
library_name: bimodal
tags: [speech-emotion-recognition, multimodal]
---
# {config.name}

Recognises the emotion expressed in speech, as perceived by others, from the voice and the words.
Version {config.version}, revision {config.revision}. Emotions: {", ".join(config.emotions)}.

**Licence of these weights:** {config.licence}

## Training data
{config.trained_on or "(not described; set trained_on when training)"}

{report.train_rows} utterances trained on ({counts}){soft}; {report.dev_rows} held out.
Shared between the parts of the split:{overlaps}
{remarks}
## Figures on the held-out speakers
Unweighted average recall, %. The temperatures were fitted on the same speakers, so these figures are too good to
report. Run `bimodal evaluate` on other data to get figures with intervals.

| stage | UAR |
|---|---|
{figures}
| chance | {100 * report.dev_chance:.1f} |{counted}

{sets_section(report.sets)}## Limits and forbidden uses
It works best on recordings like its training data. Another language, another way to speak (acted or spontaneous), noise
and a distant microphone lower its accuracy. It names the emotion that is expressed, not what a person feels. Do not let
it decide anything about a person.
{LAW}

## Configuration
```json
{msgspec.json.format(msgspec.json.encode(config), indent=1).decode()}
```
"""
