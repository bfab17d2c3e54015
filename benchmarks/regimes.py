"""Three ways to train the same network on RAVDESS, timed to equal UAR on inner dev actors.

End to end; the upper layers over the cached lower ones; the head over the cached frozen encoder (the method's claim of
speed). All in one precision, without augmented views, on the training part of one EmoBox fold, of which four actors are
held out as dev. Dev is scored after every pass; scoring is not timed, reading the recordings is.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from benchmarks.record import Figure, Options, Result, config_digest, read_options, save_result
from benchmarks.tuned import CONFIG, pretrained_source
from bimodal.audio import load_signal
from bimodal.config import TuneSpeechConfig
from bimodal.corpora.ravdess import FOLDS, prepare
from bimodal.data import frame_examples
from bimodal.splits import named_folds
from bimodal.training.loop import Run, fit
from bimodal.training.rows import LabelledRows, label_rows
from bimodal.training.stages import uar_score
from bimodal.training.tuning_speech import (
    LowerLayers,
    SpeechModel,
    fresh_tuned_network,
    load_speech_model,
    tuning_rates,
)

PASSES = {"end to end": 8, "upper layers over a cache": 8, "frozen and cached": 40}
FOLDS_TIMED, SEEDS_AMORTISED = 6, 3


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One regime.

    Attributes:
        cache_seconds: To make what it trains on, of all rows.
        scores: Dev UAR after each pass, 0 to 1.
        seconds: Of training until the end of each pass.
    """

    cache_seconds: float
    scores: tuple[float, ...]
    seconds: tuple[float, ...]
