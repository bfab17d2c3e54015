"""A recording as a whole: shares of the emotions, by speaker too, phases, and highlights."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bimodal.inference.outputs import dimensions_of
from bimodal.records import Recognition

CHANGE_NATS: Final = 6.0
"""Log odds that speak for a new emotion before a change counts as lasting. A sure stretch of 2 s brings about 3."""

HOP_SECONDS: Final = 2.0
"""Length of speech whose scores count once as evidence for a change."""

HIGHLIGHTS: Final = 5
SAME_EMOTION: Final = 2
"""Most highlights, and most of one emotion."""

HIGHLIGHTS_APART: Final = 10.0
SHARE_APART: Final = 0.02
SHORTEST_HIGHLIGHT: Final = 1.0
"""Seconds from one highlight to the next, or share of the recording; seconds of the shortest one."""

SURE_HIGHLIGHT: Final = 0.5
"""Least score of a highlight: an emotion that is more likely than not."""

_LEAST: Final = 0.02  # no score tells more than this against an emotion


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeakerShares:
    """One speaker of a recording.

    Attributes:
        speaker: The name.
        speech_seconds: Total length of the speaker's results with an emotion.
        shares: Share of these seconds for each emotion of the model; all 0 without such results.
        dominant: The emotion with the largest share; None without such results.
    """

    speaker: str
    speech_seconds: float
    shares: Mapping[str, float]
    dominant: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A part of a recording in which one emotion prevails; where the next one begins, the emotion changes.

    Attributes:
        speaker: Who speaks; None if unknown.
        start: Start of its first result, in seconds.
        end: End of its last result, in seconds.
        emotion: The emotion that prevails, though single results may have another one.
        score: Mean score of this emotion, weighted by length.
    """

    speaker: str | None
    start: float
    end: float
    emotion: str
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Highlight:
    """A result that differs much from the recording as a whole.

    Attributes:
        start: In seconds.
        end: In seconds.
        speaker: Who speaks; None if unknown.
        emotion: The emotion of the result; never `neutral`.
        score: Its score.
        transcript: The words, if there are any.
    """

    start: float
    end: float
    speaker: str | None
    emotion: str
    score: float
    transcript: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The summary of a recording.

    Attributes:
        duration: Where the last result ends, in seconds.
        speech_seconds: Total length of all results with an emotion. If two people speak at once, both count.
        shares: Share of these seconds for each emotion of the model; sums to 1, all 0 if no result has an emotion.
        scores: Mean of the scores, weighted by length; empty if no result has an emotion.
        arousal: As that of `Recognition`, of these mean scores.
        valence: Likewise.
        dominant: The emotion with the largest share; None if no result has an emotion.
        abstained: True if no result has an emotion.
        results: Number of results.
        warned: Number of results with warnings.
        speakers: The shares of each speaker, in order of appearance; empty if nobody is named.
        phases: Parts in which one emotion prevails, by start; of each speaker one after the other.
        highlights: At most five results that differ most from the recording as a whole, by start.
    """

    duration: float
    speech_seconds: float
    shares: Mapping[str, float]
    scores: Mapping[str, float]
    dominant: str | None
    abstained: bool
    results: int
    warned: int
    arousal: float | None = None
    valence: float | None = None
    speakers: Sequence[SpeakerShares] = ()
    phases: Sequence[Phase] = ()
    highlights: Sequence[Highlight] = ()


def summarise(recognitions: Iterable[Recognition]) -> Summary:
    """The results of one recording taken together. A generator is consumed; what is kept of a result is small.

    Example:
        >>> from dataclasses import replace
        >>> calm = Recognition(emotion="neutral", scores={"anger": 0.2, "neutral": 0.8}, start=0.0, end=3.0,
        ...                    speech_scores=None, text_scores=None, gate=None)
        >>> summary = summarise([calm, replace(calm, emotion="anger", start=5.0, end=6.0)])
        >>> summary.dominant, summary.shares, summary.duration
        ('neutral', {'anger': 0.25, 'neutral': 0.75}, 6.0)
    """
    duration, count, warned = 0.0, 0, 0
    emotions: list[str] = []
    found: list[_Stretch] = []
    for result in recognitions:
        duration, count, warned = max(duration, result.end or 0.0), count + 1, warned + bool(result.warnings)
        emotions = emotions or list(result.scores)
        if result.emotion is not None and not result.abstained:
            found.append(_Stretch.of(result))
    seconds, means = _seconds(found, emotions), _means(found)
    named = dict.fromkeys(one.speaker for one in found if one.speaker is not None)
    return Summary(
        duration=duration,
        speech_seconds=sum(seconds.values()),
        shares=_shares(seconds),
        scores=means,
        **dimensions_of(means),
        dominant=_most(seconds),
        abstained=not any(seconds.values()),
        results=count,
        warned=warned,
        speakers=[_speaker(name, [one for one in found if one.speaker == name], emotions) for name in named],
        phases=find_phases(found),
        highlights=find_highlights(found, means),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stretch:
    """What the summary keeps of a result with an emotion; the fields are those of `Recognition`."""

    start: float
    end: float
    speaker: str | None
    emotion: str
    scores: Mapping[str, float]
    transcript: str | None

    @classmethod
    def of(cls, result: Recognition) -> "_Stretch":
        start = result.start or 0.0
        return cls(
            start=start,
            end=max(start, result.end or 0.0),
            speaker=result.speaker,
            emotion=str(result.emotion),
            scores=result.scores,
            transcript=result.transcript,
        )

    @property
    def seconds(self) -> float:
        return self.end - self.start


def _seconds(found: Sequence[_Stretch], emotions: Sequence[str]) -> dict[str, float]:
    seconds = dict.fromkeys(emotions, 0.0)
    for one in found:
        seconds[one.emotion] = seconds.get(one.emotion, 0.0) + one.seconds
    return seconds


def _shares(seconds: Mapping[str, float]) -> dict[str, float]:
    whole = sum(seconds.values()) or 1.0
    return {emotion: value / whole for emotion, value in seconds.items()}


def _most(seconds: Mapping[str, float]) -> str | None:
    return max(seconds, key=seconds.__getitem__) if any(seconds.values()) else None


def _means(found: Sequence[_Stretch]) -> dict[str, float]:
    """Mean scores, weighted by length; empty without speech."""
    whole = sum(one.seconds for one in found)
    sums: dict[str, float] = {}
    for one in found:
        for emotion, score in one.scores.items():
            sums[emotion] = sums.get(emotion, 0.0) + one.seconds * score
    return {emotion: value / whole for emotion, value in sums.items()} if whole else {}


def _speaker(name: str, found: Sequence[_Stretch], emotions: Sequence[str]) -> SpeakerShares:
    seconds = _seconds(found, emotions)
    return SpeakerShares(
        speaker=name, speech_seconds=sum(seconds.values()), shares=_shares(seconds), dominant=_most(seconds)
    )


def find_phases(found: Sequence[_Stretch]) -> list[Phase]:
    """The phases of each speaker, sorted by start.

    The emotions that prevail are the likeliest path through the scores if each change costs `CHANGE_NATS`: the Viterbi
    path of a hidden Markov model that changes its emotion rarely. So a single stretch does not end a phase.
    """
    speakers = dict.fromkeys(one.speaker for one in found)
    phases: list[Phase] = []
    for speaker in speakers:
        own = [one for one in found if one.speaker == speaker]
        path = prevailing([one.scores for one in own], [one.seconds for one in own])
        borders = [0, *(place for place, (one, two) in enumerate(pairwise(path), 1) if one != two), len(own)]
        phases += [_phase(own[first:last], path[first]) for first, last in pairwise(borders)]
    return sorted(phases, key=lambda phase: phase.start)


def _phase(own: Sequence[_Stretch], emotion: str) -> Phase:
    seconds = sum(one.seconds for one in own)
    score = sum(one.seconds * one.scores.get(emotion, 0.0) for one in own) / seconds if seconds else 0.0
    return Phase(speaker=own[0].speaker, start=own[0].start, end=own[-1].end, emotion=emotion, score=score)


def prevailing(scores: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> list[str]:
    """The emotion that prevails at each result; it changes only where `CHANGE_NATS` of evidence speak for it.

    Args:
        scores: Of each result in order of time, all of the same emotions.
        seconds: Length of each result.

    Example:
        >>> anger, calm = {"anger": 0.9, "neutral": 0.1}, {"anger": 0.1, "neutral": 0.9}
        >>> prevailing([calm, anger, calm], [2.0] * 3)
        ['neutral', 'neutral', 'neutral']
        >>> prevailing([calm] * 5 + [anger] * 5, [2.0] * 10).index("anger")
        5
    """
    if not scores:
        return []
    costs: dict[str, float] = dict.fromkeys(scores[0], 0.0)
    before: list[dict[str, str]] = []
    for given, length in zip(scores, seconds, strict=True):
        best = min(costs, key=costs.__getitem__)
        came = {one: one if cost <= costs[best] + CHANGE_NATS else best for one, cost in costs.items()}
        weight = length / HOP_SECONDS
        costs = {
            one: costs[source] + (CHANGE_NATS if source != one else 0.0) - weight * math.log(max(given[one], _LEAST))
            for one, source in came.items()
        }
        before.append(came)
    path = [min(costs, key=costs.__getitem__)]
    for came in reversed(before[1:]):
        path.append(came[path[-1]])
    return path[::-1]


def find_highlights(found: Sequence[_Stretch], means: Mapping[str, float]) -> list[Highlight]:
    """The most telling moments, sorted by start.

    These are the results whose scores differ most from the mean scores, by relative entropy: a rare emotion that is
    sure comes first. They are not neutral, at least `HIGHLIGHTS_APART` seconds apart, and few of one emotion.
    """
    able = [
        one
        for one in found
        if one.emotion != "neutral" and one.seconds >= SHORTEST_HIGHLIGHT and one.scores[one.emotion] >= SURE_HIGHLIGHT
    ]
    chosen: list[_Stretch] = []
    apart = max(HIGHLIGHTS_APART, SHARE_APART * max((one.end for one in found), default=0.0))
    for one in sorted(able, key=lambda one: -_entropy(one.scores, means)):
        far = all(abs(one.start - other.start) >= apart for other in chosen)
        alike = sum(other.emotion == one.emotion for other in chosen)
        if len(chosen) < HIGHLIGHTS and far and alike < SAME_EMOTION:
            chosen.append(one)
    return [
        Highlight(
            start=one.start,
            end=one.end,
            speaker=one.speaker,
            emotion=one.emotion,
            score=one.scores[one.emotion],
            transcript=one.transcript,
        )
        for one in sorted(chosen, key=lambda one: one.start)
    ]


def _entropy(scores: Mapping[str, float], means: Mapping[str, float]) -> float:
    """Relative entropy of scores to their means, in nats."""
    pairs = ((score, means.get(emotion, 0.0)) for emotion, score in scores.items())
    return sum(score * math.log(score / mean) for score, mean in pairs if score > 0 and mean > 0)
