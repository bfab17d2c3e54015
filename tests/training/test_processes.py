"""Several processes train as one does: the same losses, an exact resume, sentences for what goes wrong."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bimodal.config import LossConfig, StageConfig
from bimodal.data.batches import Examples, array_examples
from bimodal.errors import TrainingError
from bimodal.models.layers import HeadShape
from bimodal.models.text import TextNetwork
from bimodal.training import loop
from bimodal.training.checkpoint import WEIGHTS
from bimodal.training.loop import Run, fit
from bimodal.training.processes import ALONE, Processes, join_processes

PLAIN = StageConfig(epochs=4, min_steps=0, batch_size=8, learning_rate=1e-2, ema_decay=0.9, loss=LossConfig(gamma=1.0))
CONFIGS = {
    "pairwise": PLAIN,
    "gaussian": replace(PLAIN, max_grad_norm=0.5, loss=LossConfig(affinity="gaussian", class_weights="balanced")),
    "centre": replace(PLAIN, patience=2, loss=LossConfig(affinity="centre")),
    "contrastive": replace(PLAIN, loss=LossConfig(affinity="contrastive")),
    "accumulated": replace(PLAIN, accumulate=3),
}
"""25 rows in batches of 8 end with a batch of one: one of two processes then has nothing to read."""


def examples(size: int = 25, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, size)
    pooled = rng.normal(0, 1.5, (size, 2, 4)) + np.eye(3, 8)[targets].reshape(size, 2, 4)
    return array_examples({"pooled": pooled.astype(np.float32)}, targets)


def network(dropout: float = 0.0) -> TextNetwork:
    torch.manual_seed(0)
    shape = HeadShape(
        ensemble_size=2, hidden_width=8, embedding_width=6, input_dropout=dropout, dropout=dropout,
        input_noise_std=0.0, embedding_norm=4.0,
    )  # fmt: skip
    return TextNetwork(layers=2, width=4, emotions=3, shape=shape)


def train(config: StageConfig, folder: Path, processes: Processes = ALONE, dropout: float = 0.0, **changes):
    """A tiny stage; gives the record and the network."""
    options = {"train": examples(), "dev": examples(40, 1) if config.patience else None, "config": config, "seed": 3}
    options |= {"score": lambda logits, targets: float((logits.argmax(1) == targets).mean())}
    trained = network(dropout)
    run = Run(emotions=3, embedding_width=6, folder=folder, processes=processes, **(options | changes))
    return fit(trained, run), trained


class StoppedError(Exception):
    """The processes stop here."""


def stop_at(epoch: int):
    def on_epoch(entry) -> None:
        if entry["epoch"] == epoch:
            raise StoppedError

    return on_epoch


def in_each_process(folder: Path) -> None:
    """What each of two processes does: all cases, and one case that is interrupted and goes on."""
    processes, device = join_processes("cpu")
    assert (processes.count, device) == (2, "cpu")
    for name, config in CONFIGS.items():
        train(config, folder / name, processes)
    train(CONFIGS["gaussian"], folder / "whole", processes, dropout=0.3)
    loop._SECONDS_BETWEEN_CHECKPOINTS = -1.0
    try:
        train(CONFIGS["gaussian"], folder / "resumed", processes, dropout=0.3, on_epoch=stop_at(3))
    except StoppedError:
        processes.free()
        processes.wait()
    torch.manual_seed(99)
    train(CONFIGS["gaussian"], folder / "resumed", processes, dropout=0.3)
    with_rank = torch.full((3 - processes.rank, 1), float(processes.rank))  # of five rows
    (folder / f"gathered{processes.rank}.json").write_text(
        json.dumps(processes.gather(with_rank[:2], 4)[:, 0].tolist())
    )
    torch.distributed.destroy_process_group()


def run_two(*arguments: object) -> list[subprocess.CompletedProcess]:
    """Two processes of this file, as `accelerate launch` starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    found = []
    for rank in ("0", "1"):
        environment = {**os.environ, **common, "RANK": rank, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": "2"}
        command = [sys.executable, __file__, *map(str, arguments)]
        found.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    return [subprocess.CompletedProcess(child.args, child.wait(), stderr=child.stderr.read()) for child in found]


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """Folder of the stages that two processes trained."""
    folder = tmp_path_factory.mktemp("two")
    for done in run_two(folder):
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_have_the_losses_of_one_with_the_same_batches(two, name, tmp_path):
    record, alone = train(CONFIGS[name], tmp_path)
    told = json.loads((two / name / "stage.json").read_text())
    assert told["best_epoch"] == record.best_epoch
    for ours, theirs in zip(told["history"], record.history, strict=True):
        assert ours.keys() == theirs.keys()
        shared = [key for key in ours if key != "seconds"]
        assert [ours[key] for key in shared] == pytest.approx([theirs[key] for key in shared], abs=1e-4)
    weights = load_file(two / name / WEIGHTS)
    assert all(torch.allclose(value, weights[key], atol=1e-4) for key, value in alone.state_dict().items())


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_interrupted_processes_go_on_as_if_they_never_were(two):
    whole, resumed = (load_file(two / name / WEIGHTS) for name in ("whole", "resumed"))
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    plain = load_file(two / "gaussian" / WEIGHTS)
    assert any(not torch.equal(value, plain[key]) for key, value in whole.items())


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_rows_of_all_processes_stand_in_their_order(two):
    found = [json.loads((two / f"gathered{rank}.json").read_text()) for rank in (0, 1)]
    assert found == [[0.0, 0.0, 1.0, 1.0]] * 2


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_run_of_two_processes_is_not_finished_by_one(two):
    with pytest.raises(TrainingError, match="holds a run with another configuration"):
        train(CONFIGS["pairwise"], two / "pairwise")


def test_shares_hold_each_row_once_and_are_never_empty():
    for size in range(1, 20):
        shares = [Processes(rank=rank, count=3).share_of(range(size)) for rank in range(3)]
        assert all(shares)
        assert sorted({row for share in shares for row in share}) == list(range(size))
        assert sum(map(len, shares)) == max(3, size) if size >= 3 else 3


def test_one_process_needs_no_accelerate_and_changes_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_processes("cpu") == (ALONE, "cpu")
    rows, net = torch.ones(3, 2), network()
    assert ALONE.gather(rows, 3) is rows and ALONE.wrap(net) is net and ALONE.agreed(0.25) == 0.25
    state = torch.get_rng_state()
    ALONE.reseed(7)
    assert torch.equal(torch.get_rng_state(), state)


def test_several_processes_without_accelerate_are_a_sentence(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(TrainingError, match=r"several processes need 'accelerate': pip install"):
        join_processes("cpu")


if __name__ == "__main__":
    in_each_process(Path(sys.argv[1]))
