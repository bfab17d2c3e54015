from collections.abc import Callable

import numpy as np
import pytest

from bimodal.evaluation.metrics import softmax
from bimodal.evaluation.predictions import Predictions

EMOTIONS = ("anger", "fear", "joy")


@pytest.fixture
def by_hand() -> Predictions:
    """Six utterances whose figures can be worked by hand; the last has no speech, the second no text."""
    nothing = [np.nan] * 3
    a, f, j = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]
    return Predictions(
        ids=("u1", "u2", "u3", "u4", "u5", "u6"),
        targets=np.array([0, 0, 1, 1, 2, 2]),
        emotions=EMOTIONS,
        clusters=("Ann", "Ann", "Ann", "Bob", "Bob", "Bob"),
        cluster_name="speaker",
        scores={
            "speech": np.array([a, f, f, a, j, nothing]),  # recalls 1/2, 1/2, 1
            "text": np.array([a, nothing, a, a, j, j]),  # recalls 1, 0, 1
            "fused": np.array([a, f, f, f, j, j]),  # recalls 1/2, 1, 1
        },
        extra={"fold": ("1",) * 3 + ("2",) * 3, "transcript": ('so, "what"\nthen', None, "ja", "né", "=1", "x")},
    )


@pytest.fixture
def made_up() -> Callable[..., Predictions]:
    """Predictions by speakers who differ; `signal` of a system is how well it knows the truth."""

    def make(signals=(("speech", 0.5), ("text", 1.0), ("late", 1.2), ("fused", 2.5)), speakers=25, each=20, seed=0):
        rng = np.random.default_rng(seed)
        targets = rng.integers(3, size=speakers * each)
        ease = np.repeat(rng.normal(size=speakers), each)[:, None]
        noise = rng.normal(size=(len(targets), 3))
        truth = np.eye(3)[targets]
        return Predictions(
            ids=tuple(f"u{row}" for row in range(len(targets))),
            targets=targets,
            emotions=EMOTIONS,
            clusters=tuple(f"s{speaker}" for speaker in np.repeat(np.arange(speakers), each)),
            cluster_name="speaker",
            scores={name: softmax(noise + (signal + ease) * truth) for name, signal in signals},
        )

    return make
