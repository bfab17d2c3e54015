"""Checks in front of every request: host, origin, token, size, time, headers. Pure ASGI, so that streaming works."""

import asyncio
import hmac
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bimodal.errors import tell
from bimodal.service.limits import Limits
from bimodal.service.measuring import Measures
from bimodal.service.problems import Problem, log_mistake, route_path, unexpected_problem

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "X-Frame-Options": "DENY",
}

PROTECTED: Final = ("/v1", "/metrics", "/mcp")
"""Beginnings of the paths that need the token, where there is one."""

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"

_HOST: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?", re.ASCII)
_PORTS: Final = {"http": "80", "https": "443"}
_LINGER_SECONDS: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Access:
    """Access to the server.

    Attributes:
        hosts: Host names that requests may use; empty for any.
        origins: Origins of pages that may send requests, such as `https://emotions.example.org`; a page of the server
            itself always may.
        token: Token that requests to the API must send; empty for none.
    """

    hosts: tuple[str, ...] = LOOPBACK
    origins: tuple[str, ...] = ()
    token: str = field(default="", repr=False)

    def knows(self, token: str) -> bool:
        """True if the token is right or none is needed."""
        return not self.token or hmac.compare_digest(self.token.encode(), token.encode("utf-8", "replace"))


class Guard:
    """Refuses requests beyond the limits and adds headers to every response."""

    def __init__(self, app: ASGIApp, limits: Limits, access: Access, measures: Measures) -> None:
        self._app, self._limits, self._access, self._measures = app, limits, access, measures
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        kind = _costly(scope)
        most = self._limits.jobs if kind == "job" else self._limits.requests
        if refusal is None and kind and self._open[kind] >= most:
            refusal = Problem("busy", "too many requests at once; try again soon", retry_after=2)
        self._open[kind] += 1
        try:
            await self._let_through(scope, receive, send, refusal)
        finally:
            self._open[kind] -= 1

    async def _let_through(self, scope: Scope, receive: Receive, send: Send, refusal: Problem | None) -> None:
        if scope["type"] == "websocket":
            await (refusal.response(route_path(scope)) if refusal else self._app)(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._most_bytes(scope), self._most_seconds(scope))
        began = time.perf_counter()
        try:
            await self._pass_on(scope, exchange, refusal)
        finally:
            self._measures.count_request(scope, exchange.status, time.perf_counter() - began)

    async def _pass_on(self, scope: Scope, exchange: "_Exchange", refusal: Problem | None) -> None:
        if refusal is None and exchange.too_long(Headers(scope=scope)):
            refusal = exchange.too_large()
        try:
            await (refusal.response(route_path(scope)) if refusal else self._app)(
                scope, exchange.receive, exchange.send
            )
        except Exception as error:  # the client gets a problem whatever fails
            log_mistake(error)
            if exchange.status is None:
                await unexpected_problem(error).response(route_path(scope))(scope, exchange.receive, exchange.send)

    def _refusal(self, scope: Scope, headers: Headers) -> Problem | None:
        """The reason to refuse a request, or None."""
        host = split_host(headers.get("host", ""))
        if self._access.hosts and (host is None or host[0] not in self._access.hosts):
            return Problem("wrong-host", "unknown host name; start the server with --allow-host NAME")
        if not all(_is_own(origin, host, self._access.origins) for origin in headers.getlist("origin")):
            return Problem(
                "forbidden",
                "requests from pages of other sites are not allowed; behind a proxy start the server with --public-url "
                "and the address of the page",
            )
        path = route_path(scope)
        if scope["type"] == "http" and path.startswith(PROTECTED) and not self._access.knows(bearer(headers)):
            return Problem("unauthorised", "send the server's token: 'Authorization: Bearer TOKEN'")
        return None

    def _most_bytes(self, scope: Scope) -> int:
        return self._limits.job_bytes if route_path(scope) == "/v1/jobs" else self._limits.clip_bytes

    def _most_seconds(self, scope: Scope) -> float:
        return self._limits.upload_seconds * (10 if route_path(scope) == "/v1/jobs" else 1)


def _costly(scope: Scope) -> str:
    """Kind of a long or large request, which is counted; empty for others."""
    if scope["type"] == "websocket":
        return "socket"
    if scope["method"] in ("POST", "PUT", "PATCH"):
        return "job" if route_path(scope) == "/v1/jobs" else "upload"
    return "follower" if route_path(scope).endswith("/events") else ""


def split_host(host: str) -> tuple[str, str] | None:
    """Name and port of a header `Host`, the port empty where there is none; None if it is malformed.

    Example:
        >>> split_host("[::1]:8000"), split_host("evil@127.0.0.1"), split_host("[")
        (('::1', '8000'), None, None)
    """
    found = _HOST.fullmatch(host.lower())
    return None if found is None else (found[1].strip("[]"), found[2] or "")


def _is_own(origin: str, host: tuple[str, str] | None, allowed: tuple[str, ...]) -> bool:
    """Whether a page of this origin may ask: one of the server itself, or an allowed one."""
    scheme, _, place = origin.lower().partition("://")
    found = split_host(place)
    if scheme not in _PORTS or found is None:
        return False
    own = host is not None and (found[0], found[1] or _PORTS[scheme]) == (host[0], host[1] or _PORTS[scheme])
    return own or origin.lower() in allowed


def bearer(headers: Headers) -> str:
    """The token of a request; empty if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class _Exchange:
    """One request and its response: counts size and time of the request, adds headers to the response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most_bytes: int, most_seconds: float) -> None:
        self.status: int | None = None
        self._receive, self._send = receive, send
        self._most_bytes, self._seen = most_bytes, 0
        self._deadline = asyncio.get_running_loop().time() + most_seconds
        self._seconds = most_seconds
        self._whole = scope["method"] in ("GET", "HEAD")
        self._page = not route_path(scope).startswith("/v1")

    def too_long(self, headers: Headers) -> bool:
        """True if the declared length is too large."""
        length = headers.get("content-length", "0")
        return length.isdigit() and int(length) > self._most_bytes

    def too_large(self) -> Problem:
        """Refusal of a request body that is too large."""
        return Problem("too-large", tell("request-too-large", most=self._most_bytes))

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            Problem: The request is too large or too slow.
        """
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise Problem("timeout", f"the request did not arrive within {self._seconds:g} s") from error
        self._seen += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._seen > self._most_bytes:
            raise self.too_large()
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send the next part of the response. If the request is not complete, wait until the client has read it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", []), *_dress(message, self._page, self._whole)]}
        elif message["type"] == "http.response.body" and not message.get("more_body") and not self._whole:
            await self._send({**message, "more_body": True})
            await _linger(self._receive)
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def _dress(start: MutableMapping[str, Any], page: bool, whole: bool) -> list[tuple[bytes, bytes]]:
    """Headers to add to a response."""
    present = {name.lower() for name, _ in start.get("headers", [])}
    added = dict(SECURITY_HEADERS)
    if b"content-security-policy" not in present:
        added["Content-Security-Policy"] = API_POLICY
    if not page or b"cache-control" not in present:
        added["Cache-Control"] = "no-store"
    if not whole:
        added["Connection"] = "close"
    return [(name.encode(), value.encode()) for name, value in added.items()]


async def _linger(receive: Callable[[], Awaitable[Message]]) -> None:
    """Read and drop the rest of the request. Closing at once would lose the response."""
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass
