"""Baselines beside a model: acoustic statistics with a support vector machine, the majority, and chance.

A baseline is trained on the manifest's own rows: its train split, the training parts of the same folds, or other
speakers of the reported rows. No speaker is trained on and tested. Its settings are fixed; nothing is chosen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bimodal.arrays import Doubles, Integers, softmax
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.data.splits import Fold, speaker_folds
from bimodal.errors import BimodalError
from bimodal.evaluation.external import system_name
from bimodal.evaluation.metrics import fit_temperature
from bimodal.evaluation.predict import Progress, plain, with_columns
from bimodal.evaluation.predictions import RESERVED, Predictions
from bimodal.evaluation.rows import choose_rows
from bimodal.evaluation.score_table import canonical
from bimodal.features.logmel import log_mel
from bimodal.inference.batch import clip_speech
from bimodal.records import Clip, Manifest, Utterance
from bimodal.training.rows import label_rows

FOLDS: Final = 5  # of the reported speakers, where the manifest has no other rows to train on
_INNER: Final = 3  # folds of training speakers, for the temperature of the scores

Notes = tuple[str, ...]
Extract = Callable[[Signal], Doubles]


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineInfo:
    """A baseline.

    Attributes:
        title: What it is, in a few words.
        features: Gives a function from a signal (16 kHz) to features (F,); None for a baseline that hears nothing.
        random: Whether it guesses, each emotion as likely; otherwise it answers with the shares of the emotions in its
            training rows, if it hears nothing.
    """

    title: str
    features: Callable[[], Extract] | None = None
    random: bool = False


def load_egemaps() -> Extract:
    """The 88 functionals of eGeMAPS v02 (Eyben et al. 2016), by openSMILE.

    Raises:
        BimodalError: The package is not installed.
    """
    try:
        import opensmile
    except ImportError as error:
        raise BimodalError(
            "the baseline 'egemaps' needs openSMILE: pip install 'bimodal-emotion[egemaps]' (its licence allows "
            "research and private use, not use in products)"
        ) from error
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )

    def extract(signal: Signal) -> Doubles:
        features = smile.process_signal(signal, SAMPLING_RATE).to_numpy(np.float64)[0]
        return np.asarray(np.nan_to_num(features), np.float64)

    return extract


def load_logmel() -> Extract:
    """Mean, standard deviation, 10th and 90th percentile of each of 80 log-mel bins, and of their differences."""
    return logmel_statistics


def logmel_statistics(signal: Signal) -> Doubles:
    """Statistics of the log-mel spectrogram over time, (640,).

    Example:
        >>> logmel_statistics(np.zeros(16000, np.float32)).shape
        (640,)
    """
    frames = log_mel(signal).astype(np.float64)
    steps = np.diff(frames, axis=1, prepend=frames[:, :1])
    return np.concatenate(
        [
            one
            for values in (frames, steps)
            for one in (values.mean(1), values.std(1), *np.quantile(values, (0.1, 0.9), axis=1))
        ]
    )


BASELINES: dict[str, BaselineInfo] = {
    "egemaps": BaselineInfo(title="openSMILE eGeMAPS v02 and SVM", features=load_egemaps),
    "logmel": BaselineInfo(title="log-mel statistics and SVM", features=load_logmel),
    "majority": BaselineInfo(title="shares of the emotions in the training rows"),
    "chance": BaselineInfo(title="a random emotion", random=True),
}
"""The baselines by the name that `--baseline` takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """Rows to train and test on.

    Attributes:
        utterances: (N,) training and test rows.
        targets: Emotion of each, (N,).
        emotions: How many there are.
        folds: Row numbers.
    """

    utterances: tuple[Utterance, ...]
    targets: Integers
    emotions: int
    folds: tuple[Fold, ...]


def reported_rows(manifest: Manifest, *, split: str = "", cluster: str = "speaker") -> tuple[Predictions, Notes]:
    """The labelled rows of a manifest without any system's answer, for baselines alone.

    The one system in it, `none`, answers nothing; `add_baselines` replaces it.
    """
    chosen, notes = choose_rows(manifest, split)
    rows = label_rows([_usual(one) for one in chosen], "native", multiple_labels="drop")
    notes += [f"{count} rows left out: {reason}" for reason, count in rows.dropped.items()]
    nothing = np.full((len(rows.utterances), len(rows.emotions)), np.nan)
    return with_columns(rows, {_NONE: nothing}, cluster), tuple(notes)


_NONE: Final = "none"


