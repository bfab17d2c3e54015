"""Recognise clips and recordings with a model, for `Recognizer` and `bimodal recognize`.

Modules that a short clip does not need are imported where they are used, so that the command starts fast.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal

from bimodal.audio.decode import SAMPLING_RATE, AudioBlocks, Decoded, Signal, iterate_audio
from bimodal.audio.inputs import decode_clip
from bimodal.audio.recordings import Recording, decoded_seconds
from bimodal.errors import BimodalError, ManifestError
from bimodal.inference.model import Model
from bimodal.inference.outputs import Encoded
from bimodal.records import Clip, CoverageBy, Recognition, Utterance, failed_recognition
from bimodal.runtime import in_order

if TYPE_CHECKING:
    from bimodal.asr.timed_words import Asr, TimedWords
    from bimodal.features.speaker_stats import RunningStats, SpeakerStatsStore

WHOLE_SECONDS: Final = 30.0
"""A longer recording gets a timeline, unless it is asked for as a whole."""

_LONG: Final = Lock()
_SCORED_AT_ONCE: Final = 64  # clips; what is kept of each until it is scored takes 20 KB

Ends = Mapping[str | None, float]


@dataclass(frozen=True, kw_only=True)
class RecognizeOptions:
    """How recordings are recognised.

    Attributes:
        timeline: Over time, or as a whole; None decides by length.
        channels: `mix`, or `speakers` for one speaker a channel, which always gives a timeline.
        track: Number of the sound track, from 1; None for the default one.
        transcript: The words of the one recording.
        words: Rows of a manifest with the words of each recording, by its resolved path.
        asr: Speech recognition, for the words instead.
        speaker: Who speaks in all of them.
        speaker_stats: Statistics of the speakers so far; each clip is added to them.
        explain: Say in each result why it is so.
        coverage: Of prediction sets; None for none.
        coverage_by: As in `Recognizer.recognize_batch`.
        speakers: How many people speak in each recording, or `auto`; None to tell nobody apart. Always a timeline.
        segmentation: As in `TimelineConfig`.
    """

    timeline: bool | None = None
    channels: Literal["mix", "speakers"] = "mix"
    track: int | None = None
    transcript: str | None = None
    words: Mapping[Path, Sequence[Utterance]] | None = None
    asr: "Asr | None" = None
    speaker: str | None = None
    speaker_stats: "SpeakerStatsStore | None" = None
    explain: bool = False
    coverage: float | None = None
    coverage_by: CoverageBy = "emotion"
    speakers: int | Literal["auto"] | None = None
    segmentation: Path | None = None

    def over_time(self, *, longer: bool) -> bool:
        """Whether a recording gets a timeline, given whether it is longer than `WHOLE_SECONDS`."""
        if self.channels == "speakers" or self.speakers is not None:
            return True
        return self.timeline if self.timeline is not None else longer and self.transcript is None


def recognize_signals(
    model: Model,
    clips: Sequence[Clip],
    speech: Iterable[Decoded | None],
    speaker_stats: "SpeakerStatsStore | None" = None,
    *,
    explain: bool = False,
) -> list[Recognition]:
    """Recognise clips whose speech is decoded; arguments as in `Recognizer.recognize_batch`.

    Args:
        model: The model.
        clips: Their audio is not read.
        speech: Of each clip at 16 kHz; None for words alone. Taken one by one.
        speaker_stats: Statistics of the speakers so far.
        explain: Say in each result why it is so.
    """
    if explain:
        return [_explained(model, clip, one, speaker_stats) for clip, one in zip(clips, speech, strict=True)]
    encoded = [_encode(model, one) for one in speech]
    return model.score(clips, encoded, _stats_before(model, clips, encoded, speaker_stats))


def recognize_clips(
    model: Model, clips: Sequence[Clip], speaker_stats: "SpeakerStatsStore | None" = None, *, strict: bool = True
) -> Iterator[Recognition]:
    """Recognise clips in any form, in their order; arguments as in `Recognizer.recognize_batch`.

    Several clips are encoded at once, each by one thread: short clips one after the other, each by all threads, take
    longer. What is computed is the same. Long ones are encoded one after the other.
    """
    at_once = max(1, min(model.at_once, len(clips)))
    encode = partial(_encode_clip, _encode if at_once == 1 else _encode_beside, model)
    found = zip(clips, in_order(encode, map(_opened, clips), at_once), strict=True)
    while block := list(islice(found, _SCORED_AT_ONCE if strict else 1)):
        try:
            yield from _score_encoded(model, [clip for clip, _ in block], [one for _, one in block], speaker_stats)
        except BimodalError as error:
            if strict:
                raise
            yield failed(model, block[0][0], error)


def _score_encoded(
    model: Model,
    clips: Sequence[Clip],
    encoded: Sequence[Encoded | BimodalError],
    speaker_stats: "SpeakerStatsStore | None",
) -> list[Recognition]:
    """Results of clips whose speech is encoded; raises the first reason why one is not."""
    sound = []
    for one in encoded:
        if isinstance(one, BimodalError):
            raise one
        sound.append(one)
    return model.score(clips, sound, _stats_before(model, clips, sound, speaker_stats))


def failed(model: Model, clip: Clip, error: BimodalError) -> Recognition:
    """The result of a clip that cannot be recognised."""
    told = {"speaker": clip.speaker, "transcript": clip.transcript}
    return failed_recognition(str(error), **told, model=model.config.name, revision=model.config.revision)


def _opened(clip: Clip) -> Clip | Decoded | BimodalError:
    """A clip; one from an open file object is decoded here, as two clips may share the object."""
    if not hasattr(clip.audio, "read"):
        return clip
    try:
        return decode_clip(clip)
    except BimodalError as error:
        return error


def _encode_clip(
    encode: Callable[[Model, Decoded | None], Encoded], model: Model, given: Clip | Decoded | BimodalError
) -> Encoded | BimodalError:
    """Speech of a clip, or why it cannot be used."""
    if isinstance(given, BimodalError):
        return given
    try:
        return encode(model, clip_speech(given) if isinstance(given, Clip) else given)
    except BimodalError as error:
        return error


def _encode_beside(model: Model, speech: Decoded | None) -> Encoded:
    """As `_encode`, by one thread beside other calls; long speech by all threads, one at a time, as it takes memory."""
    if speech is None or len(speech.signal) <= WHOLE_SECONDS * SAMPLING_RATE:
        return _encode(model.one_thread, speech)
    with _LONG:
        return _encode(model, speech)


def _encode(model: Model, speech: Decoded | None, *, keep_frames: bool = False) -> Encoded:
    """Speech with what its recording's results must say."""
    if speech is None:
        return model.encode(None)
    encoded = model.encode(speech.signal, keep_frames=keep_frames)
    return replace(encoded, warnings=(*encoded.warnings, *speech.warnings))


