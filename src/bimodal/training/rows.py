"""Which utterances are trained on, which are held out, and what their targets are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bimodal.config import TrainConfig, TuneConfig
from bimodal.data.batches import count_targets, main_emotion, single_emotion
from bimodal.data.labels import EmotionMap, Vocabulary, custom, find_map, split_labels
from bimodal.data.leaks import check_shared_recordings
from bimodal.data.splits import Overlap, check_disjoint, inner_dev
from bimodal.errors import ManifestError, TrainingError
from bimodal.records import Utterance


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """Labelled utterances and their targets.

    Attributes:
        utterances: N, those without a place in the vocabulary left out.
        targets: Emotion index of each, (N,) int64; or, where any row has several emotions, (N, C) float32.
        emotions: The C emotions of the model.
        dropped: How many rows were left out, by reason.
    """

    utterances: tuple[Utterance, ...]
    targets: npt.NDArray[Any]
    emotions: tuple[str, ...]
    dropped: Mapping[str, int]

    def rows(self, *splits: str) -> list[int]:
        """Row numbers of the utterances in the named splits."""
        return [row for row, utterance in enumerate(self.utterances) if utterance.split in splits]

    def single(self, rows: Sequence[int]) -> list[int]:
        """Those of some rows that have one emotion."""
        alone = single_emotion(self.targets)
        return [row for row in rows if alone[row]]

    def names(self, rows: Sequence[int]) -> list[str]:
        """The emotion of some rows; of several, that with the largest share."""
        return [self.emotions[target] for target in main_emotion(self.targets[list(rows)])]

    def counts(self, rows: Sequence[int]) -> npt.NDArray[np.float64]:
        """How many of some rows have each emotion, (C,); those with several count by share."""
        return count_targets(self.targets[list(rows)], len(self.emotions))

    def subset(self, rows: Sequence[int]) -> "LabelledRows":
        """The chosen rows, in that order."""
        return LabelledRows(
            utterances=tuple(self.utterances[row] for row in rows),
            targets=self.targets[list(rows)],
            emotions=self.emotions,
            dropped=self.dropped,
        )


Shares = Mapping[str, float]  # of emotions, sum 1


def label_rows(
    utterances: Sequence[Utterance],
    vocabulary: str,
    emotions: Sequence[str] | None = None,
    multiple_labels: Literal["soft", "drop"] = "soft",
    folder: Path = Path(),
) -> LabelledRows:
    """Map the corpus's own labels to targets.

    Of a row with several labels, those without a place are left out of account; what remains weighs the same, and is
    one emotion where all mean the same.

    Args:
        utterances: Of a manifest.
        vocabulary: As in `TrainConfig`: a name, a TOML file, or `native` for the labels as they are, sorted.
        emotions: The emotions of an existing model, in its order; None takes those that occur.
        multiple_labels: Rows of several emotions are `soft` targets, or dropped and counted.
        folder: Where a TOML file with a relative path is looked for: the working folder, or that of a model.

    Raises:
        ManifestError: A label that the map does not know.
        TrainingError: Nothing is left.
    """
    mapped, dropped = _mapped(utterances, _map_for(utterances, vocabulary, emotions, folder))
    if emotions is not None:
        mapped = _known(mapped, emotions, dropped)
    if multiple_labels == "drop":
        mapped = _alone(mapped, dropped)
    found = {emotion for _, shares in mapped for emotion in shares}
    order = tuple(emotions or [emotion for emotion in _emotions(utterances, vocabulary, folder) if emotion in found])
    if not mapped:
        reasons = "; ".join(f"{count} rows: {reason}" for reason, count in dropped.items()) or "the manifest is empty"
        raise TrainingError(f"no labelled utterance is left: {reasons}")
    return LabelledRows(
        utterances=tuple(utterance for utterance, _ in mapped),
        targets=_targets([shares for _, shares in mapped], order),
        emotions=order,
        dropped=dict(dropped),
    )


def _known(
    mapped: Sequence[tuple[Utterance, Shares]], order: Sequence[str], dropped: Counter[str]
) -> list[tuple[Utterance, Shares]]:
    """The rows with what a model's emotions leave of their shares; those of which nothing is left are counted."""
    kept: list[tuple[Utterance, Shares]] = []
    for utterance, shares in mapped:
        known = {emotion: share for emotion, share in shares.items() if emotion in order}
        if known:
            kept.append((utterance, {emotion: share / sum(known.values()) for emotion, share in known.items()}))
        else:
            dropped["an emotion that the model does not know"] += 1
    return kept


def _alone(mapped: Sequence[tuple[Utterance, Shares]], dropped: Counter[str]) -> list[tuple[Utterance, Shares]]:
    """The rows of one emotion; those of several are counted."""
    alone = [item for item in mapped if len(item[1]) == 1]
    if len(alone) < len(mapped):
        dropped["several emotions"] += len(mapped) - len(alone)
    return alone


