"""OpenAPI description: forms, responses and examples. Results are `bimodal.records.Recognition`."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from pydantic import BaseModel, Field, field_validator

from bimodal.inference.summary import Summary
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
    "arousal": 0.514,
    "valence": -0.356,
    "prediction_set": {"emotions": ["anger", "neutral"], "coverage": 0.9, "by": "emotion", "note": None},
    "model": "demo",
    "revision": "0123456789ab",
}


class ProblemDetails(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="What the sentence says, as a code; that of the kind where there is none.")
    values: dict[str, str] = Field(description="What stands in the sentence, by name.")


class OpenAIErrorDetails(BaseModel):
    """What OpenAI's clients read of an error."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(BaseModel):
    """Why a request in the shape of OpenAI's interface was refused."""

    error: OpenAIErrorDetails


class Model(BaseModel):
    """A model of this server."""

    name: str
    version: str
    revision: str
    emotions: list[str]
    hears_speech: bool
    reads_text: bool
    transcribes: bool
    prediction_sets: bool
    licence: str
    trained_on: str


class Models(BaseModel):
    """The models of this server."""

    models: list[Model]


class About(BaseModel):
    """Description of this server and its forbidden uses."""

    name: str
    version: str
    purpose: str
    law: str
    forbidden_uses: list[str]
    privacy: str
    licences: dict[str, str]
    limits: dict[str, float]


class JobStatus(BaseModel):
    """A long recording and its results so far."""

    id: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float = Field(ge=0, le=1, description="Share of the recording that is done, 0 to 1.")
    duration: float | None = Field(description="In seconds; null until the recording is decoded.")
    results: list[Recognition]
    summary: Summary | None = Field(description="Summary of the recording; null until the job is done.")
    peaks: list[float] = Field(description="Peaks of the waveform, for drawing it.")
    problem: ProblemDetails | None


class Results(BaseModel):
    """Results of one recording."""

    results: list[Recognition] = Field(max_length=100_000)

    @field_validator("results", mode="before")
    @classmethod
    def _read(cls, value: Any) -> list[Recognition]:
        """Checked by msgspec, since pydantic would accept `false` as 0.0."""
        try:
            return msgspec.convert(value, list[Recognition])
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error


class Export(Results):
    """Results to convert to another format."""

    format: Format
    recording: str = Field(
        "recording", max_length=200, description="Name of the recording, for formats that contain it."
    )


_COVERAGE: Final[dict[str, Any]] = {
    "coverage": {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "description": "Also give the emotions among which the right one is with this coverage. Needs a model that "
        "was calibrated for it (`prediction_sets` of the model).",
    },
    "coverage_by": {
        "type": "string",
        "enum": ["emotion", "marginal"],
        "description": "Cover each emotion that often, or all emotions together (smaller sets).",
    },
}

RECOGNIZE_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "audio": {
            "type": "string",
            "format": "binary",
            "description": "A recording; leave out for a transcript alone.",
        },
        "transcript": {"type": "string", "description": "The words; leave out for speech alone."},
        "transcript_confidence": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "Confidence of a speech recogniser in the words; leave out if a person wrote them.",
        },
        "start": {"type": "number", "minimum": 0, "description": "Start in the recording, in seconds."},
        "end": {"type": "number", "minimum": 0, "description": "End in the recording, in seconds."},
        "speaker": {"type": "string", "description": "Who speaks; the result repeats it."},
        "explain": {
            "type": "boolean",
            "description": "Add the effect of each word and each segment. Costs about 12 forward passes.",
        },
        **_COVERAGE,
        "transcribe": {
            "type": "boolean",
            "description": "Recognise the words if no transcript is given. Needs a server with --asr.",
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
            "description": "Mix all channels, or take each channel as one speaker, as in a stereo call.",
        },
        "speakers": {
            "type": "string",
            "pattern": "^(auto|[1-9]|1[0-9]|20)$",
            "description": "Tell so many speakers of the mix apart by their voices; auto finds their number. The "
            "server needs the segmentation network (BIMODAL_SEGMENTATION).",
        },
        "hop": {"type": "number", "minimum": 0.2, "maximum": 60, "description": "Step between results, in seconds."},
        "window": {
            "type": "number",
            "minimum": 0.2,
            "maximum": 60,
            "description": "Length of speech that a result uses, in seconds.",
        },
        "smoothing": {
            "type": "number",
            "minimum": 0,
            "maximum": 60,
            "description": "Time constant of smoothing, in seconds; 0 for none.",
        },
        **_COVERAGE,
        "transcribe": {"type": "boolean", "description": "Get the words by speech recognition, if the server has it."},
        "words": {
            "type": "string",
            "description": 'Words with times, as JSON: [{"start": 0.5, "end": 2.1, "transcript": "Stop that!"}, ...].',
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
    """Responses to refused requests, for `responses`."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status, title = TITLES[kind]
        example = {
            "type": f"urn:bimodal:problem:{kind}",
            "title": title,
            "status": status,
            "detail": "...",
            "code": kind,
            "values": {},
        }
        found[status] = {
            "description": title,
            "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
        }
        if status in (429, 503):
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return found


def openai_errors(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """As `problems`, for routes in the shape of OpenAI's interface."""
    found = problems(*kinds)
    for kind in kinds:
        status, _ = TITLES[kind]
        code = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        example = {"error": {"message": "...", "type": code, "param": None, "code": kind}}
        schema = {"$ref": "#/components/schemas/OpenAIError"}
        found[status]["content"] = {"application/json": {"schema": schema, "example": example}}
    return found
