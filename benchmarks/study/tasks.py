"""The corpora of the study: one side of each, its folds, and the inner folds that choices are made on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks import meld
from benchmarks.acted import CONFIG, prepare_corpus
from benchmarks.record import Options, config_digest
from bimodal.config import HeadConfig, TrainConfig
from bimodal.data.corpora import emodb, ravdess
from bimodal.data.splits import Fold, named_folds, speaker_folds
from bimodal.evaluation.predictions import ClusterName
from bimodal.features.cache import FeatureCache
from bimodal.training.modality import Modality
from bimodal.training.prepare import Prepared

INNER_FOLDS, INNER_USED = 4, 2
"""Inner folds of a fold's training speakers, and how many of them are trained."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One side of a corpus.

    Attributes:
        name: Of the corpus.
        title: For the page.
        side: Its inputs.
        targets: (N,).
        emotions: (C,).
        clusters: (N,) what is resampled as one.
        cluster_name: What the clusters are.
        folds: Tested; every test row once.
        inner: Folds within a fold's training rows, to choose on.
        config: How to train, but for the loss.
        choose: Whether beta and gamma are chosen here; else they are those of RAVDESS.
        pairs: How many pairs of emotions count as confused.
        configuration: Digest of all settings.
    """

    name: str
    title: str
    side: Modality
    targets: Any
    emotions: tuple[str, ...]
    clusters: tuple[str, ...]
    cluster_name: ClusterName
    folds: tuple[Fold, ...]
    inner: Callable[[Fold], tuple[Fold, ...]]
    config: HeadConfig
    choose: bool
    pairs: int
    configuration: str


def rarest(task: Task) -> tuple[int, ...]:
    """The rarest third of the emotions; of equally frequent ones all or none.

    Raises:
        ValueError: All are equally frequent.
    """
    counts = np.bincount(task.targets, minlength=len(task.emotions))
    third = max(1, len(counts) // 3)
    limit = np.sort(counts)[third]
    rare = tuple(np.flatnonzero(counts < limit).tolist())
    if not rare:
        raise ValueError(f"{task.name}: all emotions are equally frequent, none is rare")
    return rare


def single_head(config: TrainConfig) -> TrainConfig:
    """One head of the ensemble: what differs between losses differs in each, at a quarter of the cost."""
    return replace(config, speech=replace(config.speech, ensemble_size=1))


def ravdess_task(options: Options) -> Task:
    """Voice, eight emotions, EmoBox's six folds of unseen actors."""
    config = single_head(replace(CONFIG, vocabulary="ravdess8", threads=options.threads))
    with FeatureCache(options.cache) as cache:
        folder = options.data / "ravdess"
        prepared = prepare_corpus(ravdess.prepare(folder), folder, config, cache)
    folds = named_folds(_speakers(prepared), ravdess.FOLDS)
    return speech_task("ravdess", "RAVDESS, voice, 8 emotions, six folds of unseen actors", prepared, folds, config)


def emodb_task(options: Options) -> Task:
    """Voice, the four complete emotions, one speaker left out at a time; choices are RAVDESS'."""
    config = single_head(replace(CONFIG, vocabulary="acted4", threads=options.threads))
    with FeatureCache(options.cache) as cache:
        folder = options.data / "emodb"
        prepared = prepare_corpus(emodb.prepare(folder), folder, config, cache)
    folds = speaker_folds(_speakers(prepared), "loso")
    title = "EmoDB, voice, 4 emotions, one speaker left out"
    return replace(speech_task("emodb", title, prepared, folds, config), choose=False, pairs=2)


def _speakers(prepared: Prepared) -> list[str]:
    return [str(utterance.speaker) for utterance in prepared.rows.utterances]


def speech_task(name: str, title: str, prepared: Prepared, folds: tuple[Fold, ...], config: TrainConfig) -> Task:
    """A task of whole speakers, inner folds of whole speakers too."""
    speakers = _speakers(prepared)
    return Task(
        name=name,
        title=title,
        side=prepared.modalities["speech"],
        targets=prepared.rows.targets,
        emotions=prepared.rows.emotions,
        clusters=tuple(speakers),
        cluster_name="speaker",
        folds=folds,
        inner=lambda fold: inner_folds(speakers, fold),
        config=config.speech,
        choose=True,
        pairs=3,
        configuration=config_digest(config),
    )


def inner_folds(speakers: list[str], fold: Fold) -> tuple[Fold, ...]:
    """Folds of a fold's training speakers; no row of its test stands in any."""
    found = speaker_folds([speakers[row] for row in fold.train], INNER_FOLDS)
    return tuple(
        Fold(
            name=f"{fold.name}/{one.name}",
            train=tuple(fold.train[row] for row in one.train),
            test=tuple(fold.train[row] for row in one.test),
        )
        for one in found[:INNER_USED]
    )


def meld_task(options: Options) -> Task:
    """Words, seven emotions, official split: choices are made on its dev part."""
    config = replace(meld.CONFIG, threads=options.threads)
    prepared, parts = meld.prepare_meld(options, config)
    dev = Fold(name="dev", train=tuple(parts.train), test=tuple(parts.dev))
    return Task(
        name="meld",
        title="MELD, words (frozen MiniLM), 7 emotions, official split",
        side=prepared.modalities["text"],
        targets=prepared.rows.targets,
        emotions=prepared.rows.emotions,
        clusters=tuple(str(utterance.dialogue) for utterance in prepared.rows.utterances),
        cluster_name="dialogue",
        folds=(Fold(name="official", train=tuple(parts.train), test=tuple(prepared.rows.rows("test"))),),
        inner=lambda fold: (dev,),
        config=config.text,
        choose=True,
        pairs=3,
        configuration=config_digest(config),
    )


TASKS: dict[str, Callable[[Options], Task]] = {"ravdess": ravdess_task, "emodb": emodb_task, "meld": meld_task}
