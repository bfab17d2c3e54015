"""The one training loop. The three stages differ by what they pass in.

A run is a folder: `checkpoint.safetensors` while it goes on, `weights.safetensors` and `stage.json` when it is done.
A finished run is returned, an interrupted one goes on as if it had never stopped, one of another identity is refused.
"""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bimodal.config import LossConfig, StageConfig
from bimodal.data.batches import TARGETS, Examples, Inputs
from bimodal.errors import TrainingError
from bimodal.files import JSON_ERRORS, atomic_write, write_json
from bimodal.models.losses import LOSSES
from bimodal.models.losses.focal import target_distribution
from bimodal.models.losses.joint import JointLoss, affinity_gradient_ratio, joint_loss, warmed_beta
from bimodal.models.losses.setup import BatchLoss, LossSetup

CHECKPOINT: Final = "checkpoint.safetensors"
WEIGHTS: Final = "weights.safetensors"
RECORD: Final = "stage.json"
_WARMUP: Final = 0.1
_SECONDS_BETWEEN_CHECKPOINTS: Final = 20.0
_PREDICTED_AT_ONCE: Final = 128
_BATCHES_SORTED: Final = 50  # batches whose examples are sorted by length together


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


@dataclass(frozen=True, kw_only=True)
class Run:
    """The inputs of the training loop.

    Attributes:
        train: Examples to train on.
        dev: Examples whose score decides which epoch is kept; None keeps the last.
        shown: Examples whose score `on_epoch` is told where there is no `dev`; it decides nothing.
        config: How to train.
        emotions: C.
        embedding_width: Width of the embeddings that the affinity loss sees in training.
        seed: Random seed of initialisation, order and dropout.
        device: A torch device.
        folder: Run folder; None writes no files.
        identity: Digest of what else distinguishes this run (data, backbone), besides the configuration.
        lr_multipliers: Learning rate factors by prefix of the parameter name, such as `encoder.`; the longest prefix
            wins.
        score: Higher is better, of logits (N, C) and targets (N,).
        on_epoch: Called with each history entry, the number of `epochs` at most, and the score of `shown` as `dev`.
    """

    train: Examples
    dev: Examples | None
    config: StageConfig
    emotions: int
    embedding_width: int
    seed: int
    device: str = "cpu"
    folder: Path | None = None
    identity: str = ""
    lr_multipliers: Mapping[str, float] = field(default_factory=dict)
    score: Callable[[np.ndarray, np.ndarray], float] | None = None
    on_epoch: Callable[[dict[str, Any]], None] = field(default=lambda entry: None)
    shown: Examples | None = None


def fit(network: nn.Module, run: Run) -> StageRecord:
    """Train a network whose forward gives (embedding, logits, ...); its weights are the kept ones afterwards.

    Raises:
        TrainingError: The run folder holds another run, or the loss is no longer finite.
    """
    identity = _identity(network, run)
    finished = _finished(network, run.folder, identity)
    if finished is not None:
        return finished
    state = _State(network, run)
    _resume(state, run.folder, identity)
    saved = time.monotonic()
    while state.epoch < state.epochs and not _out_of_patience(state.history, run.config.patience):
        entry = _epoch(state, run)
        state.finish_epoch(entry, _dev_score(state, run, run.dev))
        shown = entry["dev"] if "dev" in entry else _dev_score(state, run, run.shown)
        run.on_epoch({**entry, "epochs": state.epochs} | ({} if shown is None else {"dev": shown}))
        if run.folder is not None and time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
            _save_checkpoint(state, run.folder, identity)
            saved = time.monotonic()
    network.load_state_dict(state.best)
    network.eval()
    parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    record = StageRecord(identity=identity, history=state.history, best_epoch=state.best_epoch, parameters=parameters)
    if run.folder is not None:
        _save_finished(network, record, run.folder)
    return record


def predict(network: nn.Module, examples: Examples, device: str = "cpu") -> tuple[np.ndarray, ...]:
    """Everything that the network's forward gives, as arrays with N rows; without gradients, dropout off."""
    network.eval()
    order = np.arange(examples.size) if examples.lengths is None else np.argsort(examples.lengths, kind="stable")
    outputs = []
    with torch.inference_mode():
        for first in range(0, examples.size, _PREDICTED_AT_ONCE):
            chosen = order[first : first + _PREDICTED_AT_ONCE].tolist()
            outputs.append([out.cpu().numpy() for out in network(**_to_torch(examples.read(chosen), device))])
    back = np.argsort(order)
    return tuple(np.concatenate(parts)[back] for parts in zip(*outputs, strict=True))


class _State:
    """What an epoch changes: network, optimiser, running average, what was best."""

    def __init__(self, network: nn.Module, run: Run) -> None:
        self.network = network.to(run.device)
        self.classification, self.affinity = make_losses(run, run.device)
        named_losses = {"classification": self.classification, "affinity": self.affinity}
        self.loss_modules = {name: loss for name, loss in named_losses.items() if isinstance(loss, nn.Module)}
        modules = [network, *self.loss_modules.values()]
        named = [item for module in modules for item in module.named_parameters() if item[1].requires_grad]
        self.optimiser = torch.optim.AdamW(_groups(named, run), lr=run.config.learning_rate)
        per_epoch = math.ceil(run.train.size / run.config.batch_size)
        self.epochs = max(run.config.epochs, math.ceil(run.config.min_steps / per_epoch)) if run.config.epochs else 0
        self.steps = per_epoch * self.epochs
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.ema = _copy(network) if run.config.ema_decay else None
        self.best, self.best_epoch = _copy(network), 0
        self.pull: float | None = None

    def averaged(self) -> Mapping[str, Tensor]:
        """The weights that count: the running average where there is one."""
        return self.network.state_dict() if self.ema is None else self.ema

    def finish_epoch(self, entry: dict[str, float], score: float | None) -> None:
        """Record an epoch; keep its weights if they are the best (without a dev set: the last)."""
        self.epoch += 1
        if score is not None:
            entry["dev"] = score
        if score is None or score > max((past["dev"] for past in self.history), default=-math.inf):
            self.best = {name: value.clone() for name, value in self.averaged().items()}
            self.best_epoch = self.epoch
        self.history.append(entry)

    def tensors(self) -> dict[str, Tensor]:
        """All state that a checkpoint needs, by flat name."""
        flat = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        flat |= {f"best/{name}": value for name, value in self.best.items()}
        flat |= {f"average/{name}": value for name, value in (self.ema or {}).items()}
        for part, loss in self.loss_modules.items():
            flat |= {f"{part}/{name}": value for name, value in loss.state_dict().items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            flat |= {f"optimiser/{index}/{name}": value for name, value in slots.items()}
        return {name: value.detach().cpu().contiguous().clone() for name, value in flat.items()}

    def restore(self, flat: Mapping[str, Tensor], epoch: int, history: list[dict[str, float]], best: int) -> None:
        """Undo `tensors`."""
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in flat.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = value
        self.network.load_state_dict(parts["network"])
        self.best, self.ema = parts["best"], None
        if "average" in parts:
            live = self.network.state_dict()
            self.ema = {name: value.to(live[name].device) for name, value in parts["average"].items()}
        for part, loss in self.loss_modules.items():
            loss.load_state_dict(parts.get(part, {}))
        state = self.optimiser.state_dict()
        for name, value in parts.get("optimiser", {}).items():
            index, _, slot = name.partition("/")
            state["state"].setdefault(int(index), {})[slot] = value
        self.optimiser.load_state_dict(state)
        self.epoch, self.history, self.best_epoch = epoch, history, best


def _epoch(state: _State, run: Run) -> dict[str, float]:
    """One pass over the training data; its randomness depends on seed and epoch alone."""
    begun = time.monotonic()
    state.network.train()
    total = 0.0
    devices = [run.device] if run.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(run.seed * 1_000_003 + state.epoch)
        batches = _batches(run.train, run.config.batch_size)
        for number, chosen in enumerate(batches):
            step = state.epoch * len(batches) + number
            total += _step(state, run, step, chosen, last=number == len(batches) - 1) * len(chosen)
    loss = total / run.train.size
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss of epoch {state.epoch + 1} is {loss}; lower learning_rate ({run.config.learning_rate:g}) or beta"
        )
    entry = {"epoch": float(state.epoch + 1), "loss": loss, "seconds": time.monotonic() - begun}
    return entry if state.pull is None else entry | {"affinity_gradient_ratio": state.pull}


