"""Prosodic columns seen beside the speaker's usual ones and beside those of the dialogue so far."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bimodal.data.manifest import feature_columns, feature_matrix
from bimodal.data.text import preceding_rows
from bimodal.records import Utterance

Floats = npt.NDArray[np.float64]

KNOWN_AFTER = 20.0
"""Utterances of a speaker that count as much as what all speakers say of one."""

BEFORE = 3
"""Utterances before each one that are looked back at."""


def with_history(utterances: Sequence[Utterance], pattern: str, usual: Sequence[int]) -> list[Utterance]:
    """Utterances with two more columns for each that fits a pattern; no label is looked at.

    `NAME_own` is the value in deviations from the speaker's mean over the rows `usual`, `NAME_before` the mean of
    that over the three utterances before it in its dialogue.

    Args:
        utterances: Of whole dialogues.
        pattern: Glob pattern of the columns.
        usual: Rows that tell how somebody usually speaks, such as the training rows.
    """
    names = feature_columns(utterances, (pattern,))
    values = feature_matrix(utterances, names).astype(np.float64)
    own = _beside_speaker(values, [utterance.speaker for utterance in utterances], np.array(usual))
    earlier = np.zeros_like(own)
    for row, rows in enumerate(preceding_rows(utterances, BEFORE)):
        if rows:
            earlier[row] = np.nan_to_num(own[rows]).mean(axis=0)
    return [
        replace(
            utterance,
            extra={**utterance.extra, **_named(names, own[row], "own"), **_named(names, earlier[row], "before")},
        )
        for row, utterance in enumerate(utterances)
    ]


def _beside_speaker(
    values: npt.NDArray[Any], speakers: Sequence[str | None], usual: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    standard = (values - np.nanmean(values[usual], axis=0)) / np.nanstd(values[usual], axis=0)
    whose = np.array([speaker or "" for speaker in speakers])
    own = standard.copy()
    for speaker in set(whose.tolist()) - {""}:
        heard = standard[usual[whose[usual] == speaker]]
        count = np.isfinite(heard).sum(axis=0)
        known = count / (count + KNOWN_AFTER)
        mean, variance = (_over(heard, count, how) for how in (np.nanmean, np.nanvar))
        rows = whose == speaker
        own[rows] = (standard[rows] - known * mean) / np.sqrt(1 + known * (variance - 1))
    return own


def _over(values: Floats, count: npt.NDArray[Any], how: Any) -> Floats:
    """A statistic of each column; 0 if there are no values."""
    found = np.zeros(values.shape[1])
    there = count > 0
    if there.any():
        found[there] = how(values[:, there], axis=0)
    return found


def _named(names: Sequence[str], values: npt.NDArray[Any], suffix: str) -> dict[str, str]:
    return {
        f"{name}_{suffix}": "" if np.isnan(value) else f"{value:.6g}" for name, value in zip(names, values, strict=True)
    }
