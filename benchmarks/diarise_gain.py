"""What baselines are worth in a recording of several speakers: none, one for all, of found and of true speakers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.record import Figure, make_figure
from bimodal.diarisation.pieces import Piece
from bimodal.evaluation import metrics
from bimodal.features.adaptation import Adaptation
from bimodal.features.speaker_stats import RunningStats, SpeakerStatsStore, empty_stats, measure_speaker_stats
from bimodal.inference.adapt import EncodedClips, encode_clips, fit_adaptation
from bimodal.inference.model import Model
from bimodal.inference.model_folder import GRAPHS
from bimodal.inference.speaker_normalization import score_statistics
from bimodal.records import Utterance
from bimodal.runtime import make_session

NONE, ONE, FOUND, TRUE = SYSTEMS = (
    "no baseline",
    "one baseline for the recording",
    "a baseline for each found speaker",
    "a baseline for each true speaker",
)
GAINS = ((ONE, NONE), (FOUND, NONE), (TRUE, NONE), (FOUND, ONE))
UAR = metrics.unweighted_average_recall

Scored = Mapping[str, Any]
"""Confusions (C, C) of the pieces of one recording, by system."""


class Scorer:
    """A model's speech network and the emotions that are told apart.

    Args:
        model: It is not adapted and uses no speaker statistics.
        emotions: Of the truth; answers are the best of them.
    """

    def __init__(self, model: Model, emotions: Sequence[str]) -> None:
        self.model, self.emotions = model, emotions
        self._session = make_session(model.folder / GRAPHS["speech"], threads=1)
        self._columns = [model.emotions.index(emotion) for emotion in emotions]

    def score(self, pieces: Sequence[Piece], turns: Sequence[Utterance]) -> Scored:
        """Confusions of pieces whose truth is the turn that they cover most."""
        told = [(piece, _truth(piece, turns)) for piece in pieces]
        kept = [(piece, truth) for piece, truth in told if truth is not None]
        encoded = encode_clips(self.model, ((piece.segment.signal, str(row)) for row, (piece, _) in enumerate(kept)))
        rows = [int(str(row)) for row in encoded.speakers]
        statistics = encoded.statistics
        named = {
            FOUND: [kept[row][0].speaker for row in rows],
            TRUE: [kept[row][1].speaker for row in rows],
            ONE: [None] * len(rows),
        }
        truth = [self.emotions.index(str(kept[row][1].emotion)) for row in rows]
        nobody = [empty_stats(statistics.shape[1:])] * len(rows)
        answers = {NONE: self._answers(statistics, nobody, None)}
        answers |= {system: self._adapted(statistics, speakers) for system, speakers in named.items()}
        return {system: _confusions(truth, found, len(self.emotions)) for system, found in answers.items()}

    def _adapted(self, statistics: Any, speakers: Sequence[str | None]) -> Any:
        """Answers as `bimodal recognize --speakers` gives them, with these names."""
        store = measure_speaker_stats(zip(speakers, statistics, strict=True)) if any(speakers) else SpeakerStatsStore()
        clips = EncodedClips(statistics=statistics, speakers=tuple(speakers), seconds=0.0, unusable=0)
        adaptation = fit_adaptation(self.model, clips, store)
        own = [store.of(speaker, statistics.shape[1:]) for speaker in speakers]
        return self._answers(statistics, own, adaptation if adaptation.share else None)

    def _answers(self, statistics: Any, own: Sequence[RunningStats], adaptation: Adaptation | None) -> Any:
        logits = score_statistics(self._session, False, statistics, own, adaptation)[1]
        return logits[:, self._columns].argmax(axis=1)


def _truth(piece: Piece, turns: Sequence[Utterance]) -> Utterance | None:
    """The turn that a piece covers most; None if none covers half of it."""
    segment = piece.segment
    shared = [min(segment.end, turn.end or 0.0) - max(segment.start, turn.start or 0.0) for turn in turns]
    best = int(np.argmax(shared))
    return turns[best] if shared[best] >= (segment.end - segment.start) / 2 else None


def _confusions(truth: Sequence[int], answers: Any, count: int) -> Any:
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (np.array(truth), answers), 1)
    return table


def system_figure(name: str, system: str, scored: Sequence[Sequence[Scored]]) -> Figure:
    """UAR of a system: one value a seed, interval over recordings."""
    values = [100 * float(UAR(sum(one[system] for one in several))) for several in scored]
    every = np.stack([one[system] for several in scored for one in several])
    found = metrics.bootstrap_interval(every, UAR)
    ends = {"low": 100 * found.low, "high": 100 * found.high, "clusters": f"{len(every)} recordings"}
    return make_figure(f"{name}: {system}", "UAR", values, **ends)


def gain_figure(name: str, pair: tuple[str, str], scored: Sequence[Sequence[Scored]]) -> Figure:
    """UAR of the first system less that of the second."""
    sides = [[sum(one[system] for one in several) for several in scored] for system in pair]
    values = [100 * float(UAR(first) - UAR(second)) for first, second in zip(*sides, strict=True)]
    first, second = (np.stack([one[system] for several in scored for one in several]) for system in pair)
    found = metrics.paired_bootstrap(first, second, UAR)
    ends = {"low": 100 * found.low, "high": 100 * found.high, "clusters": f"{len(first)} recordings", "p": found.p}
    return make_figure(f"{name}: {pair[0]} - {pair[1]}", "UAR", values, **ends)
