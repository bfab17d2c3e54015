"""Finished folds on disk, so that an interrupted cross-validation continues where it stopped."""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bimodal.config import TrainConfig
from bimodal.data.splits import Fold
from bimodal.errors import BimodalError
from bimodal.evaluation.predictions import Predictions
from bimodal.features.cache import cache_key
from bimodal.files import JSON_ERRORS, atomic_write
from bimodal.records import digested

if TYPE_CHECKING:  # torch, which the evaluation of a model does not need
    from bimodal.training.prepare import Prepared

log = logging.getLogger(__name__)

FOLDS_FOLDER: Final = "folds"
"""Folder of finished folds, in that of a report."""

_SUFFIX: Final = ".safetensors"
_RUN: Final = ".run"


def fold_key(prepared: "Prepared", fold: Fold, config: TrainConfig, cluster: str) -> str:
    """Digest of all that decides the predictions of a fold: settings, inputs, labels, rows, the fold itself.

    Args:
        prepared: Inputs of all rows.
        fold: With its dev part.
        config: Settings; names, licence and threads do not count.
        cluster: Unit of resampling.
    """
    settings = replace(config, name="", licence="", trained_on="", threads=0)
    rows = hashlib.sha256(msgspec.json.encode(prepared.rows.utterances) + prepared.rows.targets.tobytes())
    inputs = sorted((name, modality.identity) for name, modality in prepared.modalities.items())
    chosen = (fold.name, fold.train, fold.dev, fold.test)
    told = msgspec.json.encode(digested(settings))
    return cache_key(told, rows.hexdigest(), prepared.rows.emotions, inputs, chosen, cluster)


def fold_file(folder: Path, key: str) -> Path:
    """Where a finished fold is kept."""
    return folder / f"{key}{_SUFFIX}"


def run_folder(folder: Path, key: str) -> Path:
    """Where the stages of a fold are kept while it is being trained."""
    return folder / f"{key}{_RUN}"


def describe_store(folder: Path, keys: Sequence[str]) -> list[str]:
    """Sentences on what a folder of folds holds: how many of the wanted ones, and others.

    Args:
        folder: May be missing.
        keys: Of all folds of this run.
    """
    found = {file.name.removesuffix(_SUFFIX) for file in folder.glob(f"*{_SUFFIX}")}
    begun = {file.name.removesuffix(_RUN) for file in folder.glob(f"*{_RUN}")}
    done, others = [key for key in keys if key in found], (found | begun) - set(keys)
    told = [f"{len(done)} of {len(keys)} folds are finished in {folder}; they are not trained again"] if done else []
    if others:
        told.append(
            f"{folder} also holds {len(others)} folds of other settings or rows: they are kept and not used; this run "
            "starts its own"
        )
    return told


def save_fold(folder: Path, key: str, predictions: Predictions, run: str | None = None) -> None:
    """Keep the predictions of a fold without loss, and delete what its training left.

    Args:
        folder: Made if missing.
        key: Of the fold.
        predictions: Of the fold.
        run: Key of the training whose stages are deleted; None for that of the fold, empty for none.

    Raises:
        BimodalError: The folder cannot be written.
    """
    arrays = {f"scores/{name}": np.ascontiguousarray(one) for name, one in predictions.scores.items()}
    arrays |= {f"sets/{name}": np.ascontiguousarray(one) for name, one in predictions.sets.items()}
    plain = {
        "ids": predictions.ids,
        "emotions": predictions.emotions,
        "clusters": predictions.clusters,
        "cluster_name": predictions.cluster_name,
        "extra": predictions.extra,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(fold_file(folder, key)) as unfinished:
            about = {"key": key, "columns": msgspec.json.encode(plain).decode()}
            save_file({"targets": predictions.targets, **arrays}, unfinished, about)
        if run != "":
            shutil.rmtree(run_folder(folder, run or key), ignore_errors=True)
    except (OSError, SafetensorError) as error:
        raise BimodalError(
            f"{folder}: a finished fold cannot be written ({error}); free some space, run again"
        ) from error


def load_fold(folder: Path, key: str) -> Predictions | None:
    """The predictions of a finished fold; None if it is not there.

    A damaged or half-written file is told in the log and counts as missing.
    """
    file = fold_file(folder, key)
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="numpy") as handle:
            about = handle.metadata() or {}
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - no mapping
        return _restored(about, arrays)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, *JSON_ERRORS) as error:
        log.warning("%s: damaged or half written (%s); this fold is trained again", file, error)
        return None


def _restored(about: dict[str, str], arrays: dict[str, Any]) -> Predictions:
    columns = msgspec.json.decode(about["columns"])
    return Predictions(
        ids=tuple(columns["ids"]),
        targets=arrays["targets"],
        emotions=tuple(columns["emotions"]),
        clusters=tuple(columns["clusters"]),
        cluster_name=columns["cluster_name"],
        scores=_below("scores/", arrays),
        extra={name: tuple(cells) for name, cells in columns["extra"].items()},
        sets=_below("sets/", arrays),
    )


def _below(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): one for name, one in arrays.items() if name.startswith(prefix)}
