"""The ASGI application: routes, socket and page behind one guard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

import bimodal
from bimodal.asr.whisper import Transcriber
from bimodal.inference.recognizer import Recognizer
from bimodal.records import LAW
from bimodal.service import api, openai, page, streaming
from bimodal.service.engine import Engine
from bimodal.service.guard import Access, Guard
from bimodal.service.jobs import Jobs
from bimodal.service.limits import Limits
from bimodal.service.measuring import Measures
from bimodal.service.page import STATIC
from bimodal.service.problems import Problem, answer_problem
from bimodal.service.schemas import OpenAIError, OpenAIErrorDetails, ProblemDetails


def create_app(
    recognizer: Recognizer,
    *,
    limits: Limits | None = None,
    access: Access | None = None,
    transcriber: Transcriber | None = None,
    root_path: str = "",
) -> FastAPI:
    """The server as an ASGI application.

    Args:
        recognizer: The model. Use `threads=1`, since several clips run at the same time.
        limits: Limits of the server.
        access: Host names and token.
        transcriber: Speech recogniser for clients that ask for it.
        root_path: Path under which a proxy offers the server, such as `/emotions`; empty for the top.
    """
    limits, access, measures = limits or Limits(), access or Access(), Measures()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = Engine(recognizer, limits, measures, transcriber)
        app.state.engine, app.state.jobs, app.state.access = engine, Jobs(engine), access
        warming = asyncio.create_task(asyncio.to_thread(engine.warm_up))
        try:
            yield
        finally:
            app.state.jobs.close()
            await warming
            await asyncio.to_thread(engine.close)

    app = FastAPI(
        title="bimodal",
        version=bimodal.__version__,
        summary="Recognises the emotion that speech expresses, from voice and words.",
        description=f"{LAW}\n\nRequests are not stored, and their content is not logged.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        root_path=root_path,
    )
    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer_problem)
    app.include_router(api.router)
    app.include_router(openai.router)
    app.include_router(streaming.router)
    app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, limits=limits, access=access, measures=measures)
    _name_problems(app)
    return app


def _name_problems(app: FastAPI) -> None:
    """Add problems and the token to the OpenAPI document; no route names them."""
    document = app.openapi()
    schemas = document["components"]["schemas"]
    schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
    schemas["OpenAIErrorDetails"] = OpenAIErrorDetails.model_json_schema()
    schemas["OpenAIError"] = OpenAIError.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas["OpenAIError"].pop("$defs")
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{}, {"token": []}]
