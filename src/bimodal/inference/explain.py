"""Explain a result: leave out parts of the voice and single words, and compare the scores.

Occlusion (Zeiler and Fergus 2014) needs only the outputs of a network, so it works for every kind of
pooling and of fusion. A stretch of the voice is left out of the pooling, after the encoder. The encoded frames beside
it still hold some of it. Imports no torch.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.data.text import normalise_transcript
from bimodal.errors import tell
from bimodal.features.pooling import SpeechFrames, join_frames
from bimodal.inference.model import Model
from bimodal.inference.outputs import Encoded
from bimodal.records import Clip, Explanation, Recognition, TimeInfluence, WordInfluence

if TYPE_CHECKING:
    from bimodal.features.speaker_stats import RunningStats

STRETCH_SECONDS: Final = 0.5
"""About how long a stretch of the voice is that is left out at once."""

MOST_WORDS: Final = 64
"""Longer texts are left out several words at a time."""

_SLIGHT, _STRONG = 0.1, 0.4  # bits of divergence, for the wording alone


def explain(
    model: Model,
    frames: Sequence[SpeechFrames],
    clip: Clip,
    result: Recognition,
    stats: "RunningStats | None" = None,
) -> Explanation | None:
    """Why a model gave this result; None if it abstained.

    Args:
        model: The model that gave it.
        frames: Encoded speech of each test-time augmentation; empty without speech.
        clip: What was given; its audio is not looked at.
        result: The answer, unsmoothed.
        stats: Statistics of the speaker before the clip.
    """
    if result.emotion is None:
        return None
    times = _borders(frames, result)
    words = split_words(result.transcript or "")
    plain = replace(clip, audio=None, transcript=result.transcript, start=0.0, end=0.0)
    whole = join_frames(frames) if frames else None
    variants: list[tuple[SpeechFrames | None, Clip]] = [(None, replace(plain, columns=None))]
    variants += [(_without(frames, part, len(times) - 1), plain) for part in range(len(times) - 1)]
    variants += [(whole, replace(plain, transcript=_joined(words, place))) for place in range(len(words))]
    answers = _answers(model, variants, stats)
    score = result.scores[result.emotion]
    lost = [score - answer.scores[result.emotion] for answer in answers]
    both = result.speech_scores is not None and result.text_scores is not None
    found = Explanation(
        emotion=result.emotion,
        score=score,
        voice=lost[0] if both else None,
        times=tuple(
            TimeInfluence(start=start, end=end, influence=value)
            for (start, end), value in zip(pairwise(times), lost[1:], strict=False)
        ),
        words=tuple(
            WordInfluence(text=text, influence=value)
            for text, value in zip(words, lost[len(lost) - len(words) :], strict=True)
        ),
        divergence=_divergence(result) if both else None,
        contradicts=both and top(result.speech_scores) != top(result.text_scores),
        sentences=(),
    )
    return replace(found, sentences=tuple(_sentences(found, result)))


def _answers(
    model: Model, variants: Sequence[tuple[SpeechFrames | None, Clip]], stats: "RunningStats | None"
) -> list[Recognition]:
    known = None if stats is None else [stats] * len(variants)
    encoded = [Encoded(duration=0.0) if frames is None else model.pool(frames, 0.0) for frames, _ in variants]
    return model.score([clip for _, clip in variants], encoded, known)


def split_words(text: str, most: int = MOST_WORDS) -> list[str]:
    """The words of a text, of a long one several together; single characters where a script sets no spaces.

    Example:
        >>> split_words("Stop that, now!"), split_words("a b c d e", most=2)
        (['Stop', 'that,', 'now!'], ['a b c', 'd e'])
    """
    words = (normalise_transcript(text) or "").split()
    if len(words) == 1 and not words[0].isascii() and re.fullmatch(r"[^\W\d_a-zA-ZÀ-ɏ가-힣]{4,}\W?", words[0]):
        words = list(words[0])
    size = max(1, -(-len(words) // most))
    return [" ".join(words[first : first + size]) for first in range(0, len(words), size)]


def divergence_bits(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Jensen-Shannon divergence of two distributions, in bits: 0 for equal ones, 1 for ones that share nothing.

    Example:
        >>> divergence_bits([0.5, 0.5], [0.5, 0.5]), divergence_bits([1.0, 0.0], [0.0, 1.0])
        (0.0, 1.0)
    """
    pair = np.array([one, other], np.float64)
    ratio = np.divide(pair, pair.mean(axis=0), out=np.ones_like(pair), where=pair > 0)
    return float((pair * np.log2(ratio)).sum() / 2)


def top(scores: Any) -> str:
    """The emotion with the highest score."""
    return str(max(scores, key=scores.__getitem__))


def _borders(views: Sequence[SpeechFrames], result: Recognition) -> list[float]:
    """Where the stretches of the voice begin, and where the last one ends; empty for fewer than two."""
    if not views or result.start is None or result.end is None:
        return []
    frames = len(views[0])
    parts = min(frames, round((result.end - result.start) / STRETCH_SECONDS))
    chosen = np.linspace(0, frames, parts + 1).round()
    return (result.start + chosen / frames * (result.end - result.start)).tolist() if parts > 1 else []


def _without(views: Sequence[SpeechFrames], part: int, parts: int) -> SpeechFrames:
    """All views without one of some even parts of each; their tempo may differ."""
    kept = []
    for frames in views:
        count = len(frames)
        left, right = round(part * count / parts), round((part + 1) * count / parts)
        kept += [frames.slice(0, left), frames.slice(right, count)] if right - left < count else [frames]
    return join_frames(kept)


def _joined(words: Sequence[str], left_out: int) -> str:
    return " ".join([*words[:left_out], *words[left_out + 1 :]])


def _divergence(result: Recognition) -> float:
    speech, text = (
        [(scores or {}).get(name, 0.0) for name in result.scores]
        for scores in (result.speech_scores, result.text_scores)
    )
    return divergence_bits(speech, text)


def _sentences(found: Explanation, result: Recognition) -> list[str]:
    sentences = []
    if result.gate is not None:
        voice, words = f"{100 * result.gate:.0f}", f"{100 - 100 * result.gate:.0f}"
        sentences.append(tell("weights", voice=voice, words=words))
    if found.divergence is not None:
        sentences.append(_conflict(found, result))
    if found.times:
        best = max(found.times, key=lambda item: item.influence)
        place = {"start": f"{best.start:.1f}", "end": f"{best.end:.1f}"}
        influence = f"{best.influence:+.2f}"
        sentences.append(tell("time-influence", **place, emotion=found.emotion, influence=influence))
    if found.words:
        word = max(found.words, key=lambda item: item.influence)
        influence = f"{word.influence:+.2f}"
        sentences.append(tell("word-influence", word=word.text, emotion=found.emotion, influence=influence))
    return sentences


def _conflict(found: Explanation, result: Recognition) -> str:
    """Whether voice and words agree, in words."""
    voice, words = result.speech_scores or {}, result.text_scores or {}
    bits = f"{found.divergence:.2f}"
    if not found.contradicts:
        code = "agree-same" if (found.divergence or 0) < _STRONG else "agree-unequal"
        return tell(code, emotion=top(voice), bits=bits)
    grade = (
        "hardly" if (found.divergence or 0) < _SLIGHT else "partly" if (found.divergence or 0) < _STRONG else "clearly"
    )
    return tell(
        "contradict",
        grade=grade,
        voice=top(voice),
        voice_score=f"{voice[top(voice)]:.2f}",
        words=top(words),
        words_score=f"{words[top(words)]:.2f}",
        bits=bits,
    )
