"""What is trained: eight losses on every task, their beta chosen on inner folds, and one emotion made rare."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from benchmarks.acted import progress
from benchmarks.study.cells import Cells
from benchmarks.study.tasks import Task
from bimodal.config import LossConfig
from bimodal.data.splits import Fold
from bimodal.evaluation import metrics
from bimodal.training.loop import predict
from bimodal.training.stage import RunContext, train_modality

CE = "cross-entropy"
FOCAL = LossConfig(affinity="none")
LOSSES: dict[str, LossConfig] = {
    CE: replace(FOCAL, gamma=0.0),
    "class-weighted": replace(FOCAL, gamma=0.0, class_weights="balanced"),
    "focal": FOCAL,
    "logit-adjusted": replace(FOCAL, classification="logit_adjusted"),
    "centre + cross-entropy": replace(FOCAL, gamma=0.0, affinity="centre"),
    "contrastive + focal": replace(FOCAL, affinity="contrastive"),
    "pairwise + focal": replace(FOCAL, affinity="pairwise"),
    "gaussian + focal": replace(FOCAL, affinity="gaussian"),
}
SWEPT = (CE, "class-weighted", "focal", "logit-adjusted", "pairwise + focal", "gaussian + focal")
GAMMAS, BETAS = (1.0, 2.0, 3.0), (0.1, 0.3, 1.0, 3.0, 10.0)
INNER_SEED = 100
CUT, SHARES = "sadness", (0.5, 0.25, 0.1)
"""The emotion that is made rare, and what is left of it.

Sadness, named before anything was trained: it is complete on RAVDESS, and its neighbours calm, neutral and fear are
what the literature says it is confused with, so it is the rare and confused emotion that the method is for.
"""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the inner folds of one fold decided.

    Attributes:
        gamma: Of the focal loss.
        beta: By loss.
        pairs: The emotions that cross-entropy confuses most there.
    """

    gamma: float
    beta: dict[str, float]
    pairs: tuple[tuple[int, int], ...]


def settled(name: str, choice: Choice) -> LossConfig:
    """A loss with what was chosen for it."""
    loss = LOSSES[name]
    gamma = choice.gamma if "focal" in name else loss.gamma
    return replace(loss, gamma=gamma, beta=choice.beta.get(name, 0.0))


def score_rows(task: Task, fold: Fold, loss: LossConfig, seed: int) -> Any:
    """Scores (n, C) of a fold's test rows by a network that was trained on its training rows."""
    network, _ = train_modality(task.side, fold.train, [], replace(task.config, loss=loss), RunContext(seed=seed))
    return metrics.softmax(predict(network, task.side.examples.subset(fold.test))[1])


def _key(task: Task, fold: Fold, loss: LossConfig, seed: int) -> dict[str, Any]:
    plain = msgspec.to_builtins(loss)
    return {"configuration": task.configuration, "data": task.side.identity, "fold": fold.name, "loss": plain,
            "seed": seed}  # fmt: skip


def inner_confusions(task: Task, fold: Fold, loss: LossConfig, cells: Cells) -> Any:
    """Confusions (C, C) over the inner folds of a fold."""

    def compute(inner: Fold) -> dict[str, Any]:
        guesses = score_rows(task, inner, loss, INNER_SEED).argmax(axis=1)
        matrix = metrics.count_confusions(task.targets[list(inner.test)], guesses, len(task.emotions))
        return {"confusions": np.asarray(matrix).tolist()}

    part = f"inner/{task.name}"
    found = [
        cells.get(part, _key(task, inner, loss, INNER_SEED), lambda inner=inner: compute(inner))  # type: ignore[misc]
        for inner in task.inner(fold)
    ]
    return np.sum([one["confusions"] for one in found], axis=0)


def inner_uar(task: Task, fold: Fold, loss: LossConfig, cells: Cells) -> float:
    """UAR over the inner folds of a fold."""
    return float(metrics.unweighted_average_recall(inner_confusions(task, fold, loss, cells)))


def choose(task: Task, folds: Sequence[Fold], pairs: tuple[tuple[int, int], ...], cells: Cells) -> Choice:
    """Gamma, then each beta, by the mean inner UAR over some folds; none of their test rows is looked at."""

    def best(losses: dict[float, LossConfig]) -> float:
        means = {
            value: np.mean([inner_uar(task, fold, loss, cells) for fold in folds]) for value, loss in losses.items()
        }
        return max(means, key=lambda value: means[value])

    gamma = best({value: replace(FOCAL, gamma=value) for value in GAMMAS})
    plain = Choice(gamma=gamma, beta={}, pairs=pairs)
    beta = {
        name: best({value: replace(settled(name, plain), beta=value) for value in BETAS})
        for name, loss in LOSSES.items()
        if loss.affinity != "none"
    }
    return Choice(gamma=gamma, beta=beta, pairs=pairs)


