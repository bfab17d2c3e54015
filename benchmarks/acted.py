"""What the two acted corpora share: the speech stage over folds of unseen speakers, a gain test, regression."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.record import Options
from bimodal.audio.decode import load_signal
from bimodal.config import SpeechConfig, TrainConfig
from bimodal.data.splits import Fold
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.evaluation.protocols import predict_rows, train_fold
from bimodal.features.augmentation import PLAIN
from bimodal.features.backbone import SpeechBackbone, load_backbone
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import encode_augmented, recording_digest, speech_key
from bimodal.records import Utterance
from bimodal.training.loop import predict
from bimodal.training.modality import Modality
from bimodal.training.prepare import Prepared, prepare_modalities
from bimodal.training.rows import LabelledRows, label_rows
from bimodal.training.speech import SpeechKeys, recordings_modality

GAIN_DB = 12.0
CONFIG = TrainConfig(dev_share=0.0, speech=SpeechConfig(augmentations=("speed0.9", "speed1.1")))
"""Fixed passes over all training speakers; nobody is held out, as nothing is chosen."""

HEARD = replace(CONFIG.speech, tta=CONFIG.speech.augmentations)
"""Test-time augmentation with the speed augmentations."""


@dataclass(frozen=True, kw_only=True)
class FoldsRun:
    """Predictions over the folds, pooled.

    Attributes:
        trained: Of the speech stage, one per seed.
        others: The same networks on changed test clips, by name.
        linear: Logistic regression on the same pooled statistics.
    """

    trained: list[Predictions]
    others: dict[str, list[Predictions]]
    linear: Predictions


def prepare_corpus(utterances: Sequence[Utterance], folder: Path, config: TrainConfig, cache: FeatureCache) -> Prepared:
    """Features of all clips and their views."""
    rows = label_rows(utterances, config.vocabulary)
    return prepare_modalities(rows, folder, config, cache, progress, ("speech",))


def progress(items: Iterable[Any], label: str) -> Iterator[Any]:
    """A bar on stderr."""
    return iter(tqdm(items, desc=label, mininterval=5))


def heard_once(prepared: Prepared, config: TrainConfig, cache: FeatureCache) -> Modality:
    """The speech side of the same clips without the views."""
    plain = replace(config, speech=replace(config.speech, tta=()))
    return prepare_corpus(prepared.rows.utterances, prepared.folder, plain, cache).modalities["speech"]


def run_folds(
    prepared: Prepared,
    folds: Sequence[Fold],
    config: TrainConfig,
    options: Options,
    others: Mapping[str, Modality] = MappingProxyType({}),
) -> FoldsRun:
    """Train the speech stage per fold and seed; test it on the fold's unseen speakers.

    Args:
        prepared: Of the corpus.
        folds: Of whole speakers.
        config: How to train.
        options: Seeds and threads.
        others: Speech sides of the same clips, such as at a random gain, by name.
    """
    torch.set_num_threads(options.threads)
    trained: list[Predictions] = []
    heard: dict[str, list[Predictions]] = {name: [] for name in others}
    for seed in options.seeds:
        parts: list[Predictions] = []
        heard_parts: dict[str, list[Predictions]] = {name: [] for name in others}
        for fold in progress(folds, f"folds, seed {seed}"):
            found, inner = train_fold(prepared, fold, replace(config, seed=seed))
            parts.append(predict_rows(found, prepared, inner, fold.test, "speaker"))
            for name, side in others.items():
                logits = predict(found.networks["speech"], side.examples.subset(fold.test))[1]
                heard_parts[name].append(replace(parts[-1], scores={"speech": _softmax(logits)}))
        trained.append(concatenate(*parts))
        for name, listed in heard_parts.items():
            heard[name].append(concatenate(*listed))
    return FoldsRun(trained=trained, others=heard, linear=_linear(prepared, folds))


def _softmax(logits: Any) -> Any:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def shifted_side(rows: LabelledRows, folder: Path, config: TrainConfig, cache: FeatureCache, options: Options) -> Any:
    """The speech features of every clip, scaled by a random gain of up to +-12 dB before the backbone encodes it."""
    backbone = load_backbone(config.speech_backbone, threads=options.threads, verify=True)
    assert isinstance(backbone, SpeechBackbone)  # noqa: S101
    gains = np.random.default_rng(0).uniform(-GAIN_DB, GAIN_DB, len(rows.utterances))
    views = (PLAIN, *config.speech.tta)
    keys: list[str | None] = []
    with cache:
        for utterance, gain in progress(zip(rows.utterances, gains, strict=True), "clips at a random gain"):
            key = cache_key("gain", speech_key(utterance, folder, backbone, views), float(gain))
            if key not in cache:
                signal = load_signal(folder / str(utterance.path)) * np.float32(10 ** (gain / 20))
                cache.write(
                    key, encode_augmented(signal, backbone, views), recording_digest(folder / str(utterance.path))
                )
            keys.append(key)
    return recordings_modality(
        SpeechKeys(views={PLAIN: keys}, encoded=keys), cache, rows, backbone.description, config.speech
    )


def _linear(prepared: Prepared, folds: Sequence[Fold]) -> Predictions:
    """Logistic regression on standardised mean and deviation over time of all layers, of the plain clips."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values, targets, rows = pooled_statistics(prepared), prepared.rows.targets, prepared.rows
    parts = []
    for fold in progress(folds, "logistic regression"):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=500))
        model.fit(values[list(fold.train)], targets[list(fold.train)])
        scores = np.zeros((len(fold.test), len(rows.emotions)))
        scores[:, model.classes_] = model.predict_proba(values[list(fold.test)])
        chosen = [rows.utterances[row] for row in fold.test]
        parts.append(
            Predictions(
                ids=tuple(utterance.id for utterance in chosen),
                targets=targets[list(fold.test)],
                emotions=rows.emotions,
                clusters=tuple(str(utterance.speaker) for utterance in chosen),
                cluster_name="speaker",
                scores={"speech": scores},
            )
        )
    return concatenate(*parts)


def pooled_statistics(prepared: Prepared) -> Any:
    """Statistics over time that the speech stage is shown, (N, P L D)."""
    examples = prepared.modalities["speech"].examples
    return examples.read(range(examples.size))["statistics"].reshape(examples.size, -1)
