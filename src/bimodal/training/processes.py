"""Several processes that train one network together, through accelerate; a single process needs nothing of it.

All processes run the whole program alike. A batch is divided among them, and its loss is that of the whole batch: each
process gathers the outputs of all, and only its own carry a gradient. The first process alone writes files.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import torch
from torch import Tensor, nn

from bimodal.errors import LostProcessError, TrainingError

_PATIENCE: Final = timedelta(days=7)  # others wait while the first process encodes a corpus
_APART: Final = 1 << 32  # seeds of processes lie this far apart


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes that train together, seen from one of them.

    Attributes:
        rank: Number of this process, from 0.
        count: Number of processes.
        accelerator: Of accelerate; None for one process.
    """

    rank: int = 0
    count: int = 1
    accelerator: Any = None

    @property
    def writes(self) -> bool:
        """Whether this process writes the files of all."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network whose backward pass averages the gradients of all processes; it starts as that of the first."""
        if self.accelerator is None or not any(value.requires_grad for value in network.parameters()):
            return network
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that change between versions of torch and accelerate
            wrapped: nn.Module = self.accelerator.prepare_model(network)
        return wrapped

    def without_exchange(self, wrapped: nn.Module, apart: bool) -> AbstractContextManager[Any]:
        """Where gradients are only summed up in each process, for all but the last part of a batch."""
        if apart and isinstance(wrapped, nn.parallel.DistributedDataParallel):
            return wrapped.no_sync()
        return nullcontext()

    def share_of(self, rows: Sequence[int]) -> list[int]:
        """The rows of a batch that this process reads. One that has none reads a row that counts for nothing."""
        first, after = self._bounds(len(rows), self.rank)
        return list(rows[first:after]) or list(rows[:1])

    def gather(self, mine: Tensor, size: int, outputs: Sequence[Tensor] = ()) -> Tensor:
        """The rows of all processes, (size, ...), in their order; the gradient reaches the own ones.

        Each process has the loss of the whole batch, and gradients are averaged. So the own gradient counts as often
        as there are processes.

        Args:
            mine: What this process has for `share_of` a batch.
            size: Rows of the batch.
            outputs: All that the network gave. They count with weight 0, as the others wait for each gradient.
        """
        if self.accelerator is None:
            return mine
        bounds, most = [self._bounds(size, rank) for rank in range(self.count)], -(-size // self.count)
        own = mine[: bounds[self.rank][1] - bounds[self.rank][0]]
        padded = mine.new_zeros((most, *mine.shape[1:]))
        padded[: len(own)] = own.detach()
        everyone = self.accelerator.gather(padded).split(most)
        parts = [part[: after - first] for part, (first, after) in zip(everyone, bounds, strict=True)]
        if mine.requires_grad:
            parts[self.rank] = own.detach() + (own - own.detach()) * self.count
        whole = torch.cat(parts)
        for one in outputs:
            whole = whole + 0.0 * one.float().sum()
        return whole

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        return value if self.accelerator is None else self.accelerator.reduce(value.clone(), reduction="mean")

    def agreed(self, value: float) -> float:
        """The number that the first process has: others may differ in the last digit, and must decide alike."""
        if self.accelerator is None:
            return value
        from accelerate.utils import broadcast

        told = torch.tensor([value], dtype=torch.float64, device=self.accelerator.device)
        return float(broadcast(told)[0])

    def wait(self) -> None:
        """Wait for all others."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()

    def free(self) -> None:
        """Forget the networks that were wrapped."""
        if self.accelerator is not None:
            self.accelerator.free_memory()

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process does the block before the others do."""
        if not self.writes:
            self.wait()
        yield
        if self.writes:
            self.wait()

    @contextmanager
    def noticing_loss(self) -> Iterator[None]:
        """Within the block, the end of another process is an error of its own.

        Raises:
            LostProcessError: Another process has ended.
        """
        try:
            yield
        except RuntimeError as error:
            theirs = isinstance(error, torch.distributed.DistError) or "gloo" in str(error).casefold()
            if self.accelerator is None or not theirs:
                raise
            raise LostProcessError("another process of this training ended; see what it said") from error

    def reseed(self, seed: int) -> None:
        """Let torch's generator draw other numbers in each further process; those of the first one are as they were."""
        if self.rank:
            torch.manual_seed(seed + self.rank * _APART)

    def _bounds(self, size: int, rank: int) -> tuple[int, int]:
        return size * rank // self.count, size * (rank + 1) // self.count


ALONE: Final = Processes()
"""One process by itself."""


def join_processes(device: str) -> tuple[Processes, str]:
    """The processes that `accelerate launch` or `bimodal train --processes` started, and the device of this one.

    Args:
        device: Torch device of the settings; `cuda` becomes the own device of this process.

    Raises:
        TrainingError: accelerate is not installed, or the processes cannot be joined.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return ALONE, device
    try:
        from accelerate import Accelerator  # imports for seconds
        from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
    except ModuleNotFoundError as error:
        needs = "pip install 'bimodal-emotion[distributed]'"
        raise TrainingError(f"several processes need 'accelerate': {needs}") from error
    options = [
        InitProcessGroupKwargs(timeout=_PATIENCE),
        # A stage may leave parameters out of its loss; buffers are the same everywhere.
        DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False),
    ]
    try:
        accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=options)
    except (RuntimeError, ValueError, OSError) as error:
        raise TrainingError(f"the processes cannot be joined: {str(error).splitlines()[0]}") from error
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # of small matrices, where it costs nothing
    found = Processes(rank=accelerator.process_index, count=accelerator.num_processes, accelerator=accelerator)
    return found, "cpu" if accelerator.device.type == "cpu" else str(accelerator.device)
