"""Calibration: temperatures or vector scaling of logits, fitted on rows that did not train the networks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import nn

from bimodal.arrays import Floats
from bimodal.asr.transcribe import transcript_confidence
from bimodal.config import FusionConfig, TrainConfig
from bimodal.data.batches import Examples
from bimodal.evaluation.metrics import fit_temperature
from bimodal.features.cache import cache_key
from bimodal.features.ood import tempered
from bimodal.inference.model_folder import LABEL_MATCHED
from bimodal.inference.outputs import ModalityOutputs
from bimodal.records import Utterance
from bimodal.training.fusion import fusion_examples
from bimodal.training.loop import predict
from bimodal.training.pairing import draw_once, pair_by_label, pairable
from bimodal.training.rows import LabelledRows
from bimodal.training.stage import RunContext
from bimodal.training.vector_scaling import Scaling, fit_vector_scaling, scale_network, scaled

CASES: Final = ((True, True), (True, False), (False, True))
"""Whether speech and text are there: a fused model has a temperature for each case."""


def calibrate_modality(outputs: ModalityOutputs, targets: npt.NDArray[Any], rows: Sequence[int]) -> float:
    """Temperature of one modality's logits, fitted on some rows; 1 if none of them has it."""
    held = [row for row in rows if outputs.present[row]]
    return _temperature(outputs.logits[held], targets[held])


def fit_modality_scaling(
    outputs: ModalityOutputs, targets: npt.NDArray[Any], rows: Sequence[int], factors: Floats
) -> Scaling:
    """Vector scaling of one modality's logits, fitted on some rows; it changes nothing if none of them has it.

    Args:
        outputs: Of all N utterances.
        targets: Of all.
        rows: To fit on.
        factors: What recognition divides the scaled logits by, (N,); see `measure_temperature_factors`.
    """
    held = [row for row in rows if outputs.present[row]]
    return fit_vector_scaling(outputs.logits[held], targets[held], factors[held])


def calibrated_outputs(outputs: ModalityOutputs, scaling: Scaling | None, factors: Floats) -> ModalityOutputs:
    """Outputs whose logits are scaled, then divided by a factor of each utterance, (N,), as recognition does it."""
    logits = outputs.logits if scaling is None else scaled(outputs.logits, scaling)
    parts = (factors.tobytes(), *([] if scaling is None else [one.tobytes() for one in scaling]))
    return replace(outputs, logits=tempered(logits, factors), identity=cache_key(outputs.identity, *parts))


def calibrate_fusion(
    network: nn.Module,
    outputs: tuple[ModalityOutputs, ModalityOutputs],
    rows: LabelledRows,
    held: Sequence[int],
    config: TrainConfig,
    where: RunContext,
) -> tuple[float, ...]:
    """Temperatures of a fusion network's logits, one for each of `CASES`; 1 if no row has a case.

    With vector scaling, the network itself gives scaled logits afterwards, and all temperatures are 1.

    Args:
        network: The fusion network.
        outputs: Of speech and of text.
        rows: All N utterances.
        held: Rows to fit on.
        config: How the calibration is fitted, and how the fusion stage is trained.
        where: Where it runs; its seed draws pairs where they are made by label.
    """
    found: list[tuple[npt.NDArray[np.float32], npt.NDArray[Any]]] = []
    for has in CASES:
        shown = _held_examples(outputs, rows, held, has, config.fusion, where.seed)
        nothing = np.zeros((0, len(rows.emotions)), np.float32)
        found.append((predict(network, shown, where.device)[1] if shown.size else nothing, shown.targets))
    if config.calibration == "vector":
        scale_network(network, [fit_vector_scaling(*one) for one in found])
        return (1.0,) * len(CASES)
    return tuple(_temperature(*one) for one in found)


def _held_examples(
    outputs: tuple[ModalityOutputs, ModalityOutputs],
    rows: LabelledRows,
    held: Sequence[int],
    has: tuple[bool, bool],
    config: FusionConfig,
    seed: int,
) -> Examples:
    """Held-out rows that have the wanted modalities, shown with these alone; pairs by label where none has both."""
    speech, text = _shown(outputs, has)
    chosen = [row for row in held if speech.present[row] >= has[0] and text.present[row] >= has[1]]
    matched = all(has) and not chosen and config.pairing == LABEL_MATCHED
    if matched and pairable(speech, text, rows.targets, held):
        return draw_once(pair_by_label(speech, text, rows.targets, held, mismatched=config.mismatched), seed)
    return shown_examples(outputs, rows.targets, has, text_weights(rows.utterances)).subset(chosen)


def shown_examples(
    outputs: tuple[ModalityOutputs, ModalityOutputs],
    targets: npt.NDArray[Any],
    has: tuple[bool, bool],
    weights: npt.NDArray[np.float32],
) -> Examples:
    """Examples of the fusion stage, (N,), with the wanted modalities alone, which is one of `CASES`."""
    return fusion_examples(*_shown(outputs, has), targets, weights)


def _shown(
    outputs: tuple[ModalityOutputs, ModalityOutputs], has: tuple[bool, bool]
) -> tuple[ModalityOutputs, ModalityOutputs]:
    speech, text = (replace(one, present=one.present & wanted) for one, wanted in zip(outputs, has, strict=True))
    return speech, text


def text_weights(utterances: Sequence[Utterance]) -> npt.NDArray[np.float32]:
    """How far the words of each row are to be trusted, (N,) from 0 to 1: 1 if somebody gave them.

    Raises:
        BimodalError: A cell of the column `asr_confidence` is no number from 0 to 1.
    """
    known = [transcript_confidence(utterance) for utterance in utterances]
    return np.array([1.0 if confidence is None else confidence for confidence in known], np.float32)


def _temperature(logits: npt.NDArray[np.float32], targets: npt.NDArray[Any]) -> float:
    """Temperature fitted on held-out rows; 1 if there are none."""
    return float(fit_temperature(logits, targets)) if len(targets) else 1.0
