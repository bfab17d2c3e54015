"""Bulk recognition: processes, Ray, memory, overhead, what a killed worker costs, and a plan of capacity from it.

`python -m benchmarks.bulk --clips FOLDER` measures with real recordings and takes about an hour on two idle cores;
`--recordings 100 --memory 1000 --repeats 1` is a quick look. It writes docs/results-bulk.json and the tables of
docs/how-to/bulk.md. Runs that are compared alternate, and the median counts, as other programs disturb them.
"""

import argparse
import csv
import filecmp
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bimodal.audio.recordings import find_recordings
from bimodal.inference.installed import DEFAULT, find_model
from bimodal.inference.model_folder import load_model_config
from bimodal.scale.progress import Throughput
from bimodal.scale.records import BulkOptions, Setup
from bimodal.scale.run import Listener, RunOptions, run_bulk

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "docs" / "results-bulk.json"
PAGE = ROOT / "docs" / "how-to" / "bulk.md"
PART = 1000
STRETCH = 0.3
"""Length in seconds of the stretches with which memory is watched over many recordings."""


def write_list(file: Path, clips: list[Path], count: int, stretch: float | None = None) -> Path:
    """A manifest of so many rows; where there are fewer recordings, they are taken again under other ids."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "path", "start", "end"])
        for number, clip in enumerate(islice(cycle(clips), count)):
            rows.writerow([number, clip, "" if stretch is None else 0.5, "" if stretch is None else 0.5 + stretch])
    return file


class Measured:
    """A run as it went: recordings, seconds and bytes of memory after each batch."""

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []

    def take(self, run: Throughput) -> None:
        """Note how far a run is."""
        kept = {"recordings", "audio_seconds", "compute_seconds", "busy_seconds"}
        record = {name: value for name, value in run.record().items() if name in kept}
        if len(self.points) % 100 == 99:
            print(f"{run.recordings} of {run.todo} recordings", file=sys.stderr, flush=True)
        self.points.append({**record, "seconds": run.seconds, "memory": run.memory_now})

    def steady(self, name: str) -> float:
        """Growth of a figure without the start of the workers, which long runs do not notice."""
        return self.points[-1][name] - self.points[self.first][name]

    @property
    def first(self) -> int:
        """The point at which all workers have begun."""
        return max(1, len(self.points) // 10)

    @property
    def rate(self) -> float:
        """Recordings a second."""
        return self.steady("recordings") / self.steady("seconds")


def measure(sources: list[str], root: Path, workers: int, engine: str, batch: int = 32) -> Measured:
    """One run in a folder of its own."""
    measured = Measured()
    with tempfile.TemporaryDirectory() as folder:
        run_bulk(
            sources,
            Path(folder) / "out",
            setup(),
            {},
            RunOptions(part_size=PART, batch_size=batch, workers=workers, engine=engine, root=str(root)),
            Listener(done=measured.take),
        )
    return measured


def setup() -> Setup:
    return Setup(model=DEFAULT, revision=load_model_config(find_model()).revision, options=BulkOptions())


def pairs(first: Any, second: Any, repeats: int) -> list[tuple[Measured, Measured]]:
    """Both kinds of runs in turn."""
    return [(first(), second()) for _ in range(repeats)]


def scaling(listed: Path, root: Path, repeats: int) -> dict[str, Any]:
    """Two workers against one, and Ray against the processes of this machine."""
    sources = [str(listed)]
    workers = pairs(lambda: measure(sources, root, 1, "local"), lambda: measure(sources, root, 2, "local"), repeats)
    engines = pairs(lambda: measure(sources, root, 2, "local"), lambda: measure(sources, root, 2, "ray"), repeats)
    ones = [one for one, _ in workers]
    return {
        "two_workers": statistics.median(two.rate / one.rate for one, two in workers),
        "ray": statistics.median(ray.rate / local.rate for local, ray in engines),
        "overhead": statistics.median(one.steady("seconds") / one.steady("compute_seconds") - 1 for one in ones),
        "overhead_ms": statistics.median(
            1000 * (one.steady("seconds") - one.steady("compute_seconds")) / one.steady("recordings") for one in ones
        ),
        "clip_seconds": ones[0].steady("audio_seconds") / ones[0].steady("recordings"),
        "rtfx_core": statistics.median(one.steady("audio_seconds") / one.steady("seconds") for one in ones),
        "rtfx_two": statistics.median(two.steady("audio_seconds") / two.steady("seconds") for _, two in workers),
    }


def memory(listed: Path, root: Path, count: int) -> dict[str, Any]:
    """Memory of one worker after the first thousand recordings and after the last, and what they cost."""
    run = measure([str(listed)], root, 1, "local")
    at = {
        int(point["recordings"]): round(point["memory"] / 2**20, 1)
        for point in run.points
        if point["recordings"] % (PART if count <= 20 * PART else 10 * PART) == 0 or point["recordings"] == count
    }
    early = next(point["memory"] for point in run.points if point["recordings"] >= min(PART, count))
    return {
        "recordings": count,
        "megabytes_early": early / 2**20,
        "megabytes_late": run.points[-1]["memory"] / 2**20,
        "megabytes_most": max(point["memory"] for point in run.points) / 2**20,
        "series": at,
        "seconds": run.points[-1]["seconds"],
    }


def command(listed: Path, root: Path, out: Path, *more: str) -> list[str]:
    """The command line, as a person types it."""
    begin = [sys.executable, "-m", "bimodal", "bulk", str(listed), "--root", str(root), "--out", str(out)]
    return [*begin, "--part-size", "100", "--batch-size", "16", *more]


def start(listed: Path, root: Path, out: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(listed, root, out, *more), stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def wait_for_pieces(out: Path, count: int, process: "subprocess.Popen[str]") -> None:
    """Wait until so many batches are kept."""
    while process.poll() is None and kept(out) < count:
        time.sleep(0.02)


def kept(out: Path) -> int:
    """Batches of unfinished parts and recordings of finished ones, counted in batches of about 16."""
    pieces = len(list((out / "unfinished").glob("*/*.piece")))
    return pieces + 6 * len(list((out / "results").glob("*.parquet")))


def children(pid: int, name: str = "spawn_main") -> list[int]:
    """Worker processes of a run, or of a node of Ray; the helper of multiprocessing is none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, line = (folder / "status").read_text(), (folder / "cmdline").read_text()
        except OSError:
            continue
        if re.search(rf"^PPid:\s+{pid}$", status, re.MULTILINE) and name in line:
            found.append(int(folder.name))
    return found


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same parts, byte by byte."""
    names = [
        sorted(file.relative_to(out).as_posix() for kind in ("results", "failures") for file in (out / kind).iterdir())
        for out in (one, other)
    ]
    return names[0] == names[1] and all(filecmp.cmp(one / name, other / name, shallow=False) for name in names[0])


def last_call(out: Path) -> dict[str, Any]:
    return json.loads((out / "calls.jsonl").read_text().splitlines()[-1])


def kill_worker(listed: Path, root: Path, folder: Path, whole: Path) -> dict[str, Any]:
    """Kill a worker process in the middle; the run goes on by itself."""
    out = folder / "worker"
    process = start(listed, root, out, "--workers", "2")
    wait_for_pieces(out, 4, process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    told = process.communicate()[1]
    call = last_call(out)
    return {
        "exit": process.returncode,
        "told": [line for line in told.splitlines() if "a worker ended" in line],
        "lost_batches": call["lost"],
        "recordings": call["recordings"],
        "same_bytes": same(out, whole),
    }


def kill_run(listed: Path, root: Path, folder: Path, whole: Path) -> dict[str, Any]:
    """Kill the whole run in the middle, twice; the same command continues it."""
    out = folder / "run"
    earlier = []
    for pieces in (3, 12):
        process = start(listed, root, out, "--workers", "2")
        wait_for_pieces(out, pieces, process)
        workers = children(process.pid)
        process.kill()
        process.wait()
        wait_gone(workers)
        earlier.append(kept(out))
    done = start(listed, root, out, "--workers", "2")
    told = done.communicate()[1]
    return {
        "exit": done.returncode,
        "kept_batches": earlier,
        "told": [line for line in told.splitlines() if "finished already" in line],
        "same_bytes": same(out, whole),
    }


def wait_gone(pids: list[int]) -> None:
    """Wait until workers have noticed that their parent is gone."""
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > end:
            raise SystemExit("a worker outlived its run")
        time.sleep(0.05)


def kill_node(listed: Path, root: Path, folder: Path, whole: Path, count: int = 2) -> dict[str, Any]:
    """The head of a Ray cluster and more nodes, each a process of its own; one that works is killed in the middle."""
    from ray.cluster_utils import Cluster

    out = folder / "node"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(count)]
    cluster.wait_for_nodes()
    try:
        process = start(listed, root, out, "--engine", "ray", "--ray-address", cluster.address)
        wait_for_pieces(out, 4, process)
        cluster.remove_node(working(nodes, process), allow_graceful=False)
        told = process.communicate()[1]
    finally:
        cluster.shutdown()
    call = last_call(out)
    return {
        "exit": process.returncode,
        "told": [line for line in told.splitlines() if "a worker ended" in line],
        "lost_batches": call["lost"],
        "workers_seen": call["workers_seen"],
        "recordings": call["recordings"],
        "same_bytes": same(out, whole),
    }


def working(nodes: list[Any], process: "subprocess.Popen[str]") -> Any:
    """A node that has a batch; the first one if the run is over."""
    while process.poll() is None:
        for node in nodes:
            if children(node.all_processes["raylet"][0].process.pid, "ray::work"):
                return node
        time.sleep(0.01)
    return nodes[0]


def kills(listed: Path, root: Path) -> dict[str, Any]:
    """What kills cost, and whether the parts are those of an undisturbed run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = folder / "whole"
        subprocess.run(command(listed, root, whole, "--workers", "1", "-q"), check=True, capture_output=True)
        return {
            "worker": kill_worker(listed, root, folder, whole),
            "run": kill_run(listed, root, folder, whole),
            "node": kill_node(listed, root, folder, whole),
        }


