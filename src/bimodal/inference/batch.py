"""Clips and recordings through a model: what `Recognizer` and `bimodal recognize` do for each of many.

What a short clip does not need is imported where it is used: a command's start is most of what a clip costs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, Signal, iterate_audio, to_model_rate
from bimodal.audio.inputs import load_audio
from bimodal.audio.recordings import Recording, header_seconds
from bimodal.errors import ManifestError
from bimodal.inference.model import Model
from bimodal.inference.outputs import Encoded
from bimodal.records import Clip, Recognition, Utterance

if TYPE_CHECKING:
    from bimodal.asr.timed_words import Asr, TimedWords
    from bimodal.features.speaker_stats import RunningStats, SpeakerStatsStore
    from bimodal.inference.timeline import Blocks

WHOLE_SECONDS: Final = 30.0
"""A longer recording gets a timeline, unless it is asked for as a whole."""

Ends = Mapping[str | None, float]


@dataclass(frozen=True, kw_only=True)
class RecognizeOptions:
    """How recordings are recognised.

    Attributes:
        timeline: Over time, or as a whole; None decides by length.
        channels: `mix`, or `speakers` for one speaker a channel, which always gives a timeline.
        transcript: The words of the one recording.
        words: Rows of a manifest with the words of each recording, by its resolved path.
        asr: Speech recognition, for the words instead.
        speaker: Who speaks in all of them.
        speaker_stats: Statistics of the speakers so far; they grow.
        explain: Say in each result why it is so.
    """

    timeline: bool | None = None
    channels: Literal["mix", "speakers"] = "mix"
    transcript: str | None = None
    words: Mapping[Path, Sequence[Utterance]] | None = None
    asr: "Asr | None" = None
    speaker: str | None = None
    speaker_stats: "SpeakerStatsStore | None" = None
    explain: bool = False

    def over_time(self, *, longer: bool) -> bool:
        """Whether a recording gets a timeline, given whether it is longer than `WHOLE_SECONDS`."""
        if self.channels == "speakers":
            return True
        return self.timeline if self.timeline is not None else longer and self.transcript is None


def recognize_signals(
    model: Model,
    clips: Sequence[Clip],
    signals: Iterable[Signal | None],
    speaker_stats: "SpeakerStatsStore | None" = None,
    *,
    explain: bool = False,
) -> list[Recognition]:
    """Recognise clips whose speech is decoded; arguments as in `Recognizer.recognize_batch`.

    Args:
        model: The model.
        clips: Their audio is not looked at.
        signals: Speech (T,) of each clip at 16 kHz; None for words alone. Taken one by one.
        speaker_stats: Statistics of the speakers so far.
        explain: Say in each result why it is so.
    """
    if explain:
        return [_explained(model, clip, signal, speaker_stats) for clip, signal in zip(clips, signals, strict=True)]
    encoded = [model.encode(signal) for signal in signals]
    return model.score(clips, encoded, _stats_before(model, clips, encoded, speaker_stats))


def _explained(
    model: Model, clip: Clip, signal: Signal | None, speaker_stats: "SpeakerStatsStore | None"
) -> Recognition:
    from bimodal.inference.explain import explain  # start-up

    encoded = [model.encode(signal, keep_frames=True)]
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


def clip_signal(clip: Clip) -> Signal | None:
    """A clip's speech at 16 kHz; None where there is none.

    Raises:
        AudioError: A recording that cannot be used, or samples without their sampling rate.
    """
    if clip.audio is None:
        return None
    return load_audio(clip.audio, clip.sampling_rate, start=clip.start, end=clip.end)


@dataclass(frozen=True, kw_only=True)
class RecordingResults:
    """The results of one recording.

    Attributes:
        over_time: Whether they are those of a timeline.
        results: As they come.
    """

    over_time: bool
    results: Iterator[Recognition]


def recognize_recording(
    model: Model, recording: Recording, options: RecognizeOptions, after: Ends | None = None
) -> RecordingResults:
    """Recognise a recording as a whole, or over time. It is opened once.

    Args:
        model: The model.
        recording: What to recognise.
        options: How.
        after: Where each speaker's results of an interrupted call ended; for a timeline alone.

    Raises:
        BimodalError: What is wrong with the recording; where it is damaged late, after the results before.
    """
    blocks = iterate_audio(recording.path, block_seconds=WHOLE_SECONDS)
    begun = [] if options.channels == "speakers" else list(islice(blocks, 2))
    if options.over_time(longer=len(begun) > 1):
        opened = chain(begun, blocks) if begun else None
        return RecordingResults(over_time=True, results=_timeline(model, recording, options, after, opened))
    read = [*begun, *blocks]
    signal = to_model_rate(np.concatenate([block for block, _ in read]), read[0][1], str(recording.path))
    clip = _clip(recording, signal, options)
    results = recognize_signals(model, [clip], iter([signal]), options.speaker_stats, explain=options.explain)
    return RecordingResults(over_time=False, results=iter(results))


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
    opened: "Blocks | None",
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
    length = header_seconds(recording) if any(row.end is None for row in rows) else 0.0
    return recognize_long(
        model,
        recording.path,
        words=[_timed(row, length) for row in rows],
        asr=options.asr,
        speakers=() if options.speaker is None else (options.speaker,),
        config=TimelineConfig(channels=options.channels, explain=options.explain),
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
        ManifestError: What is wrong with it, or that it names none of the recordings.
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
