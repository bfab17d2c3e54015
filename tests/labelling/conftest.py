"""Real speech of EmoDB in a folder of its own, and a session over it that a test may write to."""

import shutil
from pathlib import Path

import pytest

from bimodal.inference.installed import find_model
from bimodal.inference.model import Model
from bimodal.labelling.features import ClipFeatures
from bimodal.labelling.open import open_labels
from bimodal.labelling.records import LabelClip
from bimodal.labelling.session import Session, SessionOptions
from bimodal.labelling.store import Store, create_store

LETTERS = {"W": "anger", "F": "happiness", "N": "neutral", "T": "sadness"}
EMOTIONS = ("anger", "happiness", "neutral", "sadness")


def truth(name: str) -> str:
    """The emotion of an EmoDB clip by its name."""
    return LETTERS[Path(name).stem[5]]


@pytest.fixture(scope="session")
def model() -> Model:
    return Model(find_model("permissive"), threads=1)


@pytest.fixture(scope="session")
def speech(corpus_data, model, tmp_path_factory) -> Path:
    """A folder of 80 clips of four emotions, encoded once; copied, never written to."""
    folder = tmp_path_factory.mktemp("speech")
    for emotion in LETTERS:
        for file in sorted((corpus_data / "emodb" / "audio").glob(f"?????{emotion}?.flac"))[:20]:
            shutil.copy(file, folder / file.name)
    store = open_labels(folder, emotions=EMOTIONS).store
    assert len(list(ClipFeatures(store.folder, folder, model).extract(store.clips))) == 80
    return folder


@pytest.fixture
def folder(speech, tmp_path) -> Path:
    """The recordings with their features, and no labels; to be written to."""
    return Path(shutil.copytree(speech, tmp_path / "speech", copy_function=shutil.copy2))


@pytest.fixture
def session(folder, model) -> Session:
    """A session without work in the background."""
    return Session(folder, open_labels(folder).store, model, SessionOptions())


@pytest.fixture
def store(tmp_path) -> Store:
    """A store of five clips without recordings."""
    clips = tuple(LabelClip(id=f"{number}.wav", path=f"{number}.wav") for number in range(5))
    return create_store(tmp_path / "labels", ("anger", "calm"), clips)
