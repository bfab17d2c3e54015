"""The emotions of a long recording over time, one timeline per speaker."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from bimodal.asr.timed_words import Asr, Conversation, SegmentTranscriber, TimedWords
from bimodal.audio.decode import AudioBlocks, Signal, iterate_audio, read_header
from bimodal.audio.segmentation import Segment
from bimodal.errors import AudioError, ConfigError
from bimodal.features.speaker_stats import SpeakerStatsStore
from bimodal.inference.model import Model
from bimodal.inference.stream import Stream, TimelineConfig
from bimodal.records import Recognition

Blocks = Iterator[tuple[Signal, int]]
"""Blocks of a signal and their sampling rate, as `iterate_audio` gives them."""


def recognize_long(
    model: Model,
    path: str | Path,
    *,
    words: Sequence[TimedWords] = (),
    asr: Asr | None = None,
    speakers: Sequence[str] = (),
    config: TimelineConfig | None = None,
    speaker_stats: SpeakerStatsStore | None = None,
    after: Mapping[str | None, float] | None = None,
    opened: AudioBlocks | None = None,
) -> Iterator[Recognition]:
    """Recognise the emotions expressed in a recording of any length, as they come.

    Args:
        model: A model that uses recordings.
        path: A file, as `iterate_audio` reads it.
        words: Words with times, in any order. A stretch is scored by the words that overlap its window by half, and by
            those before where the model reads context.
        asr: Speech recognition that gives the words instead.
        speakers: Names of the speakers, one a channel; with `channels="mix"` at most one. Channels are called
            `channel 1`, `channel 2`, ... where no names are given.
        config: Settings.
        speaker_stats: Statistics of the speakers so far, by name. A segment is scored with them and then added to
            them. With `channels="mix"` they are used only if the speaker is named.
        after: To continue an interrupted call: the end of each speaker's last result, in seconds. Only later results
            are given. Do not use it with smoothing or speaker statistics, which depend on the earlier results.
        opened: The recording, opened before, as `iterate_audio` gives it; for `channels="mix"` alone.

    Yields:
        Results, sorted by their start. Results of one speaker do not overlap. A recording or channel without speech
        gives one result that abstained. The last result warns of a recording that is cut or damaged.

    Raises:
        AudioError: The recording cannot be used. If the damage comes late, the results before it are given first.
        BimodalError: The model uses no recordings, or the names do not fit the channels.
    """
    config = config or TimelineConfig()
    if config.speakers is not None:
        raise ConfigError(f"{path}: recognize_long of bimodal.inference.diarised tells speakers apart; call that")
    sources = _sources(path, speakers, config, opened)
    conversation, timelines = Conversation(model.context), []
    for name, blocks in sources.items():
        first = next(blocks)  # tells the sampling rate, and whether the file can be read at all
        stream = Stream(model, first[1], speaker=name, config=config, speaker_stats=speaker_stats)
        stream.join(conversation)
        stream.add_words(words)
        known = (after or {}).get(name, 0.0) if model.context == 0 else 0.0  # else the words before are read, too
        transcriber = None if asr is None else SegmentTranscriber(asr, known_until=known)
        timelines.append(_cut(stream, chain([first], blocks), transcriber))
    scored = score_cuts(heapq.merge(*timelines, key=lambda cut: cut.start), after or {})
    results = chain.from_iterable(scored) if len(sources) == 1 else in_order(scored)
    return warn_at_end(results, lambda: [warning for blocks in sources.values() for warning in blocks.warnings])


def warn_at_end(results: Iterable[Recognition], warnings: Callable[[], Iterable[str]]) -> Iterator[Recognition]:
    """The results, the last one with warnings that are known when all were taken.

    Args:
        results: In order. Each is given when the one after it is known.
        warnings: Called at the end; each warning is told once.

    Example:
        >>> one = Recognition(emotion="anger", scores={"anger": 1.0}, speech_scores=None, text_scores=None, gate=None)
        >>> [result.warnings for result in warn_at_end([one, one], lambda: ["cut", "cut"])]
        [(), ('cut',)]
    """
    held: list[Recognition] = []
    try:
        for result in results:
            yield from held
            held = [result]
    except AudioError:
        yield from held
        raise
    for result in held:
        yield replace(result, warnings=tuple(dict.fromkeys([*result.warnings, *warnings()])))


def _sources(
    path: str | Path, given: Sequence[str], config: TimelineConfig, opened: AudioBlocks | None
) -> dict[str | None, AudioBlocks]:
    """Blocks of each speaker's speech; the name is None if nobody is named."""
    if config.channels == "mix":
        names: list[str | None] = [None]
    else:
        names = [f"channel {number}" for number in range(1, read_header(path, track=config.track).channels + 1)]
    if given and len(given) != len(names):
        raise ConfigError(
            f"{path}: {len(given)} names of speakers, expected {len(names)} with channels={config.channels}"
        )
    if len(set(given)) != len(given):
        raise ConfigError(f"{path}: the names of the speakers are not distinct")
    named = list(given) or names
    if config.channels == "mix":
        return {named[0]: opened or iterate_audio(path, track=config.track)}
    return {name: iterate_audio(path, channel=channel, track=config.track) for channel, name in enumerate(named)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A segment of one stream, or that the stream has none."""

    start: float
    segment: Segment | None
    stream: Stream


def _cut(stream: Stream, blocks: Blocks, transcriber: SegmentTranscriber | None) -> Iterator[Cut]:
    """The segments of one speaker as they come, their words recognised."""
    segments = segments_of(stream, blocks)
    found = False
    for segment, words in ((one, []) for one in segments) if transcriber is None else transcriber.listen(segments):
        found = True
        stream.add_words(words)
        yield Cut(start=segment.start, segment=segment, stream=stream)
    if not found:
        yield Cut(start=0.0, segment=None, stream=stream)


def segments_of(stream: Stream, blocks: Blocks) -> Iterator[Segment]:
    """The segments of a stream as its blocks come."""
    for signal, _ in blocks:
        yield from stream.cut(signal)
    yield from stream.cut_rest()


def score_cuts(cuts: Iterable[Cut], after: Mapping[str | None, float]) -> Iterator[list[Recognition]]:
    """Results of each segment, but for those that end before their speaker's time `after`."""
    for cut in cuts:
        done = after.get(cut.stream.speaker, 0.0)
        if cut.segment is None:
            yield [] if done else [cut.stream.nothing()]
        elif cut.segment.end <= done:
            cut.stream.skip(cut.segment)
        else:
            yield [result for result in cut.stream.score_segment(cut.segment) if _middle(result) > done]


def _middle(result: Recognition) -> float:
    """Middle of a result in seconds: a border may be off by the rounding of a number."""
    return ((result.start or 0.0) + (result.end or 0.0)) / 2


def in_order(scored: Iterable[Sequence[Recognition]]) -> Iterator[Recognition]:
    """Results of segments that overlap, of several speakers, by their beginning."""
    waiting: list[tuple[float, int, Recognition]] = []
    numbers = count()
    try:
        for results in scored:
            while waiting and results and waiting[0][0] < (results[0].start or 0.0):
                yield heapq.heappop(waiting)[2]
            for result in results:
                heapq.heappush(waiting, (result.start or 0.0, next(numbers), result))
    except AudioError:
        yield from (result for _, _, result in sorted(waiting))
        raise
    yield from (result for _, _, result in sorted(waiting))
