"""The server is killed while a client asks it; a server that is started again gives the same answers."""

import contextlib
import random
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from bimodal import Client
from bimodal.errors import BimodalError
from tests.kill.compare import contents, differences
from tests.kill.killing import Command, Kill, Runs

SERVE = "serve"
_START_SECONDS = 120.0


def kill_server(root: Path, kills: int, seed: int, report: Any) -> None:
    """Kill it `kills` times at moments of chance while a long recording and a clip are asked for."""
    missing = [number for number in range(kills) if not report.has(SERVE, number)]
    if not missing:
        return
    port = free_port()
    runs = Runs(root, Command(name=SERVE, arguments=("serve", "--port", str(port))))
    runs.begin()
    with runs.started():
        wait_for_server(port)
        begun = time.monotonic()
        expected = _ask(port, root / "inputs")
        seconds = time.monotonic() - begun
    print(f"{SERVE}: {seconds:.1f} s for a long recording and a clip", flush=True)
    for number in missing:
        moment = random.Random(f"{seed}/{SERVE}/{number}").uniform(0, seconds)
        report.add(_kill_once(runs, port, root / "inputs", number, moment, expected))


def _kill_once(runs: Runs, port: int, inputs: Path, number: int, moment: float, expected: Any) -> Kill:
    runs.begin()
    with runs.started() as process:
        wait_for_server(port)
        client = threading.Thread(target=_ask_and_be_refused, args=(port, inputs))
        client.start()
        client.join(moment)
        killed = process.exitcode is None
    client.join(60)
    problems = ["a client hangs after the kill"] if client.is_alive() else []
    problems += differences({"tmp/": "empty"}, contents(runs.folder))
    with runs.started():
        wait_for_server(port)
        if _ask(port, inputs) != expected:
            problems.append("other results after the kill")
    return Kill(command=SERVE, number=number, point=f"at {moment:.2f} s", killed=killed, problems=problems)


def _ask(port: int, inputs: Path) -> list[Any]:
    with contextlib.closing(Client(f"http://127.0.0.1:{port}")) as client:
        long = list(client.recognize_long(inputs / "call.wav", channels="speakers"))
        return [*long, client.recognize(inputs / "clips" / "0.wav", transcript="Stop that at once!")]


def _ask_and_be_refused(port: int, inputs: Path) -> None:
    with contextlib.suppress(BimodalError):
        _ask(port, inputs)


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for_server(port: int) -> None:
    """Wait until a server is ready.

    Raises:
        RuntimeError: It takes too long.
    """
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"no server at port {port} after {_START_SECONDS:g} s")
