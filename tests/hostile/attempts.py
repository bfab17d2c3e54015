"""One hostile input through one door of the program, and how it ends: a result, a sentence, or a fault."""

import contextlib
import io
import re
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from bimodal import Recognizer
from bimodal.errors import BimodalError
from bimodal.records import printable

LONGEST = 30
"""Seconds after which an attempt hangs."""

MOST_GROWTH = 600 << 20
"""Bytes by which the process may grow in one attempt."""


class RefusedError(Exception):
    """A door other than Python refused the input, with this sentence."""


@dataclass(kw_only=True)
class World:
    """What attempts share: a folder, a loaded model, and a server in this process, each opened when it is asked for.

    Attributes:
        folder: For files.
    """

    folder: Path
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _places: int = 0

    @cached_property
    def recognizer(self) -> Recognizer:
        """The packaged model."""
        return Recognizer(threads=1)

    @cached_property
    def client(self) -> httpx.Client:
        """A client of a server that runs in a thread of this process."""
        url = self._closing.enter_context(_serving(self.recognizer))
        return self._closing.enter_context(httpx.Client(base_url=url, timeout=LONGEST, trust_env=False))

    def place(self, name: str) -> Path:
        """A path of this name in an empty folder."""
        self._places += 1
        folder = self.folder / str(self._places)
        folder.mkdir()
        return folder / name

    def close(self) -> None:
        """Stop the server."""
        self._closing.close()

    def forget(self) -> None:
        """Delete all files."""
        for folder in self.folder.iterdir():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _serving(recognizer: Recognizer) -> Iterator[str]:
    """The address of a server with the limits that everybody gets."""
    import asyncio

    import uvicorn

    from bimodal.service.app import create_app
    from bimodal.service.limits import Limits
    from bimodal.service.server import listen

    limits, listening, ready = Limits(), listen("127.0.0.1", 0), threading.Event()
    config = uvicorn.Config(
        create_app(recognizer, limits=limits), ws="websockets-sansio", ws_max_size=limits.stream_message_bytes,
        ws_per_message_deflate=False, log_level="critical", access_log=False, lifespan="on",
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]  # pytest keeps its own

    async def serve() -> None:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not task.done():
            await asyncio.sleep(0.02)
        ready.set()
        await task

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.wait(LONGEST)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(LONGEST)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An input, the door through which it comes, and what is right.

    Attributes:
        door: Of the program.
        name: Of the input.
        ask: Gives the result; raises `BimodalError` or `RefusedError` with the sentence.
        refused: Words that the sentence must hold, as a regular expression; empty where a result is right, `|` where
            both are.
        wrong: What is wrong with the result; empty if nothing is.
    """

    door: str
    name: str
    ask: Callable[[World], Any]
    refused: str = ""
    wrong: Callable[[Any], str] = field(default=lambda result: "")

    @property
    def id(self) -> str:
        """A name for the test."""
        return f"{self.door}-{self.name}".encode("ascii", "backslashreplace").decode()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        kind: `result`, `sentence`, or `fault`.
        told: The sentence, or what is wrong.
    """

    kind: str
    told: str = ""


def carry_out(attempt: Attempt, world: World) -> Outcome:
    """Carry an attempt out, with a limit of time and memory."""
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        outcome = _judged(attempt, world)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown)
    if grown > MOST_GROWTH:
        return Outcome(kind="fault", told=f"grew by {grown >> 20} MiB ({outcome})")
    return outcome


def _give_up(*_: Any) -> None:
    raise TimeoutError(f"hangs for {LONGEST} s")


def _judged(attempt: Attempt, world: World) -> Outcome:
    try:
        result = attempt.ask(world)
    except (BimodalError, RefusedError) as error:
        return _judged_sentence(str(error), attempt.refused)
    except Exception as error:  # whatever else it is, it is a fault
        return Outcome(kind="fault", told=f"{type(error).__name__}: {error}")
    if attempt.refused not in ("", "|"):
        return Outcome(kind="fault", told=f"a result, expected the words {attempt.refused!r}: {result!r:.300}")
    wrong = attempt.wrong(result)
    return Outcome(kind="fault", told=f"{wrong}: {result!r:.300}") if wrong else Outcome(kind="result")


def _judged_sentence(told: str, refused: str) -> Outcome:
    if not refused:
        return Outcome(kind="fault", told=f"refused: {told}")
    if not re.search(refused, told, re.DOTALL):
        return Outcome(kind="fault", told=f"another sentence, expected the words {refused!r}: {told}")
    if len(told) > 5000 or not told.strip():
        return Outcome(kind="fault", told=f"{len(told)} characters are no sentence: {told[:200]}")
    return Outcome(kind="sentence", told=told)


def command(*arguments: Any) -> str:
    """Output of the command line, in this process.

    Raises:
        RefusedError: It ended with 1 or 2, and a sentence on stderr; anything else is a fault.
    """
    from bimodal.cli import _run

    out, told = io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape"), io.StringIO()
    argv, sys.argv = sys.argv, ["bimodal", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
            _run()
        code: Any = 0
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = argv
    errors = told.getvalue()
    if "Traceback" in errors or "\x1b" in errors:
        raise AssertionError(errors)
    out.flush()
    written = out.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
    if code in (0, None):
        return written + errors
    if code not in (1, 2):
        raise AssertionError(f"exit code {code}: {errors}")
    raise RefusedError(f"{errors}{written}".strip())


def answered(response: httpx.Response) -> Any:
    """What the server answered.

    Raises:
        RefusedError: It refused, with a problem and a sentence.
    """
    if response.status_code >= 500 and response.status_code != 503:
        raise AssertionError(f"status {response.status_code}: {response.text}")
    if response.status_code >= 400:
        try:
            told = response.json()["detail"]
        except (ValueError, KeyError, TypeError):
            told = response.text
        if printable(told) != told:
            raise AssertionError(f"control characters: {told!r}")
        raise RefusedError(f"{response.status_code}: {told}")
    return response.json() if "json" in response.headers.get("content-type", "") else response.text


def converse(world: World, messages: list[str | bytes]) -> list[dict[str, Any]]:
    """All messages of the server to a live stream, until it ends.

    Raises:
        RefusedError: The server sent an error and closed.
    """
    import json

    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    told: list[dict[str, Any]] = []
    url = str(world.client.base_url).replace("http", "ws", 1).rstrip("/")
    with connect(f"{url}/v1/stream", proxy=None, compression=None) as socket:
        try:
            for message in messages:
                socket.send(message)
            while not told or told[-1]["type"] not in ("end", "error"):
                told.append(json.loads(socket.recv(timeout=LONGEST)))
        except ConnectionClosed as closed:
            while not told or told[-1]["type"] != "error":
                try:
                    told.append(json.loads(socket.recv(timeout=1)))
                except (ConnectionClosed, TimeoutError):
                    code = closed.rcvd.code if closed.rcvd else None
                    if code in (None, 1006, 1011):
                        raise AssertionError(f"closed with {code}: {told}") from closed
                    raise RefusedError(f"closed with {code}: {closed.rcvd.reason if closed.rcvd else ''}") from closed
    if told[-1]["type"] == "error":
        raise RefusedError(f"{told[-1]['error']}: {told[-1]['message']}")
    return told