def _batches(train: Examples, size: int) -> list[list[int]]:
    """Rows of each batch in random order; where lengths are known, alike ones together, which spares padding."""
    order = torch.randperm(train.size).tolist()
    if train.lengths is None:
        return [order[i : i + size] for i in range(0, len(order), size)]
    pools = [order[i : i + _BATCHES_SORTED * size] for i in range(0, len(order), _BATCHES_SORTED * size)]
    pools = [sorted(pool, key=train.lengths.__getitem__) for pool in pools]
    batches = [pool[i : i + size] for pool in pools for i in range(0, len(pool), size)]
    return [batches[i] for i in torch.randperm(len(batches)).tolist()]


def _step(state: _State, run: Run, step: int, chosen: list[int], last: bool) -> float:
    """One update; returns the joint loss. In the last step of an epoch the affinity's pull is measured."""
    for group in state.optimiser.param_groups:
        group["lr"] = run.config.learning_rate * group["rate"] * schedule(step, state.steps)
    batch = run.train.read(chosen)
    targets = torch.from_numpy(batch.pop(TARGETS, run.train.targets[chosen])).to(run.device)
    inputs = _to_torch(batch, run.device)
    with torch.autocast(torch.device(run.device).type, torch.bfloat16, enabled=run.config.precision == "bfloat16"):
        embedding, logits = (output.float() for output in state.network(**inputs)[:2])
    if logits.ndim == 2:
        embedding, logits = embedding[:, None], logits[:, None]
    losses = [
        joint_loss(
            logits[:, head],
            embedding[:, head],
            targets,
            beta=warmed_beta(run.config.loss.beta, step, state.steps),
            classification=state.classification,
            affinity=state.affinity,
        )
        for head in range(logits.shape[1])
    ]
    if last:
        state.pull = _pull(state, losses)
    loss = torch.stack([one.total for one in losses]).sum()
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if run.config.max_grad_norm:
        trained = [value for group in state.optimiser.param_groups for value in group["params"]]
        nn.utils.clip_grad_norm_(trained, run.config.max_grad_norm)
    state.optimiser.step()
    if state.ema is not None:
        decay = min(run.config.ema_decay, (step + 1) / (step + 10))
        for name, value in state.network.state_dict().items():
            state.ema[name].lerp_(value, 1 - decay)
    return loss.item() / len(losses)


def _pull(state: _State, losses: list[JointLoss]) -> float | None:
    """Ratio of the gradient norms of affinity and classification loss, over all heads; None if it is not reported."""
    if state.affinity is None:
        return None
    classification, affinity = (
        torch.stack([getattr(one, part) for one in losses]).sum() for part in ("classification", "affinity")
    )
    whole = JointLoss(total=classification, classification=classification, affinity=affinity, beta=losses[0].beta)
    ratio = affinity_gradient_ratio(whole, *(value for value in state.network.parameters() if value.requires_grad))
    return ratio if math.isfinite(ratio) else None


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate: linear over the first tenth of the steps, then a cosine to zero.

    Example:
        >>> [round(schedule(step, 100), 2) for step in (0, 9, 55, 99)]
        [0.1, 1.0, 0.5, 0.0]
    """
    ramp = max(1.0, _WARMUP * steps)
    if step < ramp:
        return (step + 1) / ramp if step + 1 < ramp else 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1.0, steps - ramp)))


def make_losses(run: Run, device: str) -> tuple[BatchLoss, BatchLoss | None]:
    """The classification and the affinity loss that the configuration names; None for no affinity loss.

    Raises:
        TrainingError: `LOSSES` has none of that name.
    """
    config: LossConfig = run.config.loss
    setup = LossSetup(
        counts=target_distribution(torch.from_numpy(run.train.targets), run.emotions).sum(0).to(device),
        embedding_width=run.embedding_width,
        gamma=config.gamma,
        weighting=config.class_weights,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        classification = _make_loss("classification", config.classification, setup)
        if config.affinity == "none" or config.beta == 0:
            return classification, None
        return classification, _make_loss("affinity", config.affinity, setup)


def _make_loss(part: str, name: str, setup: LossSetup) -> BatchLoss:
    if name not in LOSSES[part]:
        raise TrainingError(f"loss.{part} is '{name}', expected one of {', '.join(LOSSES[part])}")
    loss = LOSSES[part][name](setup)
    return loss.to(setup.counts.device) if isinstance(loss, nn.Module) else loss


def _groups(named: list[tuple[str, nn.Parameter]], run: Run) -> list[dict[str, Any]]:
    """Parameters by learning rate, and of each rate the matrices, which decay, apart from the rest."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): [], (1.0, False): []}
    for name, value in named:
        decays = value.ndim > 1 and not name.endswith("bias")
        groups.setdefault((lr_multiplier_of(name, run.lr_multipliers), decays), []).append(value)
    return [
        {"params": values, "weight_decay": run.config.weight_decay if decays else 0.0, "rate": rate}
        for (rate, decays), values in groups.items()
    ]


