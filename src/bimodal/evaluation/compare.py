"""Paired comparison of systems on the same utterances, and of the runs that `bimodal compare` is given."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from bimodal.errors import BimodalError
from bimodal.evaluation import metrics
from bimodal.evaluation.external import system_name, widened
from bimodal.evaluation.figures import Gain, Mask, Resampling, confusions_of, gain
from bimodal.evaluation.predictions import RESERVED, SYSTEMS, Predictions, read_predictions
from bimodal.evaluation.score_table import canonical

COMPARED = (("fused", "speech"), ("fused", "text"), ("fused", "late"))
_BEST_FIRST = ("fused", "late", "speech", "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class McNemar:
    """Utterances that one of two systems alone has right.

    Attributes:
        first: That the first alone has right.
        second: That the second alone has right.
        p: Two-sided exact p of "as often the one as the other"; takes utterances as independent.
        p_holm: The same after Holm's correction over the comparisons of the report.
    """

    first: int
    second: int
    p: float
    p_holm: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two systems on the utterances that both had input for.

    Attributes:
        system: The first.
        other: The second.
        rows: Utterances compared.
        uar: Difference in unweighted average recall, first minus second.
        weighted_f1: Difference in weighted F1.
        uar_p_holm: The p of the UAR after Holm's correction over the comparisons of the report; None if undefined.
        mcnemar: Utterances that one of both alone has right; None in reports of version 1.
    """

    system: str
    other: str
    rows: int
    uar: Gain
    weighted_f1: Gain
    uar_p_holm: float | None = None
    mcnemar: McNemar | None = None


def compare_systems(predictions: Predictions, resampling: Resampling) -> tuple[Comparison, ...]:
    """Paired comparisons of the systems that have common utterances.

    Fusion is compared with speech, text and late fusion; our best system with each other one; if there are only other
    systems, each of them with each.
    """
    pairs = _pairs(predictions.systems)
    shared = [predictions.answered(system) & predictions.answered(other) for system, other in pairs]
    found = [
        _comparison(predictions, pair, rows, resampling) for pair, rows in zip(pairs, shared, strict=True) if rows.any()
    ]
    return _corrected(found)


def mcnemar_p(first: int, second: int) -> float:
    """Two-sided exact p of McNemar's test (1947), above 0 and at most 1; as SciPy's `binomtest(first, first + second)`.

    Args:
        first: Utterances that the first system alone has right.
        second: Utterances that the second system alone has right.

    Example:
        >>> mcnemar_p(1, 5), mcnemar_p(3, 3)
        (0.21875, 1.0)
    """
    total, smaller = first + second, min(first, second)
    tail = sum(math.comb(total, count) for count in range(smaller + 1))
    return float(min(1.0, 2 * tail / 2**total))


