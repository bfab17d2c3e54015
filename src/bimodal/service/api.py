"""HTTP routes: typed functions that call the engine."""

import math
import os
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from bimodal.asr.timed_words import make_asr
from bimodal.diarisation.networks import open_networks
from bimodal.errors import BimodalError, tell
from bimodal.inference.stream import TimelineConfig
from bimodal.inference.summary import Summary, summarise
from bimodal.records import Clip, CoverageBy, Recognition
from bimodal.service.about import describe_model, describe_server
from bimodal.service.engine import Engine
from bimodal.service.forms import Form, read_form
from bimodal.service.jobs import Job, Jobs, spoken_words
from bimodal.service.problems import Problem
from bimodal.service.responses import json_response, written
from bimodal.service.schemas import (
    EXAMPLE,
    JOB_FORM,
    RECOGNIZE_FORM,
    About,
    Export,
    Format,
    JobStatus,
    Models,
    Results,
    form_body,
    problems,
)

router = APIRouter()

_LATEST = 1e7
_COVERAGE = ("coverage", "coverage_by")
_CLIP_FIELDS = (
    "transcript",
    "transcript_confidence",
    "start",
    "end",
    "speaker",
    "transcribe",
    "explain",
    *_COVERAGE,
)
_JOB_FIELDS = ("channels", "speakers", "hop", "window", "smoothing", "words", "transcribe", *_COVERAGE)
_AUDIO = ("unauthorised", "timeout", "too-large", "unsupported-media-type", "unusable", "busy", "full")


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


@router.post(
    "/v1/recognize",
    tags=["recognition"],
    response_model=Recognition,
    openapi_extra=form_body(RECOGNIZE_FORM, {"transcript": "I told you to stop that!"}),
    responses={200: {"content": {"application/json": {"example": EXAMPLE}}}, **problems("bad-request", *_AUDIO)},
)
async def recognize(request: Request) -> Response:
    """Recognise the emotion that one utterance expresses, from a recording, its words, or both."""
    engine = _engine(request)
    async with read_form(request, engine.limits, _CLIP_FIELDS) as form:
        transcribe = _transcribe(form, engine)
        clip = Clip(
            transcript=form.text("transcript"),
            transcript_confidence=form.number("transcript_confidence", 0.0, 1.0),
            start=form.number("start"),
            end=form.number("end"),
            speaker=form.text("speaker"),
        )
        transcribes = transcribe and clip.transcript is None
        options = {"explain": form.flag("explain"), **_coverage(form)}
        return json_response(await engine.recognize(clip, form.audio, transcribe=transcribes, options=options))


def _coverage(form: Form) -> dict[str, Any]:
    """The prediction sets that are asked for, as arguments."""
    return {"coverage": form.coverage(), "coverage_by": form.choice("coverage_by", CoverageBy)}


def _transcribe(form: Form, engine: Engine) -> bool:
    """True if the words are to be recognised.

    Raises:
        Problem: The server has no speech recogniser.
    """
    transcribes = form.flag("transcribe")
    if transcribes and engine.transcriber is None:
        raise Problem("unusable", tell("no-recogniser"))
    return transcribes


@router.post(
    "/v1/jobs",
    tags=["long recordings"],
    status_code=202,
    response_model=JobStatus,
    openapi_extra=form_body(JOB_FORM, {"channels": "mix"}),
    responses=problems("bad-request", *_AUDIO, "too-many"),
)
async def start_job(request: Request) -> Response:
    """Recognise a long recording in the background. The header `Location` names the job."""
    engine, jobs = _engine(request), _jobs(request)
    jobs.check_room(_client(request))
    async with read_form(request, engine.limits, _JOB_FIELDS) as form:
        if form.audio is None:
            raise Problem("unusable", "audio: expected a recording")
        hop, window = form.number("hop", 0.2, 60.0), form.number("window", 0.2, 60.0)
        try:
            config = TimelineConfig(
                channels=form.choice("channels", Literal["mix", "speakers"]),
                speakers=form.speakers(),
                hop=hop or 2.0,
                window=window or max(4.0, hop or 0.0),
                smoothing=form.number("smoothing", 0.0, 60.0) or 0.0,
                **_coverage(form),
            )
            engine.recognizer.model.set_chooser(config.coverage)  # refuses a model without sets before it waits
            if config.speakers is not None:
                await engine.run(open_networks)  # likewise a server without the networks
        except BimodalError as error:
            raise Problem("unusable", str(error)) from error
        job = Job(
            await engine.run(lambda: _own(form.audio)),
            config=config,
            words=spoken_words(form.json("words", [])),
            asr=make_asr(engine.transcriber) if _transcribe(form, engine) and engine.transcriber else None,
            client=_client(request),
        )
        jobs.add(job)
    return json_response(job.to_dict(), 202, {"Location": f"{request.scope.get('root_path', '')}/v1/jobs/{job.id}"})


