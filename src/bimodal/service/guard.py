"""What stands in front of every request: host, origin, token, bytes, time, headers; pure ASGI, so that streams flow."""

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bimodal.service.limits import Limits
from bimodal.service.measuring import Measures
from bimodal.service.problems import Problem, log_mistake

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "X-Frame-Options": "DENY",
}

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"

_OPEN: Final = ("/healthz", "/readyz")
_LINGER_SECONDS: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: Names under which the server may be addressed; empty for any.
        token: What requests to the interface must carry; empty for none.
    """

    hosts: tuple[str, ...] = LOOPBACK
    token: str = field(default="", repr=False)

    def knows(self, token: str) -> bool:
        """True for the right token, or where none is needed."""
        return not self.token or hmac.compare_digest(self.token.encode(), token.encode("utf-8", "replace"))


class Guard:
    """Lets through what is within the limits, and dresses every answer."""

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
            await (refusal.response() if refusal else self._app)(scope, receive, send)
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
            await (refusal.response() if refusal else self._app)(scope, exchange.receive, exchange.send)
        except Exception as error:  # the last line of defence: whatever it is, the client gets a problem
            log_mistake(error)
            if exchange.status is None:
                await Problem("internal", "the server made a mistake; its log says where").response()(
                    scope, exchange.receive, exchange.send
                )

    def _refusal(self, scope: Scope, headers: Headers) -> Problem | None:
        """Why a request is not let through; None where it is."""
        host = urlsplit(f"//{headers.get('host', '')}")
        if self._access.hosts and _name(host) not in self._access.hosts:
            return Problem("wrong-host", "this server is not known under that name; start it with --allow-host")
        origin = headers.get("origin")
        if origin and (urlsplit(origin).netloc.lower() != headers.get("host", "").lower()):
            return Problem("forbidden", "pages of other sites may not use this server")
        path: str = scope["path"]
        if scope["type"] == "http" and path.startswith(("/v1", "/metrics")) and not self._access.knows(bearer(headers)):
            return Problem("unauthorised", "send the server's token: 'Authorization: Bearer TOKEN'")
        return None

    def _most_bytes(self, scope: Scope) -> int:
        return self._limits.job_bytes if scope["path"] == "/v1/jobs" else self._limits.clip_bytes

    def _most_seconds(self, scope: Scope) -> float:
        return self._limits.upload_seconds * (10 if scope["path"] == "/v1/jobs" else 1)


def _costly(scope: Scope) -> str:
    """Kind of what may stay long or send much, which is counted; empty for the rest."""
    if scope["type"] == "websocket":
        return "socket"
    if scope["method"] in ("POST", "PUT", "PATCH"):
        return "job" if scope["path"] == "/v1/jobs" else "upload"
    return "follower" if scope["path"].endswith("/events") else ""


def bearer(headers: Headers) -> str:
    """The token of a request; empty where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _name(host: Any) -> str:
    try:
        return str(host.hostname or "")
    except ValueError:
        return ""


class _Exchange:
    """One request and its answer: bytes and time of the one are counted, the other is dressed."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most_bytes: int, most_seconds: float) -> None:
        self.status: int | None = None
        self._receive, self._send = receive, send
        self._most_bytes, self._seen = most_bytes, 0
        self._deadline = asyncio.get_running_loop().time() + most_seconds
        self._seconds = most_seconds
        self._whole = scope["method"] in ("GET", "HEAD")
        self._page = not scope["path"].startswith("/v1")

    def too_long(self, headers: Headers) -> bool:
        """True where the client says itself that it sends too much."""
        length = headers.get("content-length", "0")
        return length.isdigit() and int(length) > self._most_bytes

    def too_large(self) -> Problem:
        """The refusal of a body that is too large."""
        return Problem("too-large", f"the request is larger than {self._most_bytes} bytes")

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            Problem: Too many bytes, or too slow.
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
        """The next part of the answer; one that comes before the whole request waits for the client to notice."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", []), *_dress(message, self._page, self._whole)]}
        elif message["type"] == "http.response.body" and not message.get("more_body") and not self._whole:
            await self._send({**message, "more_body": True})
            await _linger(self._receive)
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def _dress(start: MutableMapping[str, Any], page: bool, whole: bool) -> list[tuple[bytes, bytes]]:
    """Headers to add to an answer."""
    present = {name.lower() for name, _ in start.get("headers", [])}
    wanted = dict(SECURITY_HEADERS)
    if b"content-security-policy" not in present:
        wanted["Content-Security-Policy"] = API_POLICY
    if not page or b"cache-control" not in present:
        wanted["Cache-Control"] = "no-store"
    if not whole:
        wanted["Connection"] = "close"
    return [(name.encode(), value.encode()) for name, value in wanted.items()]


async def _linger(receive: Callable[[], Awaitable[Message]]) -> None:
    """Take what the client still sends, and drop it: closing at once would take the answer away from it."""
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass
