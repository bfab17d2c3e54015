"""Runs of `bimodal bulk` in processes of their own, and what their folders hold."""

import os
import subprocess
import sys
from pathlib import Path

from pyarrow import parquet


def start(*arguments: object, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Begin a run; its stderr can be read."""
    command = [sys.executable, "-m", "bimodal", "bulk", *map(str, arguments)]
    known = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=known)


def bulk(*arguments: object, code: int = 0, environment: dict[str, str] | None = None) -> str:
    """Run to the end; gives stderr. A traceback is always a failure."""
    process = start(*arguments, environment=environment)
    told = process.communicate()[1]
    assert "Traceback" not in told and process.returncode == code, told
    return told


def rows(folder: Path, kind: str = "results") -> list[dict]:
    """Rows of all parts of a kind."""
    return parquet.read_table(folder / kind).to_pylist()


def parts(folder: Path) -> dict[str, bytes]:
    """Bytes of all finished parts."""
    files = [file for kind in ("results", "failures") for file in (folder / kind).iterdir()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
