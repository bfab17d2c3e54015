"""A server in a process of its own, given time to start on a busy machine."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

_START_SECONDS = 600.0


@contextmanager
def serving(model: str, log: Path, *arguments: str) -> Iterator[tuple[str, int]]:
    """A server until the block ends: its address and its process id.

    Raises:
        RuntimeError: It does not start, or it tells a traceback.
    """
    command = [sys.executable, "-m", "bimodal", "serve", model, "--port", "0", *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        yield _address(process, log), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_START_SECONDS)
    if "Traceback" in log.read_text():
        raise RuntimeError(log.read_text())


def _address(process: subprocess.Popen, log: Path) -> str:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"page: (http://[^/]+/)", log.read_text()):
            with suppress(httpx.HTTPError):
                if httpx.get(f"{found[1]}readyz", trust_env=False, timeout=60).status_code == 200:
                    return found[1]
        time.sleep(0.2)
    raise RuntimeError(f"the server did not start: {log.read_text()}")
