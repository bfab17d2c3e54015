"""Which layers of a backbone know the emotion: a linear probe of each layer on speakers that it has not learnt from.

Layer-wise probes are how encoders of speech are compared (Pasad et al. 2021, arXiv 2107.04734). Each recording is
encoded once. Rows of the split `test` are left out, so that a choice of layers by this table leaves them untouched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Integers
from bimodal.config import TrainConfig
from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.data.splits import Fold, speaker_folds
from bimodal.errors import BimodalError
from bimodal.evaluation.markdown import aligned, escaped, markdown_table
from bimodal.evaluation.metrics import (
    Difference,
    Interval,
    bootstrap_interval,
    count_confusions,
    paired_bootstrap,
    unweighted_average_recall,
)
from bimodal.evaluation.predict import Progress, plain
from bimodal.features.backbone import BackboneDescription, SpeechBackbone, TextBackbone, load_backbone
from bimodal.features.cache import FeatureCache
from bimodal.features.extraction import cache_speech, cache_text, read_pooled, read_statistics
from bimodal.features.pooling import Pooling, select
from bimodal.training.rows import LabelledRows, label_rows

PENALTIES: Final = (10.0, 100.0, 1000.0, 10_000.0)
"""Penalties of the linear probe that inner folds choose among."""

_INNER: Final = 3  # folds of the training speakers
_POOLING: Final = Pooling(statistics=("mean", "std"))
_SHOWN: Final = 100.0  # percent


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """How to probe.

    Attributes:
        folds: Folds of whole speakers; fewer where there are fewer speakers.
        vocabulary: Emotions, as in `TrainConfig`; `native` takes the labels as they are.
        threads: Threads of the backbone; 0 for one per core.
        seed: Decides between speakers of the same number of rows, and of the resampling.
    """

    folds: int = 5
    vocabulary: str = TrainConfig.vocabulary
    threads: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LayerResult:
    """What a linear probe of one layer reaches.

    Attributes:
        layer: Its number, from 1.
        uar: Unweighted average recall on held-out speakers, 0 to 1, with its interval over speakers.
        to_best: That minus the recall of the best layer, on the same resampled speakers.
    """

    layer: int
    uar: Interval
    to_best: Difference


@dataclass(frozen=True, kw_only=True)
class LayerProbe:
    """The layers of a backbone side by side.

    Attributes:
        backbone: Its name.
        digest: Its digest.
        rows: How many utterances.
        speakers: How many speakers.
        emotions: Names.
        folds: How many folds of whole speakers.
        layers: One result a layer.
        best: Number of the layer with the highest recall.
        chosen: Recall where each fold's layer was chosen by inner folds of its training speakers alone; the recall of
            `best` is too good by the choice, this is not. None with fewer than three speakers.
        chosen_layers: The layers that the folds chose.
        notes: What a reader must know.
    """

    backbone: str
    digest: str
    rows: int
    speakers: int
    emotions: tuple[str, ...]
    folds: int
    layers: tuple[LayerResult, ...]
    best: int
    chosen: Interval | None
    chosen_layers: tuple[int, ...]
    notes: tuple[str, ...]


def probe_layers(
    manifest: ManifestSource,
    backbone: str | Path,
    options: ProbeOptions,
    cache: Path | None = None,
    progress: Progress = plain,
) -> LayerProbe:
    """Fit a linear probe to each layer of a backbone, on folds of whole speakers.

    Args:
        manifest: Labelled recordings or texts, with speakers.
        backbone: Name of an installed backbone, or its folder.
        options: How to probe.
        cache: Folder of the feature cache, which `bimodal train` shares; None keeps features in memory.
        progress: Wraps what takes long with a bar and a label.

    Raises:
        BimodalError: scikit-learn is missing, a recording cannot be used, or there are too few speakers or emotions.
    """
    _library()
    loaded = load_backbone(backbone, threads=options.threads, verify=True)
    labelled, notes = _rows(manifest, isinstance(loaded, SpeechBackbone), options.vocabulary)
    features = _encode(labelled, open_manifest(manifest).folder, loaded, FeatureCache(cache), progress)
    speakers = [str(row.speaker) for row in labelled.utterances]
    count = min(options.folds, len(set(speakers)))
    folds = speaker_folds([row.speaker for row in labelled.utterances], count, seed=options.seed)
    task = _Task(
        targets=np.asarray(labelled.targets, np.int64),
        emotions=len(labelled.emotions),
        speakers=tuple(speakers),
        folds=folds,
        seed=options.seed,
    )
    if isinstance(loaded, TextBackbone):
        notes += _shared_texts(labelled, folds)
    if count < options.folds:
        notes.append(f"There are {count} speakers, so there are {count} folds instead of {options.folds}.")
    numbers = range(len(loaded.description.layers))
    answers = [_answers(features[:, layer], task) for layer in progress(numbers, "layers")]
    return _summarise(answers, task, loaded.description, labelled.emotions, tuple(notes))


@dataclass(frozen=True, kw_only=True)
class _Task:
    """Targets (N,) and speakers of the rows, and how they are divided."""

    targets: Integers
    emotions: int
    speakers: tuple[str, ...]
    folds: tuple[Fold, ...]
    seed: int


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """Emotion (N,) that a layer's probe gives each row of a held-out speaker, and its recall on each fold's inner ones.

    `inner` is NaN where a fold's training part has one speaker.
    """

    predicted: Integers
    inner: tuple[float, ...]


def _library() -> Any:
    try:
        import sklearn.linear_model as found  # heavy, and in an extra
    except ImportError as error:
        raise BimodalError("probing needs scikit-learn: pip install 'bimodal-emotion[baselines]'") from error
    return found


def _rows(manifest: ManifestSource, speech: bool, vocabulary: str) -> tuple[LabelledRows, list[str]]:
    """The labelled rows that are probed, and what was left out."""
    read = open_manifest(manifest)
    kept = [row for row in read.utterances if row.split != "test"]
    usable = [row for row in kept if (row.path if speech else (row.transcript or "").strip())]
    notes = (
        [f"{len(read.utterances) - len(kept)} rows of the split 'test' are left out."]
        if len(kept) < len(read.utterances)
        else []
    )
    if len(usable) < len(kept):
        notes.append(f"{len(kept) - len(usable)} rows without {'a recording' if speech else 'words'} are left out.")
    if not usable:
        raise BimodalError(f"{read.path}: no row with {'a recording' if speech else 'words'} outside the split 'test'")
    labelled = label_rows(usable, vocabulary, multiple_labels="drop", folder=read.folder)
    notes += [f"{count} rows are left out: {reason}." for reason, count in labelled.dropped.items()]
    if len(labelled.emotions) < 2:
        raise BimodalError(f"{read.path}: one emotion ({labelled.emotions[0]}); a probe needs two or more")
    return labelled, notes


def _shared_texts(labelled: LabelledRows, folds: Sequence[Fold]) -> list[str]:
    """A warning where held-out speakers say texts that the probe has learnt."""
    texts = [(row.transcript or "").strip().lower() for row in labelled.utterances]
    known = sum(texts[row] in {texts[other] for other in fold.train} for fold in folds for row in fold.test)
    return [f"{known} of {len(texts)} texts of held-out speakers are in training, too: figures are unsure."] * bool(
        known
    )


def _encode(
    labelled: LabelledRows,
    folder: Path,
    backbone: SpeechBackbone | TextBackbone,
    cache: FeatureCache,
    progress: Progress,
) -> npt.NDArray[np.floating[Any]]:
    """Features (N, L, F) of all rows: mean and deviation over frames, or the pooled vector of a text."""
    if isinstance(backbone, TextBackbone):
        keys = cache_text([row.transcript for row in labelled.utterances], backbone, cache, progress)
        return np.stack([read_pooled(cache, key) for key in keys if key is not None])
    listed: Any = progress(list(labelled.utterances), "speech features")
    found = [select(read_statistics(cache, key), _POOLING) for key in cache_speech(listed, folder, backbone, cache)]
    return np.concatenate(np.split(np.stack(found), len(_POOLING.statistics), axis=1), axis=3)[:, 0]


def _answers(features: npt.NDArray[Any], task: _Task) -> _Answers:
    """Answers of a layer's probe to held-out speakers; inner folds of the others choose its penalty."""
    wide = features.astype(np.float64)
    predicted, inner = np.zeros(len(wide), np.int64), []
    for fold in task.folds:
        train, test = list(fold.train), list(fold.test)
        penalty, recall = _penalty(wide[train], train, task)
        predicted[test] = _fit(wide[train], task.targets[train], penalty).predict(wide[test])
        inner.append(recall)
    return _Answers(predicted=predicted, inner=tuple(inner))


