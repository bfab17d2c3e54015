"""How long a cross-validation will take and how much it will write, from the first clips and one epoch."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bimodal.config import StageConfig, TrainConfig
from bimodal.data.batches import Examples, Inputs
from bimodal.evaluation.fold_store import fold_file, fold_key
from bimodal.evaluation.plan import Plan
from bimodal.evaluation.protocols import with_modalities
from bimodal.features.backbone import SpeechBackbone, load_backbone
from bimodal.features.cache import FeatureCache
from bimodal.features.extraction import cache_speech, cache_text, speech_key, text_key
from bimodal.records import Utterance
from bimodal.training.rows import LabelledRows, Parts

if TYPE_CHECKING:  # torch, which the evaluation of a model does not need
    from bimodal.training.modality import Modality
    from bimodal.training.prepare import Prepared

_CLIPS: Final = 4  # that are timed for each view, after one that is not
_TEXTS: Final = 32
_NOISE: Final = 0.1  # keeps repeated sample rows apart, so that components cost what they will cost
_ROW_BYTES: Final = 250  # of an utterance in a report, without its scores
_SCORE_BYTES: Final = 30  # as text, and as a number in the finished fold
_SYSTEMS: Final = 4


@dataclass(frozen=True, kw_only=True)
class PlanEstimate:
    """Time and disk space of what is still to do.

    Attributes:
        missing: Encodings of recordings and texts that are not in the cache.
        feature_seconds: To compute them.
        folds: Trainings that are not finished.
        training_seconds: Of these trainings, one after another.
        cache_bytes: What the feature cache grows by.
        out_bytes: Of the report and the finished folds.
        cache: Folder of the cache; None in memory.
        out: Folder of the finished folds; None if nothing is written.
        workers: Trainings at a time.
    """

    missing: int
    feature_seconds: float
    folds: int
    training_seconds: float
    cache_bytes: float
    out_bytes: float
    cache: Path | None = None
    out: Path | None = None
    workers: int = 1

    def sentences(self) -> list[str]:
        """The estimate in words; a warning where the disk is too small."""
        rounds = math.ceil(self.folds / self.workers)
        trained = self.training_seconds * rounds / max(1, self.folds)
        total = describe_seconds(self.feature_seconds + trained)
        at_once = f", {self.workers} at a time" * (self.workers > 1)
        parts = (
            [f"{describe_seconds(trained)} for {self.folds} training{'s' * (self.folds > 1)}{at_once}"]
            if self.folds
            else []
        )
        if self.missing:
            parts = [f"{describe_seconds(self.feature_seconds)} for features of {self.missing:,} inputs", *parts]
        basis = "measured on the first clips and one epoch on this machine"
        told = [f"estimate: about {total} ({', '.join(parts) or 'all is finished'}), {basis}"]
        disk = [(self.cache_bytes, self.cache, "feature cache"), (self.out_bytes, self.out, "report")]
        written = [f"{describe_bytes(size)} for the {what}" for size, folder, what in disk if folder and size]
        told += [f"estimate: about {' and '.join(written)} on disk"] if written else []
        return [*told, *(warning for size, folder, _ in disk for warning in _too_small(folder, size))]


def _too_small(folder: Path | None, size: float) -> list[str]:
    """A warning where a folder's disk has less than is needed."""
    place = folder
    while place is not None and not place.exists() and place != place.parent:
        place = place.parent
    free = math.inf if place is None else shutil.disk_usage(place).free
    if free >= size:
        return []
    return [f"warning: only {describe_bytes(free)} are free in {folder}, about {describe_bytes(size)} are needed"]


