"""Speech recognition with a real Whisper: words, times, translation; a missing model never becomes a download."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bimodal.asr.whisper import Transcriber
from bimodal.audio.decode import load_signal
from bimodal.errors import TranscriptionError


@pytest.fixture(scope="module")
def transcriber(asr_model: Path) -> Transcriber:
    return Transcriber(asr_model, threads=1)


@pytest.fixture(scope="module")
def english(corpus_data: Path) -> np.ndarray:
    return load_signal(sorted((corpus_data / "ravdess" / "audio").rglob("03-01-01-01-01-01-01.*"))[0])


@pytest.fixture(scope="module")
def korean(corpus_data: Path) -> np.ndarray:
    return load_signal(corpus_data / "emotiontts_ko" / "audio" / "nea00003.flac")


def test_words_are_heard_with_times_and_confidence(transcriber, english):
    heard = transcriber.transcribe(english, words=True)
    assert "talking by the door" in heard.text.lower()
    assert heard.language == "en" and heard.language_probability > 0.5
    assert 0.2 < heard.confidence <= 1
    assert " ".join(word.text for word in heard.words) == heard.text
    starts = [word.start for word in heard.words]
    assert starts == sorted(starts) and heard.words[-1].end <= len(english) / 16_000 + 0.1
    assert all(word.start <= word.end and 0 <= word.probability <= 1 for word in heard.words)


def test_korean_is_detected_and_written_in_its_own_script_or_in_english(transcriber, korean):
    heard = transcriber.transcribe(korean)
    assert heard.language == "ko" and "드라마" in heard.text and heard.words == ()
    english = transcriber.transcribe(korean, task="translate", language="ko")
    assert english.language_probability == 1 and "drama" in english.text.lower()
    assert transcriber.transcribe(korean, task="translate", language="ko") == english


def test_a_clip_is_encoded_once_for_its_language_and_its_words(transcriber, english, korean, monkeypatch):
    transcriber.transcribe(english[:8000])  # whatever was heard before
    once, windows = transcriber._model.encode, []
    encode = once._encode
    monkeypatch.setattr(once, "_encode", lambda window: (windows.append(window), encode(window))[1])
    heard = transcriber.transcribe(korean)
    assert len(windows) == 1 and heard.language == "ko"
    assert transcriber.transcribe(english).language == "en" and len(windows) == 2
    given = transcriber.transcribe(korean, language="ko")
    assert (given.text, given.confidence) == (heard.text, pytest.approx(heard.confidence))


def test_silence_and_scraps_have_no_words_and_no_confidence(transcriber):
    for signal in (np.zeros(0, np.float32), np.zeros(100, np.float32)):
        heard = transcriber.transcribe(signal, language="de")
        assert (heard.text, heard.words, heard.confidence, heard.language) == ("", (), 0.0, "de")
    silent = transcriber.transcribe(np.zeros(32_000, np.float32), vad=True)
    assert (silent.text, silent.confidence) == ("", 0.0)


def test_an_unknown_language_is_refused(transcriber, english):
    with pytest.raises(TranscriptionError, match=r"unknown language 'xx', expected one of \['af'"):
        transcriber.transcribe(english, language="xx")


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("no/such-model", "neither a folder nor a downloaded model; add --download to download it"),
        ("base", "base: no such folder; give the folder of a Whisper model"),
    ],
)
def test_a_missing_model_says_how_to_get_one_and_downloads_nothing(model, complaint):
    with pytest.raises(TranscriptionError, match=complaint):
        Transcriber(model)


def test_a_folder_without_a_tokenizer_is_refused_before_another_one_is_fetched(asr_model, tmp_path):
    for name in ("config.json", "vocabulary.txt"):
        shutil.copy(asr_model / name, tmp_path / name)
    with pytest.raises(TranscriptionError, match=r"no model\.bin, tokenizer\.json"):
        Transcriber(tmp_path)


def test_a_damaged_model_is_one_sentence(asr_model, tmp_path):
    for name in ("config.json", "vocabulary.txt", "tokenizer.json"):
        shutil.copy(asr_model / name, tmp_path / name)
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(TranscriptionError, match="no Whisper model in CTranslate2 format"):
        Transcriber(tmp_path)


def test_nothing_heavy_is_imported_before_it_is_used():
    code = "import sys, bimodal.asr.whisper, bimodal.asr.transcribe; print('faster_whisper' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