def _own(upload: Any) -> Any:
    """The same file under its own descriptor, which stays open after the request."""
    return os.fdopen(os.dup(upload.fileno()), "rb")


@router.get(
    "/v1/jobs/{name}",
    tags=["long recordings"],
    response_model=JobStatus,
    responses=problems("unauthorised", "not-found", "unusable"),
)
async def read_job(request: Request, name: str) -> Response:
    """A job and its results so far."""
    return json_response(_jobs(request).find(name).to_dict())


@router.delete(
    "/v1/jobs/{name}",
    tags=["long recordings"],
    status_code=204,
    responses=problems("unauthorised", "not-found", "unusable"),
)
async def drop_job(request: Request, name: str) -> Response:
    """Stop a job and delete its results."""
    _jobs(request).drop(name)
    return Response(status_code=204)


async def _found(request: Request, name: str) -> Job:
    """Find the job before the response begins, so that an unknown job gets status 404."""
    return _jobs(request).find(name)


@router.get(
    "/v1/jobs/{name}/events",
    tags=["long recordings"],
    response_class=EventSourceResponse,
    responses=problems("unauthorised", "not-found", "unusable"),
)
async def follow_job(
    job: Annotated[Job, Depends(_found)],
    last_event_id: Annotated[str | None, Header(description="Number of results to skip.")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events of a job: `result`, `progress`, and at the end `done`, `failed` or `cancelled`."""
    told = last_event_id or ""
    seen = int(told) if re.fullmatch("[0-9]{1,9}", told) else 0
    async for event, number, data in job.follow(seen):
        yield ServerSentEvent(event=event, id=str(number), raw_data=msgspec.json.encode(data).decode())


@router.get(
    "/v1/jobs/{name}/results",
    tags=["long recordings"],
    response_class=Response,
    responses=problems("unauthorised", "not-found", "unusable"),
)
def read_results(request: Request, name: str, form: Annotated[Format, Query(alias="format")] = "jsonl") -> Response:
    """The results so far, in one of the formats."""
    return written(_jobs(request).find(name).results, form, "recording")


@router.post(
    "/v1/export",
    tags=["long recordings"],
    response_class=Response,
    responses=problems("bad-request", "unauthorised", "too-large", "unusable"),
)
def export(body: Export) -> Response:
    """Convert results to one of the formats."""
    _check_results(body.results)
    return written(body.results, body.format, body.recording)


@router.post(
    "/v1/summary",
    tags=["long recordings"],
    response_model=Summary,
    responses=problems("bad-request", "unauthorised", "too-large", "unusable"),
)
def summary(body: Results) -> Response:
    """The results of one recording taken together: shares, speakers, phases, highlights."""
    _check_results(body.results)
    for result in body.results:
        times = abs(result.start or 0.0), abs(result.end or 0.0)
        if max(times) > _LATEST or not all(0 <= score <= 1 for score in result.scores.values()):
            raise Problem("unusable", f"results: expected scores from 0 to 1 and times up to {_LATEST:g} s")
    return json_response(summarise(body.results))


@router.get("/v1/models", tags=["server"], response_model=Models, responses=problems("unauthorised"))
async def list_models(request: Request) -> Response:
    """The model of this server: emotions, modalities, licence."""
    return json_response({"models": [describe_model(_engine(request))]})


@router.get("/v1/about", tags=["server"], response_model=About, responses=problems("unauthorised"))
async def about(request: Request) -> Response:
    """Purpose, forbidden uses, licences and limits of this server."""
    return json_response(describe_server(_engine(request)))


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", tags=["server"])
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", tags=["server"], responses=problems("busy"))
async def readyz(request: Request) -> dict[str, str]:
    """The model is loaded and the server accepts requests."""
    engine = _engine(request)
    if not engine.ready or engine.stopping:
        raise Problem(
            "busy",
            "the server is stopping" if engine.stopping else "the model is loading; try again later",
            retry_after=2,
        )
    return {"status": "ready"}


@router.get("/metrics", tags=["server"], response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters for Prometheus."""
    return Response(_engine(request).measures.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _check_results(results: Sequence[Recognition]) -> None:
    """Refuse results that no model gives.

    Raises:
        Problem: An emotion without a score, a time that is not finite, or results of different emotions.
    """
    kinds = {tuple(result.scores) for result in results if result.scores}
    for result in results:
        claimed = result.emotion is None or result.emotion in result.scores
        if not claimed or not all(math.isfinite(time or 0.0) for time in (result.start, result.end)):
            raise Problem("unusable", "results: expected a score for each emotion and finite times")
    if len({frozenset(kind) for kind in kinds}) > 1:
        raise Problem("unusable", "results: expected the same emotions in the scores of each result")
