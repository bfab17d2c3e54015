"""Words and audio are only where the user asked for them; no socket is opened but those asked for."""

import csv
import json
import re
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner
from websockets.sync.client import connect

from bimodal.audio.decode import decode_audio
from bimodal.cli import app
from bimodal.service.problems import log_mistake
from tests.conftest import WORDS as TINY_WORDS
from tests.conftest import write_tiny_corpus
from tests.system.watched import Watched, run_watched, watched

WORDS = ("quixotic", "marzipan", "lighthouse")
SENTENCE = "The Quixotic marzipan lighthouse."
pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux: it reads /proc")


SPEECH = Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static" / "samples" / "cross.mp3"


def marked_signal(seconds: float) -> np.ndarray:
    """Synthetic speech, again and again, with noise that no other file holds, as 16-bit samples at 16 kHz."""
    size, speech = int(16_000 * seconds), decode_audio(SPEECH).at_model_rate(SPEECH).signal
    noise = np.random.default_rng(20).normal(size=size)
    return (20_000 * np.resize(speech, size) + 60 * noise).astype(np.int16)


def needles() -> dict[str, bytes]:
    """What to look for: words, and stretches of samples as they are stored, and as the program computes with them."""
    samples = marked_signal(2.0)[8000:8024]
    found = {word: word.encode() for word in WORDS}
    floats = (samples / np.float32(32768)).astype(np.float32)
    return found | {"samples": samples.tobytes(), "floats": floats.tobytes()}


def found_in(content: bytes) -> list[str]:
    low = content.lower()
    return [name for name, needle in needles().items() if needle in content or (name in WORDS and needle in low)]


