"""Clients that mean harm, or are merely slow: the right status, nobody else disturbed."""

import contextlib
import socket
import time

import pytest

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

FORM = b"POST /v1/recognize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'


@pytest.fixture(scope="module")
def impatient(tiny_model, serve):
    settings = ["upload_seconds=2", "header_seconds=1", "clip_bytes=1000000", "requests=3"]
    with serve(tiny_model, *(part for value in settings for part in ("--set", value))) as running:
        yield running


def open_raw(running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=20)


def answer(raw: socket.socket) -> bytes:
    """All that comes until the server closes."""
    got = b""
    while part := raw.recv(65536):
        got += part
    return got


def ready(running) -> bool:
    with running.client() as client:
        return client.get("/readyz").status_code == 200


def test_a_body_without_end_is_cut_off_and_the_client_reads_why(impatient):
    with open_raw(impatient) as raw:
        raw.sendall(FORM + b"Transfer-Encoding: chunked\r\n\r\n")
        raw.sendall(b"%x\r\n" % len(PART) + PART + b"\r\n")
        try:
            for _ in range(4000):
                raw.sendall(b"10000\r\n" + b"\x00" * 65536 + b"\r\n")
        except OSError:
            pass  # the server has closed
        assert answer_or_reset(raw).startswith(b"HTTP/1.1 413")
    assert ready(impatient)


def answer_or_reset(raw: socket.socket) -> bytes:
    got = b""
    try:
        while part := raw.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    return got


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(impatient):
    with open_raw(impatient) as raw:
        raw.sendall(FORM + b"Content-Length: 99999999999\r\n\r\n")
        assert answer(raw).startswith(b"HTTP/1.1 413")


def test_a_body_that_trickles_is_refused_in_time(impatient):
    with open_raw(impatient) as raw:
        raw.sendall(FORM + b"Content-Length: 10000\r\n\r\n" + PART)
        began = time.monotonic()
        while time.monotonic() - began < 10:
            try:
                raw.sendall(b"x")
            except OSError:
                break
            time.sleep(0.3)
        assert b"408" in answer_or_reset(raw)[:20]
    assert ready(impatient)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
def test_a_header_that_does_not_come_is_not_waited_for(impatient, sent):
    with open_raw(impatient) as raw:
        raw.sendall(sent)
        began = time.monotonic()
        assert answer(raw) == b""
        assert 0.5 < time.monotonic() - began < 5


@pytest.mark.parametrize(
    "sent", [b"\x00\xff" * 5000, b"GET " + b"x" * 100_000, b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000]
)
def test_rubbish_instead_of_http_is_refused(impatient, sent):
    with open_raw(impatient) as raw:
        raw.sendall(sent)
        assert answer_or_reset(raw)[:12] in (b"", b"HTTP/1.1 400")
    assert ready(impatient)


def test_a_part_whose_header_never_ends_is_refused(impatient):
    with impatient.client() as client:
        body = b"--b\r\nContent-Disposition: " + b"x" * 900_000
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        began = time.monotonic()
        assert client.post("/v1/recognize", content=body, headers=kind).status_code == 400
        assert time.monotonic() - began < 5


def test_clients_that_leave_in_the_middle_disturb_nobody(impatient):
    for _ in range(30):
        with open_raw(impatient) as raw:
            raw.sendall(FORM + b"Content-Length: 10000\r\n\r\n" + PART)
    assert ready(impatient)


def test_slow_clients_do_not_take_the_place_of_others_for_ever(impatient):
    slow = [open_raw(impatient) for _ in range(3)]
    for raw in slow:
        raw.sendall(FORM + b"Content-Length: 10000\r\n\r\n" + PART)
    time.sleep(0.3)
    with impatient.client() as client:
        refused = client.post("/v1/recognize", files={"transcript": (None, "Hello")})
        assert refused.status_code == 503 and refused.headers["retry-after"]
        assert client.get("/v1/about").status_code == 200
        time.sleep(5)
        assert client.post("/v1/recognize", files={"transcript": (None, "Hello")}).status_code == 200
    for raw in slow:
        raw.close()


def test_sockets_and_followers_are_counted(impatient):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    url = f"{impatient.url.replace('http', 'ws')}v1/stream"
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(url, proxy=None))
        with pytest.raises(InvalidStatus) as refused, connect(url, proxy=None):
            pass
        assert refused.value.response.status_code == 503 and refused.value.response.headers["Retry-After"]
    with connect(url, proxy=None):
        assert ready(impatient)
