"""Many recordings, short and long, one after the other; a bad one costs itself alone.

What a short clip does not need is imported where it is used: a command's start is most of what a clip costs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bimodal.audio.decode import SAMPLING_RATE, load_signal
from bimodal.audio.recordings import Recording
from bimodal.errors import BimodalError, ManifestError
from bimodal.inference.recognizer import Recognizer
from bimodal.records import Clip, Recognition, Utterance

if TYPE_CHECKING:
    from bimodal.asr.timed_words import Asr, TimedWords
    from bimodal.features.speaker_stats import SpeakerStatsStore

WHOLE_SECONDS: Final = 30.0
"""A longer recording is followed stretch by stretch, unless it is asked for as a whole."""

_BATCH: Final = 16

Ends = Mapping[str | None, float]
Found = tuple[Recording, Iterator[Recognition]]


@dataclass(frozen=True, kw_only=True)
class RecognizeOptions:
    """How recordings are recognised.

    Attributes:
        timeline: Stretch by stretch, or as a whole; None decides by length.
        channels: `mix`, or `speakers` for one speaker a channel, which is always stretch by stretch.
        text: The words of the one recording.
        words: What is said in each recording, by its resolved path.
        asr: Speech recognition, for the words instead.
        speaker: Who speaks in all of them.
        speaker_stats: What speakers have sounded like so far; grows.
        explain: Say in each result why it is so.
    """

    timeline: bool | None = None
    channels: Literal["mix", "speakers"] = "mix"
    text: str | None = None
    words: Mapping[Path, Sequence[Utterance]] | None = None
    asr: "Asr | None" = None
    speaker: str | None = None
    speaker_stats: "SpeakerStatsStore | None" = None
    explain: bool = False

    def follows(self, recording: Recording) -> bool:
        """Whether a recording is followed stretch by stretch."""
        if self.channels == "speakers" or self.timeline is not None:
            return self.channels == "speakers" or bool(self.timeline)
        return recording.seconds > WHOLE_SECONDS and self.text is None


def recognize_recordings(
    recognizer: Recognizer,
    recordings: Iterable[Recording],
    options: RecognizeOptions,
    after: Callable[[Recording], Ends] = lambda recording: {},
) -> Iterator[Found]:
    """Each recording with its results, in order; short ones are recognised in batches.

    Args:
        recognizer: The model.
        recordings: What to recognise.
        options: How.
        after: Where each speaker's results of an interrupted call ended.

    Yields:
        A recording and an iterator over its results, to be used up before the next recording is asked for. What is
        wrong with the recording is raised there, as `BimodalError`.
    """
    waiting: list[Recording] = []
    for recording in recordings:
        if options.follows(recording):
            yield from _together(recognizer, waiting, options)
            waiting = []
            yield recording, _long(recognizer, recording, options, after(recording))
            continue
        waiting.append(recording)
        if len(waiting) == (_BATCH if options.asr is None else 1):
            yield from _together(recognizer, waiting, options)
            waiting = []
    yield from _together(recognizer, waiting, options)


def _together(recognizer: Recognizer, recordings: Sequence[Recording], options: RecognizeOptions) -> Iterator[Found]:
    """Short recordings in one batch; one by one where something is wrong with any of them."""
    try:
        results = _whole(recognizer, recordings, options)
    except BimodalError:
        yield from ((recording, _alone(recognizer, recording, options)) for recording in recordings)
    else:
        yield from ((recording, iter([result])) for recording, result in zip(recordings, results, strict=True))


def _alone(recognizer: Recognizer, recording: Recording, options: RecognizeOptions) -> Iterator[Recognition]:
    yield from _whole(recognizer, [recording], options)


def _whole(recognizer: Recognizer, recordings: Sequence[Recording], options: RecognizeOptions) -> list[Recognition]:
    clips = [_clip(recording, options) for recording in recordings]
    return recognizer.recognize_batch(clips, options.speaker_stats, explain=options.explain)


def _clip(recording: Recording, options: RecognizeOptions) -> Clip:
    """A recording as a whole, with its words."""
    signal = load_signal(recording.path)
    clip = Clip(audio=signal, sampling_rate=SAMPLING_RATE, transcript=options.text, speaker=options.speaker)
    if options.asr is not None:
        heard = options.asr.words(signal, None)
        return replace(
            clip,
            transcript=heard.text or None,
            transcript_confidence=heard.confidence if heard.text else None,
            language=heard.language or None,
        )
    rows = (options.words or {}).get(recording.path.resolve(), ())
    if not rows:
        return clip
    from bimodal.asr.timed_words import clip_words

    names = {row.speaker for row in rows}
    speaker = options.speaker or (names.pop() if len(names) == 1 else None)
    return replace(clip, speaker=speaker, **clip_words([_timed(row, recording.seconds) for row in rows]))


def _long(
    recognizer: Recognizer, recording: Recording, options: RecognizeOptions, after: Ends
) -> Iterator[Recognition]:
    """A recording stretch by stretch."""
    from bimodal.inference.timeline import TimelineConfig, recognize_long

    rows = (options.words or {}).get(recording.path.resolve(), ())
    for row in rows:
        if row.start is None and row.end is None:
            raise ManifestError(
                f"{recording.name}: the words of '{row.id}' have no start and end, by which a long recording is "
                "followed; give them, or recognise it with --whole"
            )
    yield from recognize_long(
        recognizer,
        recording.path,
        words=[_timed(row, recording.seconds) for row in rows],
        asr=options.asr,
        speakers=() if options.speaker is None else (options.speaker,),
        config=TimelineConfig(channels=options.channels, explain=options.explain),
        speaker_stats=options.speaker_stats,
        after=after,
    )


def _timed(row: Utterance, seconds: float) -> "TimedWords":
    from bimodal.asr.timed_words import TimedWords
    from bimodal.asr.transcribe import transcript_confidence

    start = row.start or 0.0
    return TimedWords(
        start=start,
        end=max(start, seconds) if row.end is None else row.end,
        text=row.transcript or "",
        speaker=row.speaker,
        confidence=transcript_confidence(row),
        language=row.lang,
    )


def read_words(manifest: Path, recordings: Sequence[Recording]) -> dict[Path, tuple[Utterance, ...]]:
    """The rows of a manifest that have words of these recordings, by the recording's resolved path, in order of time.

    Raises:
        ManifestError: What is wrong with it, or that it names none of the recordings.
    """
    from bimodal.data.manifest import read_manifest

    read = read_manifest(manifest)
    options = {recording.path.resolve() for recording in recordings}
    rows: dict[Path, list[Utterance]] = {}
    for row in read.utterances:
        if row.path and row.transcript and (file := (read.folder / row.path).resolve()) in options:
            rows.setdefault(file, []).append(row)
    if not rows:
        raise ManifestError(f"{manifest}: has no words of any of these {len(recordings)} recordings")
    return {file: tuple(sorted(listed, key=lambda row: row.start or 0.0)) for file, listed in rows.items()}
