"""What the benchmarks with tuned layers share: a speech encoder tuned on each fold's training rows, resumed."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from benchmarks.acted import progress
from benchmarks.record import ROOT, Options, config_digest
from bimodal.audio.decode import load_signal
from bimodal.config import SpeechHeadConfig, TuneSpeechConfig
from bimodal.data.batches import Examples, array_examples, frame_examples
from bimodal.data.splits import Fold
from bimodal.evaluation.metrics import softmax
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.features.augmentation import apply_augmentation
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import recording_digest
from bimodal.models.speech import TunedSpeechNetwork, pool_frames
from bimodal.records import Utterance
from bimodal.training.loop import predict
from bimodal.training.rows import LabelledRows, label_rows
from bimodal.training.stage import RunContext, train_modality
from bimodal.training.tune_speech import (
    LowerLayers,
    SpeechModel,
    TunedSpeech,
    load_speech_model,
    train_tuned,
    tuned_speech,
)

FOUND = "found.safetensors"

CONFIG = TuneSpeechConfig(
    epochs=4,
    crop_seconds=2.0,
    head=SpeechHeadConfig(augmentations=("speed0.9", "speed1.1"), input_noise_std=0.5),
)
"""Four passes of layers 3 and 4, then half of the way back."""


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """What the networks of one fold and seed found.

    Attributes:
        frozen: Logits (n, C) of the fold's test rows by the head on the untuned encoder.
        tuned: The same after tuning.
        shifted: The same of the test clips at a random gain; empty where it was not asked for.
        once: As `tuned`, the plain clips alone.
        parameters: Of encoder and head together.
    """

    frozen: Any
    tuned: Any
    shifted: Any
    once: Any
    parameters: int


def pretrained_source(name: str, hub: str) -> str:
    """Folder of a pretrained encoder below `$BIMODAL_MODELS`, or its Hub id where there is none."""
    folder = Path(os.environ.get("BIMODAL_MODELS", ROOT.parent / "shared" / "models")) / name
    return str(folder) if folder.is_dir() else hub


def prepare_tuning(
    utterances: Sequence[Utterance], folder: Path, config: TuneSpeechConfig, cache: FeatureCache
) -> tuple[LabelledRows, SpeechModel, TunedSpeech]:
    """Labelled rows, the pretrained encoder, and what it is tuned on: cached lower layers of all clips and views."""
    rows = label_rows(utterances, config.vocabulary)
    pretrained = load_speech_model(config)
    return rows, pretrained, tuned_speech(rows, folder, pretrained, config, cache, progress)


def tune_folds(
    sides: TunedSpeech,
    folds: Sequence[Fold],
    config: TuneSpeechConfig,
    options: Options,
    name: str,
    shifted: Sequence[Examples] = (),
) -> dict[tuple[int, str], FoldResult]:
    """Tune on every fold's training rows, for every seed; what is finished is taken from the cache's folder `runs`.

    Args:
        sides: From `prepare_tuning`.
        folds: Of whole speakers.
        config: How to tune.
        options: Seeds, threads, cache.
        name: Of the benchmark.
        shifted: Examples of the same clips at a random gain by view, or none.
    """
    home = options.cache / "runs" / f"{name}-{config_digest(config)}"
    wanted = [(seed, fold) for seed in options.seeds for fold in folds]
    return {
        (seed, fold.name): tune_fold(sides, fold, replace(config, seed=seed), home / f"seed{seed}" / fold.name, shifted)
        for seed, fold in progress(wanted, f"{name}: tuning")
    }


def tune_fold(
    sides: TunedSpeech, fold: Fold, config: TuneSpeechConfig, home: Path, shifted: Sequence[Examples] = ()
) -> FoldResult:
    """Tune on one fold's training rows alone; nobody is held out, as nothing is chosen."""
    file = home / FOUND
    if not file.is_file():
        where = RunContext(seed=config.seed, device=config.device, folder=home)
        network, _ = train_tuned(sides, list(fold.train), [], config, where)
        head, _ = train_modality(sides.first, list(fold.train), [], config.head, where.below("head"))
        untuned: Any = sides.tuned.network(**sides.tuned.options, head=head)
        test = list(fold.test)
        heard, louder = ([view.subset(test) for view in views] for views in (sides.encoded, shifted))
        found = {
            "frozen": score_views(untuned.eval(), heard),
            "tuned": score_views(network, heard),
            "shifted": score_views(network, louder) if louder else np.zeros((0, 0)),
            "once": score_views(network, heard[:1]),
            "parameters": np.array([sum(value.numel() for value in whole_network(network))]),
        }
        unfinished = file.with_suffix(".partial")
        save_file(found, unfinished)
        unfinished.rename(file)
        for part in ("head", "tuned"):  # 100 MB a fold
            shutil.rmtree(home / part)
    held = load_file(file)
    return FoldResult(**(held | {"parameters": int(held["parameters"][0])}))