def _explained(
    model: Model, clip: Clip, speech: Decoded | None, speaker_stats: "SpeakerStatsStore | None"
) -> Recognition:
    from bimodal.inference.explain import explain  # start-up

    encoded = [_encode(model, speech, keep_frames=True)]
    stats = _stats_before(model, [clip], encoded, speaker_stats)
    (result,) = model.score([clip], encoded, stats)
    return replace(result, explanation=explain(model, encoded[0].frames, clip, result, stats[0] if stats else None))


def _stats_before(
    model: Model, clips: Sequence[Clip], encoded: Sequence[Encoded], speaker_stats: "SpeakerStatsStore | None"
) -> "list[RunningStats | None] | None":
    """Statistics of each clip's speaker before it; each clip with speech joins them."""
    if speaker_stats is None:
        return None
    if model.takes_audio:
        model.check_uses_speaker_stats()
    return [
        None if one.statistics is None else speaker_stats.join(clip.speaker, one.statistics)
        for clip, one in zip(clips, encoded, strict=True)
    ]


def clip_speech(clip: Clip) -> Decoded | None:
    """A clip's speech at 16 kHz; None if there is none.

    Raises:
        AudioError: A recording that cannot be used, or samples without their sampling rate.
    """
    if clip.audio is None:
        return None
    return decode_clip(clip)


