"""A command in a process of its own that may end itself at one of its changes to files, as a kill would."""

import ctypes
import os
import resource
import signal
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR
_CHANGES = frozenset(("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "shutil.rmtree"))

IMPORTS = (
    "bimodal.cli",
    "bimodal.cli.write_results",
    "bimodal.data.corpora",
    "bimodal.evaluation.predict",
    "bimodal.evaluation.protocols",
    "bimodal.evaluation.writing",
    "bimodal.inference.adapt",
    "bimodal.inference.export",
    "bimodal.inference.timeline",
    "bimodal.output.result_folder",
    "bimodal.service.app",
    "bimodal.training.summary",
    "bimodal.training.train",
    "bimodal.training.tune_speech",
    "bimodal.training.tune_text",
    "av",
    "soxr",
    "transformers",
)
"""Modules that are imported once for all runs: that takes longer than the work of a command on a small corpus."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong in a run.

    Attributes:
        kill_at: Number of the change to files, from 1, in front of which the process group gets SIGKILL; 0 for none.
        largest_file: Bytes that a file may have, as if the disk were full then; 0 for no limit.
        obeys_permissions: Without root's right to write everywhere.
        vanishing: File that is deleted in front of the change `vanishing_at`.
        vanishing_at: See `vanishing`.
    """

    kill_at: int = 0
    largest_file: int = 0
    obeys_permissions: bool = False
    vanishing: Path | None = None
    vanishing_at: int = 0


def run(arguments: list[str], folder: Path, log: Path, fault: Fault) -> None:
    """Run `bimodal` in a folder; the target of a process.

    Args:
        arguments: Of the command line.
        folder: The working folder; temporary files go to `tmp` in it.
        log: File for stdout and stderr. The number of changes to files goes to a file of this name with `.changes`.
        fault: What goes wrong.
    """
    os.setsid()
    os.chdir(folder)
    shown = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(shown, 1)
    os.dup2(shown, 2)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    from bimodal.training import loop

    loop._SECONDS_BETWEEN_CHECKPOINTS = 0.0  # after each epoch, so that a small run goes on in the middle, too
    if fault.largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.largest_file, resource.RLIM_INFINITY))
    if fault.obeys_permissions:
        _give_up_rights()
    changes = _Changes(folder, fault)
    sys.addaudithook(changes.count)
    sys.argv = ["bimodal", *arguments]
    from bimodal.__main__ import main

    try:
        main()
    finally:
        changes.folder = "nowhere"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.with_suffix(".changes").write_text(str(changes.seen))


def _give_up_rights() -> None:
    """Give up root's right to pass over the permissions of files (CAP_DAC_OVERRIDE), if this is root."""
    header = struct.pack("Ii", 0x20080522, 0)
    rights = ctypes.create_string_buffer(24)
    libc = ctypes.CDLL(None)
    libc.capget(header, rights)
    low = struct.unpack("6I", rights.raw)
    libc.capset(header, struct.pack("6I", low[0] & ~2, low[1] & ~2, low[2], *low[3:]))


class _Changes:
    """Counts the changes to files below a folder, from 1; each is seen just before it is made."""

    def __init__(self, folder: Path, fault: Fault) -> None:
        self.folder, self.seen, self._fault = str(folder) + os.sep, 0, fault

    def count(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook."""
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & _WRITING:
                return
        elif event not in _CHANGES:
            return
        place = arguments[0]
        if not isinstance(place, str | bytes | os.PathLike):
            return
        if os.path.abspath(os.fsdecode(place)).startswith(self.folder):  # noqa: PTH100 (changes nothing else)
            self.seen += 1
            if self.seen == self._fault.kill_at:
                os.killpg(0, signal.SIGKILL)
            if self.seen == self._fault.vanishing_at and self._fault.vanishing is not None:
                self._fault.vanishing.unlink()
