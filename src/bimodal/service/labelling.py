"""The labelling page and its routes: one application over a session, behind the guard of the server."""

import io
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

import bimodal
from bimodal.audio.decode import read_audio
from bimodal.audio.outline import Outline
from bimodal.errors import BimodalError
from bimodal.labelling.export import export_model_of
from bimodal.labelling.records import MOST_NOTE, NO_EMOTION, Label, LabelClip, check_rater
from bimodal.labelling.session import Session
from bimodal.output.colours import emotion_colour
from bimodal.records import LAW
from bimodal.service.guard import Access, Guard
from bimodal.service.limits import Limits
from bimodal.service.measuring import Measures
from bimodal.service.page import POLICY, STATIC
from bimodal.service.problems import Problem, answer_problem

router = APIRouter()

POINTS: Final = 400
"""Points of a waveform."""

_KEPT: Final = 48
"""Decoded clips that are kept in memory."""

Rater = Annotated[str, Query(max_length=200)]


class LabelBody(BaseModel):
    """A label as the page sends it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rater: str = Field(max_length=200)
    clip: str = Field(max_length=5000)
    answer: str = Field(max_length=500)
    intensity: int | None = None
    note: str = Field(default="", max_length=MOST_NOTE)
    at: str = Field(default="", max_length=40)


class UndoBody(BaseModel):
    """Whose last label is taken back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rater: str = Field(max_length=200)


class _Sounds:
    """Decoded clips by id, the newest kept."""

    def __init__(self, recordings: Path) -> None:
        self._recordings = recordings
        self._held: OrderedDict[str, tuple[bytes, list[float], float]] = OrderedDict()
        self._lock = Lock()

    def of(self, clip: LabelClip) -> tuple[bytes, list[float], float]:
        """WAV bytes, peaks and seconds of a clip.

        Raises:
            Problem: The recording is gone or cannot be decoded.
        """
        with self._lock:
            if clip.id in self._held:
                self._held.move_to_end(clip.id)
                return self._held[clip.id]
        file = self._recordings / clip.path
        if not file.is_file():
            raise Problem("not-found", f"the recording {clip.path} is gone; its labels stay, and the next clip follows")
        try:
            signal, rate = read_audio(file, start=clip.start, end=clip.end)
        except BimodalError as error:
            raise Problem("unusable", str(error)) from error
        outline = Outline(len(signal), POINTS)
        outline.add(signal)
        found = _as_wav(signal, rate), outline.peaks().round(4).tolist(), len(signal) / rate
        with self._lock:
            self._held[clip.id] = found
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        return found


def _as_wav(signal: Any, rate: int) -> bytes:
    import soundfile as sf

    stream = io.BytesIO()
    sf.write(stream, np.clip(signal, -1.0, 1.0), rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def create_label_app(session: Session, *, access: Access | None = None, limits: Limits | None = None) -> FastAPI:
    """The labelling page as an ASGI application.

    Args:
        session: What is labelled; started and stopped with the application.
        access: Host names and token.
        limits: Limits of the server.
    """
    limits, access = limits or Limits(), access or Access()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        session.start()
        try:
            yield
        finally:
            session.stop()

    app = FastAPI(
        title="bimodal label",
        version=bimodal.__version__,
        summary="Label recordings with a model in the loop.",
        description=LAW,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.session, app.state.sounds, app.state.access = session, _Sounds(session.recordings), access
    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer_problem)
    app.add_exception_handler(BimodalError, _answer_mistake)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, limits=limits, access=access, measures=Measures())
    return app


async def _answer_mistake(request: Request, error: Exception) -> Response:
    return await answer_problem(request, Problem("unusable", str(error)))


