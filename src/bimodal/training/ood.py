"""What a model folder keeps of its training data, so that recognition can tell what is unlike it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from bimodal.arrays import Floats
from bimodal.data.batches import Inputs
from bimodal.features.ood import EXPONENT, OodStats, fit_ood_stats, ood_score, temperature_factor
from bimodal.records import Utterance
from bimodal.training.modality import Modality

MOST_CLIPS: Final = 4000
"""Of more, evenly spread ones are measured."""

_PARTS: Final = 5
_AT_ONCE: Final = 64


def owners(utterances: Sequence[Utterance]) -> list[str | None]:
    """The speaker of each utterance, else its dialogue."""
    return [utterance.speaker or utterance.dialogue for utterance in utterances]


def measure_ood_stats(
    modality: Modality, rows: Sequence[int], groups: Sequence[str | None], exponent: float = EXPONENT
) -> OodStats | None:
    """Statistics of a modality's training rows for the out-of-domain score; None if fewer than two of them have it.

    Args:
        modality: Its inputs.
        rows: Training rows.
        groups: Group of each utterance, so that no speaker is compared with themselves; None for rows without a
            group.
        exponent: As in `OodStats`.
    """
    present = modality.present_rows(rows)
    step = -(-len(present) // MOST_CLIPS) if present else 1
    chosen = present[::step]
    if len(chosen) < 2:
        return None
    batches = [chosen[first : first + _AT_ONCE] for first in range(0, len(chosen), _AT_ONCE)]
    values = np.concatenate([_pooled(modality.examples.read(batch)) for batch in batches])
    owners = [groups[row] or f"row {row}" for row in chosen]
    number = {owner: place for place, owner in enumerate(dict.fromkeys(owners))}
    found = fit_ood_stats(values, np.array([number[owner] % _PARTS for owner in owners]))
    return replace(found, exponent=exponent)


def measure_temperature_factors(
    modality: Modality, rows: Sequence[int], groups: Sequence[str | None], exponent: float = EXPONENT
) -> Floats:
    """`temperature_factor` of all N utterances, (N,), as recognition takes it; 1 if the modality is absent.

    Args:
        modality: Its inputs.
        rows: As in `measure_ood_stats`.
        groups: As in `measure_ood_stats`.
        exponent: As in `OodStats`.
    """
    factors, present = np.ones(len(modality.present), np.float32), np.flatnonzero(modality.present)
    known = measure_ood_stats(modality, rows, groups, exponent)
    if known is not None:
        for batch in np.array_split(present, -(-len(present) // _AT_ONCE)):
            distance = ood_score(_pooled(modality.examples.read(batch.tolist())), known)
            factors[batch] = temperature_factor(distance, known)
    return factors


def _pooled(inputs: Inputs) -> Floats:
    """What recognition measures, too: statistics of the voice (B, P, L, D), columns, or pooled layers of the words."""
    values = next(inputs[name] for name in ("statistics", "columns", "pooled") if name in inputs)
    return np.asarray(values[:, -1] if "there" in inputs else values, np.float32)
