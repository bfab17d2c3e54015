"""Live streams: what a file gives, a stream gives; errors have names; rubbish and leaving disturb nobody."""

import json
import time

import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def open_socket(served, **options):
    return connect(f"{served.url.replace('http', 'ws')}v1/stream", proxy=None, **options)


@pytest.fixture(scope="module")
def speech(corpus_data):
    """Real speech with pauses, and its sampling rate."""
    files = sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[:3]
    clips = [soundfile.read(file, dtype="float32") for file in files]
    return np.concatenate([samples for samples, _ in clips]), clips[0][1]


def converse(served, messages, start=None):
    """Everything that the server answers to a stream."""
    with open_socket(served) as socket:
        socket.send(json.dumps({"type": "start", "sampling_rate": 16_000} | (start or {})))
        told = [json.loads(socket.recv())]
        for message in messages:
            socket.send(message)
        socket.send(json.dumps({"type": "end"}))
        while told[-1]["type"] not in ("end", "error"):
            told.append(json.loads(socket.recv()))
    return told


def test_a_stream_gives_what_the_same_audio_gives_as_a_file(served, http, speech, tmp_path):
    signal, rate = speech
    soundfile.write(tmp_path / "speech.wav", signal, rate, subtype="FLOAT")
    location = http.post("/v1/jobs", files={"audio": (tmp_path / "speech.wav").open("rb")}).headers["location"]
    with http.stream("GET", f"{location}/events") as events:
        events.read()
    uploaded = http.get(location).json()["results"]
    data = signal.tobytes()
    chunks = [data[start : start + 7777] for start in range(0, len(data), 7777)]  # cuts samples in two as well
    told = converse(served, chunks, {"sampling_rate": rate})
    final = [message["result"] for message in told if message["type"] == "final"]
    assert told[0]["type"] == "ready" and told[0]["model"]["name"] == "tiny" and told[-1]["type"] == "end"
    assert len(final) == len(uploaded) > 2
    for one, other in zip(final, uploaded, strict=True):
        assert (one["start"], one["end"]) == pytest.approx((other["start"], other["end"]), abs=1e-6)
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)


