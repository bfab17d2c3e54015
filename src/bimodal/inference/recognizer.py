"""`Recognizer`: from speech and words to an emotion with calibrated scores. Imports no torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimodal.audio.inputs import as_clip
from bimodal.errors import BimodalError, ConfigError
from bimodal.inference.batch import clip_speech, failed, recognize_clips, recognize_signals
from bimodal.inference.installed import find_model
from bimodal.inference.model import Model
from bimodal.inference.outputs import Outputs
from bimodal.records import Clip, CoverageBy, Recognition
from bimodal.runtime import Device

if TYPE_CHECKING:
    from bimodal.asr.timed_words import Asr, TimedWords
    from bimodal.features.speaker_stats import SpeakerStatsStore
    from bimodal.inference.model_config import ModelConfig
    from bimodal.inference.stream import Stream, TimelineConfig


class Recognizer:
    """A trained model, ready to recognise; safe to call from several threads.

    Args:
        model: Model folder, as `bimodal train` writes it, or name of a packaged model; None for the default one. Or a
            `Model` that is open already; the other arguments then have no effect.
        threads: Threads of one operator; 0 for one per core.
        device: `cpu`, or `cuda` with onnxruntime-gpu.
        verify: Compare the files with their digests first. The files of a packaged model were compared by pip.

    Raises:
        ModelFolderError: A file is missing, altered, or of an unknown schema.

    Example:
        >>> recognizer = Recognizer("model")  # doctest: +SKIP
        >>> recognizer.recognize("clip.wav", transcript="I can't believe it!").emotion  # doctest: +SKIP
        'surprise'
    """

    def __init__(
        self,
        model: str | Path | Model | None = None,
        *,
        threads: int = 0,
        device: Device = "cpu",
        verify: bool = True,
    ) -> None:
        if not isinstance(model, Model):
            model = Model(find_model(model), threads=threads, device=device, verify=verify)
        self.model = model

    @classmethod
    def from_pretrained(
        cls, model: str | Path | None = None, *, download: bool = False, threads: int = 0, device: Device = "cpu"
    ) -> "Recognizer":
        """A model by its folder, its packaged name, or its id on the Hugging Face Hub.

        Args:
            model: For the Hub `owner/name`, or `owner/name@revision`; None for the default one.
            download: Download what is not on this machine; nothing is downloaded without it.
            threads: As above.
            device: As above.

        Raises:
            ModelFolderError: It is not there, or cannot be downloaded.
        """
        return cls(find_model(model, download=download), threads=threads, device=device)

    def __repr__(self) -> str:
        config = self.config
        return f"Recognizer({config.name} {config.version}: {', '.join(config.emotions)}; {config.licence})"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.config.name

    @property
    def folder(self) -> Path:
        """Folder of the model."""
        return self.model.folder

    @property
    def config(self) -> "ModelConfig":
        """The model's description: emotions, backbones, licence, ..."""
        return self.model.config

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions that the model knows, in the order of its scores."""
        return self.config.emotions

    def recognize(
        self,
        audio: Any = None,
        *,
        sampling_rate: int | None = None,
        transcript: str | None = None,
        track: int | None = None,
        explain: bool = False,
        coverage: float | None = None,
        coverage_by: CoverageBy = "emotion",
    ) -> Recognition:
        """Recognise the emotion expressed in one clip, as a whole.

        Args:
            audio: A path, bytes, a file object, or samples, as `bimodal.audio.inputs.as_audio` takes them; None for
                words alone.
            sampling_rate: Of samples, in Hz.
            transcript: The words, if known.
            track: Number of the sound track of a video, from 1; None for the one that the file marks as default.
            explain: As in `recognize_batch`.
            coverage: As in `recognize_batch`.
            coverage_by: As in `recognize_batch`.

        Raises:
            AudioError: A recording that cannot be used.
            BimodalError: Neither speech nor words, or the model cannot use what was given.
        """
        clip = Clip(audio=audio, sampling_rate=sampling_rate, transcript=transcript, track=track)
        return self.recognize_batch([clip], explain=explain, coverage=coverage, coverage_by=coverage_by)[0]

    def recognize_batch(
        self,
        clips: Iterable[Any],
        speaker_stats: "SpeakerStatsStore | None" = None,
        *,
        explain: bool = False,
        strict: bool = True,
        coverage: float | None = None,
        coverage_by: CoverageBy = "emotion",
    ) -> list[Recognition]:
        """Recognise several clips; each result equals that of a single call.

        Args:
            clips: `Clip`s, or audio as `recognize` takes it, in the order in which they were spoken.
            speaker_stats: Statistics of the speakers so far. A clip is scored with those of its speaker, and then
                added to them, so the size of a batch changes nothing. None: each clip is scored alone, or with the
                statistics that the model was adapted to.
            explain: Fill `explanation` of each result. It costs about 12 forward passes of the small
                networks.
            strict: Raise the first error. False gives a result with `error` for a clip that cannot be recognised.
            coverage: Fill `prediction_set` of each result: the emotions among which the right one is with this
                coverage, above 0 and below 1, such as 0.9. None: no sets.
            coverage_by: `emotion` for that coverage of each emotion, as far as the model was calibrated for it;
                `marginal` for that of all emotions together, with smaller sets.

        Raises:
            AudioError: As in `recognize`.
            BimodalError: As in `recognize`; the model was not calibrated for sets, or an impossible coverage.
        """
        given, choose = [as_clip(one) for one in clips], self.model.set_chooser(coverage, coverage_by)
        if not explain:
            found = recognize_clips(self.model, given, speaker_stats, strict=strict)
        else:
            found = (self._explained(clip, speaker_stats, strict=strict) for clip in given)
        return [choose(result) for result in found]

    def _explained(self, clip: Clip, speaker_stats: "SpeakerStatsStore | None", *, strict: bool) -> Recognition:
        try:
            return recognize_signals(self.model, [clip], [clip_speech(clip)], speaker_stats, explain=True)[0]
        except BimodalError as error:
            if strict:
                raise
            return failed(self.model, clip, error)

    def recognize_long(
        self,
        path: str | Path,
        *,
        words: "Sequence[TimedWords]" = (),
        asr: "Asr | None" = None,
        speakers: Sequence[str] = (),
        config: "TimelineConfig | None" = None,
        speaker_stats: "SpeakerStatsStore | None" = None,
        after: Mapping[str | None, float] | None = None,
    ) -> Iterator[Recognition]:
        """Recognise the emotions in a recording of any length over time, as they come.

        The arguments are those of `bimodal.inference.timeline.recognize_long`.

        Raises:
            AudioError: The recording cannot be used. If the damage comes late, the results before it are given first.
            BimodalError: The model uses no recordings, or the names do not fit the channels.
        """
        way: Any  # one module or the other, for start-up: a short clip needs neither, and few recordings the first
        if config is not None and config.speakers is not None:
            from bimodal.inference import diarised as way
        else:
            from bimodal.inference import timeline as way

        found: Iterator[Recognition] = way.recognize_long(
            self.model,
            path,
            words=words,
            asr=asr,
            speakers=speakers,
            config=config,
            speaker_stats=speaker_stats,
            after=after,
        )
        return found

    def stream(
        self,
        sampling_rate: int,
        *,
        speaker: str | None = None,
        config: "TimelineConfig | None" = None,
        speaker_stats: "SpeakerStatsStore | None" = None,
    ) -> "Stream":
        """Recognise speech while it is spoken: `push` samples, take results, `finish`.

        Args:
            sampling_rate: Of the samples, in Hz.
            speaker: Who speaks; open a stream for each speaker of a call.
            config: Settings; by default those of `bimodal recognize --timeline`.
            speaker_stats: Statistics of the speaker so far; each segment is added to them.

        Raises:
            AudioError: No sampling rate in Hz.
            BimodalError: The model uses no recordings.
        """
        from bimodal.inference.stream import Stream  # start-up: a short clip does not need it

        if config is not None and config.speakers is not None:
            raise ConfigError("speakers are found for files alone; open a stream for each speaker")
        return Stream(self.model, sampling_rate, speaker=speaker, config=config, speaker_stats=speaker_stats)

    def extract(self, clips: Sequence[Clip]) -> Outputs:
        """Emotion embeddings and logits of several clips, for use in other programs.

        Raises:
            AudioError: As in `recognize`.
            BimodalError: As in `recognize`.
        """
        speech = (clip_speech(clip) for clip in clips)
        return self.model.extract(
            clips, [self.model.encode(None if one is None else one.whole("audio")) for one in speech]
        )

    def warm_up(self) -> None:
        """Load what speech needs, so that the first recording does not wait for it.

        Raises:
            BimodalError: The model uses no recordings.
            ModelFolderError: It was trained on another backbone.
        """
        self.model.warm_up()
