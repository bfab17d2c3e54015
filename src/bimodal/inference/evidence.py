"""What the networks of a model found in clips, before it is put into an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from bimodal.arrays import Floats, softmax
from bimodal.audio.decode import SAMPLING_RATE, Signal, check_signal, load_signal, resample
from bimodal.audio.level import level_db
from bimodal.audio.segmentation import NO_SPEECH
from bimodal.data.text import dialogue_turns, normalise_transcript, same_speaker
from bimodal.errors import BimodalError
from bimodal.features.backbone import TextBackbone
from bimodal.features.pooling import SpeechFrames
from bimodal.records import UNKNOWN, Clip

if TYPE_CHECKING:
    from bimodal.data.batches import Window

SILENCE_DB: Final = -80.0
"""Below this root-mean-square level a recording is taken as silent."""

SHORTEST_SECONDS: Final = 0.1
"""Speech shorter than this is not judged."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the networks found in N clips: emotion embeddings and logits; rows of NaN where a side is absent.

    Attributes:
        speech: Speech embeddings (N, Es); None in a model without speech.
        speech_logits: (N, C).
        text: Text embeddings (N, Et); None in a model without text.
        text_logits: (N, C).
        fused: Fused embeddings (N, E); None in a model without fusion.
        fused_logits: (N, C).
        gate: Share of speech (N,), 0 to 1.
        speech_strangeness: Distance of the voice from what the model was trained on, (N,); above 1 it is unlike that.
            None in a model that did not keep what that was.
        text_strangeness: The same of the words.
    """

    speech: Floats | None = None
    speech_logits: Floats | None = None
    text: Floats | None = None
    text_logits: Floats | None = None
    fused: Floats | None = None
    fused_logits: Floats | None = None
    gate: Floats | None = None
    speech_ood_score: Floats | None = None
    text_ood_score: Floats | None = None


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What the backbone heard of one clip.

    Attributes:
        duration: In seconds; None without a recording.
        statistics: Of the speech, (P, L, D); None where none is to be judged.
        views: The frames of each view, where they were to be kept.
        warnings: About the recording.
    """

    duration: float | None = None
    statistics: Floats | None = None
    views: Sequence[SpeechFrames] = ()
    warnings: tuple[str, ...] = ()


def clip_signal(clip: Clip) -> Signal | None:
    """A clip's speech at 16 kHz; None where there is none.

    Raises:
        AudioError: A recording that cannot be used.
        BimodalError: A signal without its sampling rate.
    """
    if clip.audio is None:
        return None
    if isinstance(clip.audio, str | Path):
        return load_signal(clip.audio, start=clip.start, end=clip.end)
    if clip.sampling_rate is None:
        raise BimodalError("a signal needs its sampling_rate in Hz, for example sampling_rate=16000")
    return resample(check_signal(clip.audio), clip.sampling_rate)


def unusable(signal: Signal) -> bool:
    """True for silence and for what is too short to be judged.

    Example:
        >>> unusable(np.zeros(16000, np.float32)), unusable(np.ones(100, np.float32))
        (True, True)
    """
    return len(signal) < SHORTEST_SECONDS * SAMPLING_RATE or level_db(signal) < SILENCE_DB


def why_silent(duration: float, warnings: Sequence[str]) -> str:
    """Why a recording of so many seconds says nothing.

    Example:
        >>> why_silent(0.05, ()), why_silent(2.0, (NO_SPEECH,))
        ('the speech is shorter than 0.1 s', 'no speech was found')
    """
    if duration < SHORTEST_SECONDS:
        return f"the speech is shorter than {SHORTEST_SECONDS} s"
    return NO_SPEECH if NO_SPEECH in warnings else "the recording is silent"


def text_weight(clip: Clip) -> float:
    """How far the words of a clip are to be trusted beside its voice.

    Raises:
        BimodalError: The confidence is not from 0 to 1.
    """
    share = 1.0 if clip.transcript_confidence is None else clip.transcript_confidence
    if not 0 <= share <= 1:
        raise BimodalError(f"transcript_confidence is {share}, expected a number from 0 to 1")
    return share


def one_sided(speech: tuple[Floats, Floats] | None, text: tuple[Floats, Floats] | None) -> Findings:
    """Findings of a model without fusion: embeddings and logits of each side."""
    found = Findings()
    if speech is not None:
        found = replace(found, speech=speech[0], speech_logits=speech[1])
    if text is not None:
        found = replace(found, text=text[0], text_logits=text[1])
    return found


def scores_of(logits: Floats | None, row: int, temperature: float) -> Floats | None:
    """Calibrated scores (C,) of one row; None where that side is absent."""
    if logits is None or np.isnan(logits[row]).any():
        return None
    return softmax(logits[row], temperature).astype(np.float32)


def name_scores(emotions: Sequence[str], scores: Floats) -> dict[str, float]:
    """Scores (C,) by emotion."""
    return {emotion: float(score) for emotion, score in zip(emotions, scores, strict=True)}


def known_scores(
    emotions: Sequence[str], scores: Floats | None, logits: Floats | None, row: int
) -> dict[str, float] | None:
    """What one side says of the emotions that it was shown in training; None where it is absent."""
    if scores is None or logits is None:
        return None
    named = name_scores(emotions, scores)
    return {
        emotion: named[emotion] for emotion, logit in zip(emotions, logits[row], strict=True) if logit > UNKNOWN / 2
    }


def unlike_training(findings: Findings, row: int) -> list[str]:
    """Warnings that the input of a row is unlike what the model was trained on.

    Example:
        >>> unlike_training(Findings(speech_ood_score=np.array([1.5]), text_ood_score=np.array([np.nan])), 0)
        ['the voice is 1.5 times as far from the training data as nearly all of that is']
    """
    sides = {"voice is": findings.speech_ood_score, "words are": findings.text_ood_score}
    return [
        f"the {name} {ood[row]:.1f} times as far from the training data as nearly all of that is"
        for name, ood in sides.items()
        if ood is not None and ood[row] > 1
    ]


def foreign_words(clip: Clip, backbone: TextBackbone) -> list[str]:
    """A warning where the words are, or seem, in a language that the text side does not read."""
    words, names = normalise_transcript(clip.transcript), ", ".join(backbone.description.languages)
    given = clip.language if clip.transcript_confidence is None else None  # what was heard may be a translation
    if given and backbone.description.foreign(given):
        return [f"the words are in '{given}', the model reads {names}"]
    if not given and words is not None and backbone.looks_foreign(words):
        return [f"the words seem to be in another language than the model reads ({names})"]
    return []


def read_windows(clips: Sequence[Clip], context: int, backbone: TextBackbone) -> "list[Window]":
    """Each clip's words with those of up to `context` turns before it; texts that clips share are read once."""
    from bimodal.data.batches import Window

    said = [dialogue_turns(clip)[-context - 1 :] for clip in clips]
    texts = list(dict.fromkeys(text for turns in said for text, _ in turns))
    pooled = dict(zip(texts, backbone.extract(texts), strict=True))
    return [
        Window(
            pooled=np.stack([pooled[text] for text, _ in turns]),
            same=same_speaker([speaker for _, speaker in turns]),
        )
        for turns in said
    ]


def scatter_rows(values: Floats, rows: Sequence[int], count: int) -> Floats:
    """Values (n, ...) of some rows as those of all, (count, ...), NaN elsewhere.

    Example:
        >>> scatter_rows(np.ones(1, np.float32), [1], 2).tolist()
        [nan, 1.0]
    """
    found = np.full((count, *values.shape[1:]), np.nan, np.float32)
    found[list(rows)] = values
    return found
