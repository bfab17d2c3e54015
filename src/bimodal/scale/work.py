"""What a worker does: a batch of recordings becomes a table of results and a table of failures. Nothing else matters.

The same function runs in processes of this machine and on a cluster. It never fails for a recording: whatever a
recording does to it becomes a row of the failures.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from bimodal.audio.decode import AudioBlocks, Decoded, iterate_audio
from bimodal.audio.source import IN_MEMORY, Encoded
from bimodal.errors import AudioError, BimodalError, ModelFolderError
from bimodal.inference.batch import WHOLE_SECONDS, RecognizeOptions, recognize_signals
from bimodal.inference.installed import find_model
from bimodal.inference.model import Model
from bimodal.inference.outputs import Encoded as EncodedSpeech
from bimodal.records import Clip, Recognition, shortened
from bimodal.scale.fetch import Fetched, fetch_all, on_disk
from bimodal.scale.records import Item, Outcome, Setup
from bimodal.scale.stores import StoreError
from bimodal.scale.tables import failure_table, output_table, recognition_table, to_bytes

if TYPE_CHECKING:
    from bimodal.asr.timed_words import Asr

LONGEST_EXTRACT: Final = 600.0
"""A longer recording has no one embedding that means anything, and its frames would need a gigabyte an hour."""

_AT_ONCE: Final = 16
"""Recordings that are decoded together; half a minute each takes 30 MB."""

_AWAY: Final = 2
"""If so many recordings of a batch or more, and all of them, cannot be read from their store, the store is away."""

_PAGE: Final = 4096
_LONGEST_REASON: Final = 500


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A loaded model and how to use it.

    Attributes:
        setup: What was asked for.
        model: The model.
        asr: Speech recognition; None for none.
    """

    setup: Setup
    model: Model
    asr: "Asr | None"


@dataclass(kw_only=True)
class _Tally:
    """What a batch has given so far.

    Attributes:
        tables: Of results, in order.
        failures: Recordings with what is wrong with them.
        audio_seconds: As in `Outcome`.
        compute_seconds: As in `Outcome`.
    """

    tables: list[pa.Table] = field(default_factory=list)
    failures: list[tuple[Item, str]] = field(default_factory=list)
    audio_seconds: float = 0.0
    compute_seconds: float = 0.0

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Count the time of a block."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.compute_seconds += time.perf_counter() - begun


def work(setup: Setup, items: Sequence[Item]) -> Outcome:
    """Work on a batch of recordings.

    Args:
        setup: Of the run. The model is loaded once in a process.
        items: Recordings, or rows of manifests.

    Returns:
        Tables in the order of the recordings. The same recordings give the same bytes, whoever does it.
    """
    try:
        worker = load_worker(setup)
        begun = time.perf_counter()
        tally = _tally(worker, items)
    except BimodalError as error:
        return Outcome(fatal=str(error), worker=_name())
    except Exception as error:  # no recording's fault, so no other batch would end better
        return Outcome(fatal=f"a worker failed: {type(error).__name__} ({error})", worker=_name())
    places = {id(item): place for place, item in enumerate(items)}
    failures = sorted(tally.failures, key=lambda failure: places[id(failure[0])])
    return Outcome(
        results=to_bytes(pa.concat_tables(tally.tables)),
        failures=to_bytes(failure_table(failures)),
        recordings=len(items),
        failed=len(failures),
        audio_seconds=tally.audio_seconds,
        compute_seconds=tally.compute_seconds,
        busy_seconds=time.perf_counter() - begun,
        memory=resident_bytes(),
        worker=_name(),
    )


def _tally(worker: Worker, items: Sequence[Item]) -> _Tally:
    """Work on the recordings, group by group.

    Raises:
        StoreError: The store of the recordings is away.
    """
    tally, away = _Tally(), list[StoreError]()
    groups = (items[first : first + _AT_ONCE] for first in range(0, len(items), _AT_ONCE))
    for group, fetched in zip(groups, fetch_all(items, _AT_ONCE), strict=True):
        away += [one for one in fetched if isinstance(one, StoreError)]
        (_extract if worker.setup.options.task == "extract" else _recognize)(worker, group, fetched, tally)
    if len(away) == len(items) >= _AWAY:
        raise StoreError(f"{away[0]}; give the command again when the store answers")
    return tally


