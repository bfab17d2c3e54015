"""Train a model: the whole way from a manifest to a model folder, stage after stage.

1. Label the rows and split them.
2. Run the frozen backbones over everything once, through the feature cache (`prepare`).
3. Speech stage (step 201) and text stage (202): train a network each (`stage`), compute its outputs for every
   utterance (203, `outputs`), fit its temperature (`calibration`).
4. Fusion stage (204): train on both modalities' cross-fitted outputs (`fusion`, `pairing`), fit its temperatures.
5. Package: export to ONNX, write the model folder (`package_model`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from bimodal.config import TrainConfig
from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.data.splits import Fold
from bimodal.errors import TrainingError
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.inference.model_config import GIVEN
from bimodal.inference.model_folder import LABEL_MATCHED, PAIRING
from bimodal.inference.prediction_sets import Kind, PredictionSets
from bimodal.models.losses.setup import class_weights
from bimodal.training.calibration import (
    CASES,
    calibrate_fusion,
    calibrate_modality,
    calibrated_outputs,
    fit_modality_scaling,
    text_weights,
)
from bimodal.training.fusion import check_paired, fusion_examples, train_fusion
from bimodal.training.loop import predict
from bimodal.training.ood import measure_temperature_factors, owners
from bimodal.training.outputs import compute_outputs, cross_fit, inner_folds
from bimodal.training.package_model import package_model
from bimodal.training.pairing import train_fusion_by_label
from bimodal.training.prediction_sets import KINDS, calibrate_fused_sets, calibrate_modality_sets
from bimodal.training.prepare import STAGES, Prepared, Progress, prepare_modalities
from bimodal.training.processes import join_processes
from bimodal.training.rows import LabelledRows, Parts, check_recordings, label_rows, split_rows
from bimodal.training.stage import OnEpoch, RunContext, train_modality
from bimodal.training.trained import FittedModality, Trained
from bimodal.training.vector_scaling import scale_network

CROSS_FITTED: Final = "cross_fitted"
NEUTRAL: Final = "neutral"
"""The emotion of plain words, for a fusion that asks."""


def train(
    manifest: ManifestSource,
    out: str | Path,
    config: TrainConfig,
    cache: str | Path | None,
    *,
    stages: Sequence[str] = STAGES,
    progress: Progress = lambda items, label: items,
    on_epoch: OnEpoch = lambda entry: None,
) -> Path:
    """Train the named stages on a manifest and write a model folder.

    Args:
        manifest: CSV or JSON Lines; `bimodal check` tells what is wrong with one.
        out: Run folder: `speech/`, `text/`, `fusion/` hold the stages, `model/` the result. Called again, finished
            stages are loaded, an interrupted one goes on.
        config: How to train.
        cache: Folder of the feature cache, shared between runs; None keeps features in memory.
        stages: `speech`, `text`, `fusion`; the model has the modalities of those named.
        progress: Wraps iterables with a bar.
        on_epoch: Called after each epoch of any stage with `stage`, `epoch`, `epochs` (at most), `loss`, `seconds`, and
            `dev`, the UAR on the held-out rows, if there are any.

    Returns:
        The model folder.

    Raises:
        BimodalError: What is wrong with the manifest, the recordings, the configuration or the run folder.
    """
    processes, device = join_processes(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    read = open_manifest(manifest)
    rows = label_rows(read.utterances, config.vocabulary, multiple_labels=config.multiple_labels)
    parts = check_recordings(rows, read.folder, split_rows(rows, config), config.official_split)
    where = RunContext(
        seed=config.seed, device=device, folder=Path(out), on_epoch=on_epoch, shows_dev=True, processes=processes
    )
    with processes.noticing_loss():
        with processes.first_alone(), FeatureCache(cache) as features:
            prepared = prepare_modalities(rows, read.folder, config, features, progress, stages)
        trained = train_stages(prepared, parts, config, where, stages)
        if processes.writes:
            package_model(trained, prepared, parts, config, Path(out) / "model")
        processes.wait()
    return Path(out) / "model"


def train_stages(
    prepared: Prepared, parts: Parts, config: TrainConfig, where: RunContext, stages: Sequence[str] = STAGES
) -> Trained:
    """Train the named stages one after the other, each in a folder of its own below `where.folder`.

    A stage that is finished there is loaded. The fusion stage needs both modalities and trains them if they are not
    there.

    Raises:
        TrainingError: The data do not allow a stage, or a folder holds another run.
    """
    fusing = "fusion" in stages and len(prepared.modalities) == 2
    crossing = fusing or config.calibrate_on == CROSS_FITTED
    # All folds first, so that an error of the fusion stage comes before hours of training.
    folds = {name: _folds_of(prepared, name, parts, config) if crossing else () for name in prepared.modalities}
    fitted = {name: fit_modality(prepared, name, parts, config, where, folds[name]) for name in prepared.modalities}
    if fusing:
        return fit_fused(fitted["speech"], fitted["text"], prepared.rows, parts, config, where)
    return Trained(
        networks={name: one.network for name, one in fitted.items()},
        temperatures={name: (one.temperature,) for name, one in fitted.items()},
        outputs={name: one.outputs for name, one in fitted.items()},
        logits={name: one.outputs.logits for name, one in fitted.items()},
        sets=_sets_of_modalities(fitted, prepared.rows),
        used=_used(*(one.used for one in fitted.values()), {"prediction sets": _held_rows(fitted)}),
    )


def _used(*parts: Mapping[str, Sequence[int]]) -> Mapping[str, Sequence[int]]:
    """Rows that decided something, of several stages."""
    return {what: tuple(rows) for part in parts for what, rows in part.items()}


def _held_rows(fitted: Mapping[str, FittedModality]) -> list[int]:
    """Rows that calibrate the modalities."""
    return sorted({row for one in fitted.values() if one.held for row in one.held[1]})


def _sets_of_modalities(fitted: Mapping[str, FittedModality], rows: LabelledRows) -> PredictionSets | None:
    """Prediction sets of a model that has no fusion stage: each modality's alone; None if no row was held out."""
    names: list[Kind] = [kind for kind in KINDS if kind in fitted]
    held = {name: fitted[name].held for name in names}
    tables = [
        calibrate_modality_sets(name, one[0], fitted[name].temperature, rows, one[1])
        for name, one in held.items()
        if one and one[1]
    ]
    if not tables:
        return None
    return replace(tables[0], kinds={kind: one for table in tables for kind, one in table.kinds.items()})


