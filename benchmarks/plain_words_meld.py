"""MELD for `benchmarks.plain_words`: words that carry the emotion, and a voice of eight prosodic features."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks import meld
from benchmarks.default_fusion import FUSION
from benchmarks.record import Figure, Options, config_digest, measure, measure_gain
from bimodal.arrays import softmax
from bimodal.evaluation import metrics
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.protocols import predict_rows
from bimodal.training.calibration import text_weights
from bimodal.training.fusion import build_fusion, fusion_examples
from bimodal.training.loop import predict
from bimodal.training.prepare import Prepared
from bimodal.training.rows import Parts
from bimodal.training.stage import RunContext
from bimodal.training.train import NEUTRAL, train_stages
from bimodal.training.trained import Trained

METRICS: tuple[tuple[str, Any], ...] = (
    ("weighted F1", metrics.weighted_f1),
    ("UAR", metrics.unweighted_average_recall),
)
GRID = (0.0, 0.3, 0.5, 0.8, 0.95, 0.98)


def figures(options: Options) -> list[Figure]:
    """Weighted F1 and UAR of text, gate and this fusion, with the packaged m and with that of MELD's dev part."""
    config = replace(meld.CONFIG, threads=options.threads)
    prepared, parts = meld.prepare_meld(options, config)
    trained = [_train(prepared, parts, replace(config, seed=seed), options) for seed in options.seeds]
    test = prepared.rows.rows("test")
    m = _chosen(trained, prepared, parts)
    gate = [predict_rows(one, prepared, parts, test, "dialogue") for one in trained]
    found: list[Figure] = [measure(gate, "text", "MELD: text", *metric) for metric in METRICS]
    found += _both(gate, "fused by a gate")
    for share, told in ((m, f"m = {m} from dev"), (FUSION.plain_words_prob, f"m = {FUSION.plain_words_prob}")):
        logits = [fused_logits(one, prepared, parts, share) for one in trained]
        fused = [
            replace(one, scores=one.scores | {"fused": softmax(rows[test])})
            for one, rows in zip(gate, logits, strict=True)
        ]
        found += _both(fused, f"fused, {told}")
    return found


def _both(listed: Sequence[Predictions], told: str) -> list[Figure]:
    alone = [measure(listed, "fused", f"MELD: {told}", *metric) for metric in METRICS]
    gains = [measure_gain(listed, ("fused", "text"), *metric) for metric in METRICS]
    return [*alone, *(replace(one, system=f"MELD: {told} - text") for one in gains)]


def _train(prepared: Prepared, parts: Parts, config: Any, options: Options) -> Trained:
    folder = options.cache / "runs" / f"meld-{config_digest(config)}" / f"seed{config.seed}"
    return train_stages(prepared, parts, config, RunContext(seed=config.seed, folder=folder))


def fused_logits(trained: Trained, prepared: Prepared, parts: Parts, m: float) -> Any:
    """Logits of this fusion on the outputs of trained networks, of all utterances, (N, C)."""
    rows, outputs = prepared.rows, trained.outputs
    widths = (outputs[name].embedding.shape[1] for name in ("speech", "text"))
    network: Any = build_fusion(*widths, len(rows.emotions), replace(FUSION, plain_words_prob=m), seed=0)
    temperatures = (trained.temperatures["speech"][0], trained.temperatures["text"][0])
    counts = rows.counts([row for row in parts.train if outputs["text"].present[row]])
    network.set_modalities(temperatures, torch.from_numpy(counts), rows.emotions.index(NEUTRAL))
    weights = text_weights(rows.utterances)
    return predict(network, fusion_examples(outputs["speech"], outputs["text"], rows.targets, weights))[1]


def _chosen(trained: Sequence[Trained], prepared: Prepared, parts: Parts) -> float:
    """The largest m whose weighted F1 on dev is the best over the seeds, within a tenth of a point."""
    dev, targets, width = parts.dev, prepared.rows.targets, len(prepared.rows.emotions)
    means = []
    for m in GRID:
        guesses = [fused_logits(one, prepared, parts, m)[dev].argmax(1) for one in trained]
        matrices = [metrics.count_confusions(targets[dev], one, width) for one in guesses]
        means.append(100 * float(np.mean([metrics.weighted_f1(matrix) for matrix in matrices])))
    return max(m for m, mean in zip(GRID, means, strict=True) if mean >= max(means) - 0.1)
