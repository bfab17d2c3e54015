"""Cross-validation: train and test a configuration on folds. Test rows are never used for choices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bimodal.asr.transcribe import transcript_confidence
from bimodal.config import TrainConfig
from bimodal.data.manifest import ManifestSource
from bimodal.data.splits import Fold, check_disjoint
from bimodal.errors import SplitError
from bimodal.evaluation.fold_store import describe_store, fold_key, load_fold, run_folder, save_fold
from bimodal.evaluation.metrics import softmax
from bimodal.evaluation.plan import Plan, plan_folds, with_dev
from bimodal.evaluation.predict import Notes, Progress, plain, predictions_of, with_sets
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.features.cache import FeatureCache
from bimodal.inference.model_folder import LABEL_MATCHED
from bimodal.inference.prediction_sets import Kind, kinds_of_modalities
from bimodal.training.rows import LabelledRows, Parts

if TYPE_CHECKING:  # torch, which the evaluation of a model does not need
    from bimodal.training.prepare import Prepared
    from bimodal.training.trained import Trained

Tell = Callable[[str], None]
OnEpoch = Callable[[dict[str, Any]], None]


def _silent(sentence: str) -> None:
    """Say nothing."""


def _tell_nobody(entry: dict[str, Any]) -> None:
    """Tell nobody of an epoch."""


@dataclass(frozen=True, kw_only=True)
class CrossValidated:
    """What a cross-validation found.

    Attributes:
        predictions: Of all folds, pooled.
        notes: Sentences for the report.
        caveat: Sentence for the first lines of the report; empty for none.
    """

    predictions: Predictions
    notes: Notes
    caveat: str


def evaluate_folds(
    manifest: ManifestSource,
    folds: str,
    config: TrainConfig,
    cache: str | Path | None,
    *,
    cluster: str = "speaker",
    allow_overlap: str = "",
    store: Path | None = None,
    tell: Tell = _silent,
    progress: Progress = plain,
) -> CrossValidated:
    """Train and test a configuration on each fold of a manifest; pool the predictions.

    Args:
        manifest: CSV or JSON Lines.
        folds: See `bimodal.data.folds.PROTOCOLS`.
        config: Settings. The dev part of a fold is taken from its training part.
        cache: Folder of the feature cache; None keeps features in memory.
        cluster: As in `evaluate_model`.
        allow_overlap: Name under which speakers and recordings may be in train and test; empty refuses them.
        store: Folder of finished folds, from which an interrupted call continues; None keeps none.
        tell: Takes sentences on folds that are not trained again.
        progress: Wraps iterables with a bar.

    Raises:
        BimodalError: A problem with the manifest, a recording or the folds.
    """
    plan = plan_folds(manifest, folds, config, allow_overlap)
    return evaluate_plan(plan, cache, cluster=cluster, store=store, tell=tell, progress=progress)


def evaluate_plan(
    plan: Plan,
    cache: str | Path | None,
    *,
    cluster: str = "speaker",
    store: Path | None = None,
    tell: Tell = _silent,
    progress: Progress = plain,
    on_epoch: OnEpoch = _tell_nobody,
) -> CrossValidated:
    """As `evaluate_folds`, for folds that are planned already.

    Args:
        plan: From `plan_folds`.
        cache: As in `evaluate_folds`.
        cluster: As in `evaluate_folds`.
        store: As in `evaluate_folds`.
        tell: As in `evaluate_folds`.
        progress: As in `evaluate_folds`.
        on_epoch: Called after each epoch of each training; `stage` begins with the fold, such as `fold 1/speech`.
    """
    from bimodal.training.prepare import (
        prepare_modalities,
    )  # imports torch, which the evaluation of a model does without

    with FeatureCache(cache) as features:
        prepared = prepare_modalities(plan.rows, plan.folder, plan.config, features, progress)
        pooled = cross_validate(
            prepared,
            plan.folds,
            plan.config,
            cluster=cluster,
            store=store,
            tell=tell,
            progress=progress,
            on_epoch=on_epoch,
        )
    return CrossValidated(predictions=pooled, notes=plan.notes, caveat=plan.caveat)


def cross_validate(
    prepared: "Prepared",
    folds: Sequence[Fold],
    config: TrainConfig,
    *,
    cluster: str = "speaker",
    store: Path | None = None,
    tell: Tell = _silent,
    progress: Progress = plain,
    on_epoch: OnEpoch = _tell_nobody,
) -> Predictions:
    """Train on each fold's training rows, predict its test rows, pool the predictions.

    Args:
        prepared: From `prepare_modalities`, of all rows: the frozen backbones run once for all folds. Standardisation,
            components, networks and temperatures are fitted on a fold's training rows.
        folds: Row numbers. No row is tested twice.
        config: Settings. All prepared modalities are trained.
        cluster: As in `evaluate_model`.
        store: As in `evaluate_folds`.
        tell: As in `evaluate_folds`.
        progress: Wraps iterables with a bar.
        on_epoch: As in `evaluate_plan`.

    Raises:
        SplitError: A speaker is in train and test, or no dev speakers can be held out.
    """
    nested = [with_dev(prepared.rows, fold, config) for fold in folds]
    if store is not None:
        for sentence in describe_store(store, [fold_key(prepared, fold, config, cluster) for fold in nested]):
            tell(sentence)
    shown = progress(nested, "folds")
    return concatenate(*(_fold_once(prepared, fold, config, cluster, store, on_epoch) for fold in shown))


def _fold_once(
    prepared: "Prepared", fold: Fold, config: TrainConfig, cluster: str, store: Path | None, on_epoch: OnEpoch
) -> Predictions:
    """Predictions of a fold: those in the store, or new ones, which are put there."""
    if store is None:
        return cross_validate_fold(prepared, fold, config, cluster, on_epoch=on_epoch)
    key = fold_key(prepared, fold, config, cluster)
    found = load_fold(store, key)
    if found is None:
        found = cross_validate_fold(prepared, fold, config, cluster, run_folder(store, key), on_epoch)
        save_fold(store, key, found)
    return found


def cross_validate_fold(
    prepared: "Prepared",
    fold: Fold,
    config: TrainConfig,
    cluster: str = "speaker",
    run: Path | None = None,
    on_epoch: OnEpoch = _tell_nobody,
) -> Predictions:
    """Train on one fold's training rows and predict its test rows.

    Args:
        prepared: As in `cross_validate`.
        fold: Row numbers.
        config: Settings.
        cluster: As in `evaluate_model`.
        run: Folder of the stages, from which an interrupted call continues; None keeps none.
        on_epoch: As in `evaluate_plan`.

    Raises:
        SplitError: A speaker is in train and test, or no dev speakers can be held out.
    """
    trained, parts = train_fold(prepared, fold, config, run, on_epoch)
    return predict_rows(trained, prepared, parts, fold.test, cluster)


def train_fold(
    prepared: "Prepared",
    fold: Fold,
    config: TrainConfig,
    run: Path | None = None,
    on_epoch: OnEpoch = _tell_nobody,
) -> tuple["Trained", Parts]:
    """Train on one fold's training rows.

    Args:
        prepared: As in `cross_validate`.
        fold: Row numbers.
        config: Settings.
        run: As in `cross_validate_fold`.
        on_epoch: As in `evaluate_plan`.

    Returns:
        Result of `train_stages`, and the rows used for training and for dev.

    Raises:
        SplitError: As `cross_validate_fold`.
    """
    from bimodal.training.stage import RunContext  # imports torch, which the evaluation of a model does without
    from bimodal.training.train import train_stages

    rows: LabelledRows = prepared.rows
    nested = with_dev(rows, fold, config)
    parts = Parts(train=list(nested.train), dev=list(nested.dev or ()), overlaps=())
    speakers = [utterance.speaker for utterance in rows.utterances]
    if config.split_by == "speaker":
        learnt, test = ([speakers[row] for row in part] for part in ((*parts.train, *parts.dev), fold.test))
        check_disjoint(learnt, test, f"speakers in train and test of fold {fold.name}", config.official_split or None)
    check_untouched({"weights": parts.train, "choices": parts.dev}, fold.test, f"fold {fold.name}")
    name = f"fold {fold.name}"
    where = RunContext(seed=config.seed, device=config.device, folder=run, on_epoch=on_epoch, name=name)
    trained = train_stages(with_modalities(prepared, parts.train), parts, config, where)
    check_untouched(trained.used, fold.test, f"fold {fold.name}")
    return trained, parts


def with_modalities(prepared: "Prepared", train: Sequence[int]) -> "Prepared":
    """The inputs of those modalities that some training row has; nothing can be learnt of the others."""
    known = {name: one for name, one in prepared.modalities.items() if one.present_rows(train)}
    return replace(prepared, modalities=known)


def check_untouched(used: Mapping[str, Sequence[int]], test: Sequence[int], what: str) -> None:
    """Check that no tested row decided anything: weights, epochs, temperatures, prediction sets.

    Args:
        used: Rows by what they decided, as `Trained.used` has them.
        test: Rows to report.
        what: Of the fold, for the error.

    Raises:
        SplitError: A tested row decided something.

    Example:
        >>> check_untouched({"weights": [0, 1], "temperature": [2]}, [3, 4], "fold 1")
    """
    tested = set(test)
    for decided, rows in used.items():
        if shared := tested.intersection(rows):
            raise SplitError(
                f"{what}: {len(shared)} test rows are also in train or dev ({decided}), the first is row {min(shared)}"
            )


def predict_rows(
    trained: "Trained", prepared: "Prepared", parts: Parts, test: Sequence[int], cluster: str
) -> Predictions:
    """Predictions of trained stages for unseen rows, and late fusion with the training rows' priors.

    Rows with several labels are left out.

    Raises:
        SplitError: A test row is in train or dev.
    """
    check_untouched({"weights": parts.train, "choices": parts.dev} | dict(trained.used), test, "prediction")
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


def fold_scores(trained: "Trained", prepared: "Prepared", rows: Sequence[int]) -> dict[str, npt.NDArray[np.float64]]:
    """Calibrated scores (n, C) of some rows by system, NaN if a modality is missing."""
    chosen = list(rows)
    known = {name: modality for name, modality in prepared.modalities.items() if name in trained.logits}
    present = {name: modality.present[chosen] for name, modality in known.items()}
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
