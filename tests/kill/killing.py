"""Kill a command, give it again, and compare the result with that of an undisturbed run."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from tests.kill import child
from tests.kill.child import Fault
from tests.kill.compare import contents, differences

NO_FAULT = Fault()
_LONGEST = 900.0  # seconds of a run; a longer one hangs


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of the program.

    Attributes:
        name: For the report.
        arguments: Of `bimodal`; paths are relative to the folder of the run, whose sibling `inputs` is read only.
        given: Folders below `inputs` that are copied into the folder of the run before it starts.
    """

    name: str
    arguments: tuple[str, ...]
    given: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A run from start to end.

    Attributes:
        seconds: How long it took.
        changes: How many changes to files it made.
        contents: Its result, as `contents` gives it.
    """

    seconds: float
    changes: int
    contents: dict[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A kill and what came of it.

    Attributes:
        command: Name of the command.
        number: Of the kill, from 0; with the seed it decides the point.
        point: `at 1.23 s` after the start, or `before change 17`.
        killed: False if the command had ended before.
        problems: How the result of the command that was given again differs; empty if it does not.
    """

    command: str
    number: int
    point: str
    killed: bool
    problems: list[str]


@cache
def _processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(child.IMPORTS))
    return context


class Runs:
    """Runs of a command in folders below `root`.

    Args:
        root: Folder with `inputs`.
        command: What is run.
    """

    def __init__(self, root: Path, command: Command) -> None:
        self.command, self._root = command, root
        self.folder = root / "runs" / command.name
        self._log = root / "logs" / f"{command.name}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Make the folder anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True)
        inputs = self._root / "runs" / "inputs"
        if not inputs.exists():
            inputs.symlink_to(self._root / "inputs")
        for name in self.command.given:
            shutil.copytree(self._root / "inputs" / name, self.folder / name)

    @contextmanager
    def started(self, fault: Fault = NO_FAULT) -> Iterator[ForkServerProcess]:
        """The command as a running process; its process group is gone at the end of the block."""
        self._log.unlink(missing_ok=True)
        process = _processes().Process(
            target=child.run, args=(list(self.command.arguments), self.folder, self._log, fault)
        )
        process.start()
        try:
            yield process
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()

    def run(self, fault: Fault = NO_FAULT) -> tuple[int | None, str]:
        """Give the command and wait for its end; its exit code and what it told."""
        with self.started(fault) as process:
            process.join(_LONGEST)
            code = process.exitcode
        return code, self.told()

    def told(self) -> str:
        """What the last run told."""
        return self._log.read_text(errors="replace")

    def finish(self) -> list[str]:
        """Give the command and wait for its end; what it told if it failed."""
        code, told = self.run()
        return [] if code == 0 else [f"exit code {code}: {told.strip()[-500:]}"]

    def undisturbed(self) -> Undisturbed:
        """Run it from start to end.

        Raises:
            RuntimeError: It failed.
        """
        self.begin()
        begun = time.monotonic()
        if told := self.finish():
            raise RuntimeError(f"{self.command.name}: {told[0]}")
        seconds = time.monotonic() - begun
        changes = int(self._log.with_suffix(".changes").read_text())
        return Undisturbed(seconds=seconds, changes=changes, contents=contents(self.folder))

    def kill(self, number: int, seed: int, whole: Undisturbed, *, kind: str = "") -> Kill:
        """Kill the command at a point of chance, give it again and compare.

        Args:
            number: Of the kill.
            seed: With the number, decides the point.
            whole: The undisturbed run.
            kind: `time` for a moment, `change` for a change to files; empty takes both in turn.
        """
        chance = random.Random(f"{seed}/{self.command.name}/{number}")
        moment, change = chance.uniform(0, whole.seconds), chance.randint(1, max(1, whole.changes))
        by_time = (kind or ("time", "change")[number % 2]) == "time"
        self.begin()
        killed = self._kill_after(moment) if by_time else self.kill_before(change)
        problems = self.finish() or differences(whole.contents, contents(self.folder))
        point = f"at {moment:.2f} s" if by_time else f"before change {change}"
        return Kill(command=self.command.name, number=number, point=point, killed=killed, problems=problems)

    def _kill_after(self, seconds: float) -> bool:
        with self.started() as process:
            process.join(seconds)
            return process.exitcode is None

    def kill_before(self, change: int) -> bool:
        """Kill it in front of a change to files; False if it ended before."""
        with self.started(Fault(kill_at=change)) as process:
            process.join(_LONGEST)
            return process.exitcode == -signal.SIGKILL


def survived(kills: Sequence[Kill]) -> dict[str, Any]:
    """Number of kills, and those after which something was wrong."""
    real = [kill for kill in kills if kill.killed]
    return {"kills": len(real), "wrong": sum(bool(kill.problems) for kill in kills), "runs": len(kills)}
