"""Several processes of one command on this machine, as `bimodal train --processes` has them."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bimodal.cli.terminal import say

Processes = Annotated[
    int,
    typer.Option(
        "--processes",
        min=1,
        max=256,
        help="Train in that number of processes: one a GPU with device=cuda, else on the CPU. Batches stay the same.",
    ),
]

LOST: Final = 3
"""Exit code of a process that lost another one: the other one knows the reason."""

_WATCHED: Final = "BIMODAL_PARENT"
_LINES_OF_OTHERS: Final = 20_000  # bytes that are read of what a further process said
_GRACE: Final = 10.0  # seconds in which a process may say why it ends
_INTERRUPTED: Final = 130


def is_further() -> bool:
    """Whether this is one of several processes, and not the first one, which talks."""
    return int(os.environ.get("RANK", "0")) > 0


def share_work(count: int) -> None:
    """Start this command in several processes, wait for them and exit; return at once for one process, or within one.

    Args:
        count: Processes.
    """
    if _WATCHED in os.environ:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if count < 2 or "WORLD_SIZE" in os.environ:
        return
    with tempfile.TemporaryDirectory(prefix="bimodal-") as folder:
        files = [Path(folder) / str(rank) for rank in range(count)]
        sys.exit(_run(count, files))


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, however it did."""
    sys.stdin.buffer.read()
    os._exit(1)


def _run(count: int, files: Sequence[Path]) -> int:
    """Run all processes; the exit code of the command."""
    common = _environment(count)
    children = [_start({**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}, files[rank]) for rank in range(count)]
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if not _wait(children):
            return 0
        culprit = _end(children)
        if children[0].returncode > 0 and children[0].returncode != LOST:
            return children[0].returncode  # it has said why
        say(_told(culprit, count, children[culprit].returncode, files[culprit]))
        return 1
    except KeyboardInterrupt:  # each process has got it, too, and the first one has said so
        _end(children)
        return _INTERRUPTED
    finally:
        for child in children:
            child.kill()
        signal.signal(signal.SIGTERM, before)


def _environment(count: int) -> dict[str, str]:
    """What all processes are told: where they meet, and their threads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), _WATCHED: str(os.getpid())}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count))}
    quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # it tells of parameters that are all used
    network = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    return {**threads, **quiet, **network, **os.environ, **common}


def _start(environment: dict[str, str], file: Path) -> "subprocess.Popen[bytes]":
    """One process; what a further one says goes to a file."""
    command = [sys.executable, "-m", "bimodal", *sys.argv[1:]]
    options: dict[str, Any] = {"stdin": subprocess.PIPE, "env": environment}
    if environment["RANK"] == "0":
        return subprocess.Popen(command, **options)  # noqa: S603
    with file.open("wb") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream, **options)  # noqa: S603


def _wait(children: Sequence["subprocess.Popen[bytes]"]) -> bool:
    """Wait until all have ended well, or one has failed; whether one has."""
    while any(child.poll() is None for child in children) and not any(child.returncode for child in children):
        time.sleep(0.05)
    return any(child.returncode for child in children)


def _end(children: Sequence["subprocess.Popen[bytes]"]) -> int:
    """Let the other processes say why they end, then end them; the number of the one that began it."""
    last, failed = time.monotonic() + _GRACE, list[int]()
    while time.monotonic() < last and any(child.poll() is None for child in children):
        time.sleep(0.05)
    for rank, child in enumerate(children):
        if child.poll() not in (None, 0, LOST):
            failed.append(rank)
    for child in children:
        child.terminate()
        child.wait()
    return failed[0] if failed else 0


def _told(rank: int, count: int, code: int, file: Path) -> str:
    """What a further process said last, or how it ended."""
    text = file.read_bytes()[-_LINES_OF_OTHERS:].decode(errors="replace") if file.is_file() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    why = f"signal {-code} ended it" if code < 0 else lines[-1] if lines else f"it ended with code {code}"
    kept = "finished work is kept: give the command again to continue"
    return f"bimodal: process {rank + 1} of {count} failed: {why.removeprefix('bimodal: ')}; {kept}"