def check_baselines(names: Sequence[str]) -> None:
    """Refuse unknown names of baselines.

    Raises:
        BimodalError: One is not in `BASELINES`.
    """
    if unknown := [name for name in names if name not in BASELINES]:
        raise BimodalError(f"unknown baseline {unknown[0]!r}, expected one of {list(BASELINES)}")


def add_baselines(
    predictions: Predictions,
    manifest: Manifest,
    names: Sequence[str],
    *,
    folds: Sequence[tuple[Sequence[str], Sequence[str]]] = (),
    seed: int = 0,
    progress: Progress = plain,
) -> tuple[Predictions, Notes]:
    """Predictions with baselines as further systems, on the same utterances.

    Args:
        predictions: For rows of the manifest.
        manifest: Its rows of the split `train` train the baselines, without the speakers of the reported rows. If it
            has none, five folds of the reported speakers do.
        names: Of `BASELINES`.
        folds: Ids of the training and test rows of each fold, where the systems were trained by folds.
        seed: Of the random answers and of the folds.
        progress: Wraps iterables with a bar.

    Raises:
        BimodalError: An unknown baseline, a package that is missing, a recording that cannot be used, or no rows of
            other speakers to train on.
    """
    check_baselines(names)
    loaded = {name: BASELINES[name].features for name in dict.fromkeys(names)}
    extracts = {name: None if load is None else load() for name, load in loaded.items()}
    task, notes = _task(predictions, manifest, folds, seed)
    scores = {name: one for name, one in predictions.scores.items() if name != _NONE}
    for name, extract in extracts.items():
        column = name if name not in scores else system_name(manifest.path.with_name(name), {*RESERVED, *scores})
        found = _answers(BASELINES[name], task, extract, manifest, seed, lambda rows, name=name: progress(rows, name))
        scores[column] = found[: len(predictions.ids)]
    extra = {name: column for name, column in predictions.extra.items() if name not in scores}
    told = "; ".join(f"{name}: {BASELINES[name].title}" for name in extracts)
    return replace(predictions, scores=scores, extra=extra), (f"Baselines ({told}) {notes[0]}.", *notes[1:])


def _task(
    predictions: Predictions, manifest: Manifest, folds: Sequence[tuple[Sequence[str], Sequence[str]]], seed: int
) -> tuple[_Task, Notes]:
    """The reported rows, then those that only train; and where the training rows come from."""
    by_id = {one.id: one for one in manifest.utterances}
    reported = [by_id[name] for name in predictions.ids]
    further, targets, left_out = _training_rows(predictions, manifest, reported, folds)
    rows = (*reported, *further)
    count = len(reported)
    if folds:
        chosen, told = _given_folds([one.id for one in rows], count, folds), "are trained on the same folds"
    elif further:
        train = tuple(range(count, len(rows)))
        chosen = (Fold(name="train", train=train, test=tuple(range(count))),)
        told = f"are trained on {len(further)} rows of the split 'train'"
    else:
        chosen = speaker_folds([one.speaker for one in reported], _some(reported), seed=seed)
        told = f"are trained on the other speakers of these rows, {len(chosen)} folds, as there is no split 'train'"
    everything = np.concatenate([predictions.targets, np.array(targets, np.int64)]).astype(np.int64)
    notes = (told, *([f"{left_out} rows of the split 'train' are by reported speakers: left out."] if left_out else []))
    return _Task(utterances=rows, targets=everything, emotions=len(predictions.emotions), folds=chosen), notes


def _some(reported: Sequence[Utterance]) -> int:
    return max(2, min(FOLDS, len({one.speaker for one in reported})))


def _training_rows(
    predictions: Predictions,
    manifest: Manifest,
    reported: Sequence[Utterance],
    folds: Sequence[tuple[Sequence[str], Sequence[str]]],
) -> tuple[list[Utterance], list[int], int]:
    """Further rows to train on, with an emotion of the report, their targets, and how many share a speaker.

    They are those of the folds that are not reported, or, without folds, those of the split `train`.
    """
    places = {canonical(name): place for place, name in enumerate(predictions.emotions)}
    ids, speakers = set(predictions.ids), {one.speaker for one in reported if one.speaker}
    in_folds = {name for train, _ in folds for name in train}
    usable = [
        one
        for one in manifest.utterances
        if one.id not in ids
        and canonical(one.emotion or "") in places
        and (one.id in in_folds if folds else one.split == "train")
    ]
    kept = [one for one in usable if folds or one.speaker not in speakers]
    if usable and not kept:
        raise BimodalError(
            f"{manifest.path}: all {len(usable)} rows of the split 'train' are by speakers of the reported rows, so "
            "no baseline can be trained; evaluate with --folds"
        )
    return kept, [places[canonical(one.emotion or "")] for one in kept], len(usable) - len(kept)


