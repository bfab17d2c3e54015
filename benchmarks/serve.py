"""The server under load, on loopback: throughput against Python, many clients, live streams, the page.

`python -m benchmarks.serve MODEL` takes seven minutes and writes docs/server-load.md; `--seconds 20` is a quick look.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import soundfile
from websockets.sync.client import connect

from bimodal import Clip, Recognizer

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "src" / "bimodal" / "service" / "static"
PAGE = ROOT / "docs" / "server-load.md"
RATE = 16_000
CLIPS = 60
CLIENTS = 64
STREAMS = 8
STREAM_SECONDS = 30


@contextmanager
def serving(model: str, *options: str) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its address and its process id."""
    with tempfile.NamedTemporaryFile("r") as log:
        command = [sys.executable, "-m", "bimodal", "serve", model, "--port", "0", *options]
        with Path(log.name).open("wb") as stream:
            process = subprocess.Popen(command, stderr=stream, env=os.environ | {"OMP_NUM_THREADS": "1"})
        while not (found := re.search(r"page: (\S+)/", Path(log.name).read_text())):
            if process.poll() is not None:
                raise SystemExit(Path(log.name).read_text())
            time.sleep(0.1)
        while httpx.get(f"{found[1]}/readyz", trust_env=False).status_code != 200:
            time.sleep(0.1)
        try:
            yield found[1], process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def make_clips(folder: Path) -> list[Path]:
    """Five-second clips that sound a little like syllables; what they say costs nothing."""
    rng, time_axis = np.random.default_rng(0), np.arange(5 * RATE) / RATE
    paths = []
    for number in range(CLIPS):
        voice = np.sin(2 * np.pi * (110 + 3 * number) * time_axis) + 0.3 * rng.normal(size=len(time_axis))
        signal_ = 0.2 * voice * np.abs(np.sin(2 * np.pi * 1.7 * time_axis))
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], signal_, RATE)
    return paths


def python_throughput(model: str, clips: list[Path]) -> float:
    """Clips a second of one batch in Python, with as many threads as there are cores."""
    recognizer = Recognizer(model)
    batch = [Clip(audio=path, transcript="I told you to stop that!") for path in clips]
    recognizer.recognize_batch(batch[:2])
    begun = time.perf_counter()
    recognizer.recognize_batch(batch)
    return len(batch) / (time.perf_counter() - begun)


def http_throughput(url: str, clips: list[Path]) -> float:
    """Clips a second of the same clips over HTTP, four at a time."""
    bodies = [path.read_bytes() for path in clips]
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as http, ThreadPoolExecutor(4) as threads:

        def ask(body: bytes) -> int:
            form = {"audio": ("clip.wav", body), "transcript": (None, "I told you to stop that!")}
            return http.post("/v1/recognize", files=form).status_code

        list(threads.map(ask, bodies[:4]))
        begun = time.perf_counter()
        if set(threads.map(ask, bodies)) != {200}:
            raise SystemExit("a clip was refused")
        return len(bodies) / (time.perf_counter() - begun)


