"""Bad input: each kind has a defined answer, which abstains with a reason or warns, or one clear sentence."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from bimodal import Clip, Recognizer
from bimodal.audio.decode import load_signal
from bimodal.audio.segmentation import NO_SPEECH
from bimodal.errors import AudioError, BimodalError
from bimodal.inference.model_config import ModelConfig
from bimodal.inference.model_folder import CONFIG, OOD_STATS, read_json, save_model_config

RATE = 16_000
TIME = np.arange(4 * RATE) / RATE
MUSIC = sum(np.sin(2 * np.pi * h * 220 * 2 ** (np.floor(2 * TIME) % 5 / 12) * TIME) / h for h in range(1, 6))
NOISE = np.random.default_rng(0).normal(size=4 * RATE)


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def speech(corpus_data: Path) -> np.ndarray:
    return load_signal(corpus_data / "ravdess" / "audio" / "03-01-05-01-01-01-01.flac")


def scores(result) -> list[float]:
    return list(result.scores.values())


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (np.zeros(RATE), "the recording is silent"),
        (np.full(RATE, 0.5), "the recording is silent"),
        (NOISE[:160], "the speech is shorter than 0.1 s"),
        (0.1 * MUSIC, NO_SPEECH),
        (0.1 * NOISE, NO_SPEECH),
        (0.1 * np.sin(2 * np.pi * 50 * TIME), NO_SPEECH),
    ],
    ids=["silence", "only DC", "10 ms", "music", "noise", "hum"],
)
def test_where_nobody_speaks_it_abstains_and_says_why(recognizer, signal, reason):
    result = recognizer.recognize(signal.astype(np.float32), sampling_rate=RATE, explain=True)
    assert result.abstained and result.emotion is None and result.reason == reason
    assert result.warnings == () and result.explanation is None
    assert sum(result.scores.values()) == pytest.approx(1, abs=1e-5)
    with_words = recognizer.recognize(signal.astype(np.float32), sampling_rate=RATE, transcript="I feel so alone.")
    assert with_words.emotion == "sadness" and with_words.speech_scores is None


def test_noise_under_words_is_told(recognizer):
    result = recognizer.recognize((0.1 * NOISE).astype(np.float32), sampling_rate=RATE, transcript="I feel so alone.")
    assert NO_SPEECH in result.warnings


def test_a_model_that_does_not_know_what_it_heard_asks_the_detector_of_speech(tiny_model, speech, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "model")
    (tmp_path / "model" / OOD_STATS).unlink()
    save_model_config(tmp_path / "model", read_json(tmp_path / "model" / CONFIG, ModelConfig))
    recognizer = Recognizer(tmp_path / "model", threads=1)
    assert recognizer.recognize((0.1 * NOISE).astype(np.float32), sampling_rate=RATE).reason == NO_SPEECH
    assert recognizer.recognize(speech, sampling_rate=RATE).emotion is not None


@pytest.mark.parametrize("rate", [8000, 44_100, 96_000])
def test_any_sampling_rate_gives_nearly_the_same(recognizer, speech, tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", soxr.resample(speech, RATE, rate), rate, subtype="FLOAT")
    result = recognizer.recognize(tmp_path / "a.wav")
    assert result.emotion is not None and result.end == pytest.approx(len(speech) / RATE, abs=1e-3)
    if rate > RATE:  # at 8 kHz half of what is heard is gone
        alike = recognizer.recognize(speech, sampling_rate=RATE)
        assert scores(result) == pytest.approx(scores(alike), abs=0.05)


def test_eight_channels_are_mixed_and_a_dc_offset_is_nothing(recognizer, speech, tmp_path):
    plain = recognizer.recognize(speech, sampling_rate=RATE)
    soundfile.write(tmp_path / "eight.wav", np.stack([speech] * 8, axis=1), RATE, subtype="FLOAT")
    assert scores(recognizer.recognize(tmp_path / "eight.wav")) == pytest.approx(scores(plain), abs=1e-3)
    assert scores(recognizer.recognize(speech + 0.3, sampling_rate=RATE)) == pytest.approx(scores(plain), abs=1e-2)


def test_clipped_speech_is_judged_with_a_warning(recognizer, speech):
    loud = np.clip(speech * 20 / np.abs(speech).max(), -1, 1)
    result = recognizer.recognize(loud, sampling_rate=RATE)
    assert result.emotion is not None and any("is clipped" in warning for warning in result.warnings)


def test_samples_that_are_none_and_files_that_are_no_audio_are_one_sentence(recognizer, speech, tmp_path):
    damaged = speech.copy()
    damaged[100] = np.nan
    with pytest.raises(AudioError, match="1 samples are NaN or infinite, the first at sample 100"):
        recognizer.recognize(damaged, sampling_rate=RATE)
    (tmp_path / "words.wav").write_text("no audio at all")
    with pytest.raises(AudioError, match=r"words\.wav"):
        recognizer.recognize(tmp_path / "words.wav")
    with pytest.raises(AudioError, match="sampling rate -1 Hz, expected a positive number of Hz"):
        recognizer.recognize(speech, sampling_rate=-1)


def test_a_wrong_extension_does_not_matter(recognizer, speech, tmp_path):
    soundfile.write(tmp_path / "a.wav", speech, RATE, subtype="FLOAT")
    (tmp_path / "a.wav").rename(tmp_path / "a.mp3")
    assert scores(recognizer.recognize(tmp_path / "a.mp3")) == scores(recognizer.recognize(speech, sampling_rate=RATE))


@pytest.mark.parametrize("empty", ["", "  \n", "\u200b"])
def test_empty_text_is_absent(recognizer, speech, empty):
    alone = recognizer.recognize(speech, sampling_rate=RATE)
    assert recognizer.recognize(speech, sampling_rate=RATE, transcript=empty) == alone
    with pytest.raises(BimodalError, match="nothing to recognise"):
        recognizer.recognize(transcript=empty)


@pytest.mark.parametrize("words", ["\U00012000\U00012001\U00012002", "ꦲꦤꦕꦫꦏ ꦢꦠꦱꦮꦭ", "🙂" * 5, "a" * 100_000])
def test_words_of_an_unknown_script_have_an_answer(recognizer, words):
    result = recognizer.recognize(transcript=words)
    assert result.abstained or np.isfinite(scores(result)).all()
    assert any("language" in warning for warning in result.warnings) or words[0] == "a"


def test_the_transcript_of_another_file_is_told_as_conflict(recognizer, tiny_manifest):
    voice = tiny_manifest.parent / "audio" / "s0-anger-0.wav"
    found = recognizer.recognize(voice, transcript="Nothing will bring her back.", explain=True)
    assert found.explanation.contradicts and found.explanation.divergence > 0.1


def test_a_batch_of_any_lengths_gives_what_single_calls_give(recognizer, speech):
    lengths = (0.3, 3.0, 0.05, 1.7, 9.0, 0.9)
    clips = [Clip(audio=np.resize(speech, int(RATE * one)), sampling_rate=RATE) for one in lengths]
    clips += [Clip(transcript="word " * count) for count in (40, 1, 200)]
    together = recognizer.recognize_batch(clips)
    for clip, found in zip(clips, together, strict=True):
        (alone,) = recognizer.recognize_batch([clip])
        assert scores(found) == pytest.approx(scores(alone), abs=1e-4)
        assert (found.emotion, found.reason, found.end) == (alone.emotion, alone.reason, alone.end)


def test_several_threads_may_call_one_recognizer(tiny_model, tiny_manifest):
    files = sorted((tiny_manifest.parent / "audio").glob("*.wav"))[:24]
    clips = [Clip(audio=file, transcript="I miss him" if number % 2 else None) for number, file in enumerate(files)]
    expected = [Recognizer(tiny_model, threads=1).recognize_batch([clip])[0] for clip in clips]
    shared = Recognizer(tiny_model, threads=1)  # fresh: its sessions are made by whoever comes first
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda clip: shared.recognize_batch([clip])[0], clips))
    assert [replace(one, warnings=()) for one in found] == [replace(one, warnings=()) for one in expected]


def test_the_number_of_threads_does_not_change_the_answer(tiny_model, speech):
    one, two = (Recognizer(tiny_model, threads=threads).recognize(speech, sampling_rate=RATE) for threads in (1, 2))
    assert scores(one) == pytest.approx(scores(two), abs=1e-4)