def whole_network(network: TunedSpeechNetwork) -> Iterator[Any]:
    """Every array that recognition needs above the frozen layers: parameters, statistics, components."""
    yield from network.parameters()
    yield from network.buffers()


def score_views(network: Any, views: Sequence[Examples]) -> Any:
    """Logits (n, C) of utterances with the frames of all augmentations pooled together."""
    heard = [predict(_Statistics(network), view)[0] for view in views]
    frames = np.stack([view.lengths for view in views]).astype(np.float32)[:, :, None, None]
    shares = frames / frames.sum(axis=0)
    means, deviations = (np.stack([one[:, part] for one in heard]) for part in (0, 1))
    mean = (shares * means).sum(axis=0)
    deviation = np.sqrt((shares * (deviations**2 + (means - mean) ** 2)).sum(axis=0))
    pooled = array_examples({"statistics": np.stack([mean, deviation], axis=1)}, views[0].targets)
    return predict(network.network, pooled)[1]


class _Statistics(nn.Module):
    """What the tuned layers give over whole utterances, (B, 2, L, D)."""

    def __init__(self, network: TunedSpeechNetwork) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, inputs: Any, count: Any) -> tuple[Any]:
        states, real = self.encoder(inputs, count)
        return (torch.stack(pool_frames(states.float(), real), dim=1),)


def frozen_parameters(pretrained: SpeechModel) -> int:
    """Parameters of the encoder's part that is not tuned: convolutions and lower layers."""
    encoder = pretrained.encoder
    parts = [encoder.conv1, encoder.conv2, *encoder.layers[: pretrained.frozen]]
    return sum(value.numel() for part in parts for value in part.parameters())


def fold_predictions(rows: LabelledRows, fold: Fold, logits: Any) -> Predictions:
    """Predictions of one fold's test rows from their logits."""
    chosen = [rows.utterances[row] for row in fold.test]
    return Predictions(
        ids=tuple(utterance.id for utterance in chosen),
        targets=rows.targets[list(fold.test)],
        emotions=rows.emotions,
        clusters=tuple(str(utterance.speaker) for utterance in chosen),
        cluster_name="speaker",
        scores={"speech": softmax(logits)},
        extra={"fold": tuple(fold.name for _ in chosen)}
        | {column: tuple(utterance.extra.get(column, "") for utterance in chosen) for column in chosen[0].extra},
    )


def pooled(
    rows: LabelledRows,
    folds: Sequence[Fold],
    seeds: Sequence[int],
    found: Mapping[tuple[int, str], FoldResult],
    what: str,
) -> list[Predictions]:
    """Predictions over all folds, one a seed, of the logits named `what`."""
    return [
        concatenate(*(fold_predictions(rows, fold, getattr(found[seed, fold.name], what)) for fold in folds))
        for seed in seeds
    ]


def shifted_examples(
    rows: LabelledRows, folder: Path, pretrained: SpeechModel, cache: FeatureCache, gain_db: float, view: str
) -> Examples:
    """The tuned part's inputs for a view of every clip, scaled by a random gain before the encoder."""
    lower = LowerLayers(pretrained, "cpu")
    gains = np.random.default_rng(0).uniform(-gain_db, gain_db, len(rows.utterances))
    keys = []
    with cache:
        for utterance, gain in progress(list(zip(rows.utterances, gains, strict=True)), f"random gain, {view}"):
            path = folder / str(utterance.path)
            key = cache_key("gain", recording_digest(path), float(gain), pretrained.digest, pretrained.frozen, view)
            if key not in cache:
                signal = apply_augmentation(load_signal(path) * np.float32(10 ** (gain / 20)), view)
                cache.write(key, {"frames": lower.encode(signal)[1]}, recording_digest(path))
            keys.append(key)
    lengths = np.array([len(cache.read(key)["frames"]) for key in keys], np.int64)
    return frame_examples(lambda row: cache.read(keys[row])["frames"], lengths, rows.targets)
