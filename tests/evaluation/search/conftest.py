"""A corpus of numbers: no encoder is needed, so a training takes a tenth of a second."""

import csv
from pathlib import Path

import numpy as np
import pytest

from bimodal.config import TrainConfig, read_config

SETTINGS = (
    "speech.columns=['feature_*']",
    "speech.epochs=2",
    "speech.min_steps=0",
    "speech.ensemble_size=1",
    "threads=1",
)


@pytest.fixture(scope="session")
def numbers(tmp_path_factory) -> Path:
    """Manifest of nine speakers whose three emotions differ in four numbers."""
    rng = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("numbers") / "manifest.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "emotion", "speaker", *(f"feature_{number}" for number in range(4))])
        for speaker in range(9):
            for number in range(12):
                values = rng.normal(size=4) + np.eye(4)[number % 3]
                emotion = ("anger", "happiness", "sadness")[number % 3]
                writer.writerow([f"s{speaker}-{number}", emotion, f"s{speaker}", *values.round(4)])
    return file


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    return read_config(TrainConfig(), settings=SETTINGS)


@pytest.fixture(scope="session")
def space(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("space") / "space.toml"
    file.write_text(
        "speech.learning_rate = {low = 1e-4, high = 1e-1, log = true}\n"
        "speech.dropout = {low = 0.0, high = 0.6}\n"
        'speech.loss.class_weights = ["none", "sqrt"]\n'
    )
    return file
