"""Kinds of fusion, cross-fitted or not, with each side there, missing, or in contradiction to the other."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks import meld
from benchmarks.acted import progress
from benchmarks.record import Options, config_digest
from benchmarks.study.cells import Cells
from bimodal.config import FusionConfig, TrainConfig
from bimodal.evaluation.predictions import ClusterName
from bimodal.inference.outputs import ModalityOutputs
from bimodal.training.fusion import fusion_examples, train_fusion
from bimodal.training.loop import predict
from bimodal.training.outputs import compute_outputs, cross_fit, cross_fitting_folds
from bimodal.training.prepare import Prepared
from bimodal.training.rows import Parts
from bimodal.training.stage import RunContext, train_modality

KINDS = ("gate", "concatenation", "experts", "late")
CONDITIONS = ("both", "voice missing", "words missing", "words of another", "voice of another")
"""What the test rows have; `of another`: that of an utterance with another emotion stands in its place."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """A corpus with both sides.

    Attributes:
        name: Of the corpus.
        title: For the page.
        prepared: Its sides.
        parts: Rows to train on.
        test: Rows that are reported; both sides are there.
        clusters: (N,) what is resampled as one.
        cluster_name: What the clusters are.
        groups: (N,) what cross-fitting keeps together.
        config: How to train.
    """

    name: str
    title: str
    prepared: Prepared
    parts: Parts
    test: tuple[int, ...]
    clusters: tuple[str, ...]
    cluster_name: ClusterName
    groups: tuple[str, ...]
    config: TrainConfig


def meld_pairs(options: Options) -> Paired:
    """MELD's words and prosody on the official split."""
    config = replace(meld.CONFIG, threads=options.threads)
    prepared, parts = meld.prepare_meld(options, config)
    dialogues = tuple(str(utterance.dialogue) for utterance in prepared.rows.utterances)
    both = prepared.modalities["speech"].present & prepared.modalities["text"].present
    return Paired(
        name="meld",
        title="MELD, words and eight prosodic features, 7 emotions, official split",
        prepared=prepared,
        parts=parts,
        test=tuple(row for row in prepared.rows.rows("test") if both[row]),
        clusters=dialogues,
        cluster_name="dialogue",
        groups=dialogues,
        config=config,
    )


PAIRED: dict[str, Callable[[Options], Paired]] = {"meld": meld_pairs}
"""Corpora with both sides. One whose folds hold out texts and speakers is added here, one `Paired` a fold."""


def system_name(kind: str, crossed: bool) -> str:
    """What a variant is called on the page."""
    return kind if kind == "late" else f"{kind}, {'cross-fitted' if crossed else 'not cross-fitted'}"


SYSTEMS = (
    "voice alone",
    "words alone",
    *(system_name(kind, crossed) for kind in KINDS for crossed in ((True,) if kind == "late" else (True, False))),
)


def run_fusion(task: Paired, seeds: tuple[int, ...], cells: Cells) -> dict[tuple[str, str], list[Any]]:
    """Guesses of the test rows by system and condition, one array (n,) a seed; -1 where a system has no input."""
    key = {
        "configuration": config_digest(task.config),
        "data": {name: side.identity for name, side in task.prepared.modalities.items()},
        "systems": list(SYSTEMS),
    }
    found: dict[tuple[str, str], list[Any]] = {}
    for seed in progress(seeds, f"{task.name}: fusion"):
        cell = cells.get(f"fusion/{task.name}", key | {"seed": seed}, lambda seed=seed: fuse(task, seed))  # type: ignore[misc]
        for name, guesses in cell.items():
            system, _, condition = name.partition(" | ")
            found.setdefault((system, condition), []).append(np.array(guesses))
    return found


def fuse(task: Paired, seed: int) -> dict[str, Any]:
    """All variants of one seed, on the same two networks, as guesses by `system | condition`."""
    by_heart, crossed = find_sides(task, seed)
    conditions = make_conditions(by_heart, task, seed)
    guesses: dict[str, Any] = {}
    for condition, (speech, text) in conditions.items():
        for name, side in (("voice alone", speech), ("words alone", text)):
            guess = np.where(side.present, side.logits.argmax(axis=1), -1)
            guesses[f"{name} | {condition}"] = guess[list(task.test)].tolist()
    for kind in KINDS:
        for outputs in (crossed, by_heart)[: 1 if kind == "late" else 2]:
            config = replace(task.config.fusion, kind=kind, cross_fit=outputs is crossed)
            name = system_name(kind, outputs is crossed)
            for condition, guess in fused_guesses(task, outputs, conditions, config, seed).items():
                guesses[f"{name} | {condition}"] = guess.tolist()
    return guesses


Sides = tuple[ModalityOutputs, ModalityOutputs]


def find_sides(task: Paired, seed: int) -> tuple[Sides, Sides]:
    """Speech and text outputs from the final networks, and the same with the training rows cross-fitted."""
    by_heart, crossed, where = [], [], RunContext(seed=seed)
    folds = cross_fitting_folds(task.groups, None, task.parts.train, task.config.fusion.n_folds, seed)
    for name, config in (("speech", task.config.speech), ("text", task.config.text)):
        side = task.prepared.modalities[name]
        network, _ = train_modality(side, task.parts.train, [], config, where)
        by_heart.append(compute_outputs(network, side))
        crossed.append(cross_fit(side, network, folds, config, where))
    return (by_heart[0], by_heart[1]), (crossed[0], crossed[1])


def make_conditions(sides: Sides, task: Paired, seed: int) -> dict[str, Sides]:
    """Both sides' outputs in each condition."""
    speech, text = sides
    nobody = np.zeros_like(speech.present)
    other = others(task.prepared.rows.targets, task.test, seed)
    return dict(
        zip(
            CONDITIONS,
            (
                sides,
                (replace(speech, present=nobody), text),
                (speech, replace(text, present=nobody)),
                (speech, _moved(text, other)),
                (_moved(speech, other), text),
            ),
            strict=True,
        )
    )


def others(targets: Any, test: tuple[int, ...], seed: int) -> Any:
    """For each of N rows another one; for a test row another test row, drawn evenly, of another emotion."""
    rng, order = np.random.default_rng(seed), np.arange(len(targets))
    rows = np.array(test)
    for row in test:
        order[row] = rng.choice(rows[targets[rows] != targets[row]])
    return order


def _moved(side: ModalityOutputs, order: Any) -> ModalityOutputs:
    return ModalityOutputs(embedding=side.embedding[order], logits=side.logits[order], present=side.present[order])


def fused_guesses(
    task: Paired, outputs: Sides, conditions: dict[str, Sides], config: FusionConfig, seed: int
) -> dict[str, Any]:
    """Guesses of the test rows in each condition by a fusion that learned from the training rows' outputs."""
    targets = task.prepared.rows.targets
    network, _ = train_fusion(fusion_examples(*outputs, targets), task.parts.train, [], config, RunContext(seed=seed))
    guesses = {}
    for condition, sides in conditions.items():
        logits = predict(network, fusion_examples(*sides, targets).subset(task.test))[1]
        known = (sides[0].present | sides[1].present)[list(task.test)]
        guesses[condition] = np.where(known, np.nan_to_num(logits, nan=0.0).argmax(axis=1), -1)
    return guesses
