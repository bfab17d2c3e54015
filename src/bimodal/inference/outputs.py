"""Outputs of a model's networks for clips, and the `Recognition` made of them. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Floats, softmax
from bimodal.audio.segmentation import NO_SPEECH
from bimodal.data.dimensions import expected_position
from bimodal.data.text import normalise_transcript
from bimodal.errors import BimodalError, ModelFolderError, tell
from bimodal.features.ood import UNLIKE
from bimodal.features.pooling import SpeechFrames
from bimodal.inference.model_config import ModelConfig
from bimodal.records import UNKNOWN, Clip, Recognition

SHORTEST_SECONDS: Final = 0.1
"""Shorter speech gets no answer."""


@dataclass(frozen=True, kw_only=True)
class ModalityOutputs:
    """What one network gives for N utterances.

    Attributes:
        embedding: Emotion embeddings (N, E), zero if the modality is absent.
        logits: (N, C), zero if it is absent.
        present: Whether the utterance has the modality, (N,) bool.
        identity: Digest of the network and its inputs; empty if only the arrays identify it. The number of threads
            may change the last digit, and does not count.
    """

    embedding: Floats
    logits: Floats
    present: npt.NDArray[np.bool_]
    identity: str = ""

    def logits_of(self, row: int) -> Floats | None:
        """Logits (C,) of one row; None if the modality is absent."""
        return self.logits[row] if self.present[row] else None


def scatter_outputs(
    found: tuple[Floats, Floats] | None, rows: Sequence[int], count: int, widths: tuple[int, int]
) -> ModalityOutputs:
    """Embeddings and logits of some rows as the outputs of all.

    Args:
        found: Embeddings (n, E) and logits (n, C) of the rows; None without rows.
        rows: Indices of these rows, (n,).
        count: Number of utterances N.
        widths: E and C.

    Example:
        >>> one = np.ones((1, 1), np.float32)
        >>> scatter_outputs((one, one), [1], 2, (1, 1)).present.tolist()
        [False, True]
    """
    embedding, logits = (np.zeros((count, width), np.float32) for width in widths)
    present = np.zeros(count, np.bool_)
    if found is not None:
        embedding[list(rows)], logits[list(rows)] = found
        present[list(rows)] = True
    return ModalityOutputs(embedding=embedding, logits=logits, present=present)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What the networks of a model give for N clips; None for what the model does not have.

    Attributes:
        speech: Outputs of the speech network.
        text: Outputs of the text network.
        fused: Outputs of the fusion network.
        gate: Share of speech in the fusion, (N,), 0 to 1.
        speech_ood_score: How far the speech lies from the training data, (N,); above 1 it is unlike them. NaN where
            there is no speech.
        text_ood_score: The same of the words.
    """

    speech: ModalityOutputs | None = None
    text: ModalityOutputs | None = None
    fused: ModalityOutputs | None = None
    gate: Floats | None = None
    speech_ood_score: Floats | None = None
    text_ood_score: Floats | None = None

    def arrays(self) -> dict[str, Floats]:
        """Arrays by name, as `bimodal extract` writes them: `speech` (N, E), `speech_logits` (N, C), ...

        Rows of an absent modality are NaN.

        Example:
            >>> one = ModalityOutputs(embedding=np.ones((1, 2)), logits=np.ones((1, 3)), present=np.array([False]))
            >>> Outputs(speech=one).arrays()["speech"].tolist()
            [[nan, nan]]
        """
        found: dict[str, Floats] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, ModalityOutputs):
                found[field.name] = np.where(value.present[:, None], value.embedding, np.float32(np.nan))
                found[f"{field.name}_logits"] = np.where(value.present[:, None], value.logits, np.float32(np.nan))
            elif value is not None:
                found[field.name] = value
        return found


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """One stretch of speech as the backbone of a model encodes it.

    Attributes:
        duration: In seconds; None without a recording.
        statistics: Pooled over time, (P, L, D); None if there is no speech to recognise.
        ood_score: How far they lie from the training data; None without statistics, or if the model cannot tell.
        frames: Frames of each test-time augmentation; only if `encode` was asked to keep them, as they are large.
        warnings: About the recording.
    """

    duration: float | None = None
    statistics: Floats | None = None
    ood_score: float | None = None
    frames: Sequence[SpeechFrames] = ()
    warnings: tuple[str, ...] = ()


def ood_scores(encoded: Sequence[Encoded]) -> Floats:
    """The distances of N stretches from the training data, (N,); NaN if there is none.

    Example:
        >>> ood_scores([Encoded(ood_score=0.5), Encoded()]).tolist()
        [0.5, nan]
    """
    return np.array([np.nan if one.ood_score is None else one.ood_score for one in encoded], np.float32)


