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
from torch import Tensor, nn

from bimodal.config import LossConfig, StageConfig
from bimodal.data.batches import TARGETS, Examples, Inputs
from bimodal.errors import TrainingError
from bimodal.models.losses import LOSSES
from bimodal.models.losses.focal import target_distribution
from bimodal.models.losses.joint import JointLoss, affinity_gradient_ratio, joint_loss, warmed_beta
from bimodal.models.losses.setup import BatchLoss, LossSetup
from bimodal.records import digested
from bimodal.training.checkpoint import StageRecord, read_checkpoint, read_finished, save_checkpoint, save_finished
from bimodal.training.processes import ALONE, Processes

_WARMUP: Final = 0.1
_SECONDS_BETWEEN_CHECKPOINTS: Final = 20.0
_PREDICTED_AT_ONCE: Final = 128
_BATCHES_SORTED: Final = 50  # batches whose examples are sorted by length together
_HALVED: Final = ("cpu", "cuda")  # kinds of devices that train in 16 bits


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
        processes: Those that train together.
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
    processes: Processes = ALONE


def fit(network: nn.Module, run: Run) -> StageRecord:
    """Train a network whose forward gives (embedding, logits, ...); its weights are the kept ones afterwards.

    Raises:
        TrainingError: The run folder holds another run, or the loss is no longer finite.
    """
    identity = _identity(network, run)
    finished = read_finished(network, run.folder, identity)
    if finished is not None:
        return finished
    check_precision(run.config.precision, run.device)
    state = _State(network, run)
    checkpoint = read_checkpoint(run.folder, identity)
    if checkpoint is not None:
        state.restore(*checkpoint)
    run.processes.wait()  # nobody writes before all have read
    folder, saved = run.folder if run.processes.writes else None, time.monotonic()
    while state.epoch < state.epochs and not _out_of_patience(state.history, run.config.patience):
        entry = _epoch(state, run)
        state.finish_epoch(entry, _dev_score(state, run, run.dev))
        shown = entry["dev"] if "dev" in entry else _dev_score(state, run, run.shown)
        run.on_epoch({**entry, "epochs": state.epochs} | ({} if shown is None else {"dev": shown}))
        if folder is not None and time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
            save_checkpoint(state.tensors(), state.notes(identity), folder)
            saved = time.monotonic()
    network.load_state_dict(state.best)
    network.eval()
    parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    record = StageRecord(identity=identity, history=state.history, best_epoch=state.best_epoch, parameters=parameters)
    if folder is not None:
        save_finished(network, record, folder)
    run.processes.free()
    run.processes.wait()
    return record


def check_precision(precision: str, device: str) -> None:
    """Refuse a number format that a device does not have.

    Raises:
        TrainingError: It does not.

    Example:
        >>> check_precision("bfloat16", "cpu")
    """
    if precision != "float32" and torch.device(device).type not in _HALVED:
        raise TrainingError(f"the device '{device}' does not train in {precision}; set precision=float32")


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
        self.wrapped = run.processes.wrap(self.network)
        self.classification, self.affinity = make_losses(run, run.device)
        named_losses = {"classification": self.classification, "affinity": self.affinity}
        self.loss_modules = {name: loss for name, loss in named_losses.items() if isinstance(loss, nn.Module)}
        modules = [network, *self.loss_modules.values()]
        named = [item for module in modules for item in module.named_parameters() if item[1].requires_grad]
        self.optimiser = torch.optim.AdamW(_groups(named, run), lr=run.config.learning_rate)
        self.scaler = torch.amp.GradScaler(torch.device(run.device).type, enabled=run.config.precision == "float16")
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
        scaling = self.scaler.state_dict().items()  # empty where nothing is scaled
        flat |= {f"scaler/{name}": torch.tensor(value, dtype=torch.float64) for name, value in scaling}
        return {name: value.detach().cpu().contiguous().clone() for name, value in flat.items()}

    def notes(self, identity: str) -> dict[str, Any]:
        """What a checkpoint tells beside the tensors."""
        told = {"epoch": self.epoch, "history": self.history, "best_epoch": self.best_epoch}
        return {"identity": identity, **told}

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
        scaling = {name: value.item() for name, value in parts.get("scaler", {}).items()}
        if scaling:
            whole = {name: int(scaling[name]) for name in ("growth_interval", "_growth_tracker")}
            self.scaler.load_state_dict(scaling | whole)
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
        run.processes.reseed(run.seed * 1_000_003 + state.epoch)  # the same batches, each with its own dropout
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
    state.optimiser.zero_grad(set_to_none=True)
    parts, total = _parts(chosen, run.config.accumulate), 0.0
    for number, part in enumerate(parts, start=1):
        ends = number == len(parts)
        with run.processes.without_exchange(state.wrapped, apart=not ends):
            losses = _losses(state, run, step, part)
            if last and ends:
                state.pull = _pull(state, losses, run.processes)
            loss = torch.stack([one.total for one in losses]).sum() * (len(part) / len(chosen))
            state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        total += loss.item() / len(losses)
    if run.config.max_grad_norm:
        state.scaler.unscale_(state.optimiser)
        trained = [value for group in state.optimiser.param_groups for value in group["params"]]
        nn.utils.clip_grad_norm_(trained, run.config.max_grad_norm)
    state.scaler.step(state.optimiser)
    state.scaler.update()
    if state.ema is not None:
        decay = min(run.config.ema_decay, (step + 1) / (step + 10))
        for name, value in state.network.state_dict().items():
            state.ema[name].lerp_(value, 1 - decay)
    return total


