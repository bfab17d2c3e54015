"""Calibrate a packaged model again: its networks stay as they are, to the last bit.

The temperature of the voice is fitted on the held-out speakers of its training data. The fusion takes the temperature
over, and the prediction sets are fitted to the new scores.
"""

from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.default_fusion import FUSION, make_fusion, replace_fusion
from benchmarks.record import Options
from bimodal.config import TrainConfig
from bimodal.data.manifest import open_manifest
from bimodal.evaluation.calibrate import with_section
from bimodal.features.cache import FeatureCache
from bimodal.inference.model import Model
from bimodal.inference.model_folder import CARD, PREDICTION_SETS, load_model_config, save_model_config
from bimodal.inference.outputs import ModalityOutputs, scatter_outputs
from bimodal.inference.prediction_sets import describe_sets, save_prediction_sets
from bimodal.training.calibration import CASES, calibrate_modality
from bimodal.training.modality import Modality
from bimodal.training.prediction_sets import calibrate_fused_sets
from bimodal.training.prepare import prepare_modalities
from bimodal.training.rows import label_rows, split_rows
from bimodal.training.stage import RunContext

_AT_ONCE = 256


def recalibrate(folder: Path, manifest: Path, config: TrainConfig, version: str, options: Options) -> None:
    """Write temperature, fusion, prediction sets and card of a model folder again.

    Args:
        folder: Model folder.
        manifest: What it was trained on; its rows `dev` calibrate.
        config: How it was trained.
        version: New version of the model.
        options: Feature cache and threads.
    """
    read = open_manifest(manifest)
    rows = label_rows(read.utterances, config.vocabulary, multiple_labels=config.multiple_labels)
    held = split_rows(rows, config).dev
    with FeatureCache(options.cache) as cache, chdir(manifest.parent):  # the views name their files from there
        plain = replace(config, speech=replace(config.speech, augmentations=(), augmentation_prob=0.0))  # held-out rows
        prepared = prepare_modalities(rows, read.folder, plain, cache, lambda items, label: items)
        model = Model(folder, threads=options.threads)
        speech, text = (run_graph(model, prepared.modalities[name], held) for name in ("speech", "text"))
    before = load_model_config(folder)
    assert before.speech is not None  # noqa: S101
    temperature = calibrate_modality(speech, rows.targets, held)
    save_model_config(folder, replace(before, speech=replace(before.speech, temperature=temperature)))
    replace_fusion(folder, version)
    network = make_fusion(folder)
    sets = calibrate_fused_sets(network, (1.0,) * len(CASES), (speech, text), rows, held, FUSION, RunContext())
    save_prediction_sets(folder / PREDICTION_SETS, sets)
    save_model_config(folder, load_model_config(folder, verify=False))
    card = with_section((folder / CARD).read_text(encoding="utf-8"), describe_sets(sets))
    (folder / CARD).write_text(card, encoding="utf-8")


def run_graph(model: Model, modality: Modality, rows: Sequence[int]) -> ModalityOutputs:
    """What the graph of a packaged model gives for some rows of its training data; all others are absent."""
    chosen, session = modality.present_rows(rows), model.session(modality.name)
    parts: list[Any] = [
        session.run(None, modality.examples.read(chosen[first : first + _AT_ONCE]))[:2]
        for first in range(0, len(chosen), _AT_ONCE)
    ]
    embedding, logits = (np.concatenate([part[place] for part in parts]) for place in range(2))
    widths = embedding.shape[1], logits.shape[1]
    return scatter_outputs((embedding, logits), chosen, len(modality.present), widths)