def _given_folds(
    ids: Sequence[str], reported: int, folds: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> tuple[Fold, ...]:
    """Folds of ids as folds of rows, the first of which are reported; an id without a row is left out."""
    places = {name: row for row, name in enumerate(ids)}
    found = []
    for number, (train, test) in enumerate(folds, start=1):
        parts = [tuple(places[name] for name in part if name in places) for part in (train, test)]
        if parts[1]:
            found.append(Fold(name=str(number), train=parts[0], test=parts[1]))
    tested = [row for fold in found for row in fold.test]
    if sorted(tested) != list(range(reported)):
        raise BimodalError("the folds do not test each reported row once, so no baseline can be trained on them")
    return tuple(found)


def _answers(
    info: BaselineInfo, task: _Task, extract: Extract | None, manifest: Manifest, seed: int, progress: Any
) -> Doubles:
    """Scores (N, C) of a baseline for all rows that are tested."""
    scores = np.full((len(task.utterances), task.emotions), np.nan)
    if extract is None:
        rng = np.random.default_rng(seed)
        for fold in task.folds:
            test = list(fold.test)
            shares = np.bincount(task.targets[list(fold.train)], minlength=task.emotions) / max(1, len(fold.train))
            guesses = np.eye(task.emotions)[rng.choice(np.flatnonzero(shares), size=len(test))]
            scores[test] = guesses if info.random else shares
        return scores
    features = np.stack([_features(one, extract, manifest) for one in progress(task.utterances)])
    heard = ~np.isnan(features[:, 0])
    for fold in task.folds:
        known = [np.array([row for row in part if heard[row]], np.int64) for part in (fold.train, fold.test)]
        if len(known[1]):
            scores[known[1]] = _machine(features, task, known[0], known[1], seed)
    return scores


def _features(utterance: Utterance, extract: Extract, manifest: Manifest) -> Doubles:
    """Features of a row's recording; NaN if it has none."""
    if utterance.path is None:
        return np.full(extract(np.zeros(SAMPLING_RATE, np.float32)).shape, np.nan)
    clip = Clip(audio=manifest.folder / utterance.path, start=utterance.start, end=utterance.end)
    speech = clip_speech(clip)
    if speech is None:
        raise BimodalError(f"{utterance.path}: no speech to take features from")
    return extract(speech.signal)


def _machine(features: Doubles, task: _Task, train: Integers, test: Integers, seed: int) -> Doubles:
    """Scores of test rows by a support vector machine whose temperature is fitted on training speakers left out."""
    if len(set(task.targets[train])) < 2:
        raise BimodalError(f"{len(train)} training rows with fewer than 2 emotions: a baseline needs at least 2")
    machine = _fitted(features[train], task.targets[train])
    speakers = [task.utterances[row].speaker for row in train]
    temperature = 1.0
    if len({one for one in speakers if one}) >= _INNER and all(speakers):
        held, truths = [], []
        for fold in speaker_folds(speakers, _INNER, seed=seed):
            inner, other = train[list(fold.train)], train[list(fold.test)]
            if len(set(task.targets[inner])) > 1:
                held.append(_logits(_fitted(features[inner], task.targets[inner]), features[other], task.emotions))
                truths.append(task.targets[other])
        temperature = fit_temperature(np.concatenate(held), np.concatenate(truths)) if held else 1.0
    return softmax(_logits(machine, features[test], task.emotions), temperature)


def _fitted(features: Doubles, targets: Integers) -> Any:
    try:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC
    except ImportError as error:
        raise BimodalError("this baseline needs scikit-learn: pip install 'bimodal-emotion[baselines]'") from error
    return make_pipeline(StandardScaler(), SVC(C=1.0, class_weight="balanced")).fit(features, targets)


_UNSEEN: Final = -30.0  # logit of an emotion that no training row has


def _logits(machine: Any, features: Doubles, emotions: int) -> Doubles:
    """Decision values (n, C), one emotion against the rest."""
    values = np.asarray(machine.decision_function(features), np.float64)
    values = np.stack([-values, values], axis=1) if values.ndim == 1 else values
    logits = np.full((len(features), emotions), _UNSEEN)
    logits[:, machine.classes_] = values
    return logits


def _usual(utterance: Utterance) -> Utterance:
    """The row with the usual word for its emotion."""
    return utterance if utterance.emotion is None else replace(utterance, emotion=canonical(utterance.emotion))
