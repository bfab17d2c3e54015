"""OpenAI's own client gets transcriptions with emotions, and embeddings; errors come as it expects them."""

import base64
import io

import numpy as np
import openai
import pytest
import soundfile
import srt
import webvtt

from bimodal import Clip, Recognizer
from bimodal.audio.decode import load_signal

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture(scope="module")
def asking(asr_model, serve):
    """A server with speech recognition and the packaged model, and OpenAI's client."""
    with (
        serve("permissive", "--asr", str(asr_model)) as running,
        openai.OpenAI(base_url=f"{running.url}v1", api_key="none", max_retries=0) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Two sentences of the packaged sample, with a pause between them."""
    from pathlib import Path

    samples = Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static" / "samples"
    signal = load_signal(samples / "cross.mp3")
    path = tmp_path_factory.mktemp("openai") / "two.wav"
    soundfile.write(path, np.concatenate([signal, np.zeros(16_000, np.float32), signal]), 16_000)
    return path


def ask(client, path, **options):
    with path.open("rb") as file:
        return client.audio.transcriptions.create(model="whisper-1", file=file, **options)


def test_segments_have_words_times_and_emotions(asking, spoken):
    found = ask(asking, spoken, response_format="verbose_json", timestamp_granularities=["segment"])
    assert found.task == "transcribe" and len(found.language) == 2
    assert found.duration == pytest.approx(soundfile.info(spoken).duration, abs=0.01)
    assert len(found.segments) >= 2 and found.text == " ".join(segment.text for segment in found.segments)
    emotions = set(Recognizer().emotions)
    for before, segment in zip([None, *found.segments], found.segments, strict=False):
        assert segment.end > segment.start >= (before.end if before else 0)
        assert segment.emotion in emotions and set(segment.emotion_scores) == emotions
        assert segment.emotion_score == max(segment.emotion_scores.values()) and segment.avg_logprob <= 0
    assert found.emotion in emotions and sum(found.emotion_shares.values()) == pytest.approx(1)


def test_the_other_formats_hold_the_same_words(asking, spoken):
    whole = ask(asking, spoken, response_format="verbose_json", language="en")
    assert whole.language == "en"
    plain = ask(asking, spoken, response_format="json", language="en", temperature=0)
    assert plain.text == whole.text and plain.emotion == whole.emotion
    assert ask(asking, spoken, response_format="text", language="en") == whole.text + "\n"
    captions = list(srt.parse(ask(asking, spoken, response_format="srt", language="en")))
    shown = webvtt.from_buffer(io.StringIO(ask(asking, spoken, response_format="vtt", language="en")))
    assert len(captions) == len(shown) == len(whole.segments)
    for caption, other, segment in zip(captions, shown, whole.segments, strict=True):
        assert segment.text in caption.content and f"[{segment.emotion} " in other.text


def test_embeddings_of_recordings_and_words_have_one_width(asking, spoken):
    recording = {"type": "input_audio", "input_audio": {"data": base64.b64encode(spoken.read_bytes()).decode()}}
    inputs = ["What a lovely day!", recording, "How lovely!", "I hate you!"]
    found = asking.embeddings.create(model="any", input=inputs)
    vectors = [np.array(one.embedding) for one in found.data]
    plain = asking.embeddings.create(model="any", input=inputs, encoding_format="float")
    assert np.allclose(vectors, [one.embedding for one in plain.data], atol=1e-6)
    clips = [Clip(audio=spoken) if isinstance(one, dict) else Clip(transcript=one) for one in inputs]
    assert np.allclose(vectors, Recognizer().extract(clips).fused.embedding, atol=1e-3)
    near, far = (vectors[0] @ vectors[row] / np.linalg.norm(vectors[row]) for row in (2, 3))
    assert near > far and found.model == "permissive"


def refused(call) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    assert set(caught.value.body) == {"message", "type", "param", "code"} and "\n" not in caught.value.body["message"]
    return caught.value


def test_what_cannot_be_used_is_an_error_of_openai(asking, served, spoken, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    error = refused(lambda: ask(asking, tmp_path / "bad.wav"))
    assert error.status_code == 422 and "cannot be decoded" in error.body["message"]
    for options, told in (
        ({"prompt": "x"}, "unknown or repeated field; expected file, model"),
        ({"temperature": 0.5}, "temperature: expected 0"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"response_format": "diarized_json"}, "response_format: expected one of json"),
        ({"language": "English"}, "language: expected an ISO 639-1 code"),
    ):
        error = refused(lambda options=options: ask(asking, spoken, **options))
        assert error.status_code == 422 and told in error.body["message"]
    with openai.OpenAI(base_url=f"{served.url}v1", api_key="none", max_retries=0) as deaf:
        assert "--asr" in refused(lambda: ask(deaf, spoken)).body["message"]
    embed = asking.embeddings.create
    for given, status, told in (
        ([], 422, "expected 1 to 64"),
        (["a"] * 65, 422, "expected 1 to 64"),
        ("", 422, "nothing to"),
        ([3], 422, "input"),
        ({"type": "input_audio", "input_audio": {"data": "%%%"}}, 422, "no base64"),
        ({"type": "input_audio", "input_audio": {"data": "YWJj"}}, 422, "cannot be decoded"),
        ("a" * 10_001, 413, "more than 10000 characters"),
    ):
        error = refused(lambda given=given: embed(model="m", input=given))
        assert error.status_code == status and told in error.body["message"], given


def test_the_guard_speaks_the_same_way_and_limits_hold(tiny_model, serve, spoken):
    with serve(tiny_model, "--token", "secret", "--set", "clip_bytes=1000") as running:
        for key, status, code in (("wrong", 401, "unauthorised"), ("secret", 413, "too-large")):
            with openai.OpenAI(base_url=f"{running.url}v1", api_key=key, max_retries=0) as client:
                error = refused(lambda client=client: ask(client, spoken))
            assert (error.status_code, error.body["code"]) == (status, code)


def test_a_recording_that_is_too_long_is_sent_to_jobs(asr_model, serve, spoken):
    with (
        serve("permissive", "--asr", str(asr_model), "--set", "transcription_seconds=3") as running,
        openai.OpenAI(base_url=f"{running.url}v1", api_key="none", max_retries=0) as client,
    ):
        error = refused(lambda: ask(client, spoken))
    assert error.status_code == 413 and "longer than 3 s; send long recordings to /v1/jobs" in error.body["message"]
