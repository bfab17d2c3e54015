"""A short recording that a clip and a job ask for is transcribed once, by the real speech recogniser."""

import io
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from starlette.testclient import TestClient

from bimodal import Recognizer
from bimodal.asr.whisper import Transcriber
from bimodal.service.app import create_app
from bimodal.service.transcriptions import Transcriptions, timed_words, upload_key

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
SAMPLES = Path(__file__).parents[2] / "src/bimodal/service/static/samples"


class Counted(Transcriber):
    """The speech recogniser, which counts."""

    calls = 0

    def transcribe(self, signal, **options):
        self.calls += 1
        return super().transcribe(signal, **options)


@pytest.fixture(scope="module")
def transcriber(asr_model) -> Counted:
    return Counted(asr_model, threads=1)


@pytest.mark.parametrize("first", ["job", "clip"])
def test_a_clip_and_a_job_of_one_recording_are_transcribed_once(transcriber, tiny_model, first):
    transcriber.calls, content = 0, (SAMPLES / "cross.mp3").read_bytes()
    app = create_app(Recognizer(tiny_model, threads=1), transcriber=transcriber)
    with TestClient(app, base_url="http://127.0.0.1") as http:

        def ask(place: str):
            return http.post(place, files={"audio": ("a.mp3", content)}, data={"transcribe": "true"}).json()

        asked = ["/v1/jobs", "/v1/recognize"] if first == "job" else ["/v1/recognize", "/v1/jobs"]
        answers = {place: ask(place) for place in asked}
        job = answers["/v1/jobs"]
        while job["state"] in ("waiting", "running"):
            time.sleep(0.1)
            job = http.get(f"/v1/jobs/{job['id']}").json()
        clip = answers["/v1/recognize"]
        assert job["state"] == "done" and transcriber.calls == 1
        assert clip["transcript_source"] == "asr" and clip["transcript"]
        spoken = {result["transcript"] for result in job["results"] if result["transcript"]}
        assert spoken and all(words.split()[0] in clip["transcript"] for words in spoken)
        http.delete(f"/v1/jobs/{job['id']}")  # forgets its words, too
        ask("/v1/recognize")
        assert transcriber.calls == 2


def test_callers_at_once_share_one_call_and_failures_are_not_kept(transcriber):
    transcriber.calls, shared, found = 0, Transcriptions(transcriber), []
    signal = np.random.default_rng(0).normal(0, 0.01, 16_000).astype(np.float32)
    threads = [Thread(target=lambda: found.append(shared.words("key", lambda: signal))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert transcriber.calls == 1 and found == found[:1] * 3

    def missing():
        raise FileNotFoundError("gone")

    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            shared.words("other", missing)
    assert shared.words("other", lambda: signal) == found[0]


def test_a_stretch_is_another_recording_and_an_upload_is_read_from_its_beginning():
    upload = io.BytesIO(b"sound")
    upload.read()
    keys = {upload_key(upload), upload_key(upload, 0.5), upload_key(upload, 0.5, 1.0), upload_key(io.BytesIO(b"other"))}
    assert len(keys) == 4 and upload.tell() == 0


def test_words_have_the_times_and_the_confidence_of_the_recogniser(transcriber):
    from bimodal.audio.decode import load_signal

    found = transcriber.transcribe(load_signal(SAMPLES / "cross.mp3"), words=True)
    words = timed_words(found)
    assert " ".join(word.transcript for word in words).split() == found.text.split()
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0 <= word.confidence <= 1 and word.language == found.language for word in words)
