"""Speech and words in, an emotion with calibrated scores out (step 205 of the method). Imports no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Floats
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.audio.segmentation import NO_SPEECH, holds_segment
from bimodal.audio.voice_activity import holds_speech
from bimodal.data.text import normalise_transcript
from bimodal.errors import BimodalError, ModelFolderError
from bimodal.features.ood import ood_score, temperature_factor, tempered
from bimodal.features.pooling import Pooling, SpeechFrames, join_frames, pool
from bimodal.features.quality import describe_quality
from bimodal.inference.evidence import (
    Encoded,
    Findings,
    clip_signal,
    foreign_words,
    known_scores,
    name_scores,
    one_sided,
    scatter_rows,
    scores_of,
    text_weight,
    unlike_training,
    unusable,
    why_silent,
)
from bimodal.inference.installed import find_model
from bimodal.inference.model_folder import ModalityConfig
from bimodal.inference.networks import Networks
from bimodal.records import Clip, Recognition
from bimodal.runtime import Device

if TYPE_CHECKING:
    from bimodal.features.speaker_stats import SpeakerStatsStore
    from bimodal.inference.timeline import Stream, TimelineConfig


class Recognizer:
    """A trained model, ready to recognise; safe to call from several threads.

    Args:
        model: Model folder, as `bimodal train` writes it, or name of a packaged model; None for the default one. Or
            its networks, opened before; what follows is theirs then.
        threads: Threads of one operator; 0 for one per core.
        device: `cpu`, or `cuda` with onnxruntime-gpu.
        verify: Compare the files with their digests first; not those of a packaged model, which pip compared.

    Raises:
        ModelFolderError: A file is missing, altered, or of an unknown schema.

    Example:
        >>> recognizer = Recognizer("model")  # doctest: +SKIP
        >>> recognizer.recognize("clip.wav", transcript="I can't believe it!").emotion  # doctest: +SKIP
        'surprise'
    """

    def __init__(
        self,
        model: str | Path | Networks | None = None,
        *,
        threads: int = 0,
        device: Device = "cpu",
        verify: bool = True,
    ) -> None:
        if not isinstance(model, Networks):
            model = Networks(find_model(model), threads=threads, device=device, verify=verify)
        self._has, self.folder, self.config = model, model.folder, model.config

    @classmethod
    def from_pretrained(
        cls, model: str | Path | None = None, *, download: bool = False, threads: int = 0, device: Device = "cpu"
    ) -> "Recognizer":
        """A model by its folder, its packaged name, or its id on the Hugging Face Hub.

        Args:
            model: For the Hub `owner/name`, or `owner/name@revision`; None for the default one.
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
        return self._has.speech_backbone.description.layers

    @property
    def context(self) -> int:
        """How many utterances before each one the model reads beside it."""
        return self.config.text.context if self.config.text else 0

    @property
    def pooling(self) -> Pooling:
        """Which statistics of speech the model is shown.

        Raises:
            BimodalError: The model does not hear speech.
        """
        self.check_hears()
        assert self.config.speech is not None  # noqa: S101
        return self.config.speech.pooling

    def recognize(
        self,
        audio: str | Path | npt.ArrayLike | None = None,
        *,
        sampling_rate: int | None = None,
        transcript: str | None = None,
        explain: bool = False,
    ) -> Recognition:
        """Recognise the emotion expressed in one clip, as a whole.

        Args:
            audio: A file, or a signal (T,); None for words alone.
            sampling_rate: Of the signal, in Hz.
            transcript: The words, if known.
            explain: As in `recognize_batch`.

        Raises:
            AudioError: A recording that cannot be used.
            BimodalError: Neither speech nor words, or the model cannot use what was given.
        """
        clip = Clip(audio=audio, sampling_rate=sampling_rate, transcript=transcript)
        return self.recognize_batch([clip], explain=explain)[0]

    def recognize_batch(
        self, clips: Sequence[Clip], speaker_stats: "SpeakerStatsStore | None" = None, *, explain: bool = False
    ) -> list[Recognition]:
        """Recognise several clips; each result equals that of a single call.

        Args:
            clips: In the order in which they were said.
            speaker_stats: What their speakers have sounded like so far; a clip with a speaker is judged by it and joins
                it afterwards, so that batches of any size give the same. None hears each clip by itself, or by what
                the model was adapted to.
            explain: Say in each result's `explanation` why it is so; as dear as a dozen clips more.

        Raises:
            AudioError: As in `recognize`.
            BimodalError: As in `recognize`.
        """
        if not clips:
            return []
        if explain:
            return [self._explained(clip, speaker_stats) for clip in clips]
        return self._answer(clips, [self._hear(clip) for clip in clips], speaker_stats)

    def _answer(
        self, clips: Sequence[Clip], heard: Sequence[Encoded], speaker_stats: "SpeakerStatsStore | None"
    ) -> list[Recognition]:
        findings = self._find(clips, [one.statistics for one in heard], speaker_stats)
        return [
            self._result(row, clip, heard[row].duration, findings, heard[row].warnings)
            for row, clip in enumerate(clips)
        ]

    def _explained(self, clip: Clip, speaker_stats: "SpeakerStatsStore | None") -> Recognition:
        """One clip, by what its speaker had sounded like before it."""
        from bimodal.inference.explain import explain

        before = None if speaker_stats is None else speaker_stats.copy()
        heard = self._hear(clip, keep=True)
        result = self._answer([clip], [heard], speaker_stats)[0]
        return replace(result, explanation=explain(self, heard.views, clip, result, before))

    def extract(self, clips: Sequence[Clip]) -> Findings:
        """Emotion embeddings and logits of several clips, for use in other programs.

        Raises:
            AudioError: As in `recognize`.
            BimodalError: As in `recognize`.
        """
        return self._find(clips, [self._hear(clip).statistics for clip in clips])

    def encode(self, signal: Signal) -> SpeechFrames | None:
        """One stretch of 16 kHz speech as the backbone hears it, for `recognize_frames`; None for silence and scraps.

        Raises:
            BimodalError: The model does not hear speech.
        """
        self.check_hears()
        return None if unusable(signal) else self._has.speech_backbone.extract(signal)

    def check_hears(self) -> None:
        """Refuse where the model reads words or columns alone.

        Raises:
            BimodalError: The model does not hear speech.
        """
        if not self._has.hears:
            raise BimodalError(f"the model '{self.config.name}' does not hear speech; choose one trained on recordings")

    def prepare(self) -> None:
        """Load what a voice needs, so that the first one does not wait for it.

        Raises:
            BimodalError: The model does not hear speech.
            ModelFolderError: It was trained on another backbone.
        """
        self.check_hears()
        self._has.prepare()

    def stream(
        self,
        sampling_rate: int,
        *,
        speaker: str | None = None,
        config: "TimelineConfig | None" = None,
        speaker_stats: "SpeakerStatsStore | None" = None,
    ) -> "Stream":
        """Recognise speech as it is spoken: `push` samples, take results, `finish`.

        Args:
            sampling_rate: Of the samples, in Hz.
            speaker: Who speaks; open a stream for each speaker of a call.
            config: How to judge; by default as `bimodal recognize --timeline` does.
            speaker_stats: What the speaker has sounded like so far; grows as it goes.

        Raises:
            AudioError: A sampling rate that is not positive.
            BimodalError: The model does not hear speech.
        """
        from bimodal.inference.timeline import Stream

        return Stream(self, sampling_rate, speaker=speaker, config=config, speaker_stats=speaker_stats)

    def recognize_frames(
        self,
        frames: Sequence[SpeechFrames | None],
        clips: Sequence[Clip],
        speaker_stats: "SpeakerStatsStore | None" = None,
        warnings: Sequence[str] = (),
    ) -> list[Recognition]:
        """Recognise stretches that `encode` has heard, or any slices of them.

        Args:
            frames: One for each clip; None where no speech is to be judged.
            clips: Words, speaker, start and end of each; their audio and columns are not looked at.
            speaker_stats: As in `recognize_batch`, but nothing joins them: slices of a segment may overlap.
            warnings: About the recording that all of them are of; handed through to the results.

        Raises:
            BimodalError: As in `recognize`.
        """
        if not clips:
            return []
        heard = [None if item is None else pool(item, self.pooling) for item in frames]
        findings = self._find(clips, heard, speaker_stats, grow=False)
        return [
            self._result(row, clip, 0.0 if clip.end is None else clip.end - (clip.start or 0.0), findings, warnings)
            for row, clip in enumerate(clips)
        ]

    def _hear(self, clip: Clip, keep: bool = False) -> Encoded:
        """A whole clip in all views; with `keep` their frames, too, which are large."""
        signal, side = clip_signal(clip), self.config.speech
        if signal is None:
            return Encoded()
        duration = len(signal) / SAMPLING_RATE
        if side is None or side.columns or unusable(signal):
            return Encoded(duration=duration)
        views = [self._has.speech_backbone.extract(one) for one in (signal, *_other_views(signal, side.tta))]
        statistics = pool(join_frames(views), side.pooling)
        ood = self._ood_score("speech", [statistics], [0], 1)
        if not (holds_speech(signal) if ood is None else ood[0] <= 1 or holds_segment(signal)):
            return Encoded(duration=duration, warnings=(NO_SPEECH,))
        kept = views if keep else ()
        return Encoded(duration=duration, statistics=statistics, views=kept, warnings=describe_quality(signal))

    def _find(
        self,
        clips: Sequence[Clip],
        heard: Sequence[Floats | None],
        speaker_stats: "SpeakerStatsStore | None" = None,
        grow: bool = True,
    ) -> Findings:
        text, text_ood = self._find_text(clips)
        rows = [row for row, item in enumerate(heard) if item is not None]
        ood = self._ood_score("speech", [heard[row] for row in rows], rows, len(heard))
        speech = self._find_speech(clips, heard, speaker_stats, grow)
        if speech and ood is not None and speaker_stats is None and self._has.adaptation is None:
            speech = speech[0], tempered(speech[1], temperature_factor(ood, self._has.ood_stats["speech"]))
        found = replace(one_sided(speech, text), speech_ood_score=ood, text_ood_score=text_ood)
        if speech is None or text is None or not self.config.fusion_temperatures:
            return found
        present = np.stack([~np.isnan(side[1]).any(axis=1) for side in (speech, text)], axis=1)
        names = ("speech", "speech_logits", "text", "text_logits")
        inputs = {name: np.nan_to_num(array) for name, array in zip(names, (*speech, *text), strict=True)}
        weight = np.stack([np.ones(len(clips)), [text_weight(clip) for clip in clips]], axis=1)
        fused, logits, gate = self._has.session("fusion").run(
            None, inputs | {"present": (present * weight).astype(np.float32)}
        )
        fused[~present.any(axis=1)] = logits[~present.any(axis=1)] = np.nan
        return replace(found, fused=fused, fused_logits=logits, gate=gate)

    def _ood_score(self, side: str, values: Any, rows: Sequence[int], count: int) -> Floats | None:
        """How unlike the training data the statistics of some rows are, (count,); None where that is not known."""
        if (known := self._has.ood_stats.get(side)) is None:
            return None
        return scatter_rows(ood_score(np.stack(values), known) if rows else np.empty(0, np.float32), rows, count)

    def _find_speech(
        self,
        clips: Sequence[Clip],
        heard: Sequence[Floats | None],
        speaker_stats: "SpeakerStatsStore | None",
        grow: bool,
    ) -> tuple[Floats, Floats] | None:
        side = self.config.speech
        if side is None:
            return None
        if side.columns:
            rows = [row for row, clip in enumerate(clips) if clip.columns is not None]
            values = np.array([clips[row].columns for row in rows], np.float32).reshape(len(rows), -1)
            return self._run_side("speech", {"columns": values}, rows, len(clips), side)
        rows = [row for row, item in enumerate(heard) if item is not None]
        statistics = [item for item in heard if item is not None]
        if speaker_stats is not None:
            from bimodal.inference.speaker_normalization import check_uses_speaker_stats

            check_uses_speaker_stats(self.config.name, side.speaker_stats, self._has.adaptation)
        if side.speaker_stats or self._has.adaptation is not None:
            speakers = [clips[row].speaker for row in rows]
            found = self._score(statistics, speakers, speaker_stats, grow) if rows else None
            return self._spread(found, rows, len(clips), side)
        inputs = {"statistics": np.stack(statistics)} if rows else {}
        return self._run_side("speech", inputs, rows, len(clips), side)

    def _score(
        self,
        statistics: Sequence[Floats],
        speakers: Sequence[str | None],
        speaker_stats: "SpeakerStatsStore | None",
        grow: bool,
    ) -> tuple[Floats, Floats]:
        """Embeddings and logits of segments, by what is known of their speakers."""
        from bimodal.inference.speaker_normalization import score_statistics, stats_in_turn

        known = self._has.speakers if speaker_stats is None else speaker_stats
        if grow and speaker_stats is not None:
            own = stats_in_turn(known, speakers, statistics)
        else:
            own = [known.of(speaker, statistics[0].shape) for speaker in speakers]
        takes = self.config.speech is not None and self.config.speech.speaker_stats
        return score_statistics(self._has.session("speech"), takes, np.stack(statistics), own, self._has.adaptation)

    def _find_text(self, clips: Sequence[Clip]) -> tuple[tuple[Floats, Floats] | None, Floats | None]:
        """Embeddings and logits, and how unlike the training data the words are."""
        side = self.config.text
        if side is None:
            return None, None
        texts = [normalise_transcript(clip.transcript) for clip in clips]
        rows = [row for row, text in enumerate(texts) if text is not None]
        inputs: dict[str, Any] = {}
        if rows and side.context:
            from bimodal.data.batches import pad_windows
            from bimodal.inference.evidence import read_windows

            inputs = pad_windows(
                read_windows([clips[row] for row in rows], side.context, self._has.text_backbone), side.context + 1
            )
        elif rows:
            inputs = {"pooled": self._has.text_backbone.extract([text for text in texts if text is not None])}
        pooled = inputs["pooled"] if rows else np.empty(0, np.float32)
        ood = self._ood_score("text", pooled[:, -1] if rows and side.context else pooled, rows, len(clips))
        return self._run_side("text", inputs, rows, len(clips), side), ood

    def _run_side(
        self, stage: str, inputs: dict[str, Any], rows: Sequence[int], count: int, side: ModalityConfig
    ) -> tuple[Floats, Floats]:
        """Embeddings (count, E) and logits (count, C), NaN where absent."""
        found = self._has.session(stage).run(None, inputs) if rows else None
        return self._spread(found, rows, count, side)

    def _spread(self, found: Any, rows: Sequence[int], count: int, side: ModalityConfig) -> tuple[Floats, Floats]:
        """What was found in some rows as embeddings (count, E) and logits (count, C), NaN elsewhere."""
        widths = (side.embedding_width, len(self.emotions))
        embedding, logits = found or (np.empty((0, width), np.float32) for width in widths)
        return scatter_rows(embedding, rows, count), scatter_rows(logits, rows, count)

    def _result(
        self, row: int, clip: Clip, duration: float | None, findings: Findings, warnings: Sequence[str]
    ) -> Recognition:
        config = self.config
        speech = scores_of(findings.speech_logits, row, config.speech.temperature if config.speech else 1.0)
        text = scores_of(findings.text_logits, row, config.text.temperature if config.text else 1.0)
        both = speech is not None and text is not None
        scores = speech if text is None else text
        if findings.fused_logits is not None:
            case = 0 if both else 1 if speech is not None else 2
            scores = scores_of(findings.fused_logits, row, config.fusion_temperatures[case])
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
            "warnings": (
                *warnings,
                *unlike_training(findings, row),
                *(() if text is None else foreign_words(clip, self._has.text_backbone)),
            ),
        }
        if scores is None:
            return self._abstained(clip, duration, common)
        return Recognition(
            emotion=config.emotions[int(np.argmax(scores))],
            scores=name_scores(config.emotions, scores),
            speech_scores=known_scores(config.emotions, speech, findings.speech_logits, row),
            text_scores=known_scores(config.emotions, text, findings.text_logits, row),
            gate=float(findings.gate[row]) if both and findings.gate is not None else None,
            **common,
        )

    def _abstained(self, clip: Clip, duration: float | None, common: dict[str, Any]) -> Recognition:
        """No claim, and why; scores are those of the training data."""
        if duration is None and clip.columns is None and normalise_transcript(clip.transcript) is None:
            raise BimodalError("nothing to recognise: give a recording, words, or both")
        heard = duration is not None and self._has.hears
        reason = why_silent(duration or 0.0, common["warnings"]) if heard else ""
        priors = np.array(self.config.priors, np.float32)
        return Recognition(
            emotion=None,
            scores=name_scores(self.emotions, priors),
            speech_scores=None,
            text_scores=None,
            gate=None,
            abstained=True,
            reason=reason or f"the model '{self.config.name}' has no use for what was given",
            **common | {"warnings": ()},
        )


def _other_views(signal: Signal, names: Sequence[str]) -> Iterator[Signal]:
    if names:
        from bimodal.features.augmentation import apply_augmentation

        yield from (apply_augmentation(signal, name) for name in names)
