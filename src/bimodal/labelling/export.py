"""An ordinary model folder from the labels of a session, or from a manifest with labels."""

from pathlib import Path
from typing import Final

import numpy as np

from bimodal.data.labels import custom, emotion_map, split_labels
from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.errors import LabellingError
from bimodal.inference.adapt import Progress
from bimodal.inference.installed import find_model
from bimodal.inference.model import Model
from bimodal.labelling.exchange import labelled_rows
from bimodal.labelling.graph import LabelledData, write_labelled_model
from bimodal.labelling.learner import Inputs, Learned, learn
from bimodal.labelling.session import Session
from bimodal.labelling.space import fit_space, head_inputs
from bimodal.records import Manifest, Utterance

FEWEST_LABELS: Final = 10
"""Labelled training clips that an exported model needs."""


def export_model_of(session: Session, out: Path | None = None) -> Path:
    """Fit the head on all labels of a session, and write it as a model folder.

    Args:
        session: Whose clips are encoded already.
        out: New folder; None for the next `model-N` beside the labels.

    Raises:
        LabellingError: There are too few labels or clips.
        ModelFolderError: The folder cannot be written.
    """
    learned = session.refit()
    _check_labels(learned, session.recordings)
    rows = [row for row in labelled_rows(session.store) if row.split == "train"]
    spoken = [values for clip in session.store.clips if (values := session.features.of(clip.id)) is not None]
    votes = [one for row in rows for one in split_labels(row.emotion or "")]
    counts = {name: float(votes.count(name)) for name in session.store.emotions}
    data = LabelledData(recordings=session.recordings, rows=rows, counts=counts, statistics=np.stack(spoken))
    return write_labelled_model(session.model, learned, data, out or _next_folder(session.store.folder))


def _next_folder(folder: Path) -> Path:
    number = 1
    while (folder / f"model-{number}").exists():
        number += 1
    return folder / f"model-{number}"


def _check_labels(learned: Learned, where: object) -> None:
    if learned.labels < FEWEST_LABELS:
        raise LabellingError(
            f"{where}: {learned.labels} training clips are labelled, at least {FEWEST_LABELS} are needed for a model; "
            "label more"
        )


def fit_labelled_model(
    model: str | Path,
    manifest: ManifestSource,
    out: str | Path,
    *,
    threads: int = 0,
    progress: Progress = lambda items, label: items,
) -> Path:
    """Fit the head of a model to the labels of a manifest: `bimodal adapt --labels`.

    Rows with `split` `test` train nothing; their UAR goes into the model card. Several labels of a row, `joy|anger`,
    are votes. The vocabulary is that of the model, or the labels' own where the model's lacks one of them.

    Args:
        model: Model folder or name.
        manifest: With recordings and labels.
        out: New folder.
        threads: As in `Recognizer`.
        progress: Wraps iterables with a bar.

    Raises:
        LabellingError: There are too few labels.
        BimodalError: The model uses no recordings, or a recording cannot be used.
    """
    opened, read = Model(find_model(model), threads=threads), open_manifest(manifest)
    opened.check_takes_audio()
    rows = [row for row in read.utterances if row.path is not None]
    emotions = _vocabulary(opened, rows, read)
    known = emotion_map(custom(emotions))
    encoded = [(row, found) for row in progress(rows, "encoding") if (found := _encode(opened, row, read)) is not None]
    if len(encoded) < FEWEST_LABELS:
        raise LabellingError(f"{read.path}: {len(encoded)} recordings with speech, at least {FEWEST_LABELS} are needed")
    statistics = np.stack([values for _, values in encoded])
    space = fit_space(opened, statistics, emotions)
    features, prior = head_inputs(opened, space, statistics)
    inputs = Inputs(names=tuple(row.id for row, _ in encoded), features=features, prior=prior)
    votes = {row.id: _votes(row, known.shares(row.emotion), emotions) for row, _ in encoded if row.emotion}
    test = {row.id for row, _ in encoded if row.split == "test"}
    kept = {name: one for name, one in votes.items() if one.sum() > 0}
    learned = learn(
        inputs,
        space,
        {name: one for name, one in kept.items() if name not in test},
        {name: one for name, one in kept.items() if name in test},
        {row.id: row.speaker or "" for row, _ in encoded},
    )
    _check_labels(learned, read.path)
    trained = [row for row, _ in encoded if row.id in kept and row.id not in test]
    totals = sum((kept[row.id] for row in trained), np.zeros(len(emotions)))
    data = LabelledData(
        recordings=read.folder,
        rows=trained,
        counts={name: round(float(total), 2) for name, total in zip(emotions, totals, strict=True)},
        statistics=statistics,
    )
    return write_labelled_model(opened, learned, data, Path(out))


def _encode(model: Model, row: Utterance, manifest: Manifest) -> "np.ndarray | None":
    from bimodal.audio.decode import load_signal

    return model.encode(load_signal(manifest.folder / str(row.path), start=row.start, end=row.end)).statistics


def _vocabulary(model: Model, rows: list[Utterance], manifest: Manifest) -> tuple[str, ...]:
    """The model's emotions if they have a place for every label, else the labels as they are."""
    labels = dict.fromkeys(one for row in rows if row.emotion for one in split_labels(row.emotion))
    if not labels:
        raise LabellingError(f"{manifest.path}: no row has an emotion; fill the column, or leave --labels out")
    own = emotion_map(custom(model.emotions))
    if all(word.strip().casefold() in own.table and own.apply(word) for word in labels):
        return model.emotions
    return custom(sorted(labels)).emotions


def _votes(row: Utterance, shares: dict[str, float], emotions: tuple[str, ...]) -> "np.ndarray":
    count = len(split_labels(row.emotion or ""))
    return np.array([shares.get(emotion, 0.0) * count for emotion in emotions])
