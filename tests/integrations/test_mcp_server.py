"""Agents recognise recordings over both transports of MCP; what they ask wrongly is told in a sentence."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest
import soundfile

from bimodal import Recognizer
from bimodal.audio.decode import load_signal
from bimodal.errors import BimodalError

mcp = pytest.importorskip("mcp", reason="needs the extra mcp")
pytest.importorskip("mcp.server.mcpserver", reason="needs the extra mcp, version 2")
from bimodal.integrations.mcp_server import MOST_STRETCHES, make_server  # noqa: E402

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
MODEL = "permissive"
SAMPLES = Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static" / "samples"
COMMAND = [sys.executable, "-m", "bimodal", "mcp"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Recordings, one of them long, a broken one, and a link that leads out."""
    folder = tmp_path_factory.mktemp("mcp") / "recordings"
    folder.mkdir()
    signal, rate = load_signal(SAMPLES / "cross.mp3"), 16_000
    soundfile.write(folder / "clip.wav", signal, rate)
    soundfile.write(folder / "long.wav", np.tile(signal, int(65 * rate / len(signal)) + 1), rate)
    (folder / "broken.wav").write_bytes(b"no audio")
    (folder.parent / "secret.wav").write_bytes((folder / "clip.wav").read_bytes())
    (folder / "link.wav").symlink_to(folder.parent / "secret.wav")
    return folder


def stdio(model: str, folder: Path) -> object:
    arguments = ["-m", "bimodal", "mcp", model, "--folder", str(folder)]
    return mcp.StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))


