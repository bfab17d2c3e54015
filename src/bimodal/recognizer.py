"""Speech and words in, an emotion with calibrated scores out (step 205 of the method). Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.audio import SAMPLING_RATE, Signal, check_signal, level_db, load_signal, resample
from bimodal.data import Window, pad_blocks, pad_windows
from bimodal.errors import BimodalError, ModelFolderError
from bimodal.features.adaptation import Adaptation, load_adaptation
from bimodal.features.backbone import (
    SpeechBackbone,
    SpeechBlocks,
    TextBackbone,
    collapse_blocks,
    join_blocks,
)
from bimodal.features.baseline import SpeakerBaselines, load_baselines, pooled_statistics
from bimodal.features.views import render_view
from bimodal.hearing import check_takes_baselines, hear_in_turn, judge_statistics
from bimodal.installed import find_model
from bimodal.metrics import softmax
from bimodal.modelfolder import ADAPTATION, GRAPHS, SPEAKERS, ModelConfig, SideConfig, load_model_config, load_side
from bimodal.records import Clip, Recognition
from bimodal.runtime import Device, make_session
from bimodal.text import normalise_transcript, said_turns, same_speaker

if TYPE_CHECKING:
    from bimodal.timeline import Stream, TimelineConfig

SILENCE_DB: Final = -80.0
"""Below this root-mean-square level a recording is taken as silent."""

SHORTEST_SECONDS: Final = 0.1
"""Speech shorter than this is not judged."""

Floats = npt.NDArray[np.float32]


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
    """

    speech: Floats | None = None
    speech_logits: Floats | None = None
    text: Floats | None = None
    text_logits: Floats | None = None
    fused: Floats | None = None
    fused_logits: Floats | None = None
    gate: Floats | None = None


