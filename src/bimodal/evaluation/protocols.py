"""Protocols: evaluate a configuration on folds. Test rows are never used for choices."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bimodal.asr.transcribe import transcript_confidence
from bimodal.config import TrainConfig
from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.data.splits import Fold, check_disjoint, count_text_overlap, inner_dev, named_folds, speaker_folds
from bimodal.errors import SplitError
from bimodal.evaluation.metrics import softmax
from bimodal.evaluation.predict import Notes, Progress, plain, predictions_of, really_paired, with_sets
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.features.cache import FeatureCache
from bimodal.inference.model_folder import LABEL_MATCHED, NO_EVIDENCE
from bimodal.inference.prediction_sets import Kind, kinds_of_modalities
from bimodal.training.rows import LabelledRows, Parts, label_rows

if TYPE_CHECKING:  # torch, which the evaluation of a model does not need
    from bimodal.training.prepare import Prepared
    from bimodal.training.trained import Trained


def make_folds(rows: LabelledRows, folds: str, seed: int = 0) -> tuple[Fold, ...]:
    """Folds by name: `loso`, a number of folds, or a manifest column that names each row's fold.

    Raises:
        SplitError: Speakers are unknown, or one speaker is in several folds.
    """
    speakers = [utterance.speaker for utterance in rows.utterances]
    if folds == "loso" or folds.isdigit():
        return speaker_folds(speakers, "loso" if folds == "loso" else int(folds), seed=seed)
    named: dict[str, set[str]] = {}
    for utterance in rows.utterances:
        fold = utterance.extra.get(folds)
        if fold is None or utterance.speaker is None:
            raise SplitError(f"utterance '{utterance.id}' has no {'speaker' if fold else f'column {folds!r}'}")
        named.setdefault(fold, set()).add(utterance.speaker)
    return named_folds(speakers, dict(sorted(named.items())))


def evaluate_folds(
    manifest: ManifestSource,
    folds: str,
    config: TrainConfig,
    cache: str | Path | None,
    *,
    cluster: str = "speaker",
    progress: Progress = plain,
) -> tuple[Predictions, Notes]:
    """Train and test a configuration on each fold of a manifest; pool the predictions.

    Args:
        manifest: CSV or JSON Lines.
        folds: As in `make_folds`.
        config: Settings. Dev speakers are taken from each fold's training part.
        cache: Folder of the feature cache; None keeps features in memory.
        cluster: As in `evaluate_model`.
        progress: Wraps iterables with a bar.

    Raises:
        BimodalError: A problem with the manifest, a recording or the folds.
    """
    from bimodal.training.prepare import prepare_modalities  # imports torch, which `evaluate_model` does without

    read = open_manifest(manifest)
    left_out: list[str] = [NO_EVIDENCE] if config.fusion.pairing == LABEL_MATCHED else []
    utterances = really_paired(read.utterances, left_out)
    rows = label_rows(utterances, config.vocabulary, multiple_labels=config.multiple_labels)
    chosen = make_folds(rows, folds, config.seed)
    with FeatureCache(cache) as features:
        prepared = prepare_modalities(rows, read.folder, config, features, progress)
        pooled = cross_validate(prepared, chosen, config, cluster=cluster, progress=progress)
    notes = [f"{len(chosen)} folds ({folds}), seed {config.seed}; each fold's dev speakers come from its training part"]
    notes += [f"{count} rows left out: {reason}" for reason, count in rows.dropped.items()]
    if several := len(rows.utterances) - len(pooled.ids):
        notes.append(f"{several} rows with several labels are used for training (soft targets), not for testing")
    train, test = ([rows.utterances[row].transcript for row in part] for part in (chosen[0].train, chosen[0].test))
    overlap = count_text_overlap(train, test, "texts in the first fold's train and test")
    return pooled, (*notes, *left_out, str(overlap))


def cross_validate(
    prepared: "Prepared",
    folds: Sequence[Fold],
    config: TrainConfig,
    *,
    cluster: str = "speaker",
    progress: Progress = plain,
) -> Predictions:
    """Train on each fold's training rows, predict its test rows, pool the predictions.

    Args:
        prepared: From `prepare_modalities`, of all rows: the frozen backbones run once for all folds. Standardisation,
            components, networks and temperatures are fitted on a fold's training rows.
        folds: Row numbers. No row is tested twice.
        config: Settings. All prepared modalities are trained.
        cluster: As in `evaluate_model`.
        progress: Wraps iterables with a bar.

    Raises:
        SplitError: A speaker is in train and test, or no dev speakers can be held out.
    """
    return concatenate(*(cross_validate_fold(prepared, fold, config, cluster) for fold in progress(folds, "folds")))


def cross_validate_fold(prepared: "Prepared", fold: Fold, config: TrainConfig, cluster: str = "speaker") -> Predictions:
    """Train on one fold's training rows and predict its test rows.

    Raises:
        SplitError: A speaker is in train and test, or no dev speakers can be held out.
    """
    trained, parts = train_fold(prepared, fold, config)
    return predict_rows(trained, prepared, parts, fold.test, cluster)


def train_fold(prepared: "Prepared", fold: Fold, config: TrainConfig) -> tuple["Trained", Parts]:
    """Train on one fold's training rows.

    Returns:
        Result of `train_stages`, and the rows used for training and for dev.

    Raises:
        SplitError: As `cross_validate_fold`.
    """
    from bimodal.training.stage import RunContext  # imports torch, which `evaluate_model` does without
    from bimodal.training.train import train_stages

    rows: LabelledRows = prepared.rows
    speakers = [utterance.speaker for utterance in rows.utterances]
    if config.split_by == "speaker":
        train, test = ([speakers[row] for row in part] for part in (fold.train, fold.test))
        check_disjoint(train, test, f"speakers in train and test of fold {fold.name}", config.official_split or None)
    parts = _inner_parts(rows, fold, config)
    check_untouched(parts, fold.test, f"fold {fold.name}")
    return train_stages(prepared, parts, config, RunContext(seed=config.seed, device=config.device)), parts


def check_untouched(parts: Parts, test: Sequence[int], what: str) -> None:
    """Check that no test row is used for training or for choices.

    Raises:
        SplitError: A test row is in train or dev.
    """
    shared = set(test) & {*parts.train, *parts.dev}
    if shared:
        raise SplitError(f"{what}: {len(shared)} test rows are also in train or dev, the first is row {min(shared)}")


def predict_rows(
    trained: "Trained", prepared: "Prepared", parts: Parts, test: Sequence[int], cluster: str
) -> Predictions:
    """Predictions of trained stages for unseen rows, and late fusion with the training rows' priors.

    Rows with several labels are left out.

    Raises:
        SplitError: A test row is in train or dev.
    """
    check_untouched(parts, test, "prediction")
    rows: LabelledRows = prepared.rows
    counts = rows.counts(parts.train)
    test = rows.single(test)
    if not test:
        raise SplitError("no test row has exactly one label; rows with several labels are not evaluated")
    found = predictions_of(
        rows.subset(test),
        fold_scores(trained, prepared, test),
        counts / counts.sum(),
        cluster,
        paired_only=trained.pairing == LABEL_MATCHED,
    )
    return with_sets(found, trained.sets, _kinds(prepared, test))


def _kinds(prepared: "Prepared", rows: Sequence[int]) -> list[list[Kind]]:
    """What some rows have, as `kinds_of` gives it."""
    here = {name: modality.present for name, modality in prepared.modalities.items()}
    absent = np.zeros(len(prepared.rows.utterances), np.bool_)
    speech, text = (here.get(name, absent) for name in ("speech", "text"))
    words = [transcript_confidence(prepared.rows.utterances[row]) for row in rows]
    return [
        kinds_of_modalities(bool(speech[row]), bool(text[row]), confidence)
        for row, confidence in zip(rows, words, strict=True)
    ]


def _inner_parts(rows: LabelledRows, fold: Fold, config: TrainConfig) -> Parts:
    """Dev speakers from a fold's training rows; none if `dev_share` is 0."""
    if not config.dev_share:
        return Parts(train=list(fold.train), dev=[], overlaps=())
    held = inner_dev(
        [rows.utterances[row].speaker for row in fold.train],
        rows.names(fold.train),
        share=config.dev_share,
        seed=config.seed,
        by=config.split_by,
    )
    dev = [fold.train[row] for row in held]
    return Parts(train=sorted(set(fold.train) - set(dev)), dev=dev, overlaps=())


def fold_scores(trained: "Trained", prepared: "Prepared", rows: Sequence[int]) -> dict[str, npt.NDArray[np.float64]]:
    """Calibrated scores (n, C) of some rows by system, NaN if a modality is missing."""
    chosen = list(rows)
    present = {name: modality.present[chosen] for name, modality in prepared.modalities.items()}
    systems = {}
    for name, here in present.items():
        scores = softmax(trained.logits[name][chosen], trained.temperatures[name][0])
        systems[name] = np.where(here[:, None], scores, np.nan)
    if "fusion" in trained.logits:
        case = np.where(present["speech"], np.where(present["text"], 0, 1), 2)
        temperature = np.array(trained.temperatures["fusion"])[case]
        scores = softmax(trained.logits["fusion"][chosen] / temperature[:, None])
        systems["fused"] = np.where((present["speech"] | present["text"])[:, None], scores, np.nan)
    return systems