def describe_seconds(seconds: float) -> str:
    """A duration, rounded.

    Example:
        >>> describe_seconds(0.2), describe_seconds(47.0), describe_seconds(200.0), describe_seconds(5000.0)
        ('1 s', '47 s', '3 min', '1 h 23 min')
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def describe_bytes(size: float) -> str:
    """A size, rounded.

    Example:
        >>> describe_bytes(2_300_000), describe_bytes(12_300_000_000)
        ('3 MB', '12.3 GB')
    """
    return f"{math.ceil(size / 1e6)} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def estimate_plan(
    plan: Plan,
    cache: Path | None,
    out: Path | None,
    cluster: str = "speaker",
    *,
    seeds: Sequence[int] = (),
    workers: int = 1,
) -> PlanEstimate:
    """Measure what a cross-validation will take. Features of the measured clips stay in the cache.

    Args:
        plan: What will be done.
        cache: Folder of the feature cache; None in memory.
        out: Folder of the finished folds; None if none are kept.
        cluster: Unit of the intervals, which is part of a finished fold.
        seeds: Of the trainings of each fold; empty for that of the settings.
        workers: Trainings at a time.

    Raises:
        BimodalError: A problem with a recording, a backbone or the data, as it would occur later.
    """
    configs = [replace(plan.config, seed=seed) for seed in seeds] or [plan.config]
    with FeatureCache(cache) as features:
        missing, feature_seconds, cache_bytes = _features(plan, features)
        prepared = _prepared(plan, features, whole=not missing)
    left = [
        (config.seed, fold.train)
        for config in configs
        for fold in plan.folds
        if missing or out is None or not _is_finished(prepared, config, fold, out, cluster)
    ]
    trainings = set(left)  # folds with the same training rows are trained once
    each = _seconds_per_fold(prepared, plan) if left else 0.0
    rows = sum(len(fold.test) for fold in plan.folds) * len(configs)
    scores = _SYSTEMS * len(plan.rows.emotions)
    return PlanEstimate(
        missing=missing,
        feature_seconds=feature_seconds,
        folds=len(trainings),
        training_seconds=each * sum(len(train) for _, train in trainings) / max(1, len(plan.folds[0].train)),
        cache_bytes=cache_bytes,
        out_bytes=rows * (_ROW_BYTES + scores * _SCORE_BYTES) if out is not None else 0,
        cache=cache,
        out=out,
        workers=workers,
    )


def _is_finished(prepared: "Prepared", config: TrainConfig, fold: Any, out: Path, cluster: str) -> bool:
    return fold_file(out, fold_key(prepared, fold, config, cluster)).is_file()


def _features(plan: Plan, cache: FeatureCache) -> tuple[int, float, float]:
    """Number, seconds and bytes of what is not in the cache."""
    found = [*_speech_features(plan, cache), _text_features(plan, cache)]
    return sum(one[0] for one in found), sum(one[1] for one in found), sum(one[2] for one in found)


def _speech_features(plan: Plan, cache: FeatureCache) -> list[tuple[int, float, float]]:
    """The same for recordings, one for each view."""
    from bimodal.training.prepare import encoded_views  # imports torch, which the evaluation of a model does without

    rows = [utterance for utterance in plan.rows.utterances if utterance.path]
    if plan.config.speech.columns or not rows:
        return []
    backbone = load_backbone(plan.config.speech_backbone, threads=plan.config.threads)
    if not isinstance(backbone, SpeechBackbone):
        return []  # refused by the training, with a sentence
    return [_view_features(rows, plan.folder, backbone, cache, views) for views in encoded_views(plan.config)]


def _view_features(
    rows: Sequence[Utterance], folder: Path, backbone: SpeechBackbone, cache: FeatureCache, views: tuple[str, ...]
) -> tuple[int, float, float]:
    missing = [row for row in rows if speech_key(row, folder, backbone, views) not in cache]

    def encode(chosen: Sequence[Utterance]) -> list[str]:
        return list(cache_speech(chosen, folder, backbone, cache, views))

    return _extrapolated(missing, _CLIPS, encode, cache)


def _text_features(plan: Plan, cache: FeatureCache) -> tuple[int, float, float]:
    """The same for texts."""
    texts = list(dict.fromkeys(row.transcript for row in plan.rows.utterances if row.transcript))
    if not texts:
        return 0, 0.0, 0.0
    backbone: Any = load_backbone(plan.config.text_backbone, threads=plan.config.threads)
    if isinstance(backbone, SpeechBackbone):
        return 0, 0.0, 0.0  # refused by the training, with a sentence
    missing = [text for text in texts if text_key(text, backbone) not in cache]

    def encode(chosen: Sequence[str]) -> list[str]:
        return [key for key in cache_text(chosen, backbone, cache) if key is not None]

    return _extrapolated(missing, _TEXTS, encode, cache)


def _extrapolated(
    missing: Sequence[Any], count: int, encode: Callable[[Sequence[Any]], list[str]], cache: FeatureCache
) -> tuple[int, float, float]:
    """Number, seconds and bytes of what is missing, from a few of it."""
    if not missing:
        return 0, 0.0, 0.0
    timed = missing[:1]
    if len(missing) > 1:
        encode(timed)  # the first one of a session takes longer
        rest = missing[1:]
        timed = [rest[place] for place in np.linspace(0, len(rest) - 1, min(count, len(rest))).astype(int)]
    begun = time.perf_counter()
    keys = encode(timed)
    seconds = time.perf_counter() - begun
    size = sum(array.nbytes for key in keys for array in cache.read(key).values())
    return len(missing), len(missing) * seconds / len(timed), len(missing) * size / len(keys)


def _prepared(plan: Plan, cache: FeatureCache, *, whole: bool) -> "Prepared":
    """All rows; or, where features are missing, a few rows that stand for all."""
    from bimodal.training.prepare import prepare_modalities  # imports torch, as above

    with quiet():  # the training itself says it again, of all rows
        if whole:
            return prepare_modalities(plan.rows, plan.folder, plan.config, cache)
        return _spread(prepare_modalities(_sample(plan.rows), plan.folder, plan.config, cache), plan.rows)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings in the log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _sample(rows: LabelledRows) -> LabelledRows:
    """A few rows with speech, and a few with words."""
    chosen: set[int] = set()
    for has in ("path", "transcript"):
        there = [row for row, utterance in enumerate(rows.utterances) if getattr(utterance, has)]
        chosen |= {there[place] for place in np.linspace(0, len(there) - 1, _CLIPS).astype(int)} if there else set()
    return rows.subset(sorted(chosen) or [0])


def _spread(sample: "Prepared", rows: LabelledRows) -> "Prepared":
    """All rows, with the inputs of a few of them and noise."""
    has = {
        "speech": [bool(row.path) for row in rows.utterances],
        "text": [bool(row.transcript) for row in rows.utterances],
    }
    modalities = {name: _spread_modality(one, rows, has[name]) for name, one in sample.modalities.items()}
    return replace(sample, rows=rows, modalities=modalities)


def _spread_modality(modality: "Modality", rows: LabelledRows, has: Sequence[bool]) -> "Modality":
    here = np.flatnonzero(modality.present).tolist() or [0]
    places = [here[row % len(here)] for row in range(len(rows.utterances))]
    noise = np.random.default_rng(0)

    def spread(examples: Examples) -> Examples:
        def read(indices: Sequence[int]) -> Inputs:
            found = examples.read([places[index] for index in indices])
            return {name: array + _noise(name, array, noise) for name, array in found.items()}

        lengths = None if examples.lengths is None else examples.lengths[places]
        return Examples(size=len(places), read=read, targets=rows.targets, lengths=lengths)

    given = modality.preprocessing
    fitted = given and replace(
        given,
        standardised=spread(given.standardised),
        groups=tuple(given.groups[place] for place in places) if given.groups else (),
        views=tuple(spread(view) for view in given.views),
        speakers=tuple(row.speaker for row in rows.utterances) if given.speakers else (),
    )
    plain = spread(modality.examples)
    return replace(
        modality,
        examples=plain,
        augmented=spread(modality.augmented),
        present=np.array(has),
        preprocessing=fitted,
    )


def _noise(name: str, array: Any, generator: np.random.Generator) -> Any:
    if array.dtype.kind != "f" or name in ("same", "there"):
        return np.zeros((), array.dtype)
    return (_NOISE * generator.standard_normal(array.shape)).astype(array.dtype)


def _seconds_per_fold(prepared: "Prepared", plan: Plan) -> float:
    """Seconds of the first fold: one epoch of each network is trained, with two parts for the cross-fitting."""
    from bimodal.training.modality import fit_preprocessing  # imports torch, as above
    from bimodal.training.stage import RunContext
    from bimodal.training.train import train_stages

    fold, epochs = plan.folds[0], dict[str, float]()
    parts = Parts(train=list(fold.train), dev=list(fold.dev or ()), overlaps=())

    def take(entry: dict[str, Any]) -> None:
        epochs[entry["stage"]] = epochs.get(entry["stage"], 0.0) + entry["seconds"]

    begun = time.perf_counter()
    short = _short(plan.config)
    known = with_modalities(prepared, parts.train)
    train_stages(known, parts, short, RunContext(seed=plan.config.seed, device=plan.config.device, on_epoch=take))
    wall = time.perf_counter() - begun
    fit_preprocessing.cache_clear()  # of rows that do not exist
    fusing = any(name.startswith("fusion/") for name in epochs)
    grown = (plan.config.fusion.n_folds - 1) / (short.fusion.n_folds - 1) if fusing else 1.0
    trained = sum(
        seconds * _epochs(plan.config, name, len(fold.train)) * _grown(name, grown) for name, seconds in epochs.items()
    )
    fixed = max(0.0, wall - sum(epochs.values()))
    return trained + fixed * (1 + grown) / 2


def _grown(stage: str, grown: float) -> float:
    return grown if "/" in stage else 1.0


def _short(config: TrainConfig) -> TrainConfig:
    """The same settings, for one epoch of each stage."""
    once = {
        name: replace(getattr(config, name), epochs=min(1, getattr(config, name).epochs), min_steps=0, patience=0)
        for name in ("speech", "text", "fusion")
    }
    once["fusion"] = replace(once["fusion"], n_folds=2)
    return replace(config, **once)


def _epochs(config: TrainConfig, stage: str, rows: int) -> int:
    """Epochs of a stage at most, by its name, such as `fusion/speech/part1`."""
    name = next(part for part in [*stage.split("/")[1:2], stage.split("/")[0]] if part in ("speech", "text", "fusion"))
    settings: StageConfig = getattr(config, name)
    if not settings.epochs:
        return 0
    return max(settings.epochs, math.ceil(settings.min_steps / math.ceil(max(1, rows) / settings.batch_size)))