class Recognizer:
    """A trained model, ready to recognise; safe to call from several threads.

    Args:
        model: Model folder, as `bimodal train` writes it, or name of a packaged model; None for the default one.
        threads: Threads of one operator; 0 for one per core.
        device: `cpu`, or `cuda` with onnxruntime-gpu.
        verify: Compare the files with their digests first.

    Raises:
        ModelFolderError: A file is missing, altered, or of an unknown schema.

    Example:
        >>> recognizer = Recognizer("model")  # doctest: +SKIP
        >>> recognizer.recognize("clip.wav", transcript="I can't believe it!").emotion  # doctest: +SKIP
        'surprise'
    """

    def __init__(
        self, model: str | Path | None = None, *, threads: int = 0, device: Device = "cpu", verify: bool = True
    ) -> None:
        self.folder = find_model(model)
        self.config: ModelConfig = load_model_config(self.folder, verify=verify)
        self._threads, self._verify = threads, verify
        self._device: Device = device

    @classmethod
    def from_pretrained(
        cls, model: str | Path, *, download: bool = False, threads: int = 0, device: Device = "cpu"
    ) -> "Recognizer":
        """A model by its folder, its packaged name, or its id on the Hugging Face Hub.

        Args:
            model: `owner/name`, or `owner/name@revision`, for the Hub.
            download: Fetch what is not on this machine; nothing is downloaded without it.
            threads: As above.
            device: As above.

        Raises:
            ModelFolderError: It is not there, or cannot be downloaded.
        """
        return cls(find_model(model, download=download), threads=threads, device=device)

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions that the model knows, in the order of its scores."""
        return self.config.emotions

    @property
    def speech_layers(self) -> tuple[int, ...]:
        """Layers of the speech backbone that the model hears.

        Raises:
            ModelFolderError: The model hears no speech.
        """
        return self._speech_backbone.description.layers

    @property
    def context(self) -> int:
        """How many utterances before each one the model reads beside it."""
        return self.config.text.context if self.config.text else 0

    def recognize(
        self,
        audio: str | Path | npt.ArrayLike | None = None,
        *,
        sampling_rate: int | None = None,
        transcript: str | None = None,
    ) -> Recognition:
        """Recognise the emotion expressed in one clip, as a whole.

        Args:
            audio: A file, or a signal (T,); None for words alone.
            sampling_rate: Of the signal, in Hz.
            transcript: The words, if known.

        Raises:
            AudioError: A recording that cannot be used.
            BimodalError: Neither speech nor words, or the model cannot use what was given.
        """
        return self.recognize_batch([Clip(audio=audio, sampling_rate=sampling_rate, transcript=transcript)])[0]

    def recognize_batch(self, clips: Sequence[Clip], baselines: SpeakerBaselines | None = None) -> list[Recognition]:
        """Recognise several clips; each result equals that of a single call.

        Args:
            clips: In the order in which they were said.
            baselines: What their speakers have sounded like so far; a clip with a speaker is judged by it and joins
                it afterwards, so that batches of any size give the same. None hears each clip by itself, or by what
                the model was adapted to.

        Raises:
            AudioError: As in `recognize`.
            BimodalError: As in `recognize`.
        """
        if not clips:
            return []
        signals = [self._signal(clip) for clip in clips]
        findings = self._find(clips, [self._encode(signal) for signal in signals], baselines)
        durations = [None if signal is None else len(signal) / SAMPLING_RATE for signal in signals]
        return [self._result(row, clip, durations[row], findings) for row, clip in enumerate(clips)]

    def extract(self, clips: Sequence[Clip]) -> Findings:
        """Emotion embeddings and logits of several clips, for use in other programs.

        Raises:
            AudioError: As in `recognize`.
            BimodalError: As in `recognize`.
        """
        return self._find(clips, [self._encode(self._signal(clip)) for clip in clips])

    def encode(self, signal: Signal) -> SpeechBlocks | None:
        """One stretch of 16 kHz speech as the backbone hears it, for `recognize_blocks`; None for silence and scraps.

        Raises:
            BimodalError: The model does not hear speech.
        """
        self.check_hears()
        return self._encode(signal, whole=False)

    def check_hears(self) -> None:
        """Refuse where the model reads words or columns alone.

        Raises:
            BimodalError: The model does not hear speech.
        """
        if self.config.speech is None or self.config.speech.columns:
            raise BimodalError(f"the model '{self.config.name}' does not hear speech; choose one trained on recordings")

    def stream(
        self,
        sampling_rate: int,
        *,
        speaker: str | None = None,
        config: "TimelineConfig | None" = None,
        baselines: SpeakerBaselines | None = None,
    ) -> "Stream":
        """Recognise speech as it is spoken: `push` samples, take results, `finish`.

        Args:
            sampling_rate: Of the samples, in Hz.
            speaker: Who speaks; open a stream for each speaker of a call.
            config: How to judge; by default as `bimodal recognize --timeline` does.
            baselines: What the speaker has sounded like so far; grows as it goes.

        Raises:
            AudioError: A sampling rate that is not positive.
            BimodalError: The model does not hear speech.
        """
        from bimodal.timeline import Stream

        return Stream(self, sampling_rate, speaker=speaker, config=config, baselines=baselines)

    def recognize_blocks(
        self,
        blocks: Sequence[SpeechBlocks | None],
        clips: Sequence[Clip],
        baselines: SpeakerBaselines | None = None,
    ) -> list[Recognition]:
        """Recognise stretches that `encode` has heard, or any slices of them.

        Args:
            blocks: One for each clip; None where no speech is to be judged.
            clips: Words, speaker, start and end of each; their audio and columns are not looked at.
            baselines: As in `recognize_batch`, but nothing joins them: slices of a segment may overlap. Add the whole
                segment with `baselines.add(speaker, pooled_statistics(heard))` when all of it is judged.

        Raises:
            BimodalError: As in `recognize`.
        """
        if not clips:
            return []
        findings = self._find(clips, blocks, baselines, grow=False)
        return [
            self._result(row, clip, 0.0 if clip.end is None else clip.end - (clip.start or 0.0), findings)
            for row, clip in enumerate(clips)
        ]

    def _signal(self, clip: Clip) -> Signal | None:
        """The clip's speech at 16 kHz; None where there is none to judge."""
        if clip.audio is None:
            return None
        if isinstance(clip.audio, str | Path):
            return load_signal(clip.audio, start=clip.start, end=clip.end)
        if clip.sampling_rate is None:
            raise BimodalError("a signal needs its sampling_rate in Hz, for example sampling_rate=16000")
        return resample(check_signal(clip.audio), clip.sampling_rate)

    def _encode(self, signal: Signal | None, whole: bool = True) -> SpeechBlocks | None:
        """Blocks of the speech, of a whole clip in all views; None where the model hears none or none is to judge."""
        side = self.config.speech
        if side is None or side.columns or signal is None or unusable(signal):
            return None
        heard = [signal, *(render_view(signal, view) for view in side.views if whole)]
        return join_blocks([self._speech_backbone.extract(one) for one in heard])

    def _find(
        self,
        clips: Sequence[Clip],
        blocks: Sequence[SpeechBlocks | None],
        baselines: SpeakerBaselines | None = None,
        grow: bool = True,
    ) -> Findings:
        speech, text = self._find_speech(clips, blocks, baselines, grow), self._find_text(clips)
        if speech is None or text is None or not self.config.fusion_temperatures:
            return _one_sided(speech, text)
        present = np.stack([~np.isnan(side[1]).any(axis=1) for side in (speech, text)], axis=1)
        names = ("speech", "speech_logits", "text", "text_logits")
        inputs = {name: np.nan_to_num(array) for name, array in zip(names, (*speech, *text), strict=True)}
        trust = np.stack([np.ones(len(clips)), [_trust(clip) for clip in clips]], axis=1)
        fused, logits, gate = self._fusion.run(None, inputs | {"present": (present * trust).astype(np.float32)})
        fused[~present.any(axis=1)] = logits[~present.any(axis=1)] = np.nan
        return replace(_one_sided(speech, text), fused=fused, fused_logits=logits, gate=gate)

    def _find_speech(
        self,
        clips: Sequence[Clip],
        blocks: Sequence[SpeechBlocks | None],
        baselines: SpeakerBaselines | None,
        grow: bool,
    ) -> tuple[Floats, Floats] | None:
        side = self.config.speech
        if side is None:
            return None
        if side.columns:
            rows = [row for row, clip in enumerate(clips) if clip.columns is not None]
            values = np.array([clips[row].columns for row in rows], np.float32).reshape(len(rows), -1)
            return self._run_side(self._speech, {"columns": values}, rows, len(clips), side)
        rows = [row for row, item in enumerate(blocks) if item is not None]
        heard = [item for item in blocks if item is not None]
        if baselines is not None:
            check_takes_baselines(self.config.name, side.baseline, self._adaptation)
        if side.baseline or self._adaptation is not None:
            speakers = [clips[row].speaker for row in rows]
            return self._spread(self._judge(heard, speakers, baselines, grow) if rows else None, rows, len(clips), side)
        if side.collapse:
            heard = [collapse_blocks(item) for item in heard]
        return self._run_side(self._speech, pad_blocks(heard) if rows else {}, rows, len(clips), side)

    def _judge(
        self,
        heard: Sequence[SpeechBlocks],
        speakers: Sequence[str | None],
        baselines: SpeakerBaselines | None,
        grow: bool,
    ) -> tuple[Floats, Floats]:
        """Embeddings and logits of segments, by what is known of their speakers."""
        statistics = [pooled_statistics(item) for item in heard]
        known = self._speakers if baselines is None else baselines
        if grow and baselines is not None:
            own = hear_in_turn(known, speakers, statistics)
        else:
            own = [known.of(speaker, statistics[0].shape) for speaker in speakers]
        takes = self.config.speech is not None and self.config.speech.baseline
        return judge_statistics(self._speech, takes, np.stack(statistics), own, self._adaptation)

    def _find_text(self, clips: Sequence[Clip]) -> tuple[Floats, Floats] | None:
        side = self.config.text
        if side is None:
            return None
        texts = [normalise_transcript(clip.transcript) for clip in clips]
        rows = [row for row, text in enumerate(texts) if text is not None]
        inputs: dict[str, Any] = {}
        if rows and side.context:
            inputs = pad_windows(self._context_windows([clips[row] for row in rows], side.context), side.context + 1)
        elif rows:
            inputs = {"pooled": self._text_backbone.extract([text for text in texts if text is not None])}
        return self._run_side(self._text, inputs, rows, len(clips), side)

    def _context_windows(self, clips: Sequence[Clip], context: int) -> list[Window]:
        """Each clip's words with those of up to `context` turns before it; texts that clips share are read once."""
        said = [said_turns(clip)[-context - 1 :] for clip in clips]
        texts = list(dict.fromkeys(text for turns in said for text, _ in turns))
        pooled = dict(zip(texts, self._text_backbone.extract(texts), strict=True))
        return [
            Window(
                pooled=np.stack([pooled[text] for text, _ in turns]),
                same=same_speaker([speaker for _, speaker in turns]),
            )
            for turns in said
        ]

    def _run_side(
        self, session: Any, inputs: dict[str, Any], rows: Sequence[int], count: int, side: SideConfig
    ) -> tuple[Floats, Floats]:
        """Embeddings (count, E) and logits (count, C), NaN where absent."""
        return self._spread(session.run(None, inputs) if rows else None, rows, count, side)

    def _spread(self, found: Any, rows: Sequence[int], count: int, side: SideConfig) -> tuple[Floats, Floats]:
        """What was found in some rows as embeddings (count, E) and logits (count, C), NaN elsewhere."""
        embedding = np.full((count, side.embedding_width), np.nan, np.float32)
        logits = np.full((count, len(self.emotions)), np.nan, np.float32)
        if found is not None:
            embedding[list(rows)], logits[list(rows)] = found
        return embedding, logits

    def _result(self, row: int, clip: Clip, duration: float | None, findings: Findings) -> Recognition:
        config = self.config
        speech = _scores(findings.speech_logits, row, config.speech.temperature if config.speech else 1.0)
        text = _scores(findings.text_logits, row, config.text.temperature if config.text else 1.0)
        both = speech is not None and text is not None
        scores = speech if text is None else text
        if findings.fused_logits is not None:
            case = 0 if both else 1 if speech is not None else 2
            scores = _scores(findings.fused_logits, row, config.fusion_temperatures[case])
        elif both:
            raise ModelFolderError(f"{self.folder}: has two sides but no fusion stage; train it, or give one side")
        start = clip.start or 0.0
        common: dict[str, Any] = {
            "start": None if duration is None else start,
            "end": None if duration is None else start + duration,
            "speaker": clip.speaker,
            "transcript": None if text is None else normalise_transcript(clip.transcript),
            "transcript_source": None if text is None else "given" if clip.transcript_confidence is None else "asr",
            "transcript_confidence": None if text is None else clip.transcript_confidence,
            "transcript_language": None if text is None else clip.language,
            "model": config.name,
            "revision": config.revision,
        }
        if scores is None:
            return self._abstained(clip, duration, common)
        return Recognition(
            emotion=config.emotions[int(np.argmax(scores))],
            scores=self._named(scores),
            speech_scores=None if speech is None else self._named(speech),
            text_scores=None if text is None else self._named(text),
            gate=float(findings.gate[row]) if both and findings.gate is not None else None,
            **common,
        )

    def _named(self, scores: Floats) -> dict[str, float]:
        return {emotion: float(score) for emotion, score in zip(self.emotions, scores, strict=True)}

    def _abstained(self, clip: Clip, duration: float | None, common: dict[str, Any]) -> Recognition:
        """No claim, and why; scores are those of the training data."""
        if duration is None and clip.columns is None and normalise_transcript(clip.transcript) is None:
            raise BimodalError("nothing to recognise: give a recording, words, or both")
        if duration is not None and self.config.speech is not None and not self.config.speech.columns:
            short = duration < SHORTEST_SECONDS
            reason = f"the speech is shorter than {SHORTEST_SECONDS} s" if short else "the recording is silent"
        else:
            reason = f"the model '{self.config.name}' has no use for what was given"
        priors = np.array(self.config.priors, np.float32)
        return Recognition(
            emotion=None,
            scores=self._named(priors),
            speech_scores=None,
            text_scores=None,
            gate=None,
            abstained=True,
            reason=reason,
            **common,
        )

    @cached_property
    def _speech_backbone(self) -> SpeechBackbone:
        backbone = self._backbone("speech", self.config.speech)
        if not isinstance(backbone, SpeechBackbone):
            raise ModelFolderError(f"{self.folder}: its speech backbone '{backbone.description.name}' reads text")
        return backbone

    @cached_property
    def _text_backbone(self) -> TextBackbone:
        backbone = self._backbone("text", self.config.text)
        if not isinstance(backbone, TextBackbone):
            raise ModelFolderError(f"{self.folder}: its text backbone '{backbone.description.name}' hears speech")
        return backbone

    def _backbone(self, stage: str, side: SideConfig | None) -> SpeechBackbone | TextBackbone:
        return load_side(self.folder, stage, side, threads=self._threads, device=self._device, verify=self._verify)

    @cached_property
    def _adaptation(self) -> Adaptation | None:
        """What the model was adapted to."""
        return load_adaptation(self.folder / ADAPTATION) if ADAPTATION in self.config.files else None

    @cached_property
    def _speakers(self) -> SpeakerBaselines:
        """Speakers that the model was adapted to; read only."""
        return load_baselines(self.folder / SPEAKERS) if SPEAKERS in self.config.files else SpeakerBaselines()

    @cached_property
    def _speech(self) -> Any:
        return self._session("speech")

    @cached_property
    def _text(self) -> Any:
        return self._session("text")

    @cached_property
    def _fusion(self) -> Any:
        return self._session("fusion")

    def _session(self, stage: str) -> Any:
        return make_session(self.folder / GRAPHS[stage], threads=1, device=self._device)


