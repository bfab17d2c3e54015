"""The interface as OpenAPI describes it: forms, answers and examples; results are `bimodal.records.Recognition`."""

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from pydantic import BaseModel, Field, field_validator

from bimodal.inference.timeline import Summary
from bimodal.output.formats import FORMATS
from bimodal.records import Recognition
from bimodal.service.problems import MEDIA_TYPE, TITLES

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[tuple(FORMATS)]  # pydantic checks requests by it and writes it into the schema

EXAMPLE: Final[dict[str, Any]] = {
    "emotion": "anger",
    "scores": {"anger": 0.81, "neutral": 0.12, "happiness": 0.07},
    "speech_scores": {"anger": 0.74, "neutral": 0.17, "happiness": 0.09},
    "text_scores": {"anger": 0.55, "neutral": 0.35, "happiness": 0.1},
    "gate": 0.63,
    "start": 0.0,
    "end": 2.4,
    "transcript": "I told you to stop that!",
    "transcript_source": "given",
    "abstained": False,
    "model": "demo",
    "revision": "0123456789ab",
}


class ProblemDetails(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class Model(BaseModel):
    """A model that answers here."""

    name: str
    version: str
    revision: str
    emotions: list[str]
    hears_speech: bool
    reads_text: bool
    transcribes: bool
    licence: str
    trained_on: str


class Models(BaseModel):
    """The models that answer here."""

    models: list[Model]


class About(BaseModel):
    """What this server is, and what it must not be used for."""

    name: str
    version: str
    purpose: str
    law: str
    forbidden_uses: list[str]
    privacy: str
    licences: dict[str, str]
    limits: dict[str, float]


class JobStatus(BaseModel):
    """A long recording and what was found in it so far."""

    id: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float = Field(ge=0, le=1, description="Share of the recording that was judged.")
    duration: float | None = Field(description="In seconds; null until it was decoded.")
    results: list[Recognition]
    summary: Summary | None = Field(description="The recording as a whole; null until the job is done.")
    peaks: list[float] = Field(description="Outline of the recording, for drawing it.")
    problem: ProblemDetails | None


class Export(BaseModel):
    """Results to be written in another format."""

    format: Format
    recording: str = Field("recording", max_length=200, description="Name for the formats that name the recording.")
    results: list[Recognition] = Field(max_length=100_000)

    @field_validator("results", mode="before")
    @classmethod
    def _read(cls, value: Any) -> list[Recognition]:
        """By msgspec, since pydantic would take `false` for 0.0."""
        try:
            return msgspec.convert(value, list[Recognition])
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error


RECOGNIZE_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "audio": {"type": "string", "format": "binary", "description": "A recording; leave out for words alone."},
        "text": {"type": "string", "description": "The words; leave out for the voice alone."},
        "text_confidence": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "How sure a speech recogniser was of the words; leave out where somebody gave them.",
        },
        "start": {"type": "number", "minimum": 0, "description": "Where to begin in the recording, in seconds."},
        "end": {"type": "number", "minimum": 0, "description": "Where to stop, in seconds."},
        "speaker": {"type": "string", "description": "Who speaks; handed through to the result."},
        "explain": {
            "type": "boolean",
            "description": "Say what each word and stretch of the voice did for the answer; a dozen times as dear.",
        },
        "transcribe": {
            "type": "boolean",
            "description": "Hear the words, where no text is given and the server has a speech recogniser.",
        },
    },
    "additionalProperties": False,
}

JOB_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["audio"],
    "properties": {
        "audio": {"type": "string", "format": "binary", "description": "A recording of any length."},
        "channels": {
            "type": "string",
            "enum": ["mix", "speakers"],
            "description": "All channels together, or each as one speaker's, as in a stereo call.",
        },
        "hop": {"type": "number", "minimum": 0.2, "maximum": 60, "description": "Seconds one result speaks of."},
        "window": {"type": "number", "minimum": 0.2, "maximum": 60, "description": "Seconds it is judged by."},
        "smoothing": {"type": "number", "minimum": 0, "maximum": 60, "description": "Time constant, in seconds."},
        "transcribe": {"type": "boolean", "description": "Hear the words, where the server has a speech recogniser."},
        "words": {
            "type": "string",
            "description": 'What is said when, as JSON: [{"start": 0.5, "end": 2.1, "text": "Stop that!"}, ...].',
        },
    },
    "additionalProperties": False,
}


def form_body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """A multipart form for `openapi_extra`."""
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": schema, "example": example}},
        }
    }


def problems(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Answers of refused requests, for `responses`."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status, title = TITLES[kind]
        example = {"type": f"urn:bimodal:problem:{kind}", "title": title, "status": status, "detail": "..."}
        found[status] = {
            "description": title,
            "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
        }
        if status in (429, 503):
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return found
