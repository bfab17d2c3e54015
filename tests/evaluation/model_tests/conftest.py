from collections.abc import Callable

import numpy as np
import pytest

from bimodal.evaluation.model_tests.records import Material
from bimodal.evaluation.predictions import Predictions
from bimodal.records import Utterance

EMOTIONS = ("anger", "fear", "joy")


@pytest.fixture
def make_material() -> Callable[..., Material]:
    """Answers to clips of made-up speakers; `told` gives the answers from targets and rows of the manifest."""

    def make(told: Callable, *, speakers: int = 20, each: int = 30, seed: int = 0) -> Material:
        rng = np.random.default_rng(seed)
        count = speakers * each
        targets = rng.permutation(np.arange(count) % len(EMOTIONS))
        rows = tuple(
            Utterance(
                id=f"u{row}",
                speaker=f"s{row // each}",
                transcript=("The door is open.", "The window is closed.")[row % 2],
                emotion=EMOTIONS[targets[row]],
                lang="en",
                extra={
                    "gender": ("female", "male")[row // each % 2],
                    "intensity": ("normal", "strong")[row // 2 % 2],
                    "age": str(20 + 3 * (row // each)),
                },
            )
            for row in range(count)
        )
        answers = told(targets, rows, rng)
        scores = 0.1 + 0.7 * np.eye(len(EMOTIONS))[answers]
        predictions = Predictions(
            ids=tuple(row.id for row in rows),
            targets=targets,
            emotions=EMOTIONS,
            clusters=tuple(row.speaker for row in rows),
            cluster_name="speaker",
            scores={"speech": scores, "text": np.roll(scores, 1, axis=0), "fused": scores},
        )
        return Material(predictions=predictions, utterances=rows)

    return make