def _penalty(features: npt.NDArray[Any], rows: Sequence[int], task: _Task) -> tuple[float, float]:
    """The penalty with the best recall on inner folds of some rows' speakers, and that recall."""
    speakers, targets = [task.speakers[row] for row in rows], task.targets[list(rows)]
    if len(set(speakers)) < 2:
        return PENALTIES[1], float("nan")
    folds = speaker_folds(speakers, min(_INNER, len(set(speakers))), seed=task.seed)
    recalls = [_inner_recall(features, targets, folds, penalty, task.emotions) for penalty in PENALTIES]
    best = int(np.argmax(recalls))
    return PENALTIES[best], recalls[best]


def _inner_recall(
    features: npt.NDArray[Any], targets: Integers, folds: Sequence[Fold], penalty: float, emotions: int
) -> float:
    predicted = np.zeros(len(targets), np.int64)
    for fold in folds:
        train, test = list(fold.train), list(fold.test)
        predicted[test] = _fit(features[train], targets[train], penalty).predict(features[test])
    return float(unweighted_average_recall(count_confusions(targets, predicted, emotions)))


def _fit(features: npt.NDArray[Any], targets: Integers, penalty: float) -> Any:
    """A ridge classifier of standardised features; every emotion weighs the same."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = _library().RidgeClassifier(alpha=penalty, class_weight="balanced")
    return make_pipeline(StandardScaler(), classifier).fit(features, targets)


def _summarise(
    answers: Sequence[_Answers],
    task: _Task,
    description: BackboneDescription,
    emotions: tuple[str, ...],
    notes: tuple[str, ...],
) -> LayerProbe:
    confusions = [_by_speaker(one.predicted, task) for one in answers]
    measure = partial(bootstrap_interval, metric=unweighted_average_recall, seed=task.seed)
    found = [measure(one) for one in confusions]
    best = int(np.argmax([one.value for one in found]))
    compared = [
        paired_bootstrap(one, confusions[best], unweighted_average_recall, seed=task.seed) for one in confusions
    ]
    picked = _picked(answers)
    predicted = np.zeros(len(task.targets), np.int64)
    for fold, layer in zip(task.folds, picked, strict=False):
        predicted[list(fold.test)] = answers[layer].predicted[list(fold.test)]
    return LayerProbe(
        backbone=description.name,
        digest=description.digest,
        rows=len(task.targets),
        speakers=len(set(task.speakers)),
        emotions=emotions,
        folds=len(task.folds),
        layers=tuple(
            LayerResult(layer=layer, uar=uar, to_best=difference)
            for layer, uar, difference in zip(description.layers, found, compared, strict=True)
        ),
        best=description.layers[best],
        chosen=measure(_by_speaker(predicted, task)) if picked else None,
        chosen_layers=tuple(description.layers[layer] for layer in picked),
        notes=notes,
    )


def _picked(answers: Sequence[_Answers]) -> list[int]:
    """The layer that each fold's training speakers choose; none where one fold has too few of them."""
    recalls = np.array([one.inner for one in answers])
    return [] if np.isnan(recalls).any() else [int(place) for place in recalls.argmax(axis=0)]