@dataclass(frozen=True, kw_only=True)
class RecordingResults:
    """The results of one recording.

    Attributes:
        over_time: Whether the results form a timeline.
        results: The results, as they come.
    """

    over_time: bool
    results: Iterator[Recognition]


@dataclass(frozen=True, kw_only=True)
class OpenedRecording:
    """A recording that was opened, and encoded if it is to be recognised as a whole.

    Attributes:
        over_time: Whether its results form a timeline.
        blocks: The recording; None where each channel is opened by itself.
        speech: The samples of a short one that is recognised as a whole; None for others.
        encoded: These samples, encoded; None where that comes later.
    """

    over_time: bool
    blocks: AudioBlocks | None = None
    speech: Decoded | None = None
    encoded: Encoded | None = None


def open_recordings(
    model: Model, recordings: Sequence[Recording], options: RecognizeOptions
) -> Iterator[OpenedRecording | BimodalError]:
    """Open recordings a few ahead, and encode several short ones at once, as `recognize_clips` does; memory stays flat.

    Args:
        model: The model.
        recordings: What to recognise.
        options: How.

    Yields:
        One for each recording, for `recognize_recording`; or why it cannot be used.
    """
    # Explanations need the frames, which are large. Speech recognition comes first, and has threads of its own.
    later = options.explain or options.asr is not None
    at_once = 1 if later else max(1, min(model.at_once, len(recordings)))
    encode = None if later else partial(_encode if at_once == 1 else _encode_beside, model)
    return in_order(lambda one: _open(encode, one, options), recordings, at_once)


def _open(
    encode: Callable[[Decoded], Encoded] | None, recording: Recording, options: RecognizeOptions
) -> OpenedRecording | BimodalError:
    """A recording, opened, and encoded if `encode` is given and it is short; or why it cannot be used."""
    try:
        opened = _open_recording(recording, options)
        if opened.speech is None or encode is None:
            return opened
        return replace(opened, encoded=encode(opened.speech))
    except BimodalError as error:
        return error


def _open_recording(recording: Recording, options: RecognizeOptions) -> OpenedRecording:
    """A recording, opened; a short one that is recognised as a whole is read to its end."""
    if options.channels == "speakers" or options.speakers is not None:
        return OpenedRecording(over_time=True)
    blocks = iterate_audio(recording.path, block_seconds=WHOLE_SECONDS, track=options.track)
    longer = blocks.read_ahead(2) > 1
    if longer or options.over_time(longer=longer):
        return OpenedRecording(over_time=options.over_time(longer=longer), blocks=blocks)
    return OpenedRecording(over_time=False, blocks=blocks, speech=_decode(recording, blocks))


def _decode(recording: Recording, blocks: AudioBlocks) -> Decoded:
    return blocks.decode().at_model_rate(str(recording.path))


def recognize_recording(
    model: Model,
    recording: Recording,
    options: RecognizeOptions,
    after: Ends | None = None,
    opened: OpenedRecording | BimodalError | None = None,
) -> RecordingResults:
    """Recognise a recording as a whole, or over time. It is opened once.

    Args:
        model: The model.
        recording: What to recognise.
        options: How.
        after: Where each speaker's results of an interrupted call ended; for a timeline alone.
        opened: The recording, as `open_recordings` gives it.

    Raises:
        BimodalError: The recording cannot be used. If the damage comes late, the results before it are given first.
    """
    if isinstance(opened, BimodalError):
        raise opened
    opened = opened or _open_recording(recording, options)
    if opened.over_time or opened.blocks is None:
        return RecordingResults(over_time=True, results=_timeline(model, recording, options, after, opened.blocks))
    speech = opened.speech or _decode(recording, opened.blocks)
    clip = _clip(recording, speech.signal, options)
    choose = model.set_chooser(options.coverage, options.coverage_by)
    stats = options.speaker_stats
    if opened.encoded is None:
        results = recognize_signals(model, [clip], iter([speech]), stats, explain=options.explain)
    else:
        results = _score_encoded(model, [clip], [opened.encoded], stats)
    return RecordingResults(over_time=False, results=map(choose, results))


