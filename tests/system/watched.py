"""Commands that are watched from outside: what they print, write, connect to, and show of themselves in /proc."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Runs at the start of every Python process of the command, its children too. Audit events cannot be switched off.
RECORDER = """
import json, os, sys
_log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _hook(event, args):
    if event == "open":
        path, mode, flags = args
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if isinstance(flags, int) else False
        if not writes or isinstance(path, int) or flags & os.O_TMPFILE == os.O_TMPFILE:
            return
        detail = os.path.abspath(os.fsdecode(path))
    elif event in ("socket.connect", "socket.bind", "socket.sendto"):
        detail = str(args[1])
    elif event == "socket.getaddrinfo":
        detail = str(args[0])
    else:
        return
    os.write(_log, json.dumps([event, detail]).encode() + b"\\n")
sys.addaudithook(_hook)
"""


@dataclass
class Watched:
    """A command, while it runs and after.

    Attributes:
        process: The command.
        home: Home, cache and temporary folder of it: `home`, `cache`, `temp`, and `work`, in which it runs.
        shown: What /proc showed of it and its children: command lines, environments, names of open files.
        inodes: Sockets among these.
    """

    process: subprocess.Popen
    home: Path
    shown: set[str] = field(default_factory=set)
    inodes: set[str] = field(default_factory=set)
    out: str = ""
    err: str = ""

    def events(self, kind: str) -> list[str]:
        """What Python's audit events of one kind, such as `socket.connect`, were about."""
        lines = map(json.loads, (self.home / "events.log").read_text().splitlines())
        return [detail for event, detail in lines if event == kind]

    def written(self) -> set[Path]:
        """Files that are in its folders now, and those that Python code opened for writing anywhere else."""
        opened = {Path(detail) for detail in self.events("open")}
        folders = [self.home / name for name in ("home", "cache", "temp")]
        inside = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
        passing = {path for path in opened if path.is_relative_to(self.home / "temp")}  # seen in /proc while open
        return inside | {
            path
            for path in opened - passing
            if path.parts[1] not in ("dev", "proc") and path.parent.name != "__pycache__"
        }

    def look(self) -> None:
        """Read what /proc shows now."""
        for pid in [str(self.process.pid), *_children(self.process.pid)]:
            folder = Path("/proc", pid)
            for name in ("cmdline", "environ", "comm"):
                self.shown.add(_read(folder / name).replace("\0", "\n"))
            for link in _list(folder / "fd"):
                try:
                    target = str(link.readlink())
                except OSError:
                    continue
                self.shown.add(target)
                if target.startswith("socket:"):
                    self.inodes.add(target.removeprefix("socket:[").removesuffix("]"))

    def internet(self) -> set[str]:
        """Those of its sockets that are TCP or UDP, as the kernel lists them now."""
        tables = [_read(Path("/proc/net", name)) for name in ("tcp", "tcp6", "udp", "udp6")]
        rows = [line.split() for table in tables for line in table.splitlines()[1:]]
        return {row[9] for row in rows if row[9] in self.inodes}


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _children(pid: int) -> list[str]:
    return _read(Path(f"/proc/{pid}/task/{pid}/children")).split()


@contextmanager
def watched(
    home: Path, *arguments: object, stdin: bytes | None = None, program: tuple[str, ...] = ("-m", "bimodal")
) -> Iterator[Watched]:
    """Start `bimodal` with folders of its own below `home`; read /proc every 50 ms until the block ends."""
    for name in ("home", "cache", "temp", "work", "recorder"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "events.log").write_text("")
    (home / "recorder" / "sitecustomize.py").write_text(RECORDER.format(log=str(home / "events.log")))
    paths = [str(home / "recorder"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    kept = ("PATH", "LD_LIBRARY_PATH", "LANG", "VIRTUAL_ENV")  # without CI, in which some libraries report nothing home
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(home / "home"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "TMPDIR": str(home / "temp"),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    streams = [(home / name).open("wb") for name in ("out.log", "err.log")]
    command = [sys.executable, *program, *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=streams[0],
        stderr=streams[1],
        cwd=home / "work",
        env=environment,
    )
    running, ended = Watched(process=process, home=home), threading.Event()

    def poll() -> None:
        while not ended.is_set() and process.poll() is None:
            running.look()
            running.shown |= {f"internet:{inode}" for inode in running.internet()}
            time.sleep(0.05)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        if stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        yield running
    finally:
        process.terminate()
        process.wait(60)
        ended.set()
        thread.join()
        for stream in streams:
            stream.close()
        running.out, running.err = (_read(home / name) for name in ("out.log", "err.log"))


def run_watched(home: Path, *arguments: object, stdin: bytes | None = None, code: int = 0) -> Watched:
    """Run `bimodal` to its end."""
    with watched(home, *arguments, stdin=stdin) as running:
        running.process.wait(120)
    assert running.process.returncode == code, running.err
    assert "Traceback" not in running.err, running.err
    return running