@lru_cache(maxsize=1)
def load_worker(setup: Setup) -> Worker:
    """A worker with its model, loaded once in a process.

    Raises:
        BimodalError: The model is not on this machine, or is another one than the run began with.
    """
    model = Model(find_model(setup.model), threads=1)
    if model.config.revision != setup.revision:
        raise ModelFolderError(
            f"the model '{setup.model}' on {platform.node()} has revision {model.config.revision}, the run began with "
            f"{setup.revision}; install the same model everywhere"
        )
    model.warm_up()
    return Worker(setup=setup, model=model, asr=_asr(setup))


def _asr(setup: Setup) -> "Asr | None":
    if not setup.options.asr_model:
        return None
    from bimodal.asr.timed_words import make_asr
    from bimodal.asr.whisper import Transcriber

    transcriber = Transcriber(setup.options.asr_model, threads=1)
    return make_asr(transcriber, "transcribe", setup.options.language or None)


def unable(worker: Worker, item: Item, reason: str) -> Outcome:
    """The outcome of a recording that no worker survives.

    Args:
        worker: For the columns of the results.
        item: The recording.
        reason: What happened.
    """
    table = _no_outputs(worker) if worker.setup.options.task == "extract" else _table(worker, [])
    failures = failure_table([(item, f"{item.name}: {reason}")])
    return Outcome(results=to_bytes(table), failures=to_bytes(failures), recordings=1, failed=1)


def _table(worker: Worker, found: Sequence[tuple[Item, Recognition]]) -> pa.Table:
    return recognition_table(found, worker.model.emotions)


def _recognize(worker: Worker, items: Sequence[Item], fetched: Sequence[Fetched], tally: _Tally) -> None:
    """Recognise a group of recordings. Those that are recognised as a whole go to the model together."""
    results: dict[int, list[Recognition]] = {}
    clips: dict[int, tuple[Clip, Decoded | None]] = {}

    def take(place: int, item: Item, source: Encoded | None) -> None:
        read = _read(worker, item, source)
        if isinstance(read, list):
            results[place] = read
        else:
            clips[place] = read

    with tally.computing():
        for place, item in enumerate(items):
            _try(item, fetched[place], tally, partial(take, place, item))
        results |= _recognize_clips(worker, items, clips, tally)
    choose = worker.model.set_chooser(worker.setup.options.coverage, worker.setup.options.coverage_by)
    found = [(items[place], choose(result)) for place in sorted(results) for result in results[place]]
    ends = {place: max((one.end or 0.0 for one in results[place]), default=0.0) for place in results}
    tally.audio_seconds += sum(max(0.0, end - (items[place].start or 0.0)) for place, end in ends.items())
    tally.tables.append(_table(worker, found))


def _recognize_clips(
    worker: Worker, items: Sequence[Item], clips: dict[int, tuple[Clip, Decoded | None]], tally: _Tally
) -> dict[int, list[Recognition]]:
    """Results of whole clips, together; one by one where one of them cannot be recognised."""
    given = list(clips.values())
    try:
        found = recognize_signals(worker.model, [clip for clip, _ in given], [speech for _, speech in given])
        return {place: [result] for place, result in zip(clips, found, strict=True)}
    except Exception:  # whatever a recording does to a library, the others go on
        alone: dict[int, list[Recognition]] = {}

        def recognize(place: int) -> None:
            clip, speech = clips[place]
            alone[place] = recognize_signals(worker.model, [clip], [speech])

        for place in clips:
            _attempt(items[place], tally, partial(recognize, place))
        return alone


def _try(item: Item, fetched: Fetched, tally: _Tally, use: Callable[[Encoded | None], Any]) -> None:
    """Use a recording that was fetched; whatever goes wrong becomes a failure."""

    def attempt() -> None:
        if isinstance(fetched, BimodalError):
            raise fetched
        if fetched is None and item.url:
            with on_disk(item) as file:
                use(file)
        else:
            use(fetched)

    _attempt(item, tally, attempt)


def _attempt(item: Item, tally: _Tally, attempt: Callable[[], Any]) -> None:
    try:
        attempt()
    except Exception as error:  # a recording must not stop a million others
        tally.failures.append((item, reason_of(item, error)))


def reason_of(item: Item, error: Exception) -> str:
    """Why a recording failed, in one sentence with its name.

    Example:
        >>> item = Item(name="calls/a.wav", url="/data/calls/a.wav")
        >>> reason_of(item, AudioError("/data/calls/a.wav: no such file"))
        'calls/a.wav: no such file'
        >>> reason_of(item, MemoryError())
        'calls/a.wav: needs more memory than there is'
    """
    if isinstance(error, BimodalError):
        told = str(error)
        for other in (item.url, IN_MEMORY):
            if other and (other.endswith(item.name) or item.name not in told):
                told = told.replace(other, item.name)
        told = told if told.startswith(item.name + ":") or item.problem else f"{item.name}: {told}"
    elif isinstance(error, MemoryError):
        told = f"{item.name}: needs more memory than there is"
    else:
        told = f"{item.name}: {type(error).__name__} ({' '.join(str(error).split())})"
    return shortened(told, _LONGEST_REASON)