def _by_speaker(predicted: Integers, task: _Task) -> Integers:
    """Confusions (G, C, C) of each speaker."""
    names = sorted(set(task.speakers))
    rows = np.array([names.index(one) for one in task.speakers])
    return np.stack(
        [
            count_confusions(task.targets[rows == row], predicted[rows == row], task.emotions)
            for row in range(len(names))
        ]
    )


def next_layers(found: LayerProbe) -> str:
    """Layers to build a backbone with: the best one and its neighbours, as `--layers` takes them."""
    numbers = [one.layer for one in found.layers]
    place = numbers.index(found.best)
    near = numbers[max(0, place - 1) : place + 2]
    whole = near == list(range(near[0], near[-1] + 1))
    return f"{near[0]}-{near[-1]}" if whole and len(near) > 1 else ",".join(map(str, near))


def probe_table(found: LayerProbe) -> list[list[str]]:
    """One line a layer: recall with interval, difference to the best one with interval."""
    header = ["layer", "UAR %", "95 % interval", "to the best", "95 % interval"]
    rows = [
        [f"{one.layer} (best)" if one.layer == found.best else str(one.layer), *_cells(one.uar), *_cells(one.to_best)]
        for one in found.layers
    ]
    if found.chosen is not None:
        rows.append(["chosen by inner folds", *_cells(found.chosen), "", ""])
    return [header, *rows]


def _cells(one: Interval | Difference) -> list[str]:
    ends = "unknown" if np.isnan(one.low) else f"{_SHOWN * one.low:.1f} to {_SHOWN * one.high:.1f}"
    return [f"{_SHOWN * one.value:.1f}", ends]


def probe_notes(found: LayerProbe) -> list[str]:
    """What a reader must know, in sentences."""
    notes = [
        f"{found.rows} utterances of {found.speakers} speakers, {found.folds} folds of whole speakers; a linear probe "
        f"of each layer; chance is {_SHOWN / len(found.emotions):.1f} %."
    ]
    if found.chosen is not None:
        chosen = ", ".join(map(str, sorted(set(found.chosen_layers))))
        notes.append(
            f"The best layer's figure is too good by the choice. In the last line, the other speakers of each fold "
            f"chose its layer ({chosen})."
        )
    return [*notes, *found.notes]


def describe_probe(found: LayerProbe) -> str:
    """The table and its notes as plain text."""
    return "\n".join([aligned(probe_table(found)), *probe_notes(found)])


def probe_markdown(found: LayerProbe, picture: str) -> str:
    """The table, its notes and the plot as Markdown."""
    header, *rows = probe_table(found)
    notes = "\n".join(f"- {escaped(one)}" for one in [*probe_notes(found), f"Emotions: {', '.join(found.emotions)}."])
    drawn = f"![UAR of a linear probe of each layer, with intervals]({picture})"
    title = f"# Layers of {escaped(found.backbone)}"
    return "\n\n".join([title, markdown_table(header, rows), drawn, notes, f"Backbone digest: `{found.digest}`"]) + "\n"