def _clip(recording: Recording, signal: Signal, options: RecognizeOptions) -> Clip:
    """A recording as a whole, with its words."""
    clip = Clip(transcript=options.transcript, speaker=options.speaker)
    if options.asr is not None:
        found = options.asr.words(signal, None)
        return replace(
            clip,
            transcript=found.text or None,
            transcript_confidence=found.confidence if found.text else None,
            language=found.language or None,
        )
    rows = (options.words or {}).get(recording.path.resolve(), ())
    if not rows:
        return clip
    from bimodal.asr.timed_words import clip_words

    names = {row.speaker for row in rows}
    speaker = options.speaker or (names.pop() if len(names) == 1 else None)
    return replace(clip, speaker=speaker, **clip_words([_timed(row, len(signal) / SAMPLING_RATE) for row in rows]))


def _timeline(
    model: Model,
    recording: Recording,
    options: RecognizeOptions,
    after: Ends | None,
    opened: AudioBlocks | None,
) -> Iterator[Recognition]:
    """A recording over time."""
    from bimodal.inference.stream import TimelineConfig
    from bimodal.inference.timeline import recognize_long

    rows = (options.words or {}).get(recording.path.resolve(), ())
    for row in rows:
        if row.start is None and row.end is None:
            raise ManifestError(
                f"{recording.name}: the words of '{row.id}' have no start and end, which a timeline needs; give them, "
                "or recognise the recording with --whole"
            )
    length = decoded_seconds(recording) if any(row.end is None for row in rows) else 0.0
    config = TimelineConfig(
        channels=options.channels,
        track=options.track,
        explain=options.explain,
        coverage=options.coverage,
        coverage_by=options.coverage_by,
        speakers=options.speakers,
        segmentation=None if options.segmentation is None else str(options.segmentation),
    )
    words = [_timed(row, length) for row in rows]
    if options.speakers is not None:
        from bimodal.inference import diarised  # start-up: few recordings need it

        return diarised.recognize_long(model, recording.path, words=words, asr=options.asr, config=config, after=after)
    return recognize_long(
        model,
        recording.path,
        words=words,
        asr=options.asr,
        speakers=() if options.speaker is None else (options.speaker,),
        config=config,
        speaker_stats=options.speaker_stats,
        after=after,
        opened=opened,
    )


def _timed(row: Utterance, seconds: float) -> "TimedWords":
    from bimodal.asr.timed_words import TimedWords
    from bimodal.asr.transcribe import transcript_confidence

    start = row.start or 0.0
    return TimedWords(
        start=start,
        end=max(start, seconds) if row.end is None else row.end,
        transcript=row.transcript or "",
        speaker=row.speaker,
        confidence=transcript_confidence(row),
        language=row.lang,
    )


def words_of(recording: Recording, options: RecognizeOptions) -> list[Any]:
    """What a caller says about the words of a recording, for a key of its results: lists, text and numbers."""
    rows = (options.words or {}).get(recording.path.resolve(), ())
    return [options.transcript, [astuple(_timed(row, -1.0)) for row in rows]]


def read_words(
    manifest: Path, recordings: Sequence[Recording], root: Path | None = None
) -> dict[Path, tuple[Utterance, ...]]:
    """The rows of a manifest that have words of these recordings, by the recording's resolved path, in order of time.

    Args:
        manifest: CSV or JSON Lines.
        recordings: Whose words are read.
        root: As in `read_manifest`.

    Raises:
        ManifestError: The manifest has a problem, or it has no words of these recordings.
    """
    from bimodal.data.manifest import read_manifest

    read = read_manifest(manifest, root=root)
    options = {recording.path.resolve() for recording in recordings}
    rows: dict[Path, list[Utterance]] = {}
    for row in read.utterances:
        if row.path and row.transcript and (file := (read.folder / row.path).resolve()) in options:
            rows.setdefault(file, []).append(row)
    if not rows:
        raise ManifestError(f"{manifest}: has no words of any of these {len(recordings)} recordings")
    return {file: tuple(sorted(listed, key=lambda row: row.start or 0.0)) for file, listed in rows.items()}
