"""Open the labels of a folder of recordings, or begin them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bimodal.data.labels import find_map
from bimodal.errors import LabellingError
from bimodal.inference.model import Model
from bimodal.labelling.clips import Progress, find_clips
from bimodal.labelling.store import SETTINGS, Store, create_store, read_clips

LABELS_FOLDER: Final = "bimodal-labels"
"""Folder of the labels, in the folder of the recordings."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The labels of a folder.

    Attributes:
        store: The labels.
        problems: One sentence for each recording that cannot be used.
    """

    store: Store
    problems: tuple[str, ...]


def open_labels(
    folder: Path,
    labels: Path | None = None,
    *,
    emotions: Sequence[str] = (),
    model: Model | None = None,
    seed: int = 0,
    progress: Progress = lambda items, label: items,
) -> Opened:
    """The labels of a folder of recordings; begun where there are none, with new recordings added.

    Args:
        folder: With recordings.
        labels: Folder of the labels; None for `LABELS_FOLDER` in the folder.
        emotions: The vocabulary; empty for that of labels that were begun, else the model's.
        model: Whose emotions are the vocabulary where none is given.
        seed: Of the draw of the test clips.
        progress: Wraps iterables with a bar.

    Raises:
        AudioError: There are no recordings.
        LabellingError: The folder is missing, or its labels have another vocabulary or are damaged.
    """
    place = labels_place(folder, labels)
    if not emotions and not (place / SETTINGS).is_file() and model is not None:
        emotions = model.emotions
    found = find_clips(folder, read_clips(place), seed=seed, progress=progress)
    store = create_store(place, tuple(emotions), found.clips, seed)
    return Opened(store=store, problems=found.problems)


def existing_labels(folder: Path, labels: Path | None = None) -> Store:
    """The labels of a folder, which must have been begun.

    Raises:
        LabellingError: They were not.
    """
    place = labels_place(folder, labels)
    if not (place / SETTINGS).is_file():
        raise LabellingError(f"{place}: no labels there yet; start with 'bimodal label {folder}'")
    return Store(place)


def labels_place(folder: Path, labels: Path | None) -> Path:
    """Folder of the labels."""
    return labels or folder / LABELS_FOLDER


def read_vocabulary(named: str) -> tuple[str, ...]:
    """Emotions from a list with commas, the name of a vocabulary, or a TOML file; in the order of the keys.

    Raises:
        ConfigError: There is no such vocabulary.

    Example:
        >>> read_vocabulary("calm, tense"), len(read_vocabulary("ekman7"))
        (('calm', 'tense'), 7)
    """
    if not named:
        return ()
    if "," in named:
        return tuple(part.strip() for part in named.split(",") if part.strip())
    return find_map(named).vocabulary.emotions
