"""Scores of a speech network with speaker statistics, or of an adapted model. Imports no torch."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from bimodal.arrays import Floats
from bimodal.features.adaptation import (
    Adaptation,
    correct_logits,
    retell,
    shrink_to_corpus,
    standardise,
    take_part,
)
from bimodal.features.speaker_stats import RunningStats, speaker_stats_inputs
from bimodal.inference.check_model import OLD_INPUTS, run_network

_WHERE: Final = "speech network"


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
        uses_speaker_stats: True if the network was trained with speaker statistics.
        statistics: Pooled statistics (n, P, L, D).
        own: Statistics of each segment's speaker before it.
        adaptation: The adaptation of the model; None for an unadapted model.
    """
    if adaptation is None:
        embedding, logits = run_network(session, _inputs(session, statistics, own), _WHERE)
        return embedding, logits
    firm, standard = standardise_adapted(statistics, own, adaptation)
    if uses_speaker_stats:
        inputs = _inputs(session, statistics, firm)
    else:
        pairs = zip(statistics, firm, strict=True)
        inputs = {"statistics": np.stack([retell(values, stats, adaptation) for values, stats in pairs])}
    embedding, logits = run_network(session, inputs, _WHERE)
    return embedding, correct_logits(standard, logits, adaptation)


def standardise_adapted(
    statistics: Floats, own: Sequence[RunningStats], adaptation: Adaptation
) -> tuple[list[RunningStats], Floats]:
    """What each segment is standardised by, with the corpus as prior; and its standardised statistics (n, P, L, D)."""
    known = [shrink_to_corpus(stats, adaptation.corpus) if stats.count else adaptation.corpus for stats in own]
    firm = [take_part(stats, adaptation) for stats in known]
    return firm, np.stack([standardise(*pair) for pair in zip(statistics, firm, strict=True)])


def _inputs(session: Any, statistics: Floats, stats: Sequence[RunningStats]) -> dict[str, Floats]:
    """Inputs by their names in the graph, which may be those of an earlier version."""
    inputs = {"statistics": statistics} | speaker_stats_inputs(stats)
    names = [one.name for one in session.get_inputs()]
    return {name: inputs[OLD_INPUTS.get(name, name)] for name in names}
