"""Small inputs that the tests of the stages share."""

import numpy as np

from bimodal.config import HeadConfig
from bimodal.training.modality import Modality
from bimodal.training.speech import columns_modality

SIZE, EMOTIONS = 36, 3
CONFIG = HeadConfig(
    epochs=15,
    min_steps=0,
    batch_size=12,
    learning_rate=2e-2,
    dropout=0.0,
    input_dropout=0.0,
    hidden_width=24,
    embedding_width=6,
)


def noise(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns that say nothing about the targets, so many that any network learns them by heart."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(SIZE, 60)).astype(np.float32), np.arange(SIZE) // 3 % EMOTIONS


def noise_modality(columns: np.ndarray, targets: np.ndarray, config: HeadConfig = CONFIG) -> Modality:
    return columns_modality(columns, targets, [f"c{i}" for i in range(columns.shape[1])], config, EMOTIONS)


def hits(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((logits.argmax(1) == targets).mean())
