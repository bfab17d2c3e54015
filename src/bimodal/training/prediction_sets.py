"""Calibrate prediction sets while a model is trained, on rows that did not train what scored them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import nn

from bimodal.arrays import Doubles, Floats, softmax
from bimodal.config import FusionConfig
from bimodal.data.batches import Examples
from bimodal.inference.fit_prediction_sets import CalibrationRows, cluster_rows, fit_prediction_sets, label_shares
from bimodal.inference.outputs import ModalityOutputs
from bimodal.inference.prediction_sets import Kind, PredictionSets
from bimodal.training.calibration import CASES, shown_examples, text_weights
from bimodal.training.loop import predict
from bimodal.training.pairing import draw_once, pair_by_label, pairable, paired_speech_rows
from bimodal.training.rows import LabelledRows
from bimodal.training.stage import RunContext

KINDS: Final[tuple[Kind, ...]] = ("both", "speech", "text")
"""In the order of `CASES`."""

Pair = tuple[ModalityOutputs, ModalityOutputs]


def calibrate_modality_sets(
    name: Kind, outputs: ModalityOutputs, temperature: float, rows: LabelledRows, held: Sequence[int]
) -> PredictionSets:
    """The table of a model of one modality.

    Args:
        name: `speech` or `text`.
        outputs: Of all N utterances.
        temperature: Of the logits.
        rows: All N utterances.
        held: Rows to calibrate on.
    """
    chosen = [row for row in held if outputs.present[row]]
    found = _calibration_rows(name, softmax(outputs.logits[chosen], temperature), rows, chosen)
    return fit_prediction_sets({name: found}, rows.emotions)


def calibrate_fused_sets(
    network: nn.Module,
    temperatures: Sequence[float],
    outputs: Pair,
    rows: LabelledRows,
    held: Sequence[int],
    config: FusionConfig,
    where: RunContext,
) -> PredictionSets:
    """The table of a model with a fusion stage; with pairs made by label where no row has both modalities.

    Args:
        network: The fusion network.
        temperatures: Of its logits, one for each of `CASES`.
        outputs: Of speech and of text, of all N utterances.
        rows: All N utterances.
        held: Rows to calibrate on.
        config: Of the fusion stage; `mismatched` of the pairs contradict each other.
        where: Where it runs; its seed draws the pairs.
    """
    found: dict[Kind, CalibrationRows] = {}
    for kind, has, temperature in zip(KINDS, CASES, temperatures, strict=True):
        chosen = [row for row in held if outputs[0].present[row] >= has[0] and outputs[1].present[row] >= has[1]]
        if kind == "both" and not chosen:
            made = _matched_rows(network, temperature, outputs, rows, held, config, where)
            found |= {} if made is None else {kind: made}
        elif chosen:
            shown = shown_examples(outputs, rows.targets, has, text_weights(rows.utterances)).subset(chosen)
            found[kind] = _calibration_rows(kind, _scores(network, shown, temperature, where), rows, chosen)
    return fit_prediction_sets(found, rows.emotions)


def _matched_rows(
    network: nn.Module,
    temperature: float,
    outputs: Pair,
    rows: LabelledRows,
    held: Sequence[int],
    config: FusionConfig,
    where: RunContext,
) -> CalibrationRows | None:
    """Held-out speech, each clip with the words of another held-out row of its emotion; None where nothing pairs."""
    targets = draw_labels(rows.targets, where.seed)
    if not pairable(*outputs, targets, held):
        return None
    speech_rows = paired_speech_rows(*outputs, targets, held)
    pairs = pair_by_label(*outputs, targets, held, mismatched=config.mismatched).subset(range(len(speech_rows)))
    drawn = draw_once(pairs, where.seed)
    both = np.flatnonzero(drawn.read(range(drawn.size))["present"].all(axis=1)).tolist()
    shown = drawn.subset(both)
    chosen = [speech_rows[place] for place in both]
    clusters, unit = cluster_rows([rows.utterances[row] for row in chosen], "both")
    scores = _scores(network, shown, temperature, where)
    shares = label_shares(shown.targets, len(rows.emotions))
    return CalibrationRows(scores=scores, shares=shares, clusters=clusters, unit=unit, matched=True)


def draw_labels(targets: npt.NDArray[Any], seed: int) -> npt.NDArray[np.int64]:
    """One label of each row, (N,); of several, one drawn by their shares.

    Example:
        >>> draw_labels(np.array([[0.0, 1.0], [1.0, 0.0]]), 0).tolist()
        [1, 0]
    """
    if targets.ndim == 1:
        return targets.astype(np.int64)
    upto = np.cumsum(targets, axis=1, dtype=np.float64)
    marks = np.random.default_rng(seed).random((len(targets), 1)) * upto[:, -1:]
    drawn: npt.NDArray[np.int64] = (upto > marks).argmax(axis=1)
    return drawn


def _calibration_rows(kind: Kind, scores: Doubles, rows: LabelledRows, chosen: Sequence[int]) -> CalibrationRows:
    clusters, unit = cluster_rows([rows.utterances[row] for row in chosen], kind)
    shares = label_shares(rows.targets[list(chosen)], len(rows.emotions))
    return CalibrationRows(scores=scores, shares=shares, clusters=clusters, unit=unit)


def _scores(network: nn.Module, shown: Examples, temperature: float, where: RunContext) -> Doubles:
    logits: Floats = predict(network, shown, where.device)[1]
    return softmax(logits, temperature)
