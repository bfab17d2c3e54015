"""A trained model: encodes speech, scores clips. `Recognizer`, `Stream`, `explain` and `adapt` share it. No torch."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from bimodal.arrays import Floats
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.audio.level import level_db
from bimodal.audio.segmentation import NO_SPEECH, holds_segment
from bimodal.audio.voice_activity import holds_speech, load_detector
from bimodal.data.text import normalise_transcript
from bimodal.errors import BimodalError, ModelFolderError, tell
from bimodal.features.backbone import SpeechBackbone, TextBackbone
from bimodal.features.ood import OodStats, load_ood_stats, ood_score, temperature_factor, tempered
from bimodal.features.pooling import Pooling, SpeechFrames, join_frames, pool
from bimodal.features.quality import describe_quality
from bimodal.inference.check_model import check_graph, run_network
from bimodal.inference.clip_inputs import read_columns, read_windows
from bimodal.inference.installed import is_packaged
from bimodal.inference.model_config import ModelConfig
from bimodal.inference.model_folder import (
    ADAPTATION,
    GRAPHS,
    OOD_STATS,
    PREDICTION_SETS,
    SPEAKERS,
    load_modality_backbone,
    load_model_config,
)
from bimodal.inference.outputs import (
    SHORTEST_SECONDS,
    Encoded,
    ModalityOutputs,
    Outputs,
    ood_scores,
    recognition,
    scatter_outputs,
)
from bimodal.inference.prediction_sets import (
    Chooser,
    PredictionSets,
    check_coverage,
    choose_set,
    load_prediction_sets,
)
from bimodal.records import Clip, CoverageBy, Recognition
from bimodal.runtime import Device, count_threads, make_session

if TYPE_CHECKING:
    from bimodal.features.adaptation import Adaptation
    from bimodal.features.speaker_stats import RunningStats, SpeakerStatsStore

MOST_AT_ONCE: Final = 8
"""Most clips that are encoded at once: each needs memory, and the Python between the networks runs one at a time."""

SILENCE_DB: Final = -80.0
"""A recording below this root-mean-square level is silent."""

Part = TypeVar("Part")


class Model:
    """The networks of a model folder. Each part is loaded once, when it is first needed; safe for several threads.

    Args:
        folder: Model folder.
        threads: Threads of one operator of a backbone; 0 for one per core.
        device: `cpu`, or `cuda` with onnxruntime-gpu.
        verify: Compare the files with their digests first. The files of a packaged model were compared by pip.

    Raises:
        ModelFolderError: A file is missing, altered, or of an unknown schema.
    """

    def __init__(self, folder: Path, *, threads: int = 0, device: Device = "cpu", verify: bool = True) -> None:
        self.folder = folder
        self.config: ModelConfig = load_model_config(folder, verify=verify and not is_packaged(folder))
        self._threads, self._device, self._verify = threads, device, verify
        self._parts, self._locks = dict[str, Any](), dict[str, Lock]()

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions that the model knows, in the order of its scores."""
        return self.config.emotions

    @property
    def takes_audio(self) -> bool:
        """Whether the model uses recordings; False if it uses words or feature columns alone."""
        return self.config.speech is not None and not self.config.speech.columns

    @property
    def uses_speaker_stats(self) -> bool:
        """Whether statistics of the speaker change the scores."""
        return self.config.speech is not None and (self.config.speech.speaker_stats or self.adaptation is not None)

    @property
    def context(self) -> int:
        """How many utterances before each one the text network reads."""
        return self.config.text.context if self.config.text else 0

    @property
    def pooling(self) -> Pooling:
        """How frames of speech are pooled over time.

        Raises:
            BimodalError: The model uses no recordings.
        """
        self.check_takes_audio()
        assert self.config.speech is not None  # noqa: S101
        return self.config.speech.pooling

    @property
    def at_once(self) -> int:
        """How many clips to encode at once, each by one thread: several threads are of little use to a short clip."""
        return min(count_threads(self._threads), MOST_AT_ONCE) if self._device == "cpu" and self.takes_audio else 1

    @property
    def one_thread(self) -> "Model":
        """This model with a speech encoder of one thread, for clips that are encoded at once; the rest is shared."""
        other = copy(self)
        other._threads = 1 if self.at_once > 1 else self._threads
        return other

    def check_takes_audio(self) -> None:
        """Refuse a model that uses words or columns alone.

        Raises:
            BimodalError: The model uses no recordings.
        """
        if not self.takes_audio:
            raise BimodalError(
                f"the model '{self.config.name}' uses no recordings; choose one that was trained on recordings"
            )

    def check_uses_speaker_stats(self) -> None:
        """Refuse speaker statistics where they would change nothing.

        Raises:
            BimodalError: The speech network scores each clip by itself.
        """
        if not self.uses_speaker_stats:
            raise BimodalError(
                f"the model '{self.config.name}' scores each clip by itself and cannot use speaker statistics; train "
                "it with speech.speaker_stats, or adapt it with 'bimodal adapt'"
            )

    def warm_up(self) -> None:
        """Load what speech needs, in the order in which it is needed.

        Raises:
            BimodalError: The model uses no recordings.
            ModelFolderError: It was trained on another backbone.
        """
        self.check_takes_audio()
        _ = self.speech_backbone, self.session("speech"), self.ood_stats
        if self.config.fusion_temperatures:
            self.session("fusion")
        load_detector()

    def encode(self, signal: Signal | None, *, keep_frames: bool = False) -> Encoded:
        """Encode a whole clip, with all test-time augmentations.

        Args:
            signal: Speech (T,) at 16 kHz; None for words alone.
            keep_frames: Return the frames, too, for `explain`.
        """
        if signal is None:
            return Encoded()
        duration, speech = len(signal) / SAMPLING_RATE, self.config.speech
        if speech is None or not self.takes_audio or unusable(signal):
            return Encoded(duration=duration)
        frames = [self.speech_backbone.extract(one) for one in [signal, *_augmented(signal, speech.tta)]]
        encoded = self.pool(join_frames(frames), duration)
        near = encoded.ood_score is not None and encoded.ood_score <= 1
        if not near and not (holds_speech if encoded.ood_score is None else holds_segment)(signal):
            return Encoded(duration=duration, warnings=(NO_SPEECH,))
        return replace(encoded, frames=frames if keep_frames else (), warnings=describe_quality(signal, frames[0].mel))

    def encode_frames(self, signal: Signal) -> SpeechFrames | None:
        """Frames of a stretch of 16 kHz speech (T,), to be sliced and pooled; None if it is silent or too short.

        Raises:
            BimodalError: The model uses no recordings.
        """
        self.check_takes_audio()
        return None if unusable(signal) else self.speech_backbone.extract(signal)

    def pool(self, frames: SpeechFrames | None, duration: float | None, warnings: Sequence[str] = ()) -> Encoded:
        """Frames, or a slice of them, pooled over time; None for a stretch without speech.

        Raises:
            BimodalError: The model uses no recordings.
        """
        if frames is None:
            return Encoded(duration=duration, warnings=tuple(warnings))
        statistics = pool(frames, self.pooling)
        known = self.ood_stats.get("speech")
        distance = None if known is None else float(ood_score(statistics[None], known)[0])
        return Encoded(duration=duration, statistics=statistics, ood_score=distance, warnings=tuple(warnings))

    def score(
        self, clips: Sequence[Clip], encoded: Sequence[Encoded], stats: "Sequence[RunningStats | None] | None" = None
    ) -> list[Recognition]:
        """The answer for each of N clips; what a batch gives equals what single calls give.

        Args:
            clips: Words, speaker, start and end of each; their audio is not read.
            encoded: Speech of each.
            stats: Statistics of each clip's speaker before it; None for those that the model was adapted to.

        Raises:
            BimodalError: A clip has neither speech nor words.
        """
        if not clips:
            return []
        outputs = self.extract(clips, encoded, stats)
        return [
            recognition(self.config, clip, encoded[row], outputs, row, self._foreign_words(clip))
            for row, clip in enumerate(clips)
        ]

    def extract(
        self, clips: Sequence[Clip], encoded: Sequence[Encoded], stats: "Sequence[RunningStats | None] | None" = None
    ) -> Outputs:
        """Emotion embeddings and logits of N clips; arguments as in `score`."""
        known = self.ood_stats.get("speech") if self.takes_audio else None
        distances = None if known is None else ood_scores(encoded)
        speech = self._speech(clips, encoded, stats)
        if speech and known and distances is not None and stats is None and self.adaptation is None:
            logits = tempered(speech.logits, temperature_factor(np.nan_to_num(distances), known))
            speech = replace(speech, logits=logits)
        text, text_distances = self._text(clips)
        found = Outputs(speech=speech, text=text, speech_ood_score=distances, text_ood_score=text_distances)
        if speech is None or text is None or not self.config.fusion_temperatures:
            return found
        fused, gate = self._fuse(speech, text, [text_weight(clip) for clip in clips])
        return replace(found, fused=fused, gate=gate)

    def _speech(
        self, clips: Sequence[Clip], encoded: Sequence[Encoded], stats: "Sequence[RunningStats | None] | None"
    ) -> ModalityOutputs | None:
        speech = self.config.speech
        if speech is None:
            return None
        if speech.columns:
            rows = [row for row, clip in enumerate(clips) if clip.columns is not None]
            return self._run("speech", {"columns": read_columns(clips, len(speech.columns))}, rows, len(clips))
        rows = [row for row, one in enumerate(encoded) if one.statistics is not None]
        statistics = [one.statistics for one in encoded if one.statistics is not None]
        if not rows:
            return self._run("speech", {}, rows, len(clips))
        if not self.uses_speaker_stats:
            return self._run("speech", {"statistics": np.stack(statistics)}, rows, len(clips))
        # Local imports: a short clip of a model without speaker statistics starts faster without them.
        from bimodal.inference.speaker_normalization import score_statistics

        given = [None if stats is None else stats[row] for row in rows]
        own = [
            self.speakers.of(clips[row].speaker, statistics[0].shape) if known is None else known
            for row, known in zip(rows, given, strict=True)
        ]
        found = score_statistics(
            self.session("speech"), speech.speaker_stats, np.stack(statistics), own, self.adaptation
        )
        return self._scatter("speech", found, rows, len(clips))

    def _text(self, clips: Sequence[Clip]) -> tuple[ModalityOutputs | None, Floats | None]:
        """Outputs of the text network, and the distances of the words from the training data."""
        text = self.config.text
        if text is None:
            return None, None
        texts = [normalise_transcript(clip.transcript) for clip in clips]
        rows = [row for row, item in enumerate(texts) if item is not None]
        inputs: dict[str, Any] = {}
        if rows and text.context:
            from bimodal.data.batches import pad_windows  # start-up: few models read context

            windows = read_windows([clips[row] for row in rows], text.context, self.text_backbone)
            inputs = pad_windows(windows, text.context + 1)
        elif rows:
            inputs = {"pooled": self.text_backbone.extract([item for item in texts if item is not None])}
        distances = None
        if (known := self.ood_stats.get("text")) is not None:
            distances = np.full(len(clips), np.nan, np.float32)
            if rows:
                pooled = inputs["pooled"]
                distances[rows] = ood_score(pooled[:, -1] if text.context else pooled, known)
        return self._run("text", inputs, rows, len(clips)), distances

    def _fuse(
        self, speech: ModalityOutputs, text: ModalityOutputs, text_weights: Sequence[float]
    ) -> tuple[ModalityOutputs, Floats]:
        present = np.stack([speech.present, text.present], axis=1)
        weights = np.stack([np.ones(len(text_weights)), text_weights], axis=1)
        inputs = {
            "speech": speech.embedding,
            "speech_logits": speech.logits,
            "text": text.embedding,
            "text_logits": text.logits,
            "present": (present * weights).astype(np.float32),
        }
        embedding, logits, gate = self._run_stage("fusion", inputs)
        return ModalityOutputs(embedding=embedding, logits=logits, present=speech.present | text.present), gate

    def _run_stage(self, stage: str, inputs: dict[str, Any]) -> Any:
        """Outputs of a stage's network, each finite.

        Raises:
            ModelFolderError: The network fails, or gives NaN or infinity.
        """
        return run_network(self.session(stage), inputs, self.folder / GRAPHS[stage])

    def _run(self, stage: str, inputs: dict[str, Any], rows: Sequence[int], count: int) -> ModalityOutputs:
        """Outputs of a stage's network for some rows, as those of all."""
        found = self._run_stage(stage, inputs) if rows else None
        return self._scatter(stage, found, rows, count)

    def _scatter(self, stage: str, found: Any, rows: Sequence[int], count: int) -> ModalityOutputs:
        modality = self.config.speech if stage == "speech" else self.config.text
        assert modality is not None  # noqa: S101
        return scatter_outputs(found, rows, count, (modality.embedding_width, len(self.emotions)))

    def _foreign_words(self, clip: Clip) -> list[str]:
        """A warning where the words are, or seem, in a language that the text network does not read."""
        words = normalise_transcript(clip.transcript)
        if words is None or self.config.text is None:
            return []
        names = ", ".join(self.text_backbone.description.languages)
        given = clip.language if clip.transcript_confidence is None else None  # speech recognition may have translated
        if given and self.text_backbone.description.foreign(given):
            return [tell("words-foreign", language=given, read=names)]
        if not given and self.text_backbone.looks_foreign(words):
            return [tell("words-seem-foreign", read=names)]
        return []

    @property
    def speech_backbone(self) -> SpeechBackbone:
        """The encoder of speech.

        Raises:
            ModelFolderError: The model uses no recordings, or was trained on another backbone.
        """
        backbone = self._backbone("speech")
        if not isinstance(backbone, SpeechBackbone):
            raise ModelFolderError(f"{self.folder}: its speech backbone '{backbone.description.name}' encodes text")
        return backbone

    @property
    def text_backbone(self) -> TextBackbone:
        """The encoder of text.

        Raises:
            ModelFolderError: The model uses no words, or was trained on another backbone.
        """
        backbone = self._backbone("text")
        if not isinstance(backbone, TextBackbone):
            raise ModelFolderError(f"{self.folder}: its text backbone '{backbone.description.name}' encodes speech")
        return backbone

    def session(self, stage: str) -> Any:
        """The network of a stage: `speech`, `text` or `fusion`.

        Raises:
            BackboneError: No usable ONNX file.
            ModelFolderError: It does not fit the configuration.
        """
        return self._once(GRAPHS[stage], lambda file: self._open(stage, file))

    def _open(self, stage: str, file: Path) -> Any:
        session = make_session(file, threads=1, device=self._device)
        check_graph(stage, session, self.config, file)
        return session

    @property
    def ood_stats(self) -> dict[str, OodStats]:
        """Statistics of the training data of each modality; empty in a model without them."""
        return self._once(OOD_STATS, load_ood_stats) if OOD_STATS in self.config.files else {}

    @property
    def prediction_sets(self) -> PredictionSets | None:
        """Thresholds of prediction sets; None in a model that was not calibrated for them."""
        return self._once(PREDICTION_SETS, load_prediction_sets) if PREDICTION_SETS in self.config.files else None

    def set_chooser(self, coverage: float | None, by: CoverageBy = "emotion") -> Chooser:
        """What gives each result its prediction set; without a coverage, results stay as they are.

        Args:
            coverage: How often the right emotion is in the set, above 0 and below 1; None for no sets.
            by: `emotion`: as often for each emotion, as far as there are rows to tell. `marginal`: over all emotions.

        Raises:
            BimodalError: No coverage.
            ModelFolderError: The model was not calibrated for prediction sets.
        """
        if coverage is None:
            return lambda result: result
        check_coverage(coverage, by)
        table = self.prediction_sets
        if table is None:
            raise ModelFolderError(
                f"the model '{self.config.name}' was not calibrated for prediction sets (coverage); use 'bimodal "
                "calibrate' with a copy of its folder and held-out recordings, or another model"
            )
        return lambda result: choose_set(result, table, coverage, by)

    @property
    def adaptation(self) -> "Adaptation | None":
        """What the model was adapted to; None if it was not."""
        if ADAPTATION not in self.config.files:
            return None
        from bimodal.features.adaptation import load_adaptation  # start-up: adapted models alone

        found = self._once(ADAPTATION, load_adaptation)
        if found.bias.shape != (len(self.emotions),):
            raise ModelFolderError(
                f"{self.folder / ADAPTATION}: {found.bias.size} emotions, the model has {len(self.emotions)}; adapt "
                "the model again"
            )
        return found

    @property
    def speakers(self) -> "SpeakerStatsStore":
        """Statistics of the speakers that the model was adapted to; read only."""
        from bimodal.features.speaker_stats import SpeakerStatsStore, load_speaker_stats  # start-up, as above

        return self._once(SPEAKERS, load_speaker_stats) if SPEAKERS in self.config.files else SpeakerStatsStore()

    def adapted(
        self, adaptation: "Adaptation", adapted_to: str, digest: str, speakers: "SpeakerStatsStore | None" = None
    ) -> "Model":
        """This model with an adaptation, without its prediction sets; nothing is written or loaded again.

        Args:
            adaptation: Of this model's speech network.
            adapted_to: What it was adapted to, in words for the results.
            digest: SHA-256 of the adaptation; the revision depends on it.
            speakers: Statistics of speakers who are standardised by their own; None for nobody.
        """
        other = copy(self)
        files = {name: known for name, known in self.config.files.items() if name != PREDICTION_SETS}
        other.config = replace(self.config, adapted_to=adapted_to, files=files | {ADAPTATION: digest})
        other._parts = {**self._parts, ADAPTATION: adaptation}
        if speakers is not None:
            other.config = replace(other.config, files={**other.config.files, SPEAKERS: digest})
            other._parts[SPEAKERS] = speakers
        return other

    def _backbone(self, stage: str) -> SpeechBackbone | TextBackbone:
        modality = self.config.speech if stage == "speech" else self.config.text
        settings: dict[str, Any] = {"threads": self._threads, "device": self._device, "verify": self._verify}
        name = f"{stage} {self._threads}"
        return self._once(name, lambda _: load_modality_backbone(self.folder, stage, modality, **settings))

    def _once(self, name: str, load: Callable[[Path], Part]) -> Part:
        with self._locks.setdefault(name, Lock()):
            if name not in self._parts:
                self._parts[name] = load(self.folder / name)
            found: Part = self._parts[name]
            return found


def unusable(signal: Signal) -> bool:
    """True for silence, and for speech that is too short.

    Example:
        >>> unusable(np.zeros(16000, np.float32)), unusable(np.ones(100, np.float32))
        (True, True)
    """
    return len(signal) < SHORTEST_SECONDS * SAMPLING_RATE or level_db(signal) < SILENCE_DB


def text_weight(clip: Clip) -> float:
    """How much the words of a clip count beside its speech: the confidence of speech recognition, else 1."""
    return 1.0 if clip.transcript_confidence is None else clip.transcript_confidence


def _augmented(signal: Signal, names: Sequence[str]) -> list[Signal]:
    """The signal in each test-time augmentation."""
    if not names:
        return []
    from bimodal.features.augmentation import apply_augmentation  # start-up: few models use it

    return [apply_augmentation(signal, name) for name in names]
