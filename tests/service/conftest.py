"""A real server in a process of its own, as a user starts it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    process: subprocess.Popen
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def client(self, **options) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)

    def memory(self) -> int:
        """Resident bytes of the server itself."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) * 1024


@contextmanager
def serving(model: Path, *arguments: str) -> Iterator[Served]:
    """`bimodal serve` until the block ends; it must then stop by itself, without a traceback."""
    log = Path(tempfile.mkstemp(suffix=".log")[1])
    command = [sys.executable, "-m", "bimodal", "serve", str(model), "--port", "0", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=stream, env=environment)
    try:
        served = Served(url=_address(process, log), process=process, log=log)
        with served.client() as client:
            for _ in range(300):
                if client.get("/readyz").status_code == 200:
                    break
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shown = log.read_text()
        log.unlink()
    assert "Traceback" not in shown, shown


def _address(process: subprocess.Popen, log: Path) -> str:
    import time

    for _ in range(600):
        if found := re.search(r"page: (http://[^/]+/)", log.read_text()):
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="session")
def served(tiny_model: Path) -> Iterator[Served]:
    """A server with the limits that everybody gets; shared, so leave it as it was."""
    with serving(tiny_model) as running:
        yield running


@pytest.fixture(scope="session")
def serve() -> Callable:
    """Start a server with arguments of its own."""
    return serving


@pytest.fixture
def http(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture(scope="session")
def recording(tiny_manifest: Path) -> Path:
    """A clip that the tiny model knows."""
    return tiny_manifest.parent / "audio" / "s0-anger-0.wav"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The machine's Chromium; skips where there is none, but never in CI."""
    names = (os.environ.get("BIMODAL_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        complaint = "no Chromium for the tests of the page: install it (Debian: chromium) or set BIMODAL_CHROMIUM"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(complaint)
        pytest.skip(complaint)
    return found