def test_partial_results_come_while_one_speaks_and_not_unasked(served, speech):
    signal, rate = speech
    data = (np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes()
    chunks = [data[start : start + 2 * rate] for start in range(0, len(data), 2 * rate)]

    def slowly():
        for chunk in chunks:
            time.sleep(0.55)
            yield chunk

    told = converse(served, slowly(), {"sampling_rate": rate, "encoding": "int16"})
    assert {"partial", "final"} <= {message["type"] for message in told}
    without = converse(served, chunks, {"sampling_rate": rate, "encoding": "int16", "partial": False})
    assert "partial" not in {message["type"] for message in without}


def test_words_join_the_voice(served, speech):
    signal, rate = speech
    words = json.dumps({"type": "words", "start": 0.0, "end": 60.0, "transcript": "Get out of my house!"})
    told = converse(served, [words, signal.tobytes()[: 4 * (len(signal) // 2)]], {"sampling_rate": rate})
    final = [message["result"] for message in told if message["type"] == "final"]
    assert final and all(result["transcript"] == "Get out of my house!" and result["gate"] for result in final)


def test_a_stream_without_speech_abstains(served):
    told = converse(served, [np.zeros(16_000, np.float32).tobytes()])
    assert [message["type"] for message in told] == ["ready", "final", "end"]
    assert told[1]["result"]["abstained"] and told[1]["result"]["reason"] == "no speech was found"


START = json.dumps({"type": "start", "sampling_rate": 16_000})


@pytest.mark.parametrize(
    ("messages", "name", "code"),
    [
        ([b"\x00" * 100], "expected_start", 1008),
        (['{"type": "end"}'], "expected_start", 1008),
        (["rubbish"], "unreadable", 1007),
        (["[" * 60_000], "unreadable", 1007),
        (["x" * 70_000], "too_large", 1009),
        (['{"type": "start", "sampling_rate": 1}'], "sampling_rate", 1008),
        (['{"type": "start", "sampling_rate": 16000, "colour": 1}'], "unreadable", 1007),
        (['{"type": "start", "sampling_rate": 16000, "hop": 9}'], "unusable", 1008),
        ([START, START], "unexpected_start", 1008),
        ([START, np.full(100, np.nan, np.float32).tobytes()], "unusable", 1008),
        ([START, '{"type": "words", "start": 1, "end": 2, "text": "x"}'], "unreadable", 1007),
        ([START, '{"type": "words", "start": 2, "end": 1, "transcript": "x"}'], "unusable", 1008),
    ],
)
def test_errors_have_names(served, http, messages, name, code):
    with open_socket(served) as socket:
        for message in messages:
            socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                told = json.loads(socket.recv(timeout=20))
    assert told["type"] == "error" and told["error"] == name and told["message"]
    assert closed.value.rcvd.code == code and closed.value.rcvd.reason == name
    assert "bimodal_streams_open 0.0" in http.get("/metrics").text


def test_random_bytes_disturb_nobody(served, http):
    rng = np.random.default_rng(0)
    for size in (1, 3, 1000, 100_000):
        with open_socket(served) as socket:
            socket.send(START)
            socket.send(rng.bytes(size))
            socket.send('{"type": "end"}')
            kinds = []
            try:
                while True:
                    kinds.append(json.loads(socket.recv(timeout=20))["type"])
            except ConnectionClosed:
                pass
        assert kinds[-1] in ("end", "error")
    assert http.get("/readyz").status_code == 200


def test_a_message_that_is_too_large_closes_the_stream_alone(served, http):
    with open_socket(served) as socket:
        socket.send(START)
        socket.recv()
        with pytest.raises(ConnectionClosed) as closed:
            # Its header alone: bytes that the server leaves unread could take the code with them.
            socket.socket.sendall(b"\x82\xff" + (2 << 20).to_bytes(8, "big") + b"mask")
            socket.recv(timeout=20)
    assert closed.value.rcvd.code == 1009 and http.get("/readyz").status_code == 200


def test_clients_that_leave_give_their_place_back(served, http):
    for _ in range(20):
        with open_socket(served) as socket:
            socket.send(START)
            socket.recv()
            socket.send(np.zeros(1600, np.float32).tobytes())
            socket.socket.shutdown(2)  # without a word
    for _ in range(100):
        if "bimodal_streams_open 0.0" in http.get("/metrics").text:
            return
    raise AssertionError("places are still taken")


def test_limits_and_token_of_streams(tiny_model, serve):
    settings = ["--set", "streams=1", "--set", "stream_seconds=2", "--set", "silence_seconds=2", "--token", "secret"]
    with serve(tiny_model, *settings) as running:
        with open_socket(running) as socket:
            socket.send(START)
            assert json.loads(socket.recv())["error"] == "unauthorised"
        mine = json.dumps({"type": "start", "sampling_rate": 16_000, "token": "secret"})
        with open_socket(running) as first, open_socket(running) as second:
            first.send(mine)
            assert json.loads(first.recv())["type"] == "ready"
            second.send(mine)
            assert json.loads(second.recv())["error"] == "busy"
            first.send(np.zeros(16_000 * 3, np.float32).tobytes())
            assert json.loads(first.recv())["error"] == "too_long"
        with open_socket(running) as silent:
            silent.send(mine)
            silent.recv()
            assert json.loads(silent.recv(timeout=10))["error"] == "silence"
        with pytest.raises(Exception, match="403"):
            open_socket(running, origin="http://evil.example")


def test_an_old_field_is_told_its_new_name(served):
    with open_socket(served) as socket:
        socket.send(START)
        socket.send('{"type": "words", "start": 1, "end": 2, "text": "x"}')
        told = [json.loads(socket.recv(timeout=20)) for _ in range(2)][-1]
    assert told["message"] == "the field text is now called transcript"


def tone(kind: str) -> bytes:
    values = (0.001 if kind.startswith("quiet") else 0.3) * np.sin(np.arange(8000) * 0.07)
    return (values.astype("<f4") if kind == "float32" else (32767 * values).astype("<i2")).tobytes()


@pytest.mark.parametrize(
    ("encoding", "message", "sentence"),
    [
        ("float32", tone("int16"), "no float32"),
        ("float32", tone("quiet int16"), "no float32"),
        ("int16", tone("float32"), "seem to be float32"),
        ("int16", b'{"type": "end"}', "holds JSON"),
        ("int16", b"RIFF\x00\x00\x00\x00WAVEfmt ", "holds an audio file"),
        ("float32", b"\x1aE\xdf\xa3" + bytes(400), "holds an audio file"),
    ],
    ids=["int16 as float32", "quiet int16 as float32", "float32 as int16", "JSON", "WAV", "WebM"],
)
def test_samples_of_another_type_are_told(served, encoding, message, sentence):
    told = converse(served, [message], {"encoding": encoding})
    assert told[-1]["error"] == "encoding" and sentence in told[-1]["message"]


@pytest.mark.parametrize("encoding", ["float32", "int16"])
def test_samples_of_the_right_type_are_taken(served, encoding):
    for message in (tone(encoding), bytes(1600), tone(encoding)[:6]):
        assert converse(served, [message], {"encoding": encoding})[-1]["type"] == "end"


def test_a_binary_start_is_told_as_such(served):
    with open_socket(served) as socket:
        socket.send(json.dumps({"type": "start", "sampling_rate": 16_000}).encode())
        told = json.loads(socket.recv())
    assert told["error"] == "expected_start" and "found a binary message; send it as text" in told["message"]
