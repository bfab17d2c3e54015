"""Requests and messages of live streams that no client should send."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tests.hostile.attempts import LONGEST, Attempt, World, answered, converse
from tests.hostile.recordings import WAV
from tests.hostile.sounds import sweep

WORDS = {"transcript": (None, "Stop that!")}
SOUND = {"audio": ("a.wav", WAV)}
KIND = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="transcript"\r\n'
PART = HEAD + b"\r\n"


def _raw(content: bytes, charset: str = "") -> dict[str, Any]:
    """A body as it stands, which says that it is a form."""
    return {"content": content, "headers": {"Content-Type": KIND + (f"; charset={charset}" if charset else "")}}


def _json(content: bytes) -> dict[str, Any]:
    """A body as it stands, which says that it is JSON."""
    return {"content": content, "headers": {"Content-Type": "application/json"}}


FORMS: dict[str, tuple[dict[str, Any], str]] = {
    "words": ({"files": WORDS}, ""), "sound": ({"files": SOUND}, ""), "both": ({"files": WORDS | SOUND}, ""),
    "no-body": ({}, "415"), "empty-body": (_raw(b""), "4.."),
    "random-body": (_raw(np.random.default_rng(0).bytes(5000)), "400"),
    "boundary-alone": (_raw(b"--x--\r\n"), "422|400"), "half-part": (_raw(PART + b'hi'), "400|422"),
    "no-disposition": (_raw(b"--x\r\n\r\nhi\r\n--x--\r\n"), "400|422"),
    "no-name": (_raw(b"--x\r\nContent-Disposition: form-data\r\n\r\nhi\r\n--x--\r\n"), "400|422"),
    "name-bytes": (_raw(b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\nhi\r\n--x--\r\n'), "400|422"),
    "text-bytes": (_raw(PART + b'\xff\xfe\x80\r\n--x--\r\n'), "|"),
    "charset-unknown": (_raw(HEAD + b'Content-Type: text/plain; charset=evil\r\n\r\nhi\r\n--x--\r\n', "evil"), "|"),
    "charset-utf-7": (_raw(PART + b'+AGE-\r\n--x--\r\n', "utf-7"), "|"),
    "charset-rot13": (_raw(PART + b'hi\r\n--x--\r\n', "rot13"), "|"),
    "charset-idna": (_raw(PART + b'' + b"a" * 9000 + b'\r\n--x--\r\n', "idna"), "|"),
    "boundary-empty": ({"content": b"--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary="}},
        "400|422"),
    "boundary-long": ({"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=" + "x" * 5000}},
        "400|422"),
    "boundary-bytes": ({"content": b"--x\r\n", "headers": {"Content-Type": b"multipart/form-data; boundary=\xff"}},
        "400|422"),
    "json": ({"json": {"transcript": "hi"}}, "415"),
    "xml": ({"content": b"<a/>", "headers": {"Content-Type": "text/xml"}}, "415"),
    "transcript-nul": ({"files": {"transcript": (None, "a\0b")}}, "|"),
    "transcript-ansi": ({"files": {"transcript": (None, "\x1b[31mred")}}, ""),
    "transcript-emoji": ({"files": {"transcript": (None, "👩‍👩‍👧‍👦" * 400)}}, ""),
    "transcript-right-to-left": ({"files": {"transcript": (None, "\u202eمرحبا")}}, ""),
    "transcript-10001": ({"files": {"transcript": (None, "x" * 10_001)}}, "413"),
    "transcript-wide": ({"files": {"transcript": (None, "😀" * 10_000)}}, "|"),
    "transcript-file": ({"files": {"transcript": ("a.txt", b"hi")}}, "422"),
    "audio-twice": ({"files": [("audio", ("a.wav", WAV)), ("audio", ("b.wav", WAV))]}, "413|422"),
    "audio-empty": ({"files": {"audio": ("a.wav", b"")}}, "empty"),
    "audio-html": ({"files": {"audio": ("a.wav", b"<html>" * 99)}}, "cannot be decoded"),
    "file-name-ansi": ({"files": {"audio": ("\x1b[31m.wav", WAV)}}, "|"),
    "file-name-path": ({"files": {"audio": ("../../etc/passwd", WAV)}}, ""),
    "file-name-long": ({"files": {"audio": ("a" * 4000 + ".wav", WAV)}}, "|"),
    "file-name-nul": ({"files": {"audio": ("a\0.wav", WAV)}}, "|"),
    "start-nan": ({"files": SOUND | {"start": (None, "nan")}}, "start"),
    "start-inf": ({"files": SOUND | {"start": (None, "inf")}}, "start"),
    "start-negative": ({"files": SOUND | {"start": (None, "-1")}}, "start"),
    "start-huge": ({"files": SOUND | {"start": (None, "1e308")}}, "no samples"),
    "start-beyond": ({"files": SOUND | {"start": (None, "5")}}, "no samples"),
    "start-digits": ({"files": SOUND | {"start": (None, "9" * 5000)}}, "start"),
    "start-arabic": ({"files": SOUND | {"start": (None, "٠")}}, "|"),
    "start-underscore": ({"files": SOUND | {"start": (None, "0_0")}}, "|"),
    "end-before": ({"files": SOUND | {"start": (None, "0.5"), "end": (None, "0.2")}}, "no samples"),
    "end-0": ({"files": SOUND | {"end": (None, "0")}}, "no samples"),
    "confidence-2": ({"files": WORDS | {"transcript_confidence": (None, "2")}}, "from 0 to 1"),
    "confidence-nan": ({"files": WORDS | {"transcript_confidence": (None, "nan")}}, "from 0 to 1"),
    "explain-maybe": ({"files": WORDS | {"explain": (None, "maybe")}}, "true or false"),
    "explain": ({"files": WORDS | SOUND | {"explain": (None, "true")}}, ""),
    "transcribe": ({"files": SOUND | {"transcribe": (None, "1")}}, "--asr"),
    "speaker-ansi": ({"files": WORDS | {"speaker": (None, "\x1b[31m\0")}}, "|"),
    "speaker-long": ({"files": WORDS | {"speaker": (None, "x" * 40_000)}}, "|"),
    "unknown-field": ({"files": WORDS | {"colour": (None, "red")}}, "unknown"),
    "many-parts": ({"files": [(f"p{n}", (None, "x")) for n in range(2000)]}, "413"),
    "length-wrong": ({"content": b"--x--\r\n", "headers": {"Content-Type": KIND, "Content-Length": "7"}}, "400|422"),
    "nested": (_raw(b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nhi\r\n--y--\r\n--x--\r\n"),
        "400|422"),
    "part-headers": (_raw(b"--x\r\n" + b"A: b\r\n" * 5000 + b"\r\nhi\r\n--x--\r\n"), "4.."),
    "part-header-long": (_raw(b"--x\r\nA: " + b"b" * 100_000 + b"\r\n\r\nhi\r\n--x--\r\n"), "4.."),
    "encoding": ({"files": WORDS, "headers": {"Content-Encoding": "gzip"}}, "|"),
    "accept": ({"files": WORDS, "headers": {"Accept": "image/png"}}, "|"),
    "origin-null": ({"files": WORDS, "headers": {"Origin": "null"}}, "403"),
    "origin-other": ({"files": WORDS, "headers": {"Origin": "http://example.org"}}, "403"),
    "host-other": ({"files": WORDS, "headers": {"Host": "example.org"}}, "421"),
    "host-bytes": ({"files": WORDS, "headers": {"Host": b"\xff\xfe"}}, "4.."),
    "token-bytes": ({"files": WORDS, "headers": {"Authorization": b"Bearer \xff\xfe"}}, "|"),
    "expect": ({"files": WORDS, "headers": {"Expect": "100-continue"}}, "|"),
    "header-many": ({"files": WORDS, "headers": {f"X-{n}": "y" for n in range(90)}}, "|"),
    "header-long": ({"files": WORDS, "headers": {"X-Long": "y" * 20_000}}, "|"),
}  # fmt: skip
"""Forms to `/v1/recognize`, and the status or words of the refusal; empty where there is a result."""

JOBS: dict[str, tuple[dict[str, str], str]] = {
    "words-text": ({"words": "hello"}, "expected JSON"), "words-object": ({"words": "{}"}, "words"),
    "words-number": ({"words": "[1]"}, "words"),
    "words-nan": ({"words": '[{"start": NaN, "end": 1, "transcript": "a"}]'}, "expected JSON"),
    "words-null": ({"words": "null"}, "words"), "words-deep": ({"words": "[" * 30_000}, "expected JSON"),
    "words-backwards": ({"words": '[{"start": 2, "end": 1, "transcript": "a"}]'}, "|"),
    "words-huge": ({"words": '[{"start": 1e300, "end": 1e301, "transcript": "a"}]'}, "|"),
    "words-surrogate": ({"words": '[{"start": 0, "end": 1, "transcript": "\\ud800"}]'}, "expected JSON|words"),
    "words-sure": ({"words": '[{"start": 0, "end": 1, "transcript": "a", "confidence": 7}]'}, "|"),
    "words-many": ({"words": json.dumps([{"start": 0, "end": 1, "transcript": "a"}] * 700)}, "|"),
    "channels": ({"channels": "left"}, "mix, speakers"), "hop-nan": ({"hop": "nan"}, "hop"),
    "hop-0": ({"hop": "0"}, "hop"), "hop-huge": ({"hop": "1e9"}, "hop"),
    "window-small": ({"hop": "5", "window": "1"}, "hop <= window"), "smoothing": ({"smoothing": "-1"}, "smoothing"),
    "smoothing-huge": ({"smoothing": "1e99"}, "smoothing"),
}  # fmt: skip
"""Fields of `/v1/jobs` beside a recording."""

PATHS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "nothing": ("GET", "/nothing", {}, "404"), "dots": ("GET", "/static/../../../etc/passwd", {}, "404"),
    "dots-escaped": ("GET", "/static/%2e%2e/%2e%2e/etc/passwd", {}, "404"),
    "backslash": ("GET", "/static/..%5c..%5cetc", {}, "404"), "nul": ("GET", "/static/a%00b", {}, "404"),
    "bytes": ("GET", "/%ff%fe", {}, "404"), "long": ("GET", "/" + "a" * 20_000, {}, "4.."),
    "double-slash": ("GET", "//v1/about", {}, "404"), "job-unknown": ("GET", "/v1/jobs/none", {}, "404"),
    "job-path": ("GET", "/v1/jobs/..%2f..%2fetc", {}, "404"), "job-ansi": ("GET", "/v1/jobs/%1b%5b31m", {}, "404"),
    "job-long": ("GET", "/v1/jobs/" + "9" * 9000, {}, "404"),
    "job-format": ("GET", "/v1/jobs/none/results", {"params": {"format": "x"}}, "422|404"),
    "method": ("PATCH", "/v1/recognize", {}, "405"), "trace": ("TRACE", "/v1/about", {}, "405"),
    "delete-unknown": ("DELETE", "/v1/jobs/none", {}, "404"),
    "export-text": ("POST", "/v1/export", {"content": b"hello"}, "4.."),
    "export-empty": ("POST", "/v1/export", {"json": {}}, "4.."),
    "export-null": ("POST", "/v1/export", {"json": None}, "4.."),
    "export-deep": ("POST", "/v1/export",
        _json(b"[" * 100_000), "4.."),
    "export-number": ("POST", "/v1/export", {"json": 5}, "4.."),
    "export-big-number": ("POST", "/v1/export",
        _json(b"9" * 10_000), "4.."),
    "export-surrogate": ("POST", "/v1/export",
        _json(b'{"results": ["\\ud800"]}'), "4.."),
    "export-nan": ("POST", "/v1/export",
        _json(b'{"results": [NaN]}'), "4.."),
    "export-bytes": ("POST", "/v1/export",
        _json(b"\xff\xfe\0"), "4.."),
    "query": ("GET", "/v1/about?" + "a=b&" * 5000, {}, "|"), "query-bytes": ("GET", "/v1/about?%ff=%00", {}, "|"),
    "websocket-by-http": ("GET", "/v1/stream", {}, "4.."), "openapi": ("GET", "/v1/openapi.json", {}, ""),
    "events-number": ("GET", "/v1/jobs/none/events", {"headers": {"Last-Event-ID": "x"}}, "404"),
}  # fmt: skip
"""Other requests."""

START = json.dumps({"type": "start", "sampling_rate": 16_000})
END = json.dumps({"type": "end"})
SAMPLES = sweep().tobytes()


def _start(**fields: Any) -> str:
    return json.dumps({"type": "start", "sampling_rate": 16_000} | fields)


def _words(transcript: str) -> str:
    return json.dumps({"type": "words", "start": 0, "end": 1, "transcript": transcript})


STREAMS: dict[str, tuple[list[str | bytes], str]] = {
    "plain": ([START, SAMPLES, END], ""), "nothing": ([START, END], ""),
    "odd-bytes": ([START, SAMPLES[:1001], SAMPLES[1001:2003], END], "|"), "one-byte": ([START, b"\1", END], "|"),
    "single-bytes": ([START, *(SAMPLES[at : at + 1] for at in range(400)), END], ""),
    "empty-message": ([START, b"", END], ""), "empty-text": ([""], "unreadable"), "array": (["[]"], "unreadable"),
    "number": (["5"], "unreadable"), "null": (["null"], "unreadable"), "deep": (["[" * 60_000], "unreadable"),
    "deep-object": (['{"type":' * 6000], "unreadable"), "no-type": (['{"sampling_rate": 16000}'], "unreadable"),
    "type-number": (['{"type": 5}'], "unreadable"), "type-unknown": (['{"type": "explode"}'], "unreadable"),
    "rate-0": ([_start(sampling_rate=0)], "sampling_rate"),
    "rate-negative": ([_start(sampling_rate=-1)], "sampling_rate"),
    "rate-huge": ([_start(sampling_rate=2**62)], "sampling_rate|unreadable"),
    "rate-float": ([_start(sampling_rate=16_000.5)], "unreadable"),
    "rate-text": ([_start(sampling_rate="16000")], "unreadable"),
    "rate-nan": (['{"type": "start", "sampling_rate": NaN}'], "unreadable"),
    "rate-digits": (['{"type": "start", "sampling_rate": ' + "9" * 5000 + "}"], "unreadable"),
    "encoding": ([_start(encoding="mp3")], "unreadable"),
    "hop-nan": (['{"type": "start", "sampling_rate": 16000, "hop": NaN}'], "unreadable"),
    "hop-0": ([_start(hop=0)], "unusable"), "hop-huge": ([_start(hop=1e300, window=1e300), SAMPLES, END], "|"),
    "smoothing": ([_start(smoothing=-1)], "unusable"),
    "smoothing-huge": ([_start(smoothing=1e300), SAMPLES, END], "|"),
    "speaker-long": ([_start(speaker="x" * 60_000), END], "|"),
    "speaker-ansi": ([_start(speaker="\x1b[31m"), SAMPLES, END], "|"),
    "speaker-surrogate": (['{"type": "start", "sampling_rate": 16000, "speaker": "\\ud800"}', SAMPLES, END],
        "unreadable"),
    "start-twice": ([START, START], "unexpected_start"), "end-first": ([END], "expected_start"),
    "samples-first": ([SAMPLES], "expected_start"), "binary-start": ([START.encode()], "expected_start"),
    "nan": ([START, np.full(400, np.nan, np.float32).tobytes()], "unusable"),
    "inf": ([START, np.full(400, np.inf, np.float32).tobytes()], "unusable"),
    "huge": ([START, np.full(4000, 3e38, np.float32).tobytes(), END], "encoding: "),
    "integers": ([START, (sweep() * 32767).astype("<i2").tobytes(), END], "encoding: "),
    "doubles": ([START, sweep().astype(np.float64).tobytes(), END], "|"), "wav": ([START, WAV, END], "encoding: "),
    "large": ([START, bytes(2 << 20)], "too_large|closed with 1009"), "text-large": (["x" * 70_000], "too_large"),
    "words": ([START, '{"type": "words", "start": 0, "end": 1, "transcript": "Stop!"}', SAMPLES, END], ""),
    "words-first": (['{"type": "words", "start": 0, "end": 1, "transcript": "Stop!"}'], "expected_start"),
    "words-backwards": ([START, '{"type": "words", "start": 2, "end": 1, "transcript": "a"}'], "unusable"),
    "words-negative": ([START, '{"type": "words", "start": -1, "end": 1, "transcript": "a"}'], "unusable"),
    "words-huge": ([START, '{"type": "words", "start": 1e300, "end": 1e301, "transcript": "a"}', SAMPLES, END], "|"),
    "words-infinite": ([START, '{"type": "words", "start": 0, "end": 1e999, "transcript": "a"}'],
        "unusable|unreadable"),
    "words-empty": ([START, '{"type": "words", "start": 0, "end": 1, "transcript": ""}', SAMPLES, END], "|"),
    "words-surrogate": ([START, '{"type": "words", "start": 0, "end": 1, "transcript": "\\udfff"}', SAMPLES, END],
        "unreadable"),
    "words-control": ([START, '{"type": "words", "start": 0, "end": 1, "transcript": "\\u0000\\u001b"}', SAMPLES, END],
        "|"),
    "words-many": ([START, *['{"type": "words", "start": 0, "end": 1, "transcript": "a"}'] * 300, SAMPLES, END], "|"),
    "words-long": ([START, _words("a " * 30_000), SAMPLES, END], "|"),
    "unknown-field": ([_start(colour="red")], "unreadable"),
    "key-twice": (['{"type": "start", "type": "end", "sampling_rate": 16000}'], "|"),
    "bytes-in-text": (['{"type": "start", "sampling_rate": 16000, "speaker": "\\u0000"}', END], "|"),
    "after-the-end": ([START, END, SAMPLES], "|"),
}  # fmt: skip
"""Messages of a live stream, and the name of the error; empty where it comes to its end."""


def attempts() -> Iterator[Attempt]:
    """All attempts with the server."""
    for name, (form, refused) in FORMS.items():
        yield Attempt(door="HTTP", name=f"form-{name}", ask=partial(_post, form), refused=refused)
    for name, (fields, refused) in JOBS.items():
        yield Attempt(door="HTTP", name=f"job-{name}", ask=partial(_job, fields), refused=refused)
    for name, (method, path, options, refused) in PATHS.items():
        yield Attempt(door="HTTP", name=f"path-{name}", ask=partial(_request, method, path, options), refused=refused)
    for name, (messages, refused) in STREAMS.items():
        yield Attempt(door="WebSocket", name=name, ask=_alive(partial(_stream, messages)), refused=refused)


def _alive(ask: Callable[[World], Any]) -> Callable[[World], Any]:
    """The same, after which the server must still answer."""

    def asked(world: World) -> Any:
        try:
            return ask(world)
        finally:
            assert world.client.get("/readyz", timeout=LONGEST).status_code == 200, "the server is gone"

    return asked


def _post(form: dict[str, Any], world: World) -> Any:
    return answered(world.client.post("/v1/recognize", **form))


def _job(fields: dict[str, str], world: World) -> Any:
    """The job and its results, or why it failed."""
    job = answered(world.client.post("/v1/jobs", files=SOUND, data=fields))
    with world.client.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
        events.read()
    found = answered(world.client.get(f"/v1/jobs/{job['id']}"))
    answered(world.client.delete(f"/v1/jobs/{job['id']}"))
    if found["state"] not in ("done", "failed") or (found["problem"] or {}).get("status", 0) >= 500:
        raise AssertionError(f"the job is {found['state']}: {found['problem']}")
    return found


def _request(method: str, path: str, options: dict[str, Any], world: World) -> Any:
    return answered(world.client.request(method, path, **options))


def _stream(messages: list[str | bytes], world: World) -> list[dict[str, Any]]:
    return converse(world, messages)