def unusable(signal: Signal) -> bool:
    """True for silence and for what is too short to be judged.

    Example:
        >>> unusable(np.zeros(16000, np.float32)), unusable(np.ones(100, np.float32))
        (True, True)
    """
    return len(signal) < SHORTEST_SECONDS * SAMPLING_RATE or level_db(signal) < SILENCE_DB


def _trust(clip: Clip) -> float:
    """How far the words of a clip are to be trusted beside its voice.

    Raises:
        BimodalError: The confidence is not from 0 to 1.
    """
    trust = 1.0 if clip.transcript_confidence is None else clip.transcript_confidence
    if not 0 <= trust <= 1:
        raise BimodalError(f"transcript_confidence is {trust}, expected a number from 0 to 1")
    return trust


def _one_sided(speech: tuple[Floats, Floats] | None, text: tuple[Floats, Floats] | None) -> Findings:
    found = Findings()
    if speech is not None:
        found = replace(found, speech=speech[0], speech_logits=speech[1])
    if text is not None:
        found = replace(found, text=text[0], text_logits=text[1])
    return found


def _scores(logits: Floats | None, row: int, temperature: float) -> Floats | None:
    """Calibrated scores (C,) of one row; None where that side is absent."""
    if logits is None or np.isnan(logits[row]).any():
        return None
    return softmax(logits[row], temperature).astype(np.float32)
