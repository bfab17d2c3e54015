"""Run the server: uvicorn with limits, and a stop that finishes running requests."""

import asyncio
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from bimodal.errors import BimodalError
from bimodal.service.guard import LOOPBACK
from bimodal.service.limits import Limits

_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than clients and proxies keep a connection (httpx 5 s, nginx 60 s): else one is closed as they use it."""
_LONGEST_HEADER: Final = 32_768


def run_server(app: FastAPI, listening: socket.socket, limits: Limits, on_start: Callable[[], None]) -> None:
    """Serve until the process is stopped; then finish running requests, for at most `limits.stop_seconds`.

    Args:
        app: From `create_app`.
        listening: From `listen`.
        limits: Limits of the server.
        on_start: Called when the server is ready.
    """
    config = uvicorn.Config(
        app,
        http=_timed(limits.header_seconds),
        ws="websockets-sansio",
        ws_max_size=limits.stream_message_bytes,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=_LONGEST_HEADER,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(limits.stop_seconds),
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )
    asyncio.run(_serve(uvicorn.Server(config), listening, on_start))


async def _serve(server: uvicorn.Server, listening: socket.socket, on_start: Callable[[], None]) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.02)
    if server.started:
        on_start()
    await serving


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 chooses a free port.

    Raises:
        BimodalError: The address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise BimodalError(
            f"cannot listen on {host}:{port} ({error.strerror or error}); choose another --port"
        ) from error
    listening.set_inheritable(True)
    return listening


def choose_token(host: str, token: str) -> str:
    """The token for requests: the given one, or a new one if other machines can reach the server."""
    return token or ("" if host in LOOPBACK else secrets.token_urlsafe(18))


def _timed(seconds: float) -> type[H11Protocol]:
    """Protocol of uvicorn that closes a connection if its first request is late."""

    class Timed(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(seconds, self._close_if_silent)

        def _close_if_silent(self) -> None:
            if self.cycle is None and self.transport.get_protocol() is self:
                self.transport.close()

    return Timed