def _folds_of(prepared: Prepared, name: str, parts: Parts, config: TrainConfig) -> tuple[Fold, ...]:
    """Folds of a modality's training rows for the cross-fitting.

    With pairs as given, some training row must have both modalities. With pairs by label, or without a fusion stage,
    the folds are of the rows that have the modality.
    """
    if config.fusion.pairing == GIVEN and len(prepared.modalities) == 2:
        both = np.logical_and.reduce([modality.present for modality in prepared.modalities.values()])
        check_paired([row for row in parts.train if both[row]])
    else:
        parts = replace(parts, train=prepared.modalities[name].present_rows(parts.train))
    return inner_folds(prepared.rows, parts, config)


def fit_modality(
    prepared: Prepared, name: str, parts: Parts, config: TrainConfig, where: RunContext, folds: Sequence[Fold] = ()
) -> FittedModality:
    """One modality's stage, its outputs and its temperature; cross-fitted outputs for the fusion with folds.

    Raises:
        TrainingError: As `train_stages`.
    """
    modality, stage = prepared.modalities[name], config.speech if name == "speech" else config.text
    network, _ = train_modality(modality, parts.train, parts.dev, stage, where.below(name))
    outputs = compute_outputs(network, modality, where.device)
    crossed = outputs
    if folds and (config.fusion.cross_fit or config.calibrate_on == CROSS_FITTED):
        crossed = cross_fit(modality, network, folds, stage, where.below(f"fusion/{name}"))
    factors = np.ones(len(outputs.logits), np.float32)
    if name == "speech" and modality.described.backbone:  # recognition divides by the same factors
        groups = owners(prepared.rows.utterances)
        factors = measure_temperature_factors(modality, parts.train, groups, config.distance_exponent)
    apart = folds and (not parts.dev or config.calibrate_on == CROSS_FITTED)
    held_out, held = (crossed, parts.train) if apart else (outputs, parts.dev)
    scaling = None
    if config.calibration == "vector":
        scaling = fit_modality_scaling(held_out, prepared.rows.targets, held, factors)
        scale_network(network, (scaling,))
    outputs, crossed, held_out = (calibrated_outputs(one, scaling, factors) for one in (outputs, crossed, held_out))
    return FittedModality(
        network=network,
        outputs=outputs,
        cross_fitted=(crossed if config.fusion.cross_fit else outputs) if folds else None,
        temperature=1.0 if scaling else calibrate_modality(held_out, prepared.rows.targets, held),
        held=(held_out, held),
        used={
            f"{name} weights": parts.train,
            f"{name} epoch": parts.dev,
            f"{name} cross-fitting": [row for fold in folds for row in (*fold.train, *fold.test)],
            f"{name} temperature": held,
        },
    )


def fit_fused(
    speech: FittedModality,
    text: FittedModality,
    rows: LabelledRows,
    parts: Parts,
    config: TrainConfig,
    where: RunContext,
) -> Trained:
    """The fusion stage on both modalities' cross-fitted outputs, and its temperatures.

    Raises:
        TrainingError: As `train_stages`, or a modality was not cross-fitted.
    """
    if speech.cross_fitted is None or text.cross_fitted is None:
        raise TrainingError("the fusion stage needs both modalities' cross-fitted outputs; fit them with folds")
    outputs, crossed = (speech.outputs, text.outputs), (speech.cross_fitted, text.cross_fitted)
    weights, there = text_weights(rows.utterances), where.below("fusion")
    network: Any
    if config.fusion.pairing == LABEL_MATCHED:
        network = train_fusion_by_label(*crossed, rows.targets, (parts.train, parts.dev), config.fusion, there)
    else:
        identity = cache_key(*(one.identity for one in crossed), *weights.tolist())
        examples = fusion_examples(*crossed, rows.targets, weights)
        network, _ = train_fusion(examples, parts.train, parts.dev, config.fusion, there, identity)
    fitted_on, held = (outputs, parts.dev) if parts.dev else (crossed, parts.train)
    closed = hasattr(network, "set_modalities")  # it learnt from no pair
    if closed:  # its scores are calibrated where those of the modalities are
        network.set_modalities((speech.temperature, text.temperature), *_text_prior(text, rows, parts, config))
        temperatures: tuple[float, ...] = (1.0,) * len(CASES)
    else:
        temperatures = calibrate_fusion(network, fitted_on, rows, held, config, where)
    # Cross-fitting gives every training row outputs of networks that did not see it, as good as those of dev rows.
    apart = closed and config.fusion.cross_fit
    measured, chosen = (crossed, [*parts.dev, *parts.train]) if apart else (fitted_on, held)
    sets = calibrate_fused_sets(network, temperatures, measured, rows, chosen, config.fusion, where)
    logits, gate = predict(network, fusion_examples(*outputs, rows.targets, weights), where.device)[1:]
    matched = not closed and any(rows.utterances[row].extra.get(PAIRING) == LABEL_MATCHED for row in parts.train)
    return Trained(
        networks={"speech": speech.network, "text": text.network, "fusion": network},
        temperatures={"speech": (speech.temperature,), "text": (text.temperature,), "fusion": temperatures},
        outputs={"speech": speech.outputs, "text": text.outputs},
        logits={"speech": speech.outputs.logits, "text": text.outputs.logits, "fusion": logits},
        gate=gate,
        pairing=LABEL_MATCHED if matched else GIVEN if closed else config.fusion.pairing,
        sets=sets,
        used=_used(
            speech.used,
            text.used,
            {"fusion weights": parts.train, "fusion epoch": parts.dev},
            {"fusion temperatures": held, "prediction sets": chosen},
        ),
    )


def _text_prior(
    text: FittedModality, rows: LabelledRows, parts: Parts, config: TrainConfig
) -> tuple[torch.Tensor, int | None]:
    """The prior that the text network's scores have, (C,), and where `neutral` stands; None without it.

    It is the share of each emotion among the texts that trained it, times the weight of the emotion in its loss. Vector
    scaling takes that weight away again.
    """
    counts = rows.counts([row for row in parts.train if text.outputs.present[row]])
    weights = "none" if config.calibration == "vector" else config.text.loss.class_weights
    prior = torch.from_numpy(counts) * class_weights(counts.tolist(), weights)
    return prior, rows.emotions.index(NEUTRAL) if NEUTRAL in rows.emotions else None
