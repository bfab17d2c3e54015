"""The HTTP interface as another program uses it: results are Python's, refusals are problems, nothing is kept."""

import json
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal import Client, Recognizer
from bimodal.inference.summary import summarise

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def problem(answer, status: int) -> dict:
    """The problem of an answer, checked against RFC 9457."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status and set(told) == {"type", "title", "status", "detail", "code", "values"}
    return told


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def long_recording(corpus_data: Path, tmp_path_factory) -> Path:
    """Real speech, some of it, with pauses, in stereo at another rate."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    clips = [soundfile.read(file) for file in sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[:3]]
    signal = np.concatenate([samples for samples, _ in clips])
    soundfile.write(path, np.stack([signal, 0.5 * signal], axis=1), clips[0][1], subtype="FLOAT")
    return path


@pytest.mark.parametrize("text", [None, "Stop that at once!"])
def test_a_clip_gets_the_answer_that_python_gives(http, recognizer, recording, text):
    answer = http.post(
        "/v1/recognize", files={"audio": recording.open("rb")}, data={"transcript": text} if text else {}
    )
    expected = json.loads(json.dumps(recognizer.recognize(recording, transcript=text).to_dict()))
    got = answer.json()
    assert answer.status_code == 200 and set(got) == set(expected)
    for name, value in expected.items():
        assert got[name] == (pytest.approx(value, abs=1e-5) if isinstance(value, dict | float) else value)


def test_words_alone_and_a_stretch_and_confidence(http, recognizer, recording):
    words = http.post("/v1/recognize", files={"transcript": (None, "What a lovely day!")}).json()
    assert words["emotion"] == recognizer.recognize(transcript="What a lovely day!").emotion
    assert words["speech_scores"] is None and words["start"] is None
    stretch = http.post(
        "/v1/recognize",
        files={"audio": recording.open("rb")},
        data={"start": "0.25", "end": "0.45", "transcript": "Stop!", "transcript_confidence": "0.5", "speaker": "ann"},
    ).json()
    assert (stretch["start"], stretch["end"], stretch["speaker"]) == (0.25, 0.45, "ann")
    assert (stretch["transcript_source"], stretch["transcript_confidence"]) == ("asr", 0.5)


def finished(http, location: str) -> dict:
    for _ in range(300):
        job = http.get(location).json()
        if job["state"] not in ("waiting", "running"):
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def test_a_job_gives_the_timeline_that_python_gives(http, recognizer, long_recording):
    answer = http.post("/v1/jobs", files={"audio": long_recording.open("rb")})
    assert answer.status_code == 202 and answer.json()["state"] in ("waiting", "running")
    job = finished(http, answer.headers["location"])
    expected = list(recognizer.recognize_long(long_recording))
    assert job["state"] == "done" and job["progress"] == 1 and len(job["results"]) == len(expected) > 2
    for got, wanted in zip(job["results"], expected, strict=True):
        assert (got["start"], got["end"]) == (wanted.start, wanted.end)
        # A difference of 1e-9 in a sample, as another number of threads makes it, moves this model by 1e-3.
        assert got["scores"] == pytest.approx(wanted.scores, abs=5e-3)
    assert job["summary"]["results"] == len(expected) and 100 < len(job["peaks"]) <= 4000
    assert job["duration"] == pytest.approx(soundfile.info(long_recording).duration, abs=0.01)


def test_a_job_tells_speakers_apart_where_the_server_has_the_networks(
    tiny_model, dialogue, segmentation_model, tmp_path, serve, monkeypatch
):
    soundfile.write(tmp_path / "call.wav", dialogue[0], 16_000)
    monkeypatch.setenv("BIMODAL_SEGMENTATION", str(segmentation_model))
    with serve(tiny_model) as running, running.client() as client:
        answer = client.post("/v1/jobs", files={"audio": (tmp_path / "call.wav").open("rb")}, data={"speakers": "2"})
        job = finished(client, answer.headers["location"])
        through = Client(running.url).recognize_long(tmp_path / "call.wav", speakers="auto")
        assert {one.speaker for one in through} == {"speaker 1", "speaker 2"}
    assert {one["speaker"] for one in job["results"]} == {"speaker 1", "speaker 2"}
    assert all(one["speaker_confidence"] > 0.5 for one in job["results"])