@router.head("/", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def page() -> HTMLResponse:
    """The labelling page."""
    nonce = secrets.token_urlsafe(16)
    html = (STATIC / "label" / "label.html").read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": POLICY.format(nonce=nonce), "Cache-Control": "no-store"}
    return HTMLResponse(html, headers=headers)


@router.get("/readyz", include_in_schema=False)
async def ready() -> dict[str, bool]:
    """The page can be used at once."""
    return {"ready": True}


def _session(request: Request) -> Session:
    session: Session = request.app.state.session
    return session


@router.get("/v1/label/session")
def describe(request: Request) -> dict[str, Any]:
    """What is labelled: emotions in the order of the keys, raters so far, whether guesses are shown."""
    session = _session(request)
    return {
        "folder": session.recordings.resolve().name,
        "emotions": [{"name": name, "colour": emotion_colour(name)} for name in session.store.emotions],
        "raters": session.store.raters(),
        "show_guess": session.options.show_guess,
        "model": session.model.config.name,
        "law": LAW,
    }


@router.get("/v1/label/next")
def next_clips(
    request: Request,
    rater: Rater,
    count: Annotated[int, Query(ge=1, le=10)] = 2,
    skip: Annotated[list[str] | None, Query()] = None,
) -> dict[str, Any]:
    """The clips that a rater gets next, with waveforms; recordings that are gone or damaged are passed over."""
    session, skipped = _session(request), list(skip or ())
    found: list[dict[str, Any]] = []
    unusable: list[str] = []
    while len(found) < count:
        clips = session.next_clips(rater, count - len(found), skipped)
        if not clips:
            break
        for clip in clips:
            skipped.append(clip.id)
            try:
                found.append(_described(request, clip))
            except Problem as problem:
                unusable.append(problem.detail)
    return {"clips": found, "unusable": unusable}


def _described(request: Request, clip: LabelClip) -> dict[str, Any]:
    session = _session(request)
    _, peaks, seconds = request.app.state.sounds.of(clip)
    name = clip.path if session.options.show_guess else ""  # names such as angry/01.wav would tell the answer
    told = {"id": clip.id, "name": name, "seconds": round(seconds, 3), "peaks": peaks}
    told |= {"start": clip.start, "words": session.store.words(clip), "speaker": clip.speaker}
    guess = session.guess(clip)
    return told if guess is None else told | {"guess": guess}


@router.get("/v1/label/audio")
def audio(request: Request, clip: Annotated[str, Query(max_length=5000)]) -> Response:
    """A clip as WAV."""
    content = request.app.state.sounds.of(_session(request).store.clip(clip))[0]
    return Response(content, media_type="audio/wav")


@router.post("/v1/label/labels")
def label(request: Request, body: LabelBody) -> dict[str, Any]:
    """Store a label; it is on the disk when the response comes."""
    found = Label(clip=body.clip, answer=body.answer, intensity=body.intensity, note=body.note, at=body.at)
    kept = _session(request).label(body.rater, found)
    return {"stored": True, "at": kept.at}


@router.post("/v1/label/undo")
def undo(request: Request, body: UndoBody) -> dict[str, Any]:
    """Take back the last label of a rater; gives its clip, or null."""
    session = _session(request)
    before = list(session.store.labels_of(body.rater).values())
    clip = session.undo(body.rater)
    if clip is None:
        return {"clip": None}
    last = before[-1]
    told = {"answer": last.answer, "intensity": last.intensity, "note": last.note}
    return {"clip": {**_described(request, clip), "label": told}}


@router.get("/v1/label/status")
def status(request: Request, rater: Rater = "") -> dict[str, Any]:
    """Progress, learning curve, agreement of raters, problems."""
    if rater:
        check_rater(rater)
    return {**_session(request).status(rater), "answers": [*_session(request).store.emotions, *NO_EMOTION]}


@router.post("/v1/label/model")
def write_model(request: Request) -> dict[str, Any]:
    """Write a model folder with the head of all labels so far, beside the labels."""
    session = _session(request)
    folder = export_model_of(session)
    return {"folder": str(folder), "command": f"bimodal recognize RECORDING -m '{folder}'"}
