"""`python -m tests.soak FOLDER`: a server under traffic with faults, and a recording of a day; memory stays flat."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.soak.recording import SAMPLES, write_long
from tests.soak.server import serving
from tests.soak.traffic import Traffic
from tests.soak.watching import judge, watched


def main() -> int:
    """Run what the command line asks for; 1 if something grows or an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("folder", type=Path, help="for the recording, its results, and soak.json")
    parser.add_argument("--minutes", type=float, default=60, help="of the server; 0 for none [default: 60]")
    parser.add_argument("--hours", type=float, default=24, help="of the recording; 0 for none [default: 24]")
    parser.add_argument("--model", default="permissive", help="model folder or name [default: permissive]")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}
    if options.minutes:
        report["server"] = soak_server(options.folder, options.model, options.minutes)
    if options.hours:
        report["recording"] = soak_recording(options.folder, options.model, options.hours)
    (options.folder / "soak.json").write_text(json.dumps(report, indent=1) + "\n")
    wrong = [f"{name}: {part['grows'] or part['wrong']}" for name, part in report.items() if not _fine(part)]
    print("\n".join(wrong) or "memory and handles stay flat")
    return int(bool(wrong))


def _fine(part: dict[str, Any]) -> bool:
    return not part["grows"] and not part["wrong"]


def soak_server(folder: Path, model: str, minutes: float) -> dict[str, Any]:
    """A server under mixed traffic for so long."""
    long = write_long(folder / "minute.flac", 1 / 60)
    settings = ("--set", "jobs_per_client=16", "--set", "kept_jobs=8")
    with serving(model, folder / "server.log", *settings) as (url, pid):
        traffic = Traffic(url, SAMPLES / "cross.mp3", long)
        with watched(pid) as samples:
            traffic.run(60 * minutes)
    told = judge(samples) | {"counts": dict(sorted(traffic.counts.items())), "wrong": traffic.wrong[:20]}
    print(f"server: {json.dumps(told)}", flush=True)
    return told


def soak_recording(folder: Path, model: str, hours: float) -> dict[str, Any]:
    """A recording of so many hours through `bimodal recognize`."""
    recording = write_long(folder / "long.flac", hours)
    out = folder / "results"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "bimodal", "recognize", "-m", model, str(recording), "--out", str(out)]
    command += ["--format", "vtt", "-q"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process,
        watched(process.pid) as samples,
    ):
        said = process.communicate()[1]
    captions = sum("-->" in line for file in out.glob("*.vtt") for line in file.open())
    wrong = [] if process.returncode == 0 and captions else [f"exit code {process.returncode}: {said[-500:]}"]
    told = judge(samples) | {"hours": hours, "captions": captions, "wrong": wrong}
    print(f"recording: {json.dumps(told)}", flush=True)
    return told


if __name__ == "__main__":
    sys.exit(main())