@contextmanager
def http(model: str, folder: Path, *options: str) -> Iterator[str]:
    """`bimodal mcp --http` until the block ends; it must stop by itself, without a traceback."""
    command = [*COMMAND, model, "--folder", str(folder), "--http", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.match(r"MCP: (\S+)", line):
            break
    try:
        yield found[1]
    finally:
        process.terminate()
        rest = process.communicate(timeout=30)[1]
    assert "Traceback" not in "".join(lines) + rest, rest


def ask(server: object, *calls: tuple[str, dict]) -> list[object]:
    """Results of tool calls by the client of the SDK."""

    async def run() -> list[object]:
        async with mcp.Client(server) as client:
            return [await client.call_tool(*call) for call in calls]

    return anyio.run(run)


def test_both_transports_give_what_the_recognizer_gives(folder):
    calls = [
        ("recognize_recording", {"file": "clip.wav", "transcript": "Stop that!"}),
        ("recognize_recording", {"file": "long.wav", "start": 3, "end": 5}),
        ("recognize_last", {"file": "long.wav", "seconds": 2}),
        ("recognize_timeline", {"file": "long.wav"}),
        ("list_recordings", {}),
    ]
    with http(MODEL, folder) as url:
        over_http = ask(url, *calls)
    over_stdio = ask(stdio(MODEL, folder), *calls)
    assert [one.structured_content for one in over_http] == [one.structured_content for one in over_stdio]
    whole, part, last, timeline, names = [one.structured_content for one in over_http]
    expected = Recognizer(MODEL).recognize(folder / "clip.wav", transcript="Stop that!")
    assert whole["emotion"] == expected.emotion and whole["scores"] == pytest.approx(expected.scores, abs=1e-5)
    assert whole["score"] == max(whole["scores"].values()) and whole["transcript"] == "Stop that!"
    seconds = soundfile.info(folder / "long.wav").duration
    assert (part["start"], part["end"]) == pytest.approx((3, 5))
    assert (last["start"], last["end"]) == pytest.approx((seconds - 2, seconds), abs=0.01)
    results = list(Recognizer(MODEL).recognize_long(folder / "long.wav"))
    assert timeline["stretches"][0]["start"] == pytest.approx(results[0].start, abs=1e-3)
    assert timeline["end"] == pytest.approx(results[-1].end, abs=1e-3) and len(timeline["stretches"]) <= MOST_STRETCHES
    assert timeline["phases"] and timeline["dominant"] in timeline["shares"]
    assert names == {"names": ["broken.wav", "clip.wav", "long.wav"], "left_out": 0}


def test_each_tool_says_what_it_takes_and_gives(folder):
    server = make_server(Recognizer(), folder)

    async def run() -> list[object]:
        async with mcp.Client(server) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in anyio.run(run)}
    assert set(tools) == {"list_recordings", "recognize_recording", "recognize_timeline", "recognize_last"}
    for tool in tools.values():
        assert tool.description and tool.output_schema["properties"] and tool.annotations.read_only_hint
        assert all(field["description"] for field in tool.input_schema["properties"].values())
    assert {"emotion", "score", "scores", "warnings"} <= set(tools["recognize_recording"].output_schema["properties"])


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("recognize_recording", {"file": "../secret.wav"}, r"^\.\./secret\.wav: outside the folder"),
        ("recognize_recording", {"file": "link.wav"}, "outside the folder"),
        ("recognize_timeline", {"file": "/etc/passwd"}, "outside the folder"),
        ("recognize_recording", {"file": "none.wav"}, r"^none\.wav: no such file"),
        ("recognize_recording", {"file": "broken.wav"}, r"^broken\.wav: .*cannot be decoded"),
        ("recognize_timeline", {"file": "broken.wav"}, r"^broken\.wav: .*cannot be decoded"),
        ("recognize_recording", {"file": "."}, "is a folder"),
        ("recognize_recording", {"file": "a\0b"}, "no name of a file"),
        ("recognize_recording", {"file": "a" * 9000}, ""),
        ("recognize_recording", {"file": "long.wav"}, "longer than 60 s; call recognize_timeline"),
        ("recognize_recording", {"file": "clip.wav", "start": 5, "end": 2}, "0 <= start < end"),
        ("recognize_recording", {"file": "clip.wav", "start": 900}, "no samples"),
        ("recognize_recording", {"file": "clip.wav", "start": "soon"}, r"start: .*number"),
        ("recognize_recording", {}, "file: Field required"),
        ("recognize_recording", {"file": ["clip.wav"]}, "file: .*string"),
        ("recognize_last", {"file": "clip.wav", "seconds": -1}, "more than 0"),
        ("recognize_last", {"file": "clip.wav", "seconds": 1e9}, "at most 60"),
        ("no_such_tool", {}, "Unknown tool"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(folder, tool, arguments, sentence):
    (result,) = ask(make_server(Recognizer(), folder), (tool, arguments))
    (content,) = result.content
    assert result.is_error and re.search(sentence, content.text) and "\n" not in content.text
    assert str(folder) not in content.text and len(content.text) < 400


def test_a_recording_that_is_still_being_written_is_read_to_where_it_is(folder, tmp_path):
    data = (folder / "long.wav").read_bytes()
    rate = soundfile.info(folder / "long.wav").samplerate
    (tmp_path / "growing.wav").write_bytes(data[: 44 + 2 * 10 * rate])  # the header promises more
    (result,) = ask(make_server(Recognizer(), tmp_path), ("recognize_last", {"file": "growing.wav"}))
    assert not result.is_error, result.content
    assert (result.structured_content["start"], result.structured_content["end"]) == pytest.approx((5, 10), abs=0.1)


def test_rubbish_on_standard_input_stops_nothing(folder):
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    lines = [
        "not json",
        "[]",
        '{"jsonrpc": "2.0", "id": 7, "method": "no/such/method"}',
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        '{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        "\x00\xff" * 50,
        '{"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": 3}',
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_recordings"}}),
    ]
    command = [*COMMAND, MODEL, "--folder", str(folder)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdin.write("\n".join(lines) + "\n")
    process.stdin.flush()
    answers = []
    while not any(answer.get("id") == 2 for answer in answers):
        answers.append(json.loads(process.stdout.readline()))
    _, told = process.communicate(timeout=30)
    assert process.returncode == 0 and "Traceback" not in told, told
    assert "clip.wav" in json.dumps(answers[-1]["result"])


def test_rubbish_over_http_is_refused_and_stops_nothing(folder):
    import httpx

    with http(MODEL, folder, "--token", "secret") as url, httpx.Client(trust_env=False) as client:
        token = {"Authorization": "Bearer secret", "Accept": "application/json, text/event-stream"}
        assert client.post(url, json={}).status_code == 401
        assert client.post(url, json={}, headers={"Origin": "http://evil.example", **token}).status_code == 403
        assert client.post(url, json={}, headers={"Host": "evil.example", **token}).status_code == 421
        for body in (b"rubbish", b"[]", b"{}", b'{"jsonrpc": "2.0", "id": 1, "method": 3}', b"[" * 5000):
            answer = client.post(url, content=body, headers={"Content-Type": "application/json", **token})
            assert 400 <= answer.status_code < 500, (body, answer.status_code)
        big = client.post(url, content=b"x" * (2 << 20), headers={"Content-Type": "application/json", **token})
        assert big.status_code == 413
        call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "list_recordings"}}
        answer = client.post(url, json=call, headers=token).json()
        assert "clip.wav" in answer["result"]["structuredContent"]["names"]


def test_what_keeps_it_from_starting_is_one_sentence(folder, tmp_path):
    with pytest.raises(BimodalError, match="no such folder"):
        make_server(Recognizer(), tmp_path / "none")
    began = time.monotonic()
    done = subprocess.run(
        [*COMMAND, MODEL, "--folder", tmp_path / "none"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "no such folder" in done.stderr
    assert done.stdout == "" and time.monotonic() - began < 60
