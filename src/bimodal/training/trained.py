"""What the stages give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch import nn

from bimodal.inference.model_config import GIVEN
from bimodal.inference.outputs import ModalityOutputs
from bimodal.inference.prediction_sets import PredictionSets


@dataclass(frozen=True, kw_only=True)
class FittedModality:
    """One modality's stage, and what the fusion stage needs of it.

    Attributes:
        network: Trained on all training rows.
        outputs: What it gives for every utterance.
        cross_fitted: The same, the training rows' from networks that did not train on them; None without fusion.
        temperature: Of its logits: from the dev rows, else from the cross-fitted training rows, else 1.
        held: Outputs and rows that the calibration was fitted on; no row trained the network that gave its outputs.
        used: Rows that decided something, by what they decided, such as `speech temperature`.
    """

    network: nn.Module
    outputs: ModalityOutputs
    cross_fitted: ModalityOutputs | None
    temperature: float
    held: tuple[ModalityOutputs, Sequence[int]] | None = None
    used: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the stages gave.

    Attributes:
        networks: By stage; those that were trained.
        temperatures: Of speech and text alone, and of fusion with both modalities, speech alone, text alone.
        outputs: What each modality's final network gives for every utterance.
        logits: Of every utterance by stage, (N, C).
        gate: Share of speech in every utterance, (N,); None without a fusion stage.
        pairing: What the fusion stage learnt from: pairs as `given`, or `label_matched`.
        sets: Thresholds of prediction sets; None if no row was held out.
        used: Rows that decided something, by what they decided: weights, epochs, temperatures, prediction sets. No
            other row may be there, and none of them may be reported.
    """

    networks: dict[str, nn.Module]
    temperatures: dict[str, tuple[float, ...]]
    outputs: dict[str, ModalityOutputs]
    logits: dict[str, npt.NDArray[np.float32]]
    gate: npt.NDArray[np.float32] | None = None
    pairing: str = GIVEN
    sets: PredictionSets | None = None
    used: Mapping[str, Sequence[int]] = field(default_factory=dict)
