"""The speech stage (step 201 of the method) and the text stage (202): one network of one modality, trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bimodal.arrays import Floats
from bimodal.config import StageConfig
from bimodal.data.batches import Examples, count_targets, main_emotion, single_emotion
from bimodal.errors import TrainingError
from bimodal.evaluation.metrics import count_confusions, unweighted_average_recall
from bimodal.features.cache import cache_key
from bimodal.training.checkpoint import StageRecord
from bimodal.training.loop import Run, fit
from bimodal.training.modality import Modality, fresh_network, head_examples, head_inputs
from bimodal.training.processes import ALONE, Processes

OnEpoch = Callable[[dict[str, Any]], None]
"""Takes what `RunContext.tell` tells of an epoch."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Where and how a stage runs.

    Attributes:
        seed: Decides start and order.
        device: Torch device.
        folder: Folder of the stage; None leaves no trace.
        on_epoch: Called after each epoch, for progress.
        name: Of the stage, such as `speech` or `fusion/speech/part1`.
        shows_dev: Score the dev rows after each epoch for `on_epoch` also where they decide nothing.
        processes: Those that train together.
    """

    seed: int = 0
    device: str = "cpu"
    folder: Path | None = None
    on_epoch: OnEpoch = lambda entry: None
    name: str = ""
    shows_dev: bool = False
    processes: Processes = ALONE

    def below(self, name: str) -> "RunContext":
        """The same, in a folder below."""
        folder = None if self.folder is None else self.folder / name
        return replace(self, folder=folder, name=f"{self.name}/{name}".strip("/"))

    def tell(self, entry: dict[str, Any]) -> None:
        """Tell `on_epoch` what the loop tells of an epoch, with the name of the stage as `stage`."""
        self.on_epoch({**entry, "stage": self.name})


def uar_score(logits: Floats, targets: npt.NDArray[Any]) -> float:
    """Unweighted average recall of logits (N, C), 0 to 1; what decides between epochs.

    Targets of several emotions are left out; 0 if no other is there.
    """
    alone = single_emotion(targets)
    matrix = count_confusions(main_emotion(targets)[alone], logits[alone].argmax(axis=1), logits.shape[1])
    return float(unweighted_average_recall(matrix)) if alone.any() else 0.0


def train_modality(
    modality: Modality, train: Sequence[int], dev: Sequence[int], config: StageConfig, where: RunContext
) -> tuple[nn.Module, StageRecord]:
    """Train the network of one modality (step 201 or 202).

    Args:
        modality: Speech or text of all utterances.
        train: Rows to train on; rows where the modality is absent are skipped.
        dev: Rows whose UAR decides which epoch is kept, if the configuration's patience is above 0.
        config: How to train.
        where: Where it runs.

    Raises:
        TrainingError: No row to train on, or fewer than two emotions in them.
    """
    rows, watched = modality.present_rows(train), list(dev) if config.patience else []
    counts = count_targets(modality.examples.targets[rows], modality.emotions)
    if np.count_nonzero(counts) < 2:
        raise TrainingError(
            f"the {modality.name} stage has {len(rows)} training utterances with {modality.name}, with fewer than two "
            "emotions; give labelled utterances of at least two emotions"
        )
    network: Any = fresh_network(modality, rows, where.seed)
    network.head.limit_to(torch.from_numpy(counts > 0))
    shown = modality.present_rows(dev if where.shows_dev else watched)
    trained, examples, held = _trained_part(modality, network, rows, shown)
    network.to(where.device)
    record = fit(
        trained,
        Run(
            train=examples,
            dev=held if watched else None,
            shown=held,
            config=config,
            emotions=modality.emotions,
            embedding_width=network.head.shape.embedding_width,
            seed=where.seed,
            device=where.device,
            folder=where.folder,
            identity=cache_key(modality.identity, *map(int, rows), "dev", *map(int, watched)),
            lr_multipliers=modality.lr_multipliers,
            score=uar_score,
            on_epoch=where.tell,
            processes=where.processes,
        ),
    )
    return network.eval(), record


def _trained_part(
    modality: Modality, network: Any, rows: Sequence[int], dev: Sequence[int]
) -> tuple[nn.Module, Examples, Examples | None]:
    """What of a network is trained, and on what; the head alone, on what it sees, where nothing before it is trained.

    What the head sees is computed once for all steps, seeds and losses (step 203 of the method, taken one layer on).
    """
    seen = head_examples(modality, rows)
    if seen is None:
        return network, modality.augmented.subset(rows), modality.examples.subset(dev) if dev else None
    return network.head, seen, head_inputs(modality, network, dev) if dev else None