def confused_pairs(matrix: Any, count: int) -> tuple[tuple[int, int], ...]:
    """The pairs of emotions with the largest confusion mass, as shares of their own rows.

    Example:
        >>> confused_pairs([[8, 2, 0], [1, 9, 0], [0, 1, 9]], 1)
        ((0, 1),)
    """
    emotions = len(matrix)
    pairs = [(one, other) for one in range(emotions) for other in range(one + 1, emotions)]
    ranked = sorted(pairs, key=lambda pair: -np.nan_to_num(metrics.confusion_mass(matrix, [pair])))
    return tuple(ranked[:count])


def choices(task: Task, ravdess: Task, cells: Cells) -> list[Choice]:
    """One choice a fold, made on that fold's training rows; saved once.

    A task that chooses nothing takes what all inner folds of RAVDESS say; its confused pairs are its own.
    """

    def compute(fold: Fold) -> dict[str, Any]:
        pairs = confused_pairs(inner_confusions(task, fold, LOSSES[CE], cells), task.pairs)
        chosen = choose(task, [fold], pairs, cells) if task.choose else choose(ravdess, ravdess.folds, pairs, cells)
        plain: dict[str, Any] = msgspec.to_builtins(chosen)
        return plain

    key = {"configuration": task.configuration, "data": task.side.identity, "of": ravdess.side.identity}
    return [
        msgspec.convert(
            cells.get(f"choice/{task.name}", key | {"fold": fold.name}, lambda fold=fold: compute(fold)),  # type: ignore[misc]
            Choice,
        )
        for fold in progress(task.folds, f"{task.name}: choices")
    ]


def run_losses(task: Task, chosen: Sequence[Choice], seeds: Sequence[int], cells: Cells) -> dict[str, list[Any]]:
    """Scores of all N rows by each loss, one array (N, C) a seed; rows that no fold tests are NaN.

    Folds are the outer loop: what precedes the heads is fitted once for all losses and seeds of one.
    """
    shape = (len(task.targets), len(task.emotions))
    found = {name: [np.full(shape, np.nan) for _ in seeds] for name in LOSSES}
    for fold, choice in zip(progress(task.folds, f"{task.name}: losses"), chosen, strict=True):
        for place, seed in enumerate(seeds):
            for name in LOSSES:
                loss = settled(name, choice)
                cell = cells.get(
                    f"losses/{task.name}",
                    _key(task, fold, loss, seed),
                    lambda fold=fold, loss=loss, seed=seed: _scores(task, fold, loss, seed),  # type: ignore[misc]
                )
                found[name][place][list(fold.test)] = _restored(cell)
    return found


def _scores(task: Task, fold: Fold, loss: LossConfig, seed: int) -> dict[str, Any]:
    return {"scores": np.round(score_rows(task, fold, loss, seed), 5).tolist()}


def _restored(cell: dict[str, Any]) -> Any:
    """Scores that sum to 1 again after rounding."""
    scores = np.array(cell["scores"])
    return scores / scores.sum(axis=1, keepdims=True)


def cut_fold(task: Task, fold: Fold, emotion: str, share: float, seed: int) -> Fold:
    """The fold with a random share of one emotion's training rows; the same for every loss."""
    position = task.emotions.index(emotion)
    rows = np.array([row for row in fold.train if task.targets[row] == position])
    kept = np.random.default_rng(seed).permutation(rows)[: max(1, round(share * len(rows)))]
    gone = set(rows.tolist()) - set(kept.tolist())
    return Fold(
        name=f"{fold.name} {emotion} {share:g} {seed}",
        train=tuple(row for row in fold.train if row not in gone),
        test=fold.test,
    )


def run_imbalance(
    task: Task, chosen: Sequence[Choice], seeds: Sequence[int], cells: Cells
) -> dict[tuple[str, float], list[Any]]:
    """As `run_losses`, by loss and by what is left of the emotion that is cut."""
    shape = (len(task.targets), len(task.emotions))
    found = {(name, share): [np.full(shape, np.nan) for _ in seeds] for name in SWEPT for share in SHARES}
    for fold, choice in zip(progress(task.folds, f"{task.name}: one emotion made rare"), chosen, strict=True):
        for share in SHARES:
            for place, seed in enumerate(seeds):
                cut = cut_fold(task, fold, CUT, share, seed)
                for name in SWEPT:
                    loss = settled(name, choice)
                    cell = cells.get(
                        f"imbalance/{task.name}",
                        _key(task, cut, loss, seed),
                        lambda cut=cut, loss=loss, seed=seed: _scores(task, cut, loss, seed),  # type: ignore[misc]
                    )
                    found[name, share][place][list(fold.test)] = _restored(cell)
    return found