def _targets(shares: Sequence[Shares], order: Sequence[str]) -> npt.NDArray[Any]:
    """Indices (N,), or distributions (N, C) where any row has several emotions."""
    place = {emotion: index for index, emotion in enumerate(order)}
    if all(len(row) == 1 for row in shares):
        return np.array([place[next(iter(row))] for row in shares], np.int64)
    targets = np.zeros((len(shares), len(order)), np.float32)
    for target, row in zip(targets, shares, strict=True):
        for emotion, share in row.items():
            target[place[emotion]] = share
    return targets


def _emotions(utterances: Sequence[Utterance], vocabulary: str, folder: Path) -> Sequence[str]:
    if vocabulary == "native":
        return sorted({label for utterance in utterances for label in split_labels(utterance.emotion or "") if label})
    return find_map(vocabulary, folder).vocabulary.emotions


def _map_for(
    utterances: Sequence[Utterance], vocabulary: str, emotions: Sequence[str] | None, folder: Path
) -> EmotionMap:
    if vocabulary != "native":
        return find_map(vocabulary, folder)
    names = emotions or _emotions(utterances, vocabulary, folder)
    if len(names) < 2:
        raise TrainingError(f"the manifest names {len(names)} emotions ({', '.join(names)}), at least 2 are needed")
    target: Vocabulary = custom(names, name="native-labels")
    return EmotionMap(name="native", version=1, vocabulary=target, table={name.casefold(): name for name in names})


def _mapped(
    utterances: Sequence[Utterance], to_emotion: EmotionMap
) -> tuple[list[tuple[Utterance, Shares]], Counter[str]]:
    mapped: list[tuple[Utterance, Shares]] = []
    dropped = Counter[str]()
    for utterance in utterances:
        if utterance.emotion is None:
            dropped["no emotion"] += 1
            continue
        try:
            shares = to_emotion.shares(utterance.emotion)
        except ManifestError as error:
            raise ManifestError(f"utterance '{utterance.id}': {error}") from error
        if shares:
            mapped.append((utterance, shares))
        else:
            dropped[to_emotion.drop_reason(utterance.emotion)] += 1
    return mapped, dropped


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Row numbers of the inner parts, and what they share.

    Attributes:
        train: Rows to train on.
        dev: Rows held out for temperature and early stopping.
        overlaps: What an official split shares between its parts; empty if nothing is shared.
    """

    train: list[int]
    dev: list[int]
    overlaps: tuple[Overlap, ...]


def split_rows(rows: LabelledRows, config: TrainConfig | TuneConfig) -> Parts:
    """Train and dev rows: the manifest's own split where it has a dev part, else whole speakers are held out.

    With `dev_share` 0 and cross-fitted rows to calibrate on, nobody is held out. Rows of a `test` split are never
    touched.

    Raises:
        SplitError: Speakers cross the parts, or too few speakers to hold any out.
        TrainingError: Fewer than two emotions to train on.
    """
    train = [row for row, utterance in enumerate(rows.utterances) if utterance.split in (None, "train")]
    dev = rows.rows("dev")
    overlaps: tuple[Overlap, ...] = ()
    if dev:
        overlaps = _check_speakers(rows, train, dev, config)
    elif config.dev_share or getattr(config, "calibrate_on", "dev") == "dev":
        held = inner_dev(
            [rows.utterances[row].speaker for row in train],
            rows.names(train),
            share=config.dev_share,
            seed=config.seed,
            by=config.split_by,
        )
        dev = [train[row] for row in held]
        train = sorted(set(train) - set(dev))
    if np.count_nonzero(rows.counts(train)) < 2:
        raise TrainingError("the training part holds fewer than 2 emotions; a classifier needs at least 2")
    return Parts(train=train, dev=dev, overlaps=overlaps)


def check_recordings(rows: LabelledRows, folder: Path, parts: Parts, official_split: str) -> Parts:
    """Make sure that no two parts share a recording, whatever its path or container.

    Args:
        rows: Labelled utterances.
        folder: Folder that their paths are relative to.
        parts: Train and dev rows; rows of a `test` split are compared, too.
        official_split: Published split whose shared recordings are accepted; empty for none.

    Returns:
        The parts, with what is shared and accepted.

    Raises:
        SplitError: A recording is in two parts, and nothing allows it.
    """
    chosen = {"train": parts.train, "dev": parts.dev, "test": rows.rows("test")}
    part = {row: name for name, numbers in chosen.items() for row in numbers}
    names = [part.get(row) for row in range(len(rows.utterances))]
    shared = check_shared_recordings(rows.utterances, folder, names, official_split)
    return replace(parts, overlaps=(*parts.overlaps, *shared))


def _check_speakers(
    rows: LabelledRows, train: Sequence[int], dev: Sequence[int], config: TrainConfig | TuneConfig
) -> tuple[Overlap, ...]:
    if config.split_by == "utterance":
        return ()
    parts = {"train": train, "dev": dev, "test": rows.rows("test")}
    speakers = {name: [rows.utterances[row].speaker for row in chosen] for name, chosen in parts.items()}
    pairs = [("train", "dev"), ("train", "test"), ("dev", "test")]
    return tuple(
        overlap
        for one, other in pairs
        if speakers[other] and any(speakers[one]) and any(speakers[other])
        for overlap in [
            check_disjoint(
                speakers[one], speakers[other], f"speakers in {one} and {other}", config.official_split or None
            )
        ]
        if overlap.shared
    )