def lr_multiplier_of(name: str, multipliers: Mapping[str, float]) -> float:
    """Factor of a parameter's learning rate: that of the longest start of its name, else 1.

    Example:
        >>> multipliers = {"encoder.": 0.1, "encoder.layer.0.": 0}
        >>> [lr_multiplier_of(name, multipliers) for name in ("head.bias", "encoder.layer.0.bias")]
        [1.0, 0]
    """
    start = max((start for start in multipliers if name.startswith(start)), key=len, default=None)
    return 1.0 if start is None else multipliers[start]


def _out_of_patience(history: list[dict[str, float]], patience: int) -> bool:
    scores = [entry["dev"] for entry in history if "dev" in entry]
    return bool(patience and scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience


def _dev_score(state: _State, run: Run, dev: Examples | None) -> float | None:
    """Score of the weights that count on some examples; None without them."""
    if dev is None or not dev.size or run.score is None:
        return None
    current = _copy(state.network)
    state.network.load_state_dict(state.averaged())
    score = run.score(predict(state.network, dev, run.device)[1], dev.targets)
    state.network.load_state_dict(current)
    return score


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _to_torch(inputs: Inputs, device: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in inputs.items()}


def _identity(network: nn.Module, run: Run) -> str:
    described = {
        "config": msgspec.to_builtins(run.config),
        "seed": run.seed,
        "network": {name: list(value.shape) for name, value in network.state_dict().items()},
        "identity": run.identity,
        "rates": dict(run.lr_multipliers),  # this key is part of digests of runs that are done
        "targets": hashlib.sha256(np.ascontiguousarray(run.train.targets).tobytes()).hexdigest(),
    }
    return hashlib.sha256(msgspec.json.encode(described, order="sorted")).hexdigest()


def _finished(network: nn.Module, folder: Path | None, identity: str) -> StageRecord | None:
    """The record of a run that is done, with its weights loaded; None if it is not."""
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


def _resume(state: _State, folder: Path | None, identity: str) -> None:
    if folder is None or not (folder / CHECKPOINT).exists():
        return
    try:
        with safe_open(folder / CHECKPOINT, framework="pt") as handle:
            notes = msgspec.json.decode(handle.metadata()["notes"])
            flat = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        found, progress = notes["identity"], (notes["epoch"], notes["history"], notes["best_epoch"])
    except (*JSON_ERRORS, SafetensorError, OSError, KeyError, TypeError) as error:
        raise TrainingError(f"{folder / CHECKPOINT}: damaged ({error}); delete it to train this stage again") from error
    _check_same(folder, found, identity)
    state.restore(flat, *progress)


def _save_checkpoint(state: _State, folder: Path, identity: str) -> None:
    notes = {
        "identity": identity,
        "epoch": state.epoch,
        "history": state.history,
        "best_epoch": state.best_epoch,
    }
    _save(state.tensors(), folder / CHECKPOINT, {"notes": msgspec.json.encode(notes).decode()})


def _save_finished(network: nn.Module, record: StageRecord, folder: Path) -> None:
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