def _parts(chosen: list[int], count: int) -> list[list[int]]:
    """The rows of a batch in up to `count` parts of about the same size."""
    size = math.ceil(len(chosen) / count)
    return [chosen[first : first + size] for first in range(0, len(chosen), size)]


def _losses(state: _State, run: Run, step: int, chosen: list[int]) -> list[JointLoss]:
    """The joint loss of each head on some rows, which all processes share."""
    own = run.processes.share_of(chosen)
    batch = run.train.read(own)
    targets = torch.from_numpy(batch.pop(TARGETS, run.train.targets[own])).to(run.device)
    inputs, half = _to_torch(batch, run.device), run.config.precision != "float32"
    kind = torch.float16 if run.config.precision == "float16" else torch.bfloat16
    with torch.autocast(torch.device(run.device).type, kind, enabled=half):
        outputs = state.wrapped(**inputs)
        embedding, logits = (output.float() for output in outputs[:2])
    embedding, targets = (run.processes.gather(one, len(chosen)) for one in (embedding, targets))
    logits = run.processes.gather(logits, len(chosen), outputs)
    if logits.ndim == 2:
        embedding, logits = embedding[:, None], logits[:, None]
    return [
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


def _pull(state: _State, losses: list[JointLoss], processes: Processes) -> float | None:
    """Ratio of the gradient norms of affinity and classification loss, over all heads; None if it is not reported."""
    if state.affinity is None:
        return None
    classification, affinity = (
        torch.stack([getattr(one, part) for one in losses]).sum() for part in ("classification", "affinity")
    )
    whole = JointLoss(total=classification, classification=classification, affinity=affinity, beta=losses[0].beta)
    trained = [value for value in state.network.parameters() if value.requires_grad]
    ratio = affinity_gradient_ratio(whole, *trained, averaged=processes.mean)
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
    score = run.processes.agreed(run.score(predict(state.network, dev, run.device)[1], dev.targets))
    state.network.load_state_dict(current)
    return score


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _to_torch(inputs: Inputs, device: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in inputs.items()}


def _identity(network: nn.Module, run: Run) -> str:
    described = {
        "config": digested(run.config),
        "seed": run.seed,
        "network": {name: list(value.shape) for name, value in network.state_dict().items()},
        "identity": run.identity,
        "rates": dict(run.lr_multipliers),  # this key is part of digests of runs that are done
        **({"processes": run.processes.count} if run.processes.count > 1 else {}),
        "targets": hashlib.sha256(np.ascontiguousarray(run.train.targets).tobytes()).hexdigest(),
    }
    return hashlib.sha256(msgspec.json.encode(described, order="sorted")).hexdigest()
