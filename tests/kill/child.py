"""A command in a process of its own that may end itself at one of its changes to files, as a kill would."""

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR
_CHANGES = frozenset(("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "shutil.rmtree"))

IMPORTS = (
    "bimodal.cli",
    "bimodal.cli.write_results",
    "bimodal.data.corpora",
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


def run(arguments: list[str], folder: Path, log: Path, kill_at: int) -> None:
    """Run `bimodal` in a folder; the target of a process.

    Args:
        arguments: Of the command line.
        folder: The working folder; temporary files go to `tmp` in it.
        log: File for stdout and stderr. The number of changes to files goes to a file of this name with `.changes`.
        kill_at: Number of the change in front of which the process group gets SIGKILL; 0 for none.
    """
    os.setsid()
    os.chdir(folder)
    shown = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(shown, 1)
    os.dup2(shown, 2)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    from bimodal.training import loop

    loop._SECONDS_BETWEEN_CHECKPOINTS = 0.0  # after each epoch, so that a small run goes on in the middle, too
    changes = _Changes(folder, kill_at)
    sys.addaudithook(changes.count)
    sys.argv = ["bimodal", *arguments]
    from bimodal.__main__ import main

    try:
        main()
    finally:
        changes.folder = "nowhere"
        log.with_suffix(".changes").write_text(str(changes.seen))


class _Changes:
    """Counts the changes to files below a folder, from 1; each is seen just before it is made."""

    def __init__(self, folder: Path, kill_at: int) -> None:
        self.folder, self.seen, self._kill_at = str(folder) + os.sep, 0, kill_at

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
            if self.seen == self._kill_at:
                os.killpg(0, signal.SIGKILL)
