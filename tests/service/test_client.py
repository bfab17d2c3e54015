"""The client gives what the recogniser gives, and tells what is wrong in a sentence."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import bimodal
from bimodal import Client, Clip, Recognizer, Turn
from bimodal.asr.timed_words import TimedWords
from bimodal.errors import AudioError, BimodalError

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture
def client(served):
    with Client(served.url) as asking:
        yield asking


def same(one, other) -> bool:
    return one.emotion == other.emotion and one.scores == pytest.approx(other.scores, abs=1e-5)


def test_files_signals_words_and_batches_give_what_the_recogniser_gives(client, recognizer, recording):
    signal, rate = soundfile.read(recording, dtype="float32")
    clips = [
        Clip(audio=recording),
        Clip(audio=signal, sampling_rate=rate, transcript="Stop that at once!", speaker="ann"),
        Clip(transcript="What a lovely day!"),
        Clip(audio=str(recording), start=0.1, end=0.4, transcript="Go", transcript_confidence=0.5),
    ]
    for got, expected in zip(client.recognize_batch(clips), recognizer.recognize_batch(clips), strict=True):
        assert same(got, expected) and (got.start, got.end) == pytest.approx((expected.start, expected.end))
        assert (got.speaker, got.gate is None) == (expected.speaker, expected.gate is None)
    assert same(client.recognize(recording, transcript="Hi"), recognizer.recognize(recording, transcript="Hi"))
    why = client.recognize(recording, transcript="Stop that!", explain=True).explanation
    expected = recognizer.recognize(recording, transcript="Stop that!", explain=True).explanation
    assert [word.text for word in why.words] == ["Stop", "that!"] and why.sentences == expected.sentences
    assert client.emotions == recognizer.emotions and client.model()["revision"] == recognizer.config.revision


def test_audio_in_any_form_is_sent(client, recording):
    samples, rate = soundfile.read(recording)
    signal = np.round(32768 * samples).astype(np.int16)
    expected = client.recognize(recording)
    forms = [recording.read_bytes(), (rate, signal), {"array": signal / 32768, "sampling_rate": rate}]
    with recording.open("rb") as stream:
        results = client.recognize_batch([str(recording), stream, *forms])
    assert len(results) == 5 and all(result.scores == pytest.approx(expected.scores, abs=1e-3) for result in results)


def test_one_bad_clip_of_a_batch_is_a_result_with_an_error(client, recording):
    batch = [recording, "none.wav", Clip(audio=b"rubbish", speaker="ann")]
    good, missing, rubbish = client.recognize_batch(batch, strict=False)
    assert good.error is None and "none.wav: cannot be read" in missing.error
    assert "cannot be decoded" in rubbish.error and rubbish.speaker == "ann" and rubbish.abstained
    with pytest.raises(BimodalError, match=r"none\.wav"):
        client.recognize_batch(batch)


def test_a_long_recording_gives_the_same_timeline(client, recognizer, corpus_data, tmp_path):
    clips = [soundfile.read(file) for file in sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[:2]]
    soundfile.write(tmp_path / "long.wav", np.concatenate([samples for samples, _ in clips]), clips[0][1])
    words = [TimedWords(start=0.0, end=30.0, transcript="Get out!")]
    got = list(client.recognize_long(tmp_path / "long.wav", words=words))
    expected = list(recognizer.recognize_long(tmp_path / "long.wav", words=words))
    assert len(got) == len(expected) > 1 and all(same(one, other) for one, other in zip(got, expected, strict=True))


def test_a_stream_gives_what_the_recognisers_stream_gives(client, recognizer, corpus_data):
    file = sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[0]
    signal, rate = soundfile.read(file, dtype="float32")
    ours = recognizer.stream(rate, speaker="ann")
    expected = ours.push(signal) + ours.finish()
    with client.stream(rate, speaker="ann") as theirs:
        got = [result for start in range(0, len(signal), 5000) for result in theirs.push(signal[start : start + 5000])]
        got += theirs.finish()
    assert len(got) == len(expected) and all(same(one, other) for one, other in zip(got, expected, strict=True))
    assert got[0].speaker == "ann"
    with pytest.raises(BimodalError, match=r"sampling_rate.*\(sampling_rate\)"):
        client.stream(3000)
    with client.stream(16_000) as broken, pytest.raises(AudioError, match="NaN"):
        broken.push(np.full(10, np.nan, np.float32))


def test_refusals_are_sentences(client, served, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    for ask, sentence in (
        (lambda: client.recognize(tmp_path / "bad.wav"), "cannot be decoded as audio"),
        (lambda: list(client.recognize_long(tmp_path / "bad.wav")), "cannot be decoded as audio"),
        (lambda: client.recognize(tmp_path / "none.wav"), "cannot be read"),
        (lambda: client.recognize(), "nothing to recognise"),
        (lambda: client.recognize(np.zeros(10, np.float32)), "sampling_rate"),
        (lambda: client.recognize_batch([Clip(transcript="a", before=[Turn(transcript="b")])]), "earlier turns"),
        (lambda: Client("http://127.0.0.1:9").emotions, "cannot be reached"),
        (lambda: Client(f"{served.url}static").emotions, "not found"),
    ):
        with pytest.raises(BimodalError, match="(?i)" + sentence):
            ask()


def test_a_busy_server_is_asked_again_and_a_token_is_sent(tiny_model, serve, recording):
    from concurrent.futures import ThreadPoolExecutor

    with serve(tiny_model, "--set", "running=1", "--set", "waiting=1", "--token", "secret") as running:
        with pytest.raises(BimodalError, match="token"), Client(running.url) as stranger:
            stranger.model()
        with Client(running.url, token="secret") as client, ThreadPoolExecutor(5) as threads:
            results = list(threads.map(lambda _: client.recognize(recording), range(10)))
    assert len(results) == 10 and len({result.emotion for result in results}) == 1


def test_importing_bimodal_costs_no_client():
    import subprocess
    import sys

    assert "Client" in bimodal.__all__
    code = "import sys, bimodal; bimodal.Clip; assert not {'httpx', 'fastapi'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
