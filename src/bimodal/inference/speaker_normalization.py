"""A speech network's answer where it stands on a baseline, or was adapted. Imports no torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bimodal.arrays import Floats
from bimodal.errors import BimodalError
from bimodal.features.adaptation import Adaptation, correct_logits, retell, shrink_to_corpus, standardise
from bimodal.features.speaker_stats import RunningStats, SpeakerStatsStore, speaker_stats_inputs


def score_statistics(
    session: Any,
    uses_speaker_stats: bool,
    statistics: Floats,
    own: Sequence[RunningStats],
    adaptation: Adaptation | None,
) -> tuple[Floats, Floats]:
    """Embeddings (n, E) and logits (n, C) of whole segments.

    Args:
        session: Of the speech network.
        uses_speaker_stats: True where the network was trained to stand on baselines.
        statistics: Pooled statistics (n, P, L, D).
        own: Baseline of each segment's speaker, of what was heard before.
        adaptation: What the model was adapted to; None where it was not.
    """
    if adaptation is None:
        embedding, logits = session.run(None, {"statistics": statistics} | speaker_stats_inputs(own))
        return embedding, logits
    firm = [shrink_to_corpus(stats, adaptation.corpus) if stats.count else adaptation.corpus for stats in own]
    pairs = list(zip(statistics, firm, strict=True))
    if uses_speaker_stats:
        inputs = {"statistics": statistics} | speaker_stats_inputs(firm)
    else:
        inputs = {"statistics": np.stack([retell(values, stats, adaptation) for values, stats in pairs])}
    embedding, logits = session.run(None, inputs)
    return embedding, correct_logits(np.stack([standardise(*pair) for pair in pairs]), logits, adaptation)


def stats_in_turn(
    speaker_stats: SpeakerStatsStore, speakers: Sequence[str | None], statistics: Sequence[Floats]
) -> list[RunningStats]:
    """Baseline of each clip's speaker from what came before it; each clip joins its speaker's afterwards."""
    own = []
    for speaker, values in zip(speakers, statistics, strict=True):
        own.append(speaker_stats.of(speaker, values.shape))
        speaker_stats.add(speaker, values)
    return own


def check_uses_speaker_stats(name: str, uses_speaker_stats: bool, adaptation: Adaptation | None) -> None:
    """Refuse baselines where they would change nothing.

    Raises:
        BimodalError: The network hears each clip by itself.
    """
    if not uses_speaker_stats and adaptation is None:
        raise BimodalError(
            f"the model '{name}' hears each clip by itself and cannot use speaker statistics; train it with "
            "speech.speaker_stats, or adapt it with 'bimodal adapt'"
        )
