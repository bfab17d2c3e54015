"""Which utterances are trained on, which are held out, and what their targets are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bimodal.config import TrainConfig, TuneConfig
from bimodal.errors import ManifestError, TrainingError
from bimodal.labels import EmotionMap, Vocabulary, custom, emotion_map
from bimodal.records import Utterance
from bimodal.splits import Overlap, check_disjoint, inner_dev


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """Labelled utterances and their targets.

    Attributes:
        utterances: N, those without a place in the vocabulary left out.
        targets: Emotion index of each, (N,) int64.
        emotions: The C emotions of the model.
        dropped: How many rows were left out, by reason.
    """

    utterances: tuple[Utterance, ...]
    targets: npt.NDArray[np.int64]
    emotions: tuple[str, ...]
    dropped: Mapping[str, int]

    def rows(self, *splits: str) -> list[int]:
        """Row numbers of the utterances in the named splits."""
        return [row for row, utterance in enumerate(self.utterances) if utterance.split in splits]

    def subset(self, rows: Sequence[int]) -> "LabelledRows":
        """The chosen rows, in that order."""
        return LabelledRows(
            utterances=tuple(self.utterances[row] for row in rows),
            targets=self.targets[list(rows)],
            emotions=self.emotions,
            dropped=self.dropped,
        )


def label_rows(utterances: Sequence[Utterance], vocabulary: str, emotions: Sequence[str] | None = None) -> LabelledRows:
    """Map the corpus's own labels to targets.

    Args:
        utterances: Of a manifest.
        vocabulary: Name of a built-in vocabulary, or `native` for the labels as they are, sorted.
        emotions: The emotions of an existing model, in its order; None takes those that occur.

    Raises:
        ManifestError: A label that the map does not know.
        TrainingError: Nothing is left.
    """
    mapped, dropped = _mapped(utterances, _map_for(utterances, vocabulary, emotions))
    found = {emotion for _, emotion in mapped}
    order = emotions or [emotion for emotion in _emotions(utterances, vocabulary) if emotion in found]
    kept = [(utterance, emotion) for utterance, emotion in mapped if emotion in order]
    if len(kept) < len(mapped):
        dropped["an emotion that the model does not know"] += len(mapped) - len(kept)
    if not kept:
        reasons = "; ".join(f"{count} rows: {reason}" for reason, count in dropped.items()) or "the manifest is empty"
        raise TrainingError(f"no labelled utterance is left: {reasons}")
    return LabelledRows(
        utterances=tuple(utterance for utterance, _ in kept),
        targets=np.array([list(order).index(emotion) for _, emotion in kept], np.int64),
        emotions=tuple(order),
        dropped=dict(dropped),
    )


def _emotions(utterances: Sequence[Utterance], vocabulary: str) -> Sequence[str]:
    if vocabulary == "native":
        return sorted({utterance.emotion for utterance in utterances if utterance.emotion})
    return emotion_map(vocabulary).vocabulary.emotions


def _map_for(utterances: Sequence[Utterance], vocabulary: str, emotions: Sequence[str] | None) -> EmotionMap:
    if vocabulary != "native":
        return emotion_map(vocabulary)
    names = emotions or _emotions(utterances, vocabulary)
    if len(names) < 2:
        raise TrainingError(f"the manifest names {len(names)} emotions ({', '.join(names)}), at least 2 are needed")
    target: Vocabulary = custom(names, name="native-labels")
    return EmotionMap(name="native", version=1, vocabulary=target, table={name.casefold(): name for name in names})


def _mapped(
    utterances: Sequence[Utterance], to_emotion: EmotionMap
) -> tuple[list[tuple[Utterance, str]], Counter[str]]:
    mapped, dropped = [], Counter[str]()
    for utterance in utterances:
        if utterance.emotion is None:
            dropped["no emotion"] += 1
            continue
        try:
            emotion = to_emotion.apply(utterance.emotion)
        except ManifestError as error:
            raise ManifestError(f"utterance '{utterance.id}': {error}") from error
        if emotion is None:
            dropped[to_emotion.drop_reason(utterance.emotion)] += 1
        else:
            mapped.append((utterance, emotion))
    return mapped, dropped


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Row numbers of the inner parts, and what they share.

    Attributes:
        train: Rows to train on.
        dev: Rows held out for temperature and early stopping.
        overlaps: What an official split shares between its parts; empty where nothing is shared.
    """

    train: list[int]
    dev: list[int]
    overlaps: tuple[Overlap, ...]


def split_rows(rows: LabelledRows, config: TrainConfig | TuneConfig) -> Parts:
    """Train and dev rows: the manifest's own split where it has a dev part, else whole speakers are held out.

    Rows of a `test` split are never touched.

    Raises:
        SplitError: Speakers cross the parts, or too few speakers to hold any out.
        TrainingError: Fewer than two emotions to train on.
    """
    train = [row for row, utterance in enumerate(rows.utterances) if utterance.split in (None, "train")]
    dev = rows.rows("dev")
    overlaps: tuple[Overlap, ...] = ()
    if dev:
        overlaps = _check_speakers(rows, train, dev, config)
    else:
        held = inner_dev(
            [rows.utterances[row].speaker for row in train],
            [rows.emotions[rows.targets[row]] for row in train],
            share=config.dev_share,
            seed=config.seed,
            by=config.split_by,
        )
        dev = [train[row] for row in held]
        train = sorted(set(train) - set(dev))
    if len(set(rows.targets[train].tolist())) < 2:
        raise TrainingError("the training part holds fewer than 2 emotions; a classifier needs at least 2")
    return Parts(train=train, dev=dev, overlaps=overlaps)


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