def test_a_job_is_followed_by_events_and_written_in_formats_and_forgotten(http, long_recording):
    words = json.dumps([{"start": 0.0, "end": 60.0, "transcript": "Get out of my house!"}])
    answer = http.post(
        "/v1/jobs",
        files={"audio": long_recording.open("rb")},
        data={"channels": "speakers", "words": words, "hop": "1", "window": "2"},
    )
    location = answer.headers["location"]
    with http.stream("GET", f"{location}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = list(stream.iter_lines())
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert events[-1] == "done" and {"result", "progress"} <= set(events)
    job = http.get(location).json()
    assert {result["speaker"] for result in job["results"]} == {"channel 1", "channel 2"}
    assert events.count("result") == len(job["results"])
    resumed = http.get(f"{location}/events", headers={"Last-Event-ID": str(len(job["results"]) - 1)}).text
    assert resumed.count("event: result") == 1
    for form, first in (("jsonl", "{"), ("csv", "start"), ("vtt", "WEBVTT"), ("emotionml", "<?xml")):
        assert http.get(f"{location}/results", params={"format": form}).text.startswith(first)
    assert http.delete(location).status_code == 204
    problem(http.get(location), 404)


def test_results_are_summed_up_as_python_does(http, recognizer, long_recording):
    results = [result.to_dict() for result in recognizer.recognize_long(long_recording)]
    told = http.post("/v1/summary", json={"results": results})
    assert told.status_code == 200
    assert told.json()["shares"] == pytest.approx(summarise(recognizer.recognize_long(long_recording)).shares)
    other = {**results[0], "scores": {"awe": 1.0}, "emotion": "awe"}
    assert "same emotions" in problem(http.post("/v1/summary", json={"results": [results[0], other]}), 422)["detail"]


def test_results_are_exported_however_they_came_about(http, recording):
    result = http.post("/v1/recognize", files={"audio": recording.open("rb")}).json()
    written = http.post("/v1/export", json={"format": "srt", "results": [result], "recording": "mine.wav"})
    assert written.status_code == 200 and "-->" in written.text and result["emotion"] in written.text
    words = http.post("/v1/recognize", files={"transcript": (None, "Hello")}).json()
    assert "needs" in problem(http.post("/v1/export", json={"format": "vtt", "results": [words]}), 422)["detail"]
    unsure = words | {"transcript_confidence": False}
    assert "results" in problem(http.post("/v1/export", json={"format": "csv", "results": [unsure]}), 422)["detail"]


def test_the_server_tells_what_it_is(http, recognizer):
    about = http.get("/v1/about").json()
    assert "Art. 5(1)(f)" in about["law"] and "classroom" in about["law"] and about["limits"]["streams"] == 8
    (model,) = http.get("/v1/models").json()["models"]
    assert model["revision"] == recognizer.config.revision and tuple(model["emotions"]) == recognizer.emotions
    assert http.get("/healthz").json() == {"status": "alive"}
    shown = http.get("/metrics").text
    assert 'bimodal_requests_total{route="/v1/about",status="200"}' in shown


def test_every_answer_carries_security_headers(http):
    for path in ("/", "/v1/about", "/nowhere", "/static/none.js"):
        headers = http.get(path).headers
        assert (
            headers["x-content-type-options"] == "nosniff"
            and "default-src 'none'" in headers["content-security-policy"]
        )
        assert "unsafe" not in headers["content-security-policy"] and "server" not in headers
    assert "no-store" in http.get("/v1/about").headers["cache-control"]


@pytest.mark.parametrize(
    ("form", "status", "sentence"),
    [
        ({"data": {"transcript": "hi"}}, 415, "multipart"),
        ({"json": {"transcript": "hi"}}, 415, "multipart"),
        ({"files": {"transcript": (None, "  ")}}, 422, "nothing to recognise"),
        ({"files": {"audio": ("x.wav", b"")}}, 422, "empty"),
        ({"files": {"audio": ("x.wav", b"no audio at all")}}, 422, "cannot be decoded"),
        ({"files": {"audio": (None, "words")}}, 422, "expected a file"),
        ({"files": {"colour": (None, "red")}}, 422, "unknown"),
        ({"files": {"text": (None, "hi")}}, 422, "the field text is now called transcript"),
        ({"files": {"transcript": (None, "hi"), "text_confidence": (None, "1")}}, 422, "called transcript_confidence"),
        ({"files": [("transcript", (None, "a")), ("transcript", (None, "b"))]}, 422, "repeated"),
        ({"files": {"transcript": (None, "hi"), "transcript_confidence": (None, "2")}}, 422, "from 0 to 1"),
        ({"files": {"transcript": (None, "hi"), "start": (None, "nan")}}, 422, "start"),
        ({"files": {"transcript": (None, "hi"), "transcribe": (None, "true")}}, 422, "--asr"),
        ({"files": {"transcript": (None, "hi"), "transcribe": (None, "perhaps")}}, 422, "true or false"),
        ({"files": {"transcript": (None, "x" * 10_001)}}, 413, "10000 characters"),
        ({"files": {"transcript": (None, "x" * 1_000_000)}}, 413, "Part exceeded"),
        ({"files": [(f"p{n}", (None, "x")) for n in range(10_000)]}, 413, "Too many fields"),
        ({"files": [("audio", (f"{n}", b"x")) for n in range(50)]}, 413, "Too many files"),
        ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
        ({"content": b"rubbish", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, "multipart"),
    ],
)
def test_a_form_that_cannot_be_used_is_refused_in_one_sentence(http, form, status, sentence):
    assert sentence in problem(http.post("/v1/recognize", **form), status)["detail"]
    assert http.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"words": "[[["}, "expected JSON"),
        ({"words": '[{"start": "a"}]'}, "words"),
        ({"words": '[{"start": 0, "end": 1, "text": "a"}]'}, "words: the field text is now called transcript"),
        ({"words": "[" * 100_000}, "Part exceeded"),
        ({"channels": "left"}, "mix, speakers"),
        ({"hop": "5", "window": "1"}, "hop <= window"),
        ({"speakers": "0"}, "speakers: expected auto, or a number from 1 to 20"),
        ({"speakers": "2", "channels": "speakers"}, "each channel is one speaker already"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused(http, recording, data, sentence):
    answer = http.post("/v1/jobs", files={"audio": recording.open("rb")}, data=data)
    assert answer.status_code in (413, 422) and sentence in answer.json()["detail"]
    problem(http.post("/v1/jobs", files={"words": (None, "[]")}), 422)


def test_a_job_that_fails_says_why(http):
    location = http.post("/v1/jobs", files={"audio": ("x.wav", b"rubbish" * 100)}).headers["location"]
    job = finished(http, location)
    assert job["state"] == "failed" and "the recording: cannot be decoded" in job["problem"]["detail"]


def test_unknown_paths_methods_and_values_are_problems(http):
    problem(http.get("/v1/nothing"), 404)
    problem(http.get("/v1/recognize"), 405)
    problem(http.get("/v1/jobs/none/results", params={"format": "doc"}), 422)
    told = problem(http.post("/v1/export", json={"format": "csv", "results": [{"emotion": "SECRET WORDS"}]}), 422)
    assert "SECRET" not in json.dumps(told)
    problem(http.post("/v1/export", content=b"{" * 100_000, headers={"Content-Type": "application/json"}), 422)


def test_other_hosts_and_other_sites_are_refused(http):
    problem(http.get("/v1/about", headers={"Host": "evil.example"}), 421)
    problem(
        http.post("/v1/recognize", headers={"Origin": "http://evil.example"}, files={"transcript": (None, "hi")}), 403
    )
    assert http.get("/v1/about", headers={"Origin": str(http.base_url).rstrip("/")}).status_code == 200


def test_limits_hold_and_are_told(tiny_model, serve, recording, tmp_path):
    limits = {
        "clip_seconds": 2, "clip_bytes": 200_000, "channels": 2, "sampling_rate": 48_000, "jobs_per_client": 1,
        "job_seconds": 3000, "kept_jobs": 1,
    }  # fmt: skip
    settings = [part for name, value in limits.items() for part in ("--set", f"{name}={value}")]
    with serve(tiny_model, *settings, "--token", "secret") as running, running.client() as http:
        assert problem(http.post("/v1/recognize", files={"transcript": (None, "hi")}), 401)
        http.headers["Authorization"] = "Bearer secret"
        for name, (samples, rate), sentence in (
            ("long.wav", (np.zeros(16_000 * 3), 16_000), "send long recordings to /v1/jobs"),
            ("wide.wav", (np.zeros((100, 3)), 16_000), "3 channels"),
            ("fine.wav", (np.zeros(100), 96_000), "96000 Hz"),
            ("large.wav", (np.zeros(200_000), 16_000), "at most 200000 bytes"),
        ):
            soundfile.write(tmp_path / name, samples, rate)
            answer = http.post("/v1/recognize", files={"audio": (tmp_path / name).open("rb")})
            assert sentence in problem(answer, 413)["detail"]
        bomb = tmp_path / "bomb.flac"  # a minute of silence in some kilobytes
        soundfile.write(bomb, np.zeros(16_000 * 60), 16_000)
        assert bomb.stat().st_size < 100_000
        assert "longer than 2 s" in problem(http.post("/v1/recognize", files={"audio": bomb.open("rb")}), 413)["detail"]
        hour = tmp_path / "hour.flac"
        soundfile.write(hour, np.zeros(16_000 * 2400), 16_000)
        answer = http.post("/v1/jobs", files={"audio": hour.open("rb")})
        assert answer.status_code == 202
        again = http.post("/v1/jobs", files={"audio": hour.open("rb")})
        assert problem(again, 429) and int(again.headers["retry-after"]) >= 1
        assert http.delete(answer.headers["location"]).status_code == 204


def test_a_busy_server_says_when_to_come_back(tiny_model, serve, tmp_path):
    soundfile.write(tmp_path / "ten.wav", np.random.default_rng(0).normal(0, 0.1, 16_000 * 20), 16_000)
    body = (tmp_path / "ten.wav").read_bytes()
    answers = []
    with serve(tiny_model, "--set", "running=1", "--set", "waiting=1") as running, running.client() as http:

        def ask():
            answers.append(http.post("/v1/recognize", files={"audio": ("ten.wav", body)}))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shown = http.get("/metrics").text
    assert sorted({answer.status_code for answer in answers}) == [200, 503]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 503)
    assert "bimodal_clips_running 0.0" in shown and "bimodal_clips_waiting 0.0" in shown