def _read(worker: Worker, item: Item, source: Encoded | None) -> tuple[Clip, Decoded | None] | list[Recognition]:
    """A clip with its speech, or the results of a recording that is recognised over time."""
    clip = _clip(item)
    if source is None:
        return clip, None
    blocks = iterate_audio(source, start=item.start, end=item.end, block_seconds=WHOLE_SECONDS)
    if _is_over_time(worker, item, blocks):
        return _over_time(worker, item, source, blocks)
    speech = blocks.decode().at_model_rate(item.name)
    if worker.asr is not None and clip.transcript is None:
        heard = worker.asr.words(speech.signal, None)
        language, confidence = heard.language or None, heard.confidence if heard.text else None
        clip = replace(clip, transcript=heard.text or None, transcript_confidence=confidence, language=language)
    return clip, speech


def _clip(item: Item) -> Clip:
    return Clip(
        transcript=item.transcript,
        transcript_confidence=item.confidence,
        language=item.language,
        start=item.start,
        end=item.end,
        speaker=item.speaker,
    )


def _is_over_time(worker: Worker, item: Item, blocks: AudioBlocks) -> bool:
    """Whether a recording gets a timeline. A stretch of a recording, or one with words, is one utterance."""
    if item.start is not None or item.end is not None or item.transcript is not None:
        return False
    asked = worker.setup.options
    longer = asked.channels == "mix" and blocks.read_ahead(2) > 1
    return RecognizeOptions(timeline=asked.timeline, channels=asked.channels).over_time(longer=longer)


def _over_time(worker: Worker, item: Item, source: Encoded, blocks: AudioBlocks) -> list[Recognition]:
    from bimodal.inference.stream import TimelineConfig
    from bimodal.inference.timeline import recognize_long

    mixed = worker.setup.options.channels == "mix"
    file: Any = source  # what decodes a path decodes bytes
    return list(
        recognize_long(
            worker.model,
            file,
            asr=worker.asr,
            speakers=(item.speaker,) if mixed and item.speaker else (),
            config=TimelineConfig(channels=worker.setup.options.channels),
            opened=blocks if mixed else None,
        )
    )


def _extract(worker: Worker, items: Sequence[Item], fetched: Sequence[Fetched], tally: _Tally) -> None:
    """Embeddings and logits of a group of recordings."""
    encoded: dict[int, EncodedSpeech] = {}

    def take(place: int, item: Item, source: Encoded | None) -> None:
        encoded[place] = _encode(worker.model, item, source)

    with tally.computing():
        for place, item in enumerate(items):
            _try(item, fetched[place], tally, partial(take, place, item))
        if not encoded:
            tally.tables.append(_no_outputs(worker))
            return
        kept = [items[place] for place in encoded]
        outputs = worker.model.extract([_clip(item) for item in kept], list(encoded.values()))
    durations = [one.duration for one in encoded.values()]
    tally.audio_seconds += sum(duration or 0.0 for duration in durations)
    tally.tables.append(output_table(kept, durations, outputs.arrays()))


def _encode(model: Model, item: Item, source: Encoded | None) -> EncodedSpeech:
    if source is None:
        return model.encode(None)
    blocks = iterate_audio(source, start=item.start, end=item.end, block_seconds=WHOLE_SECONDS)
    most = int(LONGEST_EXTRACT / WHOLE_SECONDS)
    if blocks.read_ahead(most + 1) > most:
        raise AudioError(
            f"{item.name}: longer than {LONGEST_EXTRACT:g} s, expected an utterance; give start and end in a manifest"
        )
    return model.encode(blocks.decode().at_model_rate(item.name).whole(item.name))


def _no_outputs(worker: Worker) -> pa.Table:
    """The columns of `_extract` without a row."""
    speech = worker.model.encode(np.zeros(0, np.float32))
    return output_table([Item(name="")], [None], worker.model.extract([Clip()], [speech]).arrays()).slice(0, 0)


def _name() -> str:
    return f"{platform.node()} {os.getpid()}"


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell."""
    file = Path("/proc/self/statm")
    return int(file.read_text().split()[1]) * _PAGE if file.exists() else 0
