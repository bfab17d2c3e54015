"""Error responses of the server: problem JSON (RFC 9457) with one clear sentence in `detail`."""

import logging
import math
import traceback
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Scope

from bimodal.errors import find_message
from bimodal.files import is_disk_full
from bimodal.service.limits import DISK_FULL

LOG: Final = logging.getLogger("bimodal.serve")

MEDIA_TYPE: Final = "application/problem+json"

OPENAI_PATHS: Final = ("/v1/audio/transcriptions", "/v1/embeddings")
"""Routes whose errors have the shape that OpenAI's clients read."""

TITLES: Final = {
    "bad-request": (400, "The request cannot be read"),
    "unauthorised": (401, "A token is needed"),
    "forbidden": (403, "Requests from other sites are not allowed"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "timeout": (408, "The request did not arrive in time"),
    "too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "Unsupported media type"),
    "wrong-host": (421, "Unknown host name"),
    "unusable": (422, "The request has invalid content"),
    "too-many": (429, "Too many requests from this client"),
    "internal": (500, "Internal server error"),
    "busy": (503, "The server is busy"),
    "full": (507, "The server's disk is full"),
}
"""Status and title of each kind of problem."""


class Problem(Exception):  # noqa: N818  # a problem is what RFC 9457 calls it
    """A request that is refused.

    Args:
        kind: One of `TITLES`.
        detail: One sentence for people.
        retry_after: Seconds after which to try again.
    """

    def __init__(self, kind: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.retry_after = kind, detail, retry_after

    @property
    def status(self) -> int:
        """HTTP status."""
        return TITLES[self.kind][0]

    def to_dict(self) -> dict[str, Any]:
        """The problem in the form of RFC 9457."""
        status, title = TITLES[self.kind]
        found = find_message(self.detail)
        return {
            "type": f"urn:bimodal:problem:{self.kind}",
            "title": title,
            "status": status,
            "detail": self.detail,
            "code": self.kind if found is None else found.code,
            "values": {} if found is None else found.values,
        }

    def to_openai(self) -> dict[str, Any]:
        """The problem in the shape of OpenAI's errors."""
        kind = "server_error" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        return {"error": {"message": self.detail, "type": kind, "param": None, "code": self.kind}}

    def response(self, path: str) -> JSONResponse:
        """The problem as a response to a request for this path."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        if path in OPENAI_PATHS:
            return JSONResponse(self.to_openai(), self.status, headers)
        return JSONResponse(self.to_dict(), self.status, headers, MEDIA_TYPE)


def unexpected_problem(error: BaseException) -> Problem:
    """What a client is told of an error that nobody expected.

    Example:
        >>> import errno
        >>> unexpected_problem(OSError(errno.ENOSPC, "No space left on device")).status
        507
    """
    if is_disk_full(error):
        return Problem("full", DISK_FULL)
    return Problem("internal", "internal server error; see the server's log")


def log_mistake(error: BaseException) -> None:
    """Log the origin of an unexpected error, without its message: that may hold content of a request."""
    frames = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]
    LOG.error("%s in %s", type(error).__name__, " < ".join(reversed(frames)))


async def answer_problem(request: Request, error: Exception) -> JSONResponse:
    """Turn any error with a status into problem JSON, or into OpenAI's shape where that is expected."""
    path = route_path(request.scope)
    if isinstance(error, Problem):
        return error.response(path)
    if isinstance(error, RequestValidationError):
        return Problem("unusable", _first_complaint(error)).response(path)
    if not isinstance(error, HTTPException):
        raise error
    kinds = {status: kind for kind, (status, _) in TITLES.items()}
    response = Problem(kinds.get(error.status_code, "bad-request"), f"{error.detail}.".replace("..", ".")).response(
        path
    )
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    return response


def route_path(scope: Scope) -> str:
    """Path of a request below `--root-path`, as the routes see it; a proxy may have taken that off already.

    Example:
        >>> route_path({"path": "/a/v1/jobs", "root_path": "/a"}), route_path({"path": "/v1/jobs", "root_path": "/a"})
        ('/v1/jobs', '/v1/jobs')
    """
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path


def _first_complaint(error: RequestValidationError) -> str:
    """What is wrong with the first invalid value. The value is left out, since it may be private."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return f"{where or first['loc'][0]}: {first['msg']}"
