"""A small corpus of feature columns and words, and settings under which it trains in a second."""

import csv
from pathlib import Path

import numpy as np

from bimodal.config import TrainConfig, read_config

WORDS = {
    "anger": ["Stop that at once!", "Get out of my house!"],
    "happiness": ["What a lovely day!", "We won, we really won!"],
    "sadness": ["I miss him every day.", "I feel so alone."],
}

QUICK = read_config(
    TrainConfig(),
    settings=[
        'speech.columns=["pros_*"]',
        "speech.epochs=2",
        "speech.min_steps=10",
        "speech.pca_components=0",
        "speech.ensemble_size=1",
        "speech.input_noise_std=0.1",
        "text.epochs=2",
        "text.min_steps=10",
        "fusion.epochs=1",
        "fusion.min_steps=5",
        "fusion.n_folds=2",
        "dev_share=0.2",
        "threads=1",
    ],
)


def write_columns(
    path: Path, *, speakers: int = 6, emotions: tuple[str, ...] = tuple(WORDS), words: bool = False, name: str = "s"
) -> Path:
    """A manifest with two numeric columns that tell the emotion; gives its path."""
    rng = np.random.default_rng(len(path.parent.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for speaker in range(speakers):
        for number, emotion in enumerate(emotions):
            for take in range(3):
                values = rng.normal(size=2) + np.array([number, -number])
                text = WORDS.get(emotion, ["Well.", "Yes."])[take % 2] if words else ""
                split = ("train", "dev", "test")[speaker % 3]
                lines.append([f"u{len(lines)}", text, emotion, f"{name}{speaker}", split, speaker // 2, *values])
    with path.open("w", newline="", encoding="utf-8") as stream:
        header = ["id", "transcript", "emotion", "speaker", "split", "session", "pros_a", "pros_b"]
        csv.writer(stream).writerows([header, *lines])
    return path