def capacity(found: dict[str, Any]) -> str:
    """The plan of capacity as a table, from what was measured."""
    scaled, watched = found["scaling"], found["memory"]
    core_hours = 1e6 / scaled["rtfx_core"]
    mega = watched["megabytes_most"]
    rows = [
        ("clips", f"{scaled['clip_seconds']:.1f} s on average"),
        ("hours of audio that one core does in an hour (RTFx)", f"{scaled['rtfx_core']:.0f}"),
        ("core hours for a million hours of audio", f"{core_hours:,.0f}"),
        ("days on 64 cores", f"{core_hours / 64 / 24:.1f}"),
        ("price at 0.04 for a core hour", f"{0.04 * core_hours:,.0f}"),
        ("memory of a worker", f"{mega:.0f} MB"),
        ("memory of 64 workers", f"{64 * mega / 1024:.1f} GB"),
        ("time of a worker outside decoder and model", f"{100 * scaled['overhead']:.1f} %"),
        ("two workers against one", f"{scaled['two_workers']:.2f} times"),
        ("Ray against processes, on one machine", f"{scaled['ray']:.2f} times"),
    ]
    lines = ["| measured | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    told = [f"Measured on {scaled['machine']}, {scaled['date']}, with `{scaled['command']}`."]
    if scaled["load"] > 1:
        told.append(f"Other programs ran meanwhile (load {scaled['load']:.0f}): on a machine of its own, it is faster.")
    return "\n".join([*told, "", *lines])


def write_page(found: dict[str, Any]) -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- capacity -->", "<!-- end of capacity -->"
    before, rest = text.split(begin)
    PAGE.write_text(f"{before}{begin}\n{capacity(found)}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def machine() -> str:
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{os.cpu_count()} cores ({names[0] if names else platform.processor()})"


def steps(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Any]]:
    """Each measurement that was asked for, with its name."""
    clips = [recording.path.resolve() for recording in find_recordings([options.clips])]
    root = options.clips.resolve()
    if "scaling" in options.only:
        listed = write_list(folder / "scaling.csv", clips, options.recordings)
        yield "scaling", scaling(listed, root, options.repeats)
    if "memory" in options.only:
        listed = write_list(folder / "memory.csv", clips, options.memory, STRETCH)
        yield "memory", memory(listed, root, options.memory)
    if "kills" in options.only:
        listed = write_list(folder / "kills.csv", clips, options.kill_recordings)
        yield "kills", kills(listed, root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of short real recordings")
    parser.add_argument("--recordings", type=int, default=2000, help="of each run that is timed")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", type=int, default=100_000, help="recordings over which memory is watched")
    parser.add_argument("--kill-recordings", type=int, default=400)
    parser.add_argument("--only", nargs="+", default=["scaling", "memory", "kills"])
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    sizes = {
        "scaling": f"--recordings {options.recordings} --repeats {options.repeats}",
        "memory": f"--memory {options.memory}",
        "kills": f"--kill-recordings {options.kill_recordings}",
    }
    about = {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load": os.getloadavg()[2],  # of other programs, before anything began
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, found in steps(options, Path(folder)):
            command = f"python -m benchmarks.bulk --clips FOLDER --only {name} {sizes[name]}"
            known[name] = found | about | {"command": command}
            options.out.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")  # what is measured is kept
            print(name, json.dumps(found, indent=2), flush=True)
    if options.out == RESULT and {"scaling", "memory"} <= known.keys():
        write_page(known)


if __name__ == "__main__":
    main()