def memory(pid: int) -> float:
    """Resident megabytes of the server."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def many_clients(url: str, pid: int, clip: Path, seconds: float) -> dict[str, object]:
    """64 clients that ask again as soon as they are answered, or when they are told to."""
    body, end = clip.read_bytes(), time.monotonic() + seconds
    statuses: Counter[int] = Counter()
    waits: list[float] = []
    without_hint = 0
    lock = threading.Lock()

    def client() -> None:
        nonlocal without_hint
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as http:
            while time.monotonic() < end:
                begun = time.perf_counter()
                answer = http.post("/v1/recognize", files={"audio": ("clip.wav", body)})
                with lock:
                    statuses[answer.status_code] += 1
                    waits.append(time.perf_counter() - begun)
                    without_hint += answer.status_code == 503 and "retry-after" not in answer.headers
                if answer.status_code == 503:
                    time.sleep(float(answer.headers.get("retry-after", 1)))

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    used = []
    while any(thread.is_alive() for thread in threads):
        used.append(memory(pid))
        time.sleep(1)
    third = max(1, len(used) // 3)
    return {
        "statuses": dict(statuses),
        "without_hint": without_hint,
        "median": statistics.median(waits),
        "p95": statistics.quantiles(waits, n=20)[-1],
        "memory_early": statistics.median(used[third : 2 * third]),
        "memory_late": statistics.median(used[-third:]),
    }


def live_streams(url: str) -> dict[str, float]:
    """Eight streams in real time: how long after the last sample the last result came, and how late partial ones."""
    speech, rate = soundfile.read(STATIC / "samples" / "diary.mp3", dtype="float32")
    signal_ = np.resize(speech, STREAM_SECONDS * rate)
    lags: list[float] = []
    late: list[float] = []

    def stream(number: int) -> None:
        time.sleep(0.1 * number)
        with connect(f"{url.replace('http', 'ws')}/v1/stream", proxy=None) as socket:
            socket.send(json.dumps({"type": "start", "sampling_rate": rate}))
            begun = time.monotonic()
            done = threading.Event()

            def listen() -> None:
                for message in socket:
                    told = json.loads(message)
                    if told["type"] == "partial":
                        late.append(time.monotonic() - begun - told["result"]["end"])
                    if told["type"] == "end":
                        done.set()

            ears = threading.Thread(target=listen)
            ears.start()
            for piece in range(STREAM_SECONDS * 10):
                time.sleep(max(0.0, begun + piece / 10 - time.monotonic()))
                socket.send(signal_[piece * rate // 10 : (piece + 1) * rate // 10].tobytes())
            last = time.monotonic()
            socket.send('{"type": "end"}')
            done.wait(60)
            lags.append(time.monotonic() - last)
            ears.join(5)

    threads = [threading.Thread(target=stream, args=(number,)) for number in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"lag": max(lags), "partials": len(late), "late": statistics.quantiles(late, n=20)[-1]}


def first_paint(url: str) -> float | None:
    """Milliseconds until Chromium has painted the page; None without playwright or Chromium."""
    try:
        from playwright.sync_api import Error, sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(url)
            page.wait_for_selector("#samples button")
            painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            browser.close()
            return float(painted)
    except (ImportError, Error):
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=300.0, help="How long the many clients ask.")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder))
        pairs = []
        with serving(options.model) as (url, pid):
            for _ in range(3):  # alternately, since the machine may be busy with other things
                pairs.append((python_throughput(options.model, clips), http_throughput(url, clips)))
            streams = live_streams(url)
            many = many_clients(url, pid, clips[0], options.seconds)
            painted = first_paint(url)
    python, http = (statistics.median(values) for values in zip(*pairs, strict=True))
    size = sum(file.stat().st_size for file in STATIC.rglob("*") if file.is_file())
    rows = [
        ("5-second clips per second, one batch in Python", f"{python:.1f}"),
        ("5-second clips per second over HTTP, four at a time", f"{http:.1f} ({http / python:.2f} of Python)"),
        (f"{CLIENTS} clients for {options.seconds:.0f} s: responses by status", f"{many['statuses']}"),
        ("503 without Retry-After", f"{many['without_hint']}"),
        ("median and 95th percentile of their response times", f"{many['median']:.2f} s, {many['p95']:.2f} s"),
        (
            "memory in the middle third and in the last third",
            f"{many['memory_early']:.0f} MB, {many['memory_late']:.0f} MB",
        ),
        (f"{STREAMS} live streams of {STREAM_SECONDS} s: delay of the last result", f"{streams['lag']:.2f} s"),
        ("partial results: number, 95th percentile of their delay", f"{streams['partials']}, {streams['late']:.2f} s"),
        ("size of the page, all files", f"{size / 1000:.0f} kB"),
        ("first paint", "not measured" if painted is None else f"{painted:.0f} ms"),
    ]
    cores = f"{os.cpu_count()} cores; load average before the run {load:.1f}"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    how = f"Command: `python -m benchmarks.serve MODEL`. Machine: {cores}. The clients run on the same machine."
    options.out.write_text(
        f"# Load test of the server\n\n{how}\n\n| measure | value |\n|---|---|\n{table}\n", encoding="utf-8"
    )
    print(table)


if __name__ == "__main__":
    main()
