"""Mixed requests to a server, with the faults of real clients: it must answer each, and the good ones alike."""

import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import soundfile
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

CLIENTS = 6
_FINE = {200, 201, 202, 204, 400, 404, 405, 408, 413, 415, 422, 429, 503}


class Traffic:
    """Clients that ask a server until a time, each doing one thing of chance after the other.

    Args:
        url: Of the server, with a slash at its end.
        clip: A short recording.
        long: A longer one.
    """

    def __init__(self, url: str, clip: Path, long: Path) -> None:
        self._url, self._clip, self._long = url, clip.read_bytes(), long.read_bytes()
        self._signal, self._rate = soundfile.read(long, dtype="float32", always_2d=True)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()
        self._expected: dict[str, Any] = {}

    def run(self, seconds: float, seed: int = 0) -> None:
        """Ask for so long, then wait for the last answers."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._client, args=(random.Random(seed + n), end)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, chance: random.Random, end: float) -> None:
        with httpx.Client(base_url=self._url, timeout=120, trust_env=False) as http:
            while time.monotonic() < end:
                action = chance.choice(ACTIONS)
                name = action.__name__
                try:
                    action(self, http, chance)
                except (httpx.HTTPError, OSError, WebSocketException) as error:
                    if name not in MAY_BREAK:
                        self._complain(f"{name}: {type(error).__name__}: {error}")
                with self._lock:
                    self.counts[name] += 1

    def _complain(self, told: str) -> None:
        with self._lock:
            self.wrong.append(told)

    def check(self, name: str, answer: httpx.Response) -> httpx.Response:
        """Note a status that no request may have; wait where the server is busy."""
        with self._lock:
            self.counts[f"status {answer.status_code}"] += 1
        if answer.status_code not in _FINE:
            self._complain(f"{name}: status {answer.status_code}: {answer.text[:200]}")
        if answer.status_code in (429, 503):
            time.sleep(min(2.0, float(answer.headers.get("retry-after", 1))))
        return answer

    def same(self, name: str, found: Any) -> None:
        """Note an answer that differs from the first one to the same question."""
        with self._lock:
            if self._expected.setdefault(name, found) != found:
                self.wrong.append(f"{name}: another answer than before")

    def raw(self) -> socket.socket:
        """A plain connection."""
        parts = urlsplit(self._url)
        return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=60)


def clip(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """A clip with its words."""
    form = {"audio": ("clip.wav", traffic._clip), "transcript": (None, "I told you to stop that!")}
    answer = traffic.check("clip", http.post("v1/recognize", files=form))
    if answer.status_code == 200:
        traffic.same("clip", answer.json())


def words(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """Words alone."""
    answer = traffic.check("words", http.post("v1/recognize", files={"transcript": (None, "What a lovely day!")}))
    if answer.status_code == 200:
        traffic.same("words", answer.json())


def pages(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """What browsers and monitors ask for."""
    for path in ("", "healthz", "readyz", "metrics", "v1/about", "v1/models", "nothing"):
        traffic.check("pages", http.get(path))


def wrong_types(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """Bodies of other kinds than are asked for."""
    traffic.check("wrong types", http.post("v1/recognize", files={"audio": ("x.wav", chance.randbytes(5000))}))
    traffic.check("wrong types", http.post("v1/recognize", files={"audio": ("x.flac", traffic._clip[:999])}))
    traffic.check("wrong types", http.post("v1/recognize", json={"audio": [1, 2, 3]}))
    traffic.check("wrong types", http.post("v1/recognize", content=chance.randbytes(100)))
    traffic.check("wrong types", http.post("v1/jobs", files={"audio": ("x.mp3", b"ID3" + chance.randbytes(3000))}))
    traffic.check("wrong types", http.put("v1/recognize", content=b"x"))


def job(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """A long recording, followed to its end, left in the middle, or deleted."""
    answer = traffic.check("job", http.post("v1/jobs", files={"audio": ("long.flac", traffic._long)}))
    if answer.status_code not in (200, 201, 202):
        return
    place = f"v1/jobs/{answer.json()['id']}"
    how = chance.choice(("follow", "leave", "delete"))
    if how != "delete":
        with http.stream("GET", f"{place}/events") as events:
            for number, _ in enumerate(events.iter_lines()):
                if how == "leave" and number > 5:
                    break
    if how == "follow":
        found = http.get(place).json()
        if found["state"] == "done":
            traffic.same("job", found["results"])
    traffic.check("job", http.delete(place))


def broken_upload(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """A body that ends before its promised length."""
    with traffic.raw() as connection:
        connection.sendall(_head("v1/recognize", 1_000_000) + traffic._clip[: chance.randrange(len(traffic._clip))])
        _cut(connection, chance)


def dropped_answer(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """A whole request whose answer nobody reads."""
    with traffic.raw() as connection:
        connection.sendall(_head("v1/recognize", len(_BODY) + len(traffic._clip) + len(_TAIL)))
        connection.sendall(_BODY + traffic._clip + _TAIL)
        _cut(connection, chance)


def slow(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """A client that sends a few bytes now and then, and gives up."""
    with traffic.raw() as connection:
        for byte in _head("v1/recognize", 1_000_000)[: chance.randrange(1, 150)]:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)


def dying_stream(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """A live stream whose connection breaks in the middle, or that sends rubbish."""
    with connect(traffic._url.replace("http", "ws", 1) + "v1/stream", proxy=None, ping_interval=None) as stream:
        stream.send(json.dumps({"type": "start", "sampling_rate": traffic._rate}))
        samples = (traffic._signal[:, 0] * 32767).astype("<i2").tobytes()
        for start in range(0, chance.randrange(len(samples)), 32_000):
            stream.send(samples[start : start + 32_000])
        if chance.random() < 0.3:
            stream.send(chance.choice(("rubbish", "{}", '{"type": 7}', "[" * 1000)))
            stream.recv(timeout=60)
        elif chance.random() < 0.5:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()


def whole_stream(traffic: Traffic, http: httpx.Client, chance: random.Random) -> None:
    """A live stream to its end."""
    with connect(traffic._url.replace("http", "ws", 1) + "v1/stream", proxy=None, ping_interval=None) as stream:
        stream.send(json.dumps({"type": "start", "sampling_rate": traffic._rate, "partial": False}))
        if json.loads(stream.recv(timeout=60))["type"] != "ready":
            return
        for block in np.array_split(traffic._signal[:, 0], 20):
            stream.send(block.astype("<f4").tobytes())
        stream.send(json.dumps({"type": "end"}))
        results = []
        while (told := json.loads(stream.recv(timeout=120)))["type"] not in ("end", "error"):
            results.append(told)
        if told["type"] == "end":
            traffic.same("stream", results)


ACTIONS: list[Callable[[Traffic, httpx.Client, random.Random], None]] = [
    clip, clip, clip, words, words, pages, wrong_types, job, broken_upload, dropped_answer, slow, dying_stream,
    whole_stream,
]  # fmt: skip
MAY_BREAK = {"broken_upload", "dropped_answer", "slow", "dying_stream", "whole_stream"}

_BOUND = "soak"
_BODY = f'--{_BOUND}\r\nContent-Disposition: form-data; name="audio"; filename="c.wav"\r\n\r\n'.encode()
_TAIL = f"\r\n--{_BOUND}--\r\n".encode()


def _head(path: str, length: int) -> bytes:
    kind = f"multipart/form-data; boundary={_BOUND}"
    return (
        f"POST /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()
    )


def _cut(connection: socket.socket, chance: random.Random) -> None:
    """End a connection, half of the time with a reset."""
    if chance.random() < 0.5:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
