"""A recording of one channel in which several people speak, each recognised as a timeline of their own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from bimodal.asr.timed_words import Asr, Conversation, SegmentTranscriber, TimedWords
from bimodal.audio.decode import iterate_audio
from bimodal.audio.segmentation import NO_SPEECH, SegmentStream
from bimodal.diarisation.diarise import Diarisation, diarise
from bimodal.diarisation.networks import open_networks
from bimodal.diarisation.pieces import Piece, TurnTable
from bimodal.errors import AudioError, ConfigError, tell
from bimodal.features.speaker_stats import SpeakerStatsStore
from bimodal.inference.model import Model
from bimodal.inference.own_baseline import standardise_speakers
from bimodal.inference.stream import Stream, TimelineConfig
from bimodal.inference.timeline import Blocks, Cut, in_order, score_cuts, segments_of, warn_at_end
from bimodal.records import Recognition

DOUBTED: Final = 0.7
"""Confidence below which a result warns that it may be another speaker."""

LEAST_OVERLAP: Final = 0.1
"""Share of a result from which it warns that two people speak at once."""

NOBODY: Final = tell("speaker-unknown")
"""Warning of speech in which no speaker was found."""


def recognize_long(
    model: Model,
    path: str | Path,
    *,
    words: Sequence[TimedWords] = (),
    asr: Asr | None = None,
    speakers: Sequence[str] = (),
    config: TimelineConfig,
    speaker_stats: SpeakerStatsStore | None = None,
    after: Mapping[str | None, float] | None = None,
) -> Iterator[Recognition]:
    """As `bimodal.inference.timeline.recognize_long`, with speakers who are distinguished by their voices.

    The file is read two or three times: to find the speakers, to measure how each one usually sounds where the model
    needs that, and to recognise.

    Args:
        model: As there.
        path: As there.
        words: As there; who says them is not read.
        asr: As there.
        speakers: Empty: found speakers are called `speaker 1`, `speaker 2`, ...
        config: As there, with `speakers`.
        speaker_stats: None: what is known of named speakers does not fit found ones.
        after: As there.

    Raises:
        AudioError: As there.
        BackboneError: A network is missing; see `open_networks`.
        BimodalError: The model uses no recordings, or names or statistics of speakers are given.
    """
    if speakers or speaker_stats is not None:
        raise ConfigError(f"{path}: found speakers have no names and no earlier statistics; give none of both")
    model.check_takes_audio()
    found = find_speakers(path, config)
    table = TurnTable(found.turns)
    store = SpeakerStatsStore() if model.uses_speaker_stats else None
    if store is None and config.coverage is None:  # prediction sets hold for the model as it is
        model = standardise_speakers(model, table, cut_pieces(path, table, config))
    blocks = iterate_audio(path, track=config.track)
    first = next(blocks)
    conversation, streams = Conversation(model.context), dict[str | None, Stream]()
    for name in (None, *found.speakers):
        streams[name] = Stream(model, first[1], speaker=name, config=config, speaker_stats=store)
        streams[name].join(conversation)
        streams[name].add_words(replace(item, speaker=None) for item in words)
    cuts = _cuts(chain([first], blocks), streams, table, None if asr is None else SegmentTranscriber(asr))
    results = (_marked(result, table) for result in in_order(score_cuts(cuts, after or {})))
    return warn_at_end(results, lambda: [*found.warnings, *blocks.warnings])


def find_speakers(path: str | Path, config: TimelineConfig) -> Diarisation:
    """Who speaks when in a recording; of one that is damaged late, in what is whole.

    Raises:
        AudioError: The recording cannot be used.
        BackboneError: A network is missing.
    """
    networks = open_networks(config.segmentation)
    count = config.speakers if isinstance(config.speakers, int) else None
    return diarise(_whole(iterate_audio(path, track=config.track)), networks, count)


def cut_pieces(path: str | Path, table: TurnTable, config: TimelineConfig) -> Iterator[Piece]:
    """The segments of a recording, divided among its speakers; of one that is damaged late, what is whole."""
    cutter: SegmentStream | None = None
    for signal, rate in _whole(iterate_audio(path, track=config.track)):
        cutter = cutter or SegmentStream(rate, config.segments)
        for segment in cutter.push(signal):
            yield from table.divide(segment)
    for segment in [] if cutter is None else cutter.finish():
        yield from table.divide(segment)


def _whole(blocks: Blocks) -> Blocks:
    """Blocks up to where a recording is damaged; recognition tells of the damage."""
    yield next(blocks)
    try:
        yield from blocks
    except AudioError:
        return


def _cuts(
    blocks: Blocks,
    streams: Mapping[str | None, Stream],
    table: TurnTable,
    transcriber: SegmentTranscriber | None,
) -> Iterator[Cut]:
    """The pieces of each segment as they come, each for the stream of its speaker."""
    cutter = streams[None]
    segments = segments_of(cutter, blocks)
    found = False
    for segment, heard in ((one, []) for one in segments) if transcriber is None else transcriber.listen(segments):
        found = True
        for stream in streams.values():
            stream.add_words(heard)
        for piece in table.divide(segment):
            yield Cut(start=piece.segment.start, segment=piece.segment, stream=streams[piece.speaker])
    if not found:
        yield Cut(start=0.0, segment=None, stream=cutter)


def _marked(result: Recognition, table: TurnTable) -> Recognition:
    """A result with how sure it is who speaks, and how much of it somebody else speaks, too."""
    if result.reason == NO_SPEECH:
        return result
    if result.speaker is None:
        return replace(result, warnings=(*result.warnings, NOBODY))
    times = result.start or 0.0, result.end or 0.0
    sure, overlap = table.confidence(result.speaker, *times), table.overlap(result.speaker, *times)
    told = []
    if sure is not None and sure < DOUBTED:
        told.append(tell("speaker-doubted", speaker=result.speaker, confidence=f"{sure:.2f}"))
    if overlap >= LEAST_OVERLAP:
        told.append(tell("overlap", share=f"{100 * overlap:.0f}"))
    return replace(
        result,
        speaker_confidence=None if sure is None else round(sure, 4),
        overlap=round(overlap, 4),
        warnings=(*result.warnings, *told),
    )
