"""What the training loop keeps on disk: a checkpoint while a run goes on, weights and a record when it is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bimodal.errors import TrainingError
from bimodal.files import JSON_ERRORS, atomic_write, write_json

CHECKPOINT: Final = "checkpoint.safetensors"
WEIGHTS: Final = "weights.safetensors"
RECORD: Final = "stage.json"


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """The record of a finished stage.

    Attributes:
        identity: Digest of configuration, seed, network and data.
        history: One entry per epoch: mean loss, seconds, the dev score (with a dev set), and the ratio of the gradient
            norms of affinity and classification loss in the last step (with an affinity loss).
        best_epoch: Epoch (from 1) whose weights were kept.
        parameters: Trained parameters of the network.
    """

    identity: str
    history: list[dict[str, float]]
    best_epoch: int
    parameters: int


def read_finished(network: nn.Module, folder: Path | None, identity: str) -> StageRecord | None:
    """The record of a run that is done, with its weights loaded; None if it is not.

    Raises:
        TrainingError: The folder holds another run, or a damaged one.
    """
    if folder is None or not (folder / RECORD).exists():
        return None
    try:
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=StageRecord)
        weights = load_file(folder / WEIGHTS)
    except (*JSON_ERRORS, OSError, SafetensorError) as error:
        raise TrainingError(f"{folder}: damaged run ({error}); delete the folder to train this stage again") from error
    _check_same(folder, record.identity, identity)
    (folder / CHECKPOINT).unlink(missing_ok=True)  # of a process that was killed at the very end
    network.load_state_dict(weights)
    network.eval()
    return record


def _check_same(folder: Path, found: str, expected: str) -> None:
    if found != expected:
        raise TrainingError(
            f"{folder}: holds a run with another configuration or other data; name another folder, or delete this one"
        )


def read_checkpoint(
    folder: Path | None, identity: str
) -> tuple[dict[str, Tensor], int, list[dict[str, float]], int] | None:
    """Tensors, epoch, history and best epoch of an interrupted run; None if there is none.

    Raises:
        TrainingError: The folder holds another run, or a damaged one.
    """
    if folder is None or not (folder / CHECKPOINT).exists():
        return None
    try:
        with safe_open(folder / CHECKPOINT, framework="pt") as handle:
            notes = msgspec.json.decode(handle.metadata()["notes"])
            flat = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        found, progress = notes["identity"], (notes["epoch"], notes["history"], notes["best_epoch"])
    except (*JSON_ERRORS, SafetensorError, OSError, KeyError, TypeError) as error:
        raise TrainingError(f"{folder / CHECKPOINT}: damaged ({error}); delete it to train this stage again") from error
    _check_same(folder, found, identity)
    return flat, *progress


def save_checkpoint(tensors: dict[str, Tensor], notes: Mapping[str, Any], folder: Path) -> None:
    """Keep the state of a run that goes on.

    Raises:
        TrainingError: The folder cannot be written.
    """
    _save(tensors, folder / CHECKPOINT, {"notes": msgspec.json.encode(notes).decode()})


def save_finished(network: nn.Module, record: StageRecord, folder: Path) -> None:
    """Keep the weights of a run that is done, then its record; the checkpoint goes.

    Raises:
        TrainingError: The folder cannot be written.
    """
    _save({name: value.cpu().contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS, None)
    try:
        write_json(folder / RECORD, record)
    except OSError as error:
        raise TrainingError(
            f"{folder / RECORD}: cannot be written ({error}); free some space, then run again"
        ) from error
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _save(tensors: dict[str, Tensor], file: Path, metadata: dict[str, str] | None) -> None:
    """Write a safetensors file completely or not at all."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as unfinished:
            save_file(tensors, unfinished, metadata=metadata)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{file}: cannot be written ({error}); free some space, then run again") from error