def holm(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Values of p after Holm's correction (1979) for as many tests as are defined; None stays None.

    Example:
        >>> holm([0.01, 0.04, None, 0.03])
        (0.03, 0.06, None, 0.06)
    """
    defined = sorted((value, place) for place, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (value, place) in enumerate(defined):
        largest = max(largest, min(1.0, value * (len(defined) - rank)))
        corrected[place] = largest
    return tuple(corrected)


def _pairs(systems: Sequence[str]) -> list[tuple[str, str]]:
    own = [pair for pair in COMPARED if set(pair) <= set(systems)]
    others = [name for name in systems if name not in SYSTEMS]
    best = next((name for name in _BEST_FIRST if name in systems), None)
    return own + (list(combinations(others, 2)) if best is None else [(best, other) for other in others])


def _comparison(predictions: Predictions, pair: tuple[str, str], rows: Mask, resampling: Resampling) -> Comparison:
    first, second = (confusions_of(predictions, system, rows) for system in pair)
    right, other = (predictions.scores[system][rows].argmax(axis=1) == predictions.targets[rows] for system in pair)
    alone = int((right & ~other).sum()), int((other & ~right).sum())
    return Comparison(
        system=pair[0],
        other=pair[1],
        rows=int(rows.sum()),
        uar=gain(first, second, metrics.unweighted_average_recall, resampling),
        weighted_f1=gain(first, second, metrics.weighted_f1, resampling),
        mcnemar=McNemar(first=alone[0], second=alone[1], p=mcnemar_p(*alone), p_holm=1.0),
    )


def _corrected(found: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Comparisons with Holm's correction over all of them."""
    uar = holm([one.uar.p for one in found])
    exact = holm([None if one.mcnemar is None else one.mcnemar.p for one in found])
    return tuple(
        replace(one, uar_p_holm=p, mcnemar=None if one.mcnemar is None else replace(one.mcnemar, p_holm=other or 0.0))
        for one, p, other in zip(found, uar, exact, strict=True)
    )


def read_run(run: Path) -> tuple[Path, Predictions]:
    """The predictions of a run, and their file.

    Args:
        run: Folder of a report, or its predictions.csv.

    Raises:
        BimodalError: There are none, or the run is not finished.
    """
    file = run / "predictions.csv" if run.is_dir() else run
    if run.is_dir() and not file.is_file():
        half = " (the report is there without them: half-written?)" if (run / "report.json").is_file() else ""
        raise BimodalError(f"{run}: no predictions.csv in the folder{half}; run 'bimodal evaluate --out {run}' again")
    return file, read_predictions(file)


def join_runs(runs: Sequence[Path], *, system: str = "", common: bool = False) -> tuple[Predictions, tuple[str, ...]]:
    """Runs as systems beside one another, on the same utterances.

    Args:
        runs: At least two, see `read_run`.
        system: System of each run to compare; empty for the fusion, or the first one that a run has.
        common: Take the utterances that all runs have.

    Returns:
        Predictions with a system for each run, which has the run's name; sentences on what was compared.

    Raises:
        BimodalError: Fewer than two runs, one that cannot be read, different utterances, or different truths.
    """
    if len(runs) < 2:
        raise BimodalError(f"{len(runs)} run given, expected two or more to compare")
    read = [read_run(run) for run in runs]
    parts = [_canonical(found) for _, found in read]
    ids = _shared_ids(runs, parts, common)
    emotions = tuple(dict.fromkeys(name for part in parts for name in part.emotions))
    chosen = [_ordered_rows(part, ids, emotions) for part in parts]
    _check_truths(runs, chosen)
    scores: dict[str, Any] = {}
    notes, taken = [], {*RESERVED, *chosen[0].extra}
    for (file, _), part in zip(read, chosen, strict=True):
        name = system_name(file, {*taken, *scores})
        which = system or next((one for one in _BEST_FIRST if one in part.scores), part.systems[0])
        if which not in part.scores:
            raise BimodalError(f"{file}: no system {which!r}, expected one of {list(part.systems)}")
        scores[name] = part.scores[which]
        notes.append(f"{name}: system '{which}' of {file}")
    if len(ids) < max(len(part.ids) for part in parts):
        notes.append(f"{len(ids)} common utterances of {', '.join(str(len(part.ids)) for part in parts)}")
    return replace(chosen[0], scores=scores, sets={}), tuple(notes)


def _canonical(part: Predictions) -> Predictions:
    """Predictions with the usual words for the emotions, where that keeps them apart."""
    names = tuple(canonical(name) for name in part.emotions)
    return replace(part, emotions=names) if len(set(names)) == len(names) else part


def _shared_ids(runs: Sequence[Path], parts: Sequence[Predictions], common: bool) -> list[str]:
    shared = set(parts[0].ids).intersection(*(part.ids for part in parts[1:]))
    counts = ", ".join(f"{run} {len(part.ids)}" for run, part in zip(runs, parts, strict=True))
    if not shared:
        raise BimodalError(f"the runs have no utterance in common ({counts}); evaluate them on the same manifest")
    if not common and any(set(part.ids) != shared for part in parts):
        raise BimodalError(
            f"the runs have different utterances ({counts}; {len(shared)} common); --common compares the common ones"
        )
    return [name for name in parts[0].ids if name in shared]


def _ordered_rows(part: Predictions, ids: Sequence[str], emotions: Sequence[str]) -> Predictions:
    """The rows of some ids, over the emotions of all runs."""
    places = {name: row for row, name in enumerate(part.ids)}
    rows = [places[name] for name in ids]
    wide = widened(part, (*part.emotions, *(name for name in emotions if name not in part.emotions)))
    order = [wide.emotions.index(name) for name in emotions]
    return Predictions(
        ids=tuple(ids),
        targets=np.array([order.index(wide.targets[row]) for row in rows], np.int64),
        emotions=tuple(emotions),
        clusters=tuple(wide.clusters[row] for row in rows),
        cluster_name=wide.cluster_name,
        scores={name: one[rows][:, order] for name, one in wide.scores.items()},
        extra={name: tuple(column[row] for row in rows) for name, column in wide.extra.items()},
    )


def _check_truths(runs: Sequence[Path], parts: Sequence[Predictions]) -> None:
    for run, part in zip(runs[1:], parts[1:], strict=True):
        differ = np.flatnonzero(part.targets != parts[0].targets)
        if differ.size:
            row = int(differ[0])
            words = [one.emotions[one.targets[row]] for one in (parts[0], part)]
            raise BimodalError(
                f"{run}: the truth of {differ.size} utterances differs from {runs[0]}, such as {part.ids[row]!r} "
                f"({words[1]}, not {words[0]}); evaluate both on the same manifest"
            )
