"""A speech network's answer where it stands on a baseline, or was adapted. Imports no torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bimodal.errors import BimodalError
from bimodal.features.adaptation import Adaptation, correct_logits, firm_baseline, retell, standardise
from bimodal.features.speaker_stats import Baseline, SpeakerBaselines, baseline_inputs

Floats = npt.NDArray[np.float32]


def judge_statistics(
    session: Any, takes_baseline: bool, statistics: Floats, own: Sequence[Baseline], adaptation: Adaptation | None
) -> tuple[Floats, Floats]:
    """Embeddings (n, E) and logits (n, C) of whole segments.

    Args:
        session: Of the speech network.
        takes_baseline: True where the network was trained to stand on baselines.
        statistics: Pooled statistics (n, P, L, D).
        own: Baseline of each segment's speaker, of what was heard before.
        adaptation: What the model was adapted to; None where it was not.
    """
    if adaptation is None:
        embedding, logits = session.run(None, {"statistics": statistics} | baseline_inputs(own))
        return embedding, logits
    firm = [firm_baseline(baseline, adaptation.corpus) if baseline.count else adaptation.corpus for baseline in own]
    pairs = list(zip(statistics, firm, strict=True))
    if takes_baseline:
        inputs = {"statistics": statistics} | baseline_inputs(firm)
    else:
        inputs = {"statistics": np.stack([retell(values, baseline, adaptation) for values, baseline in pairs])}
    embedding, logits = session.run(None, inputs)
    return embedding, correct_logits(np.stack([standardise(*pair) for pair in pairs]), logits, adaptation)


def hear_in_turn(
    baselines: SpeakerBaselines, speakers: Sequence[str | None], statistics: Sequence[Floats]
) -> list[Baseline]:
    """Baseline of each clip's speaker from what came before it; each clip joins its speaker's afterwards."""
    own = []
    for speaker, values in zip(speakers, statistics, strict=True):
        own.append(baselines.of(speaker, values.shape))
        baselines.add(speaker, values)
    return own


def check_takes_baselines(name: str, takes_baseline: bool, adaptation: Adaptation | None) -> None:
    """Refuse baselines where they would change nothing.

    Raises:
        BimodalError: The network hears each clip by itself.
    """
    if not takes_baseline and adaptation is None:
        raise BimodalError(
            f"the model '{name}' hears each clip by itself and has no use for speakers' baselines; train it with "
            "speech.baseline, or adapt it with 'bimodal adapt'"
        )
