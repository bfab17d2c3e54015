"""`bimodal cache` as a user types it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from bimodal.asr.transcribe import Notebook
from bimodal.asr.whisper import Transcription
from bimodal.cli import app
from bimodal.features.backbone import load_backbone
from bimodal.features.cache import FeatureCache
from bimodal.features.extraction import cache_speech, cache_text, recording_digest
from bimodal.records import Utterance


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["cache", *map(str, arguments)])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def test_the_cache_is_measured_and_emptied(tmp_path: Path):
    assert "0 entries, 0.0 MB" in run("--cache", tmp_path)
    with FeatureCache(tmp_path) as cache:
        cache.write("key", {"a": np.zeros(100_000, np.float32)})
    words = Transcription(text="Stop.", language="en", language_probability=1.0, words=(), confidence=1.0)
    Notebook(tmp_path / "transcripts" / "book.jsonl").add("key", words, "digest")
    assert "2 entries, 0.4 MB" in run("--cache", tmp_path)
    assert "0.4 MB freed" in run("--cache", tmp_path, "--clear")
    assert "0 entries, 0.0 MB" in run("--cache", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two recordings, and a cache of both: features of whole and stretch, words, transcripts."""
    folder = tmp_path_factory.mktemp("filled")
    for name, seed in (("secret.wav", 0), ("other.wav", 1)):
        signal = 0.1 * np.random.default_rng(seed).normal(size=16_000)
        soundfile.write(folder / name, signal.astype(np.float32), 16_000)
    rows = [Utterance(id=str(row), path=path) for row, path in enumerate(("secret.wav", "other.wav"))]
    rows.append(Utterance(id="2", path="secret.wav", start=0.2, end=0.8))
    cache = FeatureCache(folder / "cache")
    cache_speech(rows, folder, load_backbone("whisper-base-4", threads=1), cache)
    cache_text(["Given words.", "Heard words.", "Others."], load_backbone("minilm-goemotions", threads=1), cache)
    for name, text in (("secret.wav", "Heard words."), ("other.wav", "Nothing.")):
        heard = Transcription(text=text, language="en", language_probability=1.0, words=(), confidence=1.0)
        Notebook(folder / "cache" / "transcripts" / "book.jsonl").add(name, heard, recording_digest(folder / name))
    return folder


def test_a_recording_is_forgotten_by_its_content_with_the_words_that_were_heard_in_it(filled: Path, tmp_path: Path):
    shutil.copytree(filled / "cache", tmp_path / "cache")
    shutil.copy(filled / "secret.wav", tmp_path / "copy.wav")
    told = run("forget", tmp_path / "copy.wav", "--transcript", " given  WORDS.", "--cache", tmp_path / "cache")
    assert "3 features and 1 transcripts deleted, 0." in told and "earlier version" not in told
    told = run("forget", tmp_path / "copy.wav", "--transcript", "Given words.", "--cache", tmp_path / "cache")
    assert "1 features and 0 transcripts deleted" in told, "words count as they are written"
    assert "3 entries" in run("--cache", tmp_path / "cache"), "one recording, one text, one transcript"
    left = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert recording_digest(filled / "secret.wav").encode() not in left and b"Heard" not in left
    assert recording_digest(filled / "other.wav").encode() in left and b"Nothing." in left


def test_entries_of_an_earlier_version_are_told(filled: Path, tmp_path: Path):
    with FeatureCache(tmp_path) as cache:
        cache.write("key", {"a": np.zeros(3)})
    told = run("forget", filled / "secret.wav", "--cache", tmp_path)
    assert "0 features and 0 transcripts deleted" in told
    assert "1 entries of an earlier version do not say which recording" in told


@pytest.mark.parametrize("arguments", [["forget"], ["remember", "a.wav"], ["forget", "a.wav", "--clear"]])
def test_wrong_usage_is_told(arguments, tmp_path):
    assert "expected" in run(*arguments, "--cache", tmp_path, code=2)


def test_a_recording_that_is_not_there_is_one_sentence(tmp_path):
    done = CliRunner().invoke(app, ["cache", "forget", str(tmp_path / "a.wav"), "--cache", str(tmp_path)])
    assert done.exit_code == 1 and "a.wav: cannot be read" in str(done.exception)
