"""Routes in the shape of OpenAI's interface, for programs that know it: transcriptions with emotions, and embeddings.

Their errors have OpenAI's shape, too; everything else (guard, limits, decoder, queue) is that of the other routes.
"""

import base64
import binascii
import math
import tempfile
import zlib
from collections.abc import Sequence
from typing import IO, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from bimodal.inference.summary import summarise
from bimodal.records import Recognition
from bimodal.service.engine import Engine
from bimodal.service.forms import Form, read_form
from bimodal.service.problems import Problem
from bimodal.service.responses import json_response, written
from bimodal.service.schemas import form_body, openai_errors

router = APIRouter(tags=["OpenAI's shape"])

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
MOST_INPUTS: Final = 64
"""Most inputs of one request for embeddings."""

_SPECIFIC: Final = ("unauthorised", "timeout", "too-large", "unusable", "busy", "full")
_FIELDS: Final = ("model", "language", "response_format", "temperature", "timestamp_granularities[]")
_LANGUAGE: Final = 2  # letters of an ISO 639-1 code

TRANSCRIPTION_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "A recording."},
        "model": {"type": "string", "description": "Any name: the server has one model."},
        "language": {"type": "string", "pattern": "^[a-z]{2}$", "description": "Of the words, as ISO 639-1 code."},
        "response_format": {"type": "string", "enum": list(ResponseFormat.__args__)},  # type: ignore[attr-defined]
        "temperature": {"type": "number", "enum": [0], "description": "0: the words are never sampled."},
        "timestamp_granularities[]": {"type": "string", "enum": ["segment"]},
    },
    "additionalProperties": False,
}


class AudioData(BaseModel):
    """A recording within JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)
    data: str = Field(min_length=1, description="The recording, in base64.")
    format: str = Field("wav", description="Not used: the content tells the format.")


class AudioInput(BaseModel):
    """A recording, as OpenAI's chat interface writes one."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["input_audio"]
    input_audio: AudioData


Input = str | AudioInput


class EmbeddingsBody(BaseModel):
    """What to embed."""

    model_config = ConfigDict(extra="forbid", strict=True)
    input: Input | list[Input] = Field(description="Words, recordings, or a list of them (at most 64).")
    model: str = Field("", description="Any name: the server has one model.")
    encoding_format: Literal["float", "base64"] = "float"


class Embedding(BaseModel):
    """One emotion embedding."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str = Field(description="Numbers, or little-endian float32 in base64.")


class Embeddings(BaseModel):
    """The embeddings of a request."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: dict[str, int] = Field(description="OpenAI's counters; always 0.")


@router.post(
    "/v1/audio/transcriptions",
    response_class=Response,
    openapi_extra=form_body(TRANSCRIPTION_FORM, {"model": "whisper-1", "response_format": "verbose_json"}),
    responses=openai_errors("bad-request", "unsupported-media-type", *_SPECIFIC),
)
async def transcribe(request: Request) -> Response:
    """The words of a recording, and the emotion of each segment. Needs a server with --asr."""
    engine: Engine = request.app.state.engine
    async with read_form(request, engine.limits, _FIELDS, file="file") as form:
        kind = form.choice("response_format", ResponseFormat)
        upload, language = _checked(form, engine)
        results, duration = await engine.transcribe(upload, language)
    spoken = [result for result in results if result.transcript]
    text = " ".join(result.transcript or "" for result in spoken)
    if kind == "text":
        return Response(text + "\n", media_type="text/plain; charset=utf-8")
    if kind in ("srt", "vtt"):
        return written(spoken, kind, "recording")
    summary = summarise(results)
    whole = {"text": text, "emotion": summary.dominant, "emotion_shares": summary.shares}
    if kind == "json":
        return json_response(whole)
    languages = [result.transcript_language for result in spoken if result.transcript_language]
    return json_response(
        {
            "task": "transcribe",
            "language": max(languages, key=languages.count) if languages else language or "",
            "duration": duration,
            **whole,
            "segments": [_segment(number, result) for number, result in enumerate(spoken)],
        }
    )


def _checked(form: Form, engine: Engine) -> tuple[IO[bytes], str | None]:
    """The recording and the language that is asked for; refuses what this server cannot do.

    Raises:
        Problem: No recording, no speech recogniser, or a field with a value that would have no effect.
    """
    if engine.transcriber is None:
        raise Problem("unusable", "this server has no speech recogniser; start it with --asr")
    if form.audio is None:
        raise Problem("unusable", "file: expected a recording")
    if form.number("temperature", 0.0, 1.0):
        raise Problem("unusable", "temperature: expected 0; the words are never sampled")
    form.choice("timestamp_granularities[]", Literal["segment"])
    language = form.text("language")
    if language is not None and not (len(language) == _LANGUAGE and language.isascii() and language.islower()):
        raise Problem("unusable", "language: expected an ISO 639-1 code such as en")
    return form.audio, language


def _segment(number: int, result: Recognition) -> dict[str, Any]:
    """A segment as OpenAI's `verbose_json` has it, and its emotion.

    `avg_logprob` is the logarithm of the confidence. Whisper's tokens and seek are not told. Segments without speech
    are left out, so `no_speech_prob` is 0.
    """
    text = result.transcript or ""
    packed = zlib.compress(text.encode("utf-8", "replace"))
    return {
        "id": number,
        "seek": 0,
        "start": result.start,
        "end": result.end,
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": math.log(max(result.transcript_confidence or 0.0, 1e-9)),
        "compression_ratio": len(text.encode("utf-8", "replace")) / len(packed),
        "no_speech_prob": 0.0,
        "emotion": result.emotion,
        "emotion_score": None if result.emotion is None else result.scores[result.emotion],
        "emotion_scores": result.scores,
        "emotion_warnings": result.warnings,
    }


@router.post(
    "/v1/embeddings",
    response_model=Embeddings,
    responses=openai_errors("bad-request", *_SPECIFIC),
)
async def embed(request: Request, body: EmbeddingsBody) -> Response:
    """Emotion embeddings of recordings and of words: what stands in front of the model's classifier.

    Inputs with alike emotions lie close to one another; they tell nothing of the topic. All have the same width.
    """
    engine: Engine = request.app.state.engine
    inputs: Sequence[Input] = body.input if isinstance(body.input, list) else [body.input]
    if not 1 <= len(inputs) <= MOST_INPUTS:
        raise Problem("unusable", f"input: {len(inputs)} inputs, expected 1 to {MOST_INPUTS}")
    found = [await _embedding(engine, one, number) for number, one in enumerate(inputs)]
    data = [
        {"object": "embedding", "index": number, "embedding": _encoded(vector, body.encoding_format)}
        for number, vector in enumerate(found)
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return json_response({"object": "list", "data": data, "model": engine.recognizer.name, "usage": usage})


async def _embedding(engine: Engine, one: Input, number: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Raises `Problem` for an input that cannot be used."""
    if isinstance(one, str):
        if len(one) > engine.limits.text_characters:
            raise Problem("too-large", f"input {number}: more than {engine.limits.text_characters} characters")
        return await engine.embed(None, one)
    try:
        content = base64.b64decode(one.input_audio.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem("unusable", f"input {number}: input_audio.data is no base64") from error
    with tempfile.TemporaryFile() as upload:
        upload.write(content)
        upload.flush()
        return await engine.embed(upload, None)


def _encoded(vector: np.ndarray[Any, np.dtype[np.float32]], form: str) -> list[float] | str:
    if form == "float":
        return [float(number) for number in vector]
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
