"""Records that the files of this folder pass to one another, and to processes on other machines."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from bimodal.asr.transcribe import transcript_confidence
from bimodal.records import CoverageBy, Utterance

Task = Literal["recognize", "extract"]
Channels = Literal["mix", "speakers"]

BYTES_AT_ONCE: Final = 1 << 26
"""A batch ends where its recordings reach so many bytes, so that a batch of long recordings is short."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One recording, or one row of a manifest.

    Attributes:
        name: As the tables of results call it.
        url: File that holds it: an absolute path, or a URL that fsspec reads; empty for words alone.
        id: Of the row; None for a recording that no manifest names.
        size: Of its encoded bytes; 0 if unknown.
        offset: First byte in an archive; None for a file of its own.
        group: Row group of a Parquet file that holds it.
        row: Row in that group.
        held_in: Size in bytes of the archive or Parquet file that holds it; None for a file of its own.
        start: Where the utterance begins, in seconds; None for the beginning of the recording.
        end: Where it ends, in seconds; None for the end of the recording.
        transcript: The words.
        confidence: Of a speech recogniser in these words, 0 to 1; None if a person wrote them.
        language: Of the words, as ISO 639-1 code.
        speaker: Who speaks.
        problem: Why it cannot be used, as the listing found; empty if nothing is known.
    """

    name: str
    url: str = ""
    id: str | None = None
    size: int = 0
    offset: int | None = None
    group: int | None = None
    row: int | None = None
    held_in: int | None = None
    start: float | None = None
    end: float | None = None
    transcript: str | None = None
    confidence: float | None = None
    language: str | None = None
    speaker: str | None = None
    problem: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether another machine has to be asked for it."""
        return "://" in self.url


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkOptions:
    """How all recordings of a run are worked on.

    Attributes:
        task: `recognize` for emotions, `extract` for embeddings and logits.
        timeline: As in `RecognizeOptions`.
        channels: As in `RecognizeOptions`.
        coverage: Of prediction sets; None for none.
        coverage_by: As in `RecognizeOptions`.
        asr_model: Whisper model in CTranslate2 format, for recordings without words; empty for no speech recognition.
        language: Spoken language for speech recognition; empty to detect it.
    """

    task: Task = "recognize"
    timeline: bool | None = None
    channels: Channels = "mix"
    coverage: float | None = None
    coverage_by: CoverageBy = "emotion"
    asr_model: str = ""
    language: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What a worker needs before its first batch.

    Attributes:
        model: Model folder, or the name of an installed model.
        revision: Of the model; a worker that finds another stops the run.
        options: How to work.
    """

    model: str
    revision: str
    options: BulkOptions = field(default_factory=BulkOptions)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Recordings `start` to `end` of a part, the latter not among them: what a worker does at a time.

    Attributes:
        part: Number of the part.
        start: First recording.
        end: The one after the last.
    """

    part: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a worker found in a batch.

    Attributes:
        results: Table of results, as Arrow IPC bytes.
        failures: Table of failures, likewise.
        recordings: How many were worked on.
        failed: How many of them are failures.
        audio_seconds: Length of the recordings with results.
        compute_seconds: Time in decoder and model.
        busy_seconds: Time from receiving the batch to its answer.
        memory: Resident bytes of the worker after the batch.
        worker: Who did it: host and process id.
        fatal: Why no worker can go on, in one sentence; empty if they can.
    """

    results: bytes = b""
    failures: bytes = b""
    recordings: int = 0
    failed: int = 0
    audio_seconds: float = 0.0
    compute_seconds: float = 0.0
    busy_seconds: float = 0.0
    memory: int = 0
    worker: str = ""
    fatal: str = ""


def settings_of(setup: Setup, name: str) -> dict[str, str]:
    """What decides the results, for the folder that keeps them.

    Args:
        setup: Of the workers.
        name: Of the model.

    Example:
        >>> settings_of(Setup(model="x", revision="12ab"), "permissive")["model"]
        'permissive 12ab'
    """
    options = setup.options
    return {
        "task": options.task,
        "model": f"{name} {setup.revision}",
        "timeline": str(options.timeline),
        "channels": options.channels,
        "coverage": "none" if options.coverage is None else f"{options.coverage} {options.coverage_by}",
        "speech recognition": f"{options.asr_model} {options.language}".strip() or "none",
    }


def utterance_fields(utterance: Utterance) -> dict[str, Any]:
    """The fields of an item that a row of a manifest gives.

    Raises:
        BimodalError: Its confidence of speech recognition is no number from 0 to 1.

    Example:
        >>> utterance_fields(Utterance(id="a", transcript="Hello.", speaker="ann"))["speaker"]
        'ann'
    """
    return {
        "id": utterance.id,
        "start": utterance.start,
        "end": utterance.end,
        "transcript": utterance.transcript,
        "confidence": transcript_confidence(utterance),
        "language": utterance.lang,
        "speaker": utterance.speaker,
    }