def test_a_stopping_server_finishes_what_runs_and_logs_no_content(tiny_model, serve, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 16_000 * 50), 16_000)
    answers = []
    with serve(tiny_model) as running, running.client() as http:
        form = {"audio": (tmp_path / "long.wav").open("rb"), "transcript": (None, "SECRET WORDS")}
        thread = threading.Thread(target=lambda: answers.append(http.post("/v1/recognize", files=form)))
        thread.start()
        for _ in range(100):
            with running.client() as other:
                if "bimodal_clips_running 1.0" in other.get("/metrics").text:
                    break
        running.process.send_signal(signal.SIGTERM)
        thread.join()
        running.process.wait(30)
        assert "SECRET" not in running.log.read_text()
    assert answers[0].status_code == 200 and running.process.returncode in (0, -signal.SIGTERM)


def test_an_address_that_is_taken_and_a_missing_model_are_one_sentence(tiny_model, served):
    import subprocess
    import sys

    for arguments, sentence in (
        ([tiny_model, "--port", str(served.port)], "choose another --port"),
        (["nowhere"], "no model folder"),
        ([tiny_model, "--set", "clip_second=3"], "did you mean 'clip_seconds'"),
    ):
        command = [sys.executable, "-m", "bimodal", "serve", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr


RESULT = {"emotion": "anger", "scores": {"anger": 1.0}, "speech_scores": None, "text_scores": None, "gate": None}


@pytest.mark.parametrize("form", ["vtt", "srt", "textgrid", "elan", "labelstudio", "rttm", "emotionml", "csv", "jsonl"])
def test_an_export_at_an_absurd_time_is_refused_and_no_mistake_of_the_server(http, form):
    for start, end in ((1e308, 1e308), (0, 1e308), (-1e300, 0), (-1, 2)):
        result = RESULT | {"start": start, "end": end}
        answer = http.post("/v1/export", json={"format": form, "results": [result]})
        assert answer.status_code == (200 if form in ("csv", "jsonl") else 422), answer.text
    for number in ("1e999", "NaN", "1" + "0" * 400, "1" + "0" * 5000):
        body = json.dumps({"format": form, "results": [RESULT | {"start": 7, "end": 8}]}).replace("7", number, 1)
        answer = http.post("/v1/export", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), (number[:9], answer.text)
    channel = RESULT | {"start": 0, "end": 1, "speaker": "channel " + "9" * 5000}
    assert http.post("/v1/export", json={"format": form, "results": [channel]}).status_code == 200


@pytest.mark.parametrize("number", [b"\xb2", b"9" * 5000, b"-1", b"x"])
def test_a_strange_number_of_the_last_event_is_none(http, recording, number):
    job = http.post("/v1/jobs", files={"audio": recording.open("rb")}).json()["id"]
    answer = http.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": number})
    assert answer.status_code == 200 and "event: done" in answer.text


def test_coverage_gives_the_set_that_python_gives(http, recognizer, recording, long_recording):
    data = {"transcript": "Stop that at once!", "coverage": "0.5", "coverage_by": "marginal"}
    got = http.post("/v1/recognize", files={"audio": recording.open("rb")}, data=data).json()["prediction_set"]
    expected = recognizer.recognize(recording, transcript=data["transcript"], coverage=0.5, coverage_by="marginal")
    assert got == json.loads(json.dumps(asdict(expected.prediction_set)))
    assert http.get("/v1/models").json()["models"][0]["prediction_sets"] is True
    started = http.post("/v1/jobs", files={"audio": long_recording.open("rb")}, data={"coverage": "0.5"})
    result, *_ = finished(http, started.headers["location"])["results"]
    assert result["prediction_set"]["emotions"][0] == result["emotion"] and result["prediction_set"]["coverage"] == 0.5


@pytest.mark.parametrize(("path", "field"), [("/v1/recognize", "coverage_by"), ("/v1/jobs", "channels")])
@pytest.mark.parametrize("value", ["", "both"])
def test_a_choice_is_one_of_its_values(http, recording, path, field, value):
    form = {"audio": recording.open("rb"), field: (None, value)}
    answer = http.post(path, files=form)
    assert answer.status_code == 422 and answer.json()["detail"].startswith(f"{field}: expected one of ")


@pytest.mark.parametrize("value", ["0", "1", "nan", "a", "-1", "90"])
@pytest.mark.parametrize("path", ["/v1/recognize", "/v1/jobs"])
def test_what_is_no_coverage_is_refused(http, recording, path, value):
    answer = http.post(path, files={"audio": recording.open("rb")}, data={"coverage": value})
    assert answer.status_code == 422 and answer.json()["detail"].startswith("coverage")