def leaks(running: Watched, *asked: Path) -> list[str]:
    """Where words or audio are though nobody asked: /proc, and files below the folders of the run, logs among them.

    Results go to stdout, so `asked` holds `out.log` where a command shows results.
    """
    wanted = {one for place in asked for one in [place, *place.rglob("*")]}
    files = {path for path in running.home.rglob("*") if path.is_file()} | running.written()
    places = {str(path): path.read_bytes() for path in files - wanted if path.is_file()}
    places["/proc"] = "\n".join(running.shown).encode()
    return [f"{place}: {found}" for place, content in places.items() if (found := found_in(content))]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A folder with a short and a long recording, a broken one, and a manifest with the words."""
    folder = tmp_path_factory.mktemp("asked")
    soundfile.write(folder / "short.wav", marked_signal(2.0), 16_000)
    soundfile.write(folder / "long.wav", marked_signal(40.0), 16_000)
    (folder / "broken.wav").write_bytes(marked_signal(2.0).tobytes())
    with (folder / "words.csv").open("w", newline="") as stream:
        rows = [[name, SENTENCE] for name in ("short.wav", "long.wav", "broken.wav")]
        csv.writer(stream).writerows([["path", "transcript"], *rows])
    return folder


def test_the_needles_are_found_where_they_are(corpus):
    assert set(found_in((corpus / "short.wav").read_bytes())) == {"samples"}
    assert set(found_in((corpus / "words.csv").read_bytes())) == set(WORDS)
    assert found_in(soundfile.read(corpus / "short.wav", dtype="float32")[0].tobytes()) == ["floats"]


def outside(running: Watched, *asked: Path) -> list[Path]:
    """Files that were written though nobody asked for them."""
    return [path for path in running.written() if not any(path.is_relative_to(place) for place in asked)]


def test_recognize_writes_words_into_its_results_alone_and_audio_nowhere(corpus, tmp_path):
    out, words = tmp_path / "results", corpus / "words.csv"
    arguments = ["recognize", corpus, "--transcripts", words, "--out", out, "--format", "jsonl", "--threads", "1"]
    running = run_watched(tmp_path, *arguments, code=1)
    assert "broken.wav" in running.err
    assert leaks(running, out, tmp_path / "out.log") == []
    assert set(found_in(b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file()))) == set(WORDS)
    assert outside(running, out) == []
    assert opened_sockets(running) == set()


def opened_sockets(running: Watched) -> set[str]:
    """Addresses that a command connected or bound to, or looked up, and its TCP and UDP sockets."""
    kinds = ("connect", "bind", "sendto", "getaddrinfo")
    asked = {f"{kind} {detail}" for kind in kinds for detail in running.events(f"socket.{kind}")}
    return asked | {line for line in running.shown if line.startswith("internet:")}


def test_a_recording_from_standard_input_has_no_name_on_the_disk(corpus, tmp_path):
    sound = (corpus / "short.wav").read_bytes()
    with watched(tmp_path, "recognize", "-", "--threads", "1", stdin=sound) as running:
        running.process.wait(120)
    assert running.process.returncode == 0, running.err
    assert leaks(running) == [] and outside(running) == []
    named = [name for name in running.shown if name.startswith(str(tmp_path / "temp")) and "(deleted)" not in name]
    assert named == []


def test_training_without_cache_writes_its_run_folder_alone(fast_settings, tmp_path):
    manifest, run = write_tiny_corpus(tmp_path / "corpus", speakers=4, per_emotion=1), tmp_path / "run"
    soundfile.write(tmp_path / "corpus" / "audio" / "s1-anger-0.wav", marked_signal(2.0), 16_000)
    arguments = ["train", "speech", manifest, run, "--no-cache", "--quiet", *fast_settings, "--set", "threads=1"]
    running = run_watched(tmp_path, *arguments)
    assert (run / "model" / "config.json").is_file()
    assert outside(running, run) == [] and leaks(running, tmp_path / "corpus") == []
    assert opened_sockets(running) == set()


def test_a_cache_and_no_cache_is_wrong_usage(tmp_path):
    command = ["train", "speech", tmp_path / "a.csv", tmp_path / "run", "--no-cache", "--cache", tmp_path]
    done = CliRunner().invoke(app, [str(part) for part in command])
    assert done.exit_code == 2 and "give either --cache or --no-cache" in done.output


def test_a_run_folder_and_a_cache_hold_no_words_and_no_audio(tiny_model, tiny_manifest):
    told = [sentence.encode() for sentences in TINY_WORDS.values() for sentence in sentences]
    clip = soundfile.read(tiny_manifest.parent / "audio" / "s1-anger-0.wav", dtype="float32")[0]
    told += [clip[4000:4010].tobytes(), (clip[4000:4010] * 32768).astype(np.int16).tobytes()]
    assert all(any(words in path.read_bytes() for path in tiny_manifest.parent.rglob("*.*")) for words in told[:-1])
    places = [tiny_model.parent, *tiny_model.parent.parent.glob("cache*")]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" and "cache" in path.parent.name for path in files)
    assert [str(path) for path in files if any(words in path.read_bytes() for words in told)] == []


@pytest.mark.parametrize("command", [["check"], ["doctor"]])
def test_check_and_doctor_open_no_socket_and_write_nothing(command, corpus, tmp_path):
    arguments = [*command, *([corpus / "words.csv"] if command == ["check"] else [])]
    with watched(tmp_path, *arguments) as running:
        running.process.wait(120)
    assert running.process.returncode in (0, 1) and "Traceback" not in running.err
    assert opened_sockets(running) == set()
    assert leaks(running, tmp_path / "out.log") == [] and [file for file in running.written() if file.is_file()] == []


def test_the_watch_sees_sockets_files_and_open_files(tmp_path):
    code = "import socket,time;s=socket.socket();s.bind(('127.0.0.1',0));s.listen();open('kept','w');time.sleep(0.3)"
    with watched(tmp_path, "--version", program=("-c", code)) as running:
        running.process.wait(60)
    assert any(line.startswith("bind ('127.0.0.1'") for line in opened_sockets(running))
    assert any(line.startswith("internet:") for line in opened_sockets(running))
    assert running.written() == {tmp_path / "work" / "kept"}


@pytest.mark.allow_hosts(["127.0.0.1", "localhost"])
def test_the_server_keeps_nothing_of_a_clip_a_job_a_stream_or_a_broken_file(corpus, tmp_path):
    with watched(tmp_path, "serve", "--port", "0") as running:
        url = address(running)
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            for name, status in (("short.wav", 200), ("broken.wav", 422)):
                form = {"audio": (f"{WORDS[0]}.wav", (corpus / name).read_bytes())}
                assert client.post("/v1/recognize", files=form, data={"transcript": SENTENCE}).status_code == status
            words = json.dumps([{"start": 0, "end": 40, "transcript": SENTENCE}])
            form = {"audio": (f"{WORDS[1]}.wav", (corpus / "long.wav").read_bytes())}
            job = client.post("/v1/jobs", files=form, data={"words": words})
            assert job.status_code == 202
            place = f"/v1/jobs/{job.json()['id']}"
            while (state := client.get(place).json())["state"] in ("waiting", "running"):
                time.sleep(0.2)
            assert state["state"] == "done" and SENTENCE in json.dumps(state), state["problem"]
            assert client.delete(place).status_code == 204
            assert client.post("/v1/recognize", content=b"--x\r\n" + SENTENCE.encode()).status_code == 415
            wrong = {"start": SENTENCE}
            assert client.post("/v1/recognize", files={"audio": b"RIFF"}, data=wrong).status_code == 422
        with connect(url.replace("http", "ws") + "v1/stream", proxy=None) as socket:
            socket.send(json.dumps({"type": "start", "sampling_rate": 16_000, "encoding": "int16"}))
            socket.send(json.dumps({"type": "words", "start": 0.0, "end": 60.0, "transcript": SENTENCE}))
            socket.send(marked_signal(8.0).tobytes())
            socket.send(json.dumps({"type": "end"}))
            told = "".join(map(str, socket))
        assert SENTENCE in told, told
        time.sleep(0.3)
        before, running.shown = running.shown, set()
        running.look()
        kept = [name for name in running.shown if name.startswith(str(tmp_path / "temp"))]
    assert kept == [], "a file of a request is open after its end"
    running.shown |= before
    assert leaks(running) == []
    assert outside(running) == []
    asked = {line for line in opened_sockets(running) if not line.startswith("internet:")}
    assert len(asked) == 1 and asked.pop().startswith("bind ('127.0.0.1'")


def address(running: Watched) -> str:
    """Where a server is, once it answers."""
    for _ in range(600):
        if found := re.search(r"page: (http://[^/]+/)", (running.home / "err.log").read_text()):
            return found[1]
        assert running.process.poll() is None, (running.home / "err.log").read_text()
        time.sleep(0.1)
    raise AssertionError("the server does not start")


def test_a_mistake_of_the_server_is_logged_without_its_message(caplog):
    try:
        raise ValueError(SENTENCE)
    except ValueError as error:
        log_mistake(error)
    assert "ValueError in test_a_mistake" in caplog.text and found_in(caplog.text.encode()) == []
