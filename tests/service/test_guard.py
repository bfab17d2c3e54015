"""Clients that mean harm, or are merely slow: the right status, nobody else disturbed."""

import contextlib
import socket
import time
from http.client import HTTPResponse

import pytest

from bimodal.service.guard import Access, Guard, split_host
from bimodal.service.limits import Limits
from bimodal.service.measuring import Measures

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


HOSTS = {
    "127.0.0.1": ("127.0.0.1", ""), "LOCALHOST:8000": ("localhost", "8000"), "[::1]:80": ("::1", "80"),
    "evil@127.0.0.1": None, "127.0.0.1@evil": None, "[": None, "]": None, "[::1": None, "127.0.0.1:": None, "a b": None,
    "127.0.0.1:80:80": None, "127.0.0.1/x": None, "127.0.0.1#": None, "127.0.0.1\\evil": None, "": None, "a:x": None,
    "\u00b2": None, "127.0.0.1:\u00b2": None,
}  # fmt: skip
"""Headers `Host` and what they name."""


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_read_strictly(host):
    assert split_host(host) == HOSTS[host]


OWN = "127.0.0.1:8000"
ORIGINS = {
    None: True, f"http://{OWN}": True, f"https://{OWN}": True, "https://example.org": True,
    "https://example.org.evil": False, "http://example.org": False, "https://example.org:8443": False,
    f"chrome-extension://{OWN}": False, f"file://{OWN}": False, f"http://evil@{OWN}": False, "http://[": False,
    "[": False, "null": False, "": False, "http://": False, f"http://{OWN}/": False,
    f"http://{OWN}, http://evil": False, "http://127.0.0.1": False,
    "http://localhost:8000": False, "http://evil.example": False,
}  # fmt: skip
"""Origins of pages, and whether they may ask a server that people know as https://example.org."""


def refusal(path: str, root: str = "", **headers: str | None):
    """What the guard says of a request."""
    access = Access(hosts=("127.0.0.1", "example.org"), origins=("https://example.org",), token="secret")
    given = {"host": OWN, "authorization": "Bearer secret"} | headers
    listed = [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value is not None]
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root, "headers": listed}
    from starlette.datastructures import Headers

    return Guard(None, Limits(), access, Measures())._refusal(scope, Headers(scope=scope))


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_page_of_another_site_is_told_from_one_of_the_server(origin):
    found = refusal("/v1/about", origin=origin)
    assert (found is None) == ORIGINS[origin]
    if found is not None:
        assert found.kind == "forbidden" and "--public-url" in found.detail


def test_a_default_port_may_be_left_out():
    assert refusal("/", host="example.org:443", origin="https://example.org") is None
    assert refusal("/", host="127.0.0.1", origin="http://127.0.0.1") is None


@pytest.mark.parametrize(("path", "root"), [("/v1/about", ""), ("/a/v1/about", "/a"), ("/v1/about", "/a")])
def test_no_path_of_a_proxy_leads_around_the_token(path, root):
    assert refusal(path, root) is None
    assert refusal(path, root, authorization=None).kind == "unauthorised"
    assert refusal("/a/metrics", "/a", authorization=None).kind == "unauthorised"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "["}, 421),
        ({"Host": "evil@127.0.0.1"}, 421),
        ({"Origin": "http://["}, 403),
        ({"Origin": "chrome-extension://127.0.0.1"}, 403),
    ],
)
def test_malformed_headers_are_a_refusal_and_no_mistake_of_the_server(served, headers, status):
    with served.client() as client:
        answer = client.get("/v1/about", headers=headers)
        assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/"])
def test_head_is_answered_as_get_without_a_body(served, path):
    with served.client() as client:
        answer = client.head(path)
        assert answer.status_code == client.get(path).status_code == 200 and answer.content == b""


@pytest.fixture(scope="module")
def proxied(tiny_model, serve):
    with serve(tiny_model, "--public-url", "https://Example.org:443/emotions/") as running:
        yield running


def test_a_server_behind_a_proxy_knows_its_path_and_its_pages(proxied, recording):
    page = {"Origin": "https://example.org"}  # nginx by default sends its own address as Host
    with proxied.client(headers=page) as client:
        answer = client.post("/v1/jobs", files={"audio": recording.open("rb")})
        assert answer.status_code == 202
        location = f"/emotions/v1/jobs/{answer.json()['id']}"
        assert answer.headers["location"] == location
        assert client.get(location).status_code == client.get(location.removeprefix("/emotions")).status_code == 200
        assert client.get("/emotions/").status_code == client.get("/emotions/static/app.js").status_code == 200
        assert client.get("/v1/openapi.json").json()["servers"] == [{"url": "/emotions"}]
        assert client.get("/v1/about", headers={"Host": "example.org"}).status_code == 200
        assert client.get("/v1/about", headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.delete(location).status_code == 204


def test_the_python_client_follows_a_job_through_any_path(proxied, recording):
    from bimodal import Client

    for url in (proxied.url, f"{proxied.url}emotions"):
        with Client(url) as client:
            assert list(client.recognize_long(recording))


@pytest.mark.parametrize("url", ["example.org", "ftp://a", "http://[", "http://a@b", "https://a/?b", "https://a/b c"])
def test_a_public_address_that_is_none_is_refused(tiny_model, url):
    from typer.testing import CliRunner

    from bimodal.cli import app

    done = CliRunner().invoke(app, ["serve", str(tiny_model), "--public-url", url])
    assert done.exit_code == 2 and "expected" in done.output


def test_an_idle_connection_is_kept_longer_than_clients_keep_it(served):
    """httpx reuses a connection for 5 s, nginx for 60 s. If the server closes it at that moment, a request fails."""
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with open_raw(served) as raw:
        for pause in (0, 7):
            time.sleep(pause)
            raw.sendall(request)
            response = HTTPResponse(raw)
            response.begin()
            assert response.status == 200
            assert response.read()  # the whole body: head and body may come in two parts