def recognition(
    config: ModelConfig, clip: Clip, encoded: Encoded, outputs: Outputs, row: int, warnings: Sequence[str] = ()
) -> Recognition:
    """The answer for one clip.

    Args:
        config: Of the model.
        clip: What was given.
        encoded: Its speech.
        outputs: Of all clips.
        row: Number of the clip.
        warnings: About its words.

    Raises:
        BimodalError: Neither speech nor words were given.
        ModelFolderError: Both were given, and the model has no fusion stage.
    """
    alone = {"speech": _scores(outputs.speech, row, config.speech), "text": _scores(outputs.text, row, config.text)}
    speech, text = alone["speech"], alone["text"]
    fused = None if outputs.fused is None else outputs.fused.logits_of(row)
    case = 0 if speech is not None and text is not None else 1 if speech is not None else 2
    if fused is None:
        if case == 0:
            raise ModelFolderError(
                f"the model '{config.name}' has speech and text networks but no fusion stage; train it with 'bimodal "
                "train fusion', or give a recording or words alone"
            )
        scores = speech if text is None else text
    else:
        scores = softmax(fused, config.fusion_temperatures[case]).astype(np.float32)
    known = _given(clip, encoded, config, spoken=text is not None)
    if scores is None:
        return _abstained(config, clip, encoded, known)
    told = (*encoded.warnings, *unlike_training(outputs, row), *warnings)
    named = name_scores(config.emotions, scores)
    return Recognition(
        emotion=config.emotions[int(np.argmax(scores))],
        scores=named,
        **dimensions_of(named),
        speech_scores=_known_scores(config.emotions, speech, outputs.speech, row),
        text_scores=_known_scores(config.emotions, text, outputs.text, row),
        gate=float(outputs.gate[row]) if case == 0 and outputs.gate is not None else None,
        warnings=told,
        **known,
    )


def dimensions_of(scores: Mapping[str, float]) -> dict[str, Any]:
    """The fields `arousal` and `valence` of a result.

    Example:
        >>> dimensions_of({"happiness": 1.0}), dimensions_of({"calm": 1.0})
        ({'arousal': 0.51, 'valence': 0.81}, {'arousal': None, 'valence': None})
    """
    arousal, valence = expected_position(scores) or (None, None)
    return {"arousal": arousal, "valence": valence}


def _given(clip: Clip, encoded: Encoded, config: ModelConfig, *, spoken: bool) -> dict[str, Any]:
    """The fields of an answer that do not depend on the scores."""
    start, duration = clip.start or 0.0, encoded.duration
    found: dict[str, Any] = {"speaker": clip.speaker, "model": config.name, "revision": config.revision}
    found["adapted_to"] = config.adapted_to or None
    if duration is not None:
        found |= {"start": start, "end": start + duration}
    if spoken:
        found |= {
            "transcript": normalise_transcript(clip.transcript),
            "transcript_source": "given" if clip.transcript_confidence is None else "asr",
            "transcript_confidence": clip.transcript_confidence,
            "transcript_language": clip.language,
        }
    return found


def _abstained(config: ModelConfig, clip: Clip, encoded: Encoded, known: dict[str, Any]) -> Recognition:
    """A result that abstains, and why; its scores are the shares of the emotions in the training data."""
    duration = encoded.duration
    if duration is None and clip.columns is None and normalise_transcript(clip.transcript) is None:
        raise BimodalError(tell("nothing-given"))
    takes_audio = config.speech is not None and not config.speech.columns
    silent = duration is not None and takes_audio
    return Recognition(
        emotion=None,
        scores=name_scores(config.emotions, np.array(config.priors, np.float32)),
        speech_scores=None,
        text_scores=None,
        gate=None,
        abstained=True,
        reason=why_silent(duration or 0.0, encoded.warnings) if silent else tell("cannot-use", model=config.name),
        warnings=tuple(warning for warning in encoded.warnings if warning != NO_SPEECH),
        **known,
    )


def why_silent(duration: float, warnings: Sequence[str]) -> str:
    """Why a recording of so many seconds gets no answer.

    Example:
        >>> why_silent(0.05, ()), why_silent(2.0, (NO_SPEECH,))
        ('the speech is shorter than 0.1 s', 'no speech was found')
    """
    if duration < SHORTEST_SECONDS:
        return tell("too-short", seconds=SHORTEST_SECONDS)
    return NO_SPEECH if NO_SPEECH in warnings else tell("silent")


def _scores(outputs: ModalityOutputs | None, row: int, config: Any) -> Floats | None:
    """Calibrated scores (C,) of one row from one modality; None if it is absent."""
    logits = None if outputs is None else outputs.logits_of(row)
    return None if logits is None else softmax(logits, config.temperature).astype(np.float32)


def name_scores(emotions: Sequence[str], scores: Floats) -> dict[str, float]:
    """Scores (C,) by emotion."""
    return {emotion: float(score) for emotion, score in zip(emotions, scores, strict=True)}


def _known_scores(
    emotions: Sequence[str], scores: Floats | None, outputs: ModalityOutputs | None, row: int
) -> dict[str, float] | None:
    """The scores of one modality for the emotions in its training data; None if it is absent."""
    if scores is None or outputs is None:
        return None
    named = name_scores(emotions, scores)
    logits = outputs.logits[row]
    return {emotion: named[emotion] for emotion, logit in zip(emotions, logits, strict=True) if logit > UNKNOWN / 2}


def unlike_training(outputs: Outputs, row: int) -> list[str]:
    """Warnings that the input of a row is unlike the model's training data.

    Example:
        >>> unlike_training(Outputs(speech_ood_score=np.array([1.5]), text_ood_score=np.array([np.nan])), 0)
        ['the voice is unlike the training data (distance 1.5, expected at most 1.25)']
    """
    distances = {"voice-unlike": outputs.speech_ood_score, "words-unlike": outputs.text_ood_score}
    return [
        tell(code, distance=f"{ood[row]:.2g}", most=f"{UNLIKE:g}")
        for code, ood in distances.items()
        if ood is not None and ood[row] > UNLIKE
    ]
