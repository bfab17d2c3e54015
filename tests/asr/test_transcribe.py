"""Transcripts of manifests: only what is missing is written, what was heard is kept, bad recordings cost themselves."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bimodal.asr.transcribe import (
    Notebook,
    TranscribeOptions,
    forget_transcripts,
    path_prefix,
    read_notebook,
    transcribe_manifest,
    transcript_confidence,
    with_words,
)
from bimodal.asr.whisper import Transcriber, Transcription
from bimodal.data.manifest import read_manifest
from bimodal.errors import BimodalError, ManifestError
from bimodal.records import Utterance

HEARD = Transcription(text="Stop it!", language="ko", language_probability=1.0, words=(), confidence=0.5)


@pytest.fixture
def manifest(corpus_data: Path, tmp_path: Path) -> Path:
    """A sound recording without words, one with words, a broken one, and words alone."""
    (tmp_path / "corpus" / "audio").mkdir(parents=True)
    for name in ("nea00003.flac", "nea00001.flac"):
        shutil.copy(corpus_data / "emotiontts_ko" / "audio" / name, tmp_path / "corpus" / "audio" / name)
    (tmp_path / "corpus" / "audio" / "broken.wav").write_bytes(b"RIFF, not really")
    rows = [
        ["id", "path", "transcript", "emotion", "speaker", "lang"],
        ["a", "audio/nea00003.flac", "", "neutral", "nea", "ko"],
        ["b", "audio/nea00001.flac", "주어진 말", "neutral", "nea", "ko"],
        ["c", "audio/broken.wav", "", "neutral", "neb", "ko"],
        ["d", "", "words alone", "anger", "nec", "en"],
    ]
    with (tmp_path / "corpus" / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return tmp_path / "corpus" / "manifest.csv"


def test_rows_without_words_get_them_and_a_broken_recording_is_told(manifest, asr_model, tmp_path):
    transcriber = Transcriber(asr_model, threads=1)
    out = manifest.parent / "heard.csv"
    written, problems = transcribe_manifest(manifest, out, transcriber, TranscribeOptions(), tmp_path / "books")
    assert read_manifest(out) == written
    a, b, c, d = written.utterances
    assert "드라마" in a.transcript and a.extra["transcript_source"] == "asr" and a.extra["asr_language"] == "ko"
    assert 0.2 < transcript_confidence(a) < 1 and a.path == "audio/nea00003.flac"
    assert (b.transcript, transcript_confidence(b), c.transcript, d.transcript) == (
        "주어진 말",
        None,
        None,
        "words alone",
    )
    assert [problem.where for problem in problems] == ["c"]


def test_an_interrupted_call_goes_on_and_nothing_is_heard_twice(manifest, asr_model, tmp_path):
    def interrupt(items):
        yield from items[:1]
        raise KeyboardInterrupt

    (manifest.parent / "audio" / "broken.wav").unlink()
    shutil.copy(manifest.parent / "audio" / "nea00001.flac", manifest.parent / "audio" / "broken.wav")
    transcriber, wanted, books = (
        Transcriber(asr_model, threads=1),
        TranscribeOptions(task="translate", replace=True),
        tmp_path / "b",
    )
    with pytest.raises(KeyboardInterrupt):
        transcribe_manifest(manifest, tmp_path / "all.csv", transcriber, wanted, books, interrupt)
    (book,) = books.iterdir()
    assert len(book.read_bytes().splitlines()) == 1 and not (tmp_path / "all.csv").exists()
    written, problems = transcribe_manifest(manifest, tmp_path / "all.csv", transcriber, wanted, books)
    assert len(book.read_bytes().splitlines()) == 2, "the third recording has the content of the second one"
    assert problems == ()
    a, b, c, _ = written.utterances
    assert a.path == "corpus/audio/nea00003.flac" and "drama" in a.transcript.lower() and a.lang == "en"
    assert b.extra["transcript_original"] == "주어진 말" and b.transcript == c.transcript
    assert a.extra["transcript_original"] == "" and a.extra["transcript_source"] == "asr-translation"


def test_the_command_writes_the_rest_and_exits_with_1(manifest, asr_model, tmp_path):
    command = [sys.executable, "-m", "bimodal", "transcribe", manifest, manifest.parent / "heard.jsonl"]
    options = ["--model", asr_model, "--language", "ko", "--threads", "1", "--cache", tmp_path]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "broken.wav" in done.stderr and "1 of 4 rows with words by speech recognition" in done.stderr
    assert len(read_manifest(manifest.parent / "heard.jsonl").utterances) == 4


def test_a_notebook_outlives_a_killed_process(tmp_path):
    book = Notebook(tmp_path / "deep" / "book.jsonl")
    book.add("one", HEARD)
    with book.file.open("ab") as stream:
        stream.write(b'["two", {"text": "Sto')
    again = Notebook(book.file)
    assert again.known == {"one": HEARD}
    again.add("three", HEARD)
    assert Notebook(book.file).known == {"one": HEARD, "three": HEARD}


def test_a_row_that_is_heard_keeps_its_old_words_beside_the_new_ones():
    row = with_words(Utterance(id="a", transcript="그만!", lang="ko"), HEARD, "translate")
    assert (row.transcript, row.lang, row.extra["transcript_original"]) == ("Stop it!", "en", "그만!")
    again = with_words(row, HEARD, "transcribe")
    assert again.lang == "ko" and again.extra["transcript_original"] == "그만!"
    assert transcript_confidence(again) == 0.5


def test_a_manifest_can_only_be_written_where_its_paths_go_down(tmp_path):
    assert path_prefix(tmp_path / "a", tmp_path / "a" / "out.csv") == ""
    assert path_prefix(tmp_path / "a" / "b", tmp_path / "out.csv") == "a/b/"
    with pytest.raises(ManifestError, match="a manifest's paths go down from its own folder"):
        path_prefix(tmp_path / "a", tmp_path / "b" / "out.csv")


@pytest.mark.parametrize("cell", ["high", "1.5", "-0.1", "nan"])
def test_a_confidence_that_is_none_is_refused(cell):
    with pytest.raises(BimodalError, match=f"asr_confidence is '{cell}', expected a number from 0 to 1"):
        transcript_confidence(Utterance(id="a", extra={"asr_confidence": cell}))


def test_transcripts_of_a_recording_are_forgotten_and_those_of_others_stay(tmp_path):
    for name in ("one.jsonl", "two.jsonl"):
        book = Notebook(tmp_path / name)
        book.add("a", HEARD, "secret")
        book.add("b", HEARD, "other")
        book.add("c", HEARD)
        with book.file.open("ab") as stream:
            stream.write(b'["d", {"text": "half a li')
    assert forget_transcripts(tmp_path, {"secret"}) == [HEARD, HEARD]
    for name in ("one.jsonl", "two.jsonl"):
        assert Notebook(tmp_path / name).known == {"b": HEARD, "c": HEARD}
        assert b"half a li" not in (tmp_path / name).read_bytes()
    assert forget_transcripts(tmp_path / "nowhere", {"secret"}) == []


def test_lines_of_an_earlier_version_are_read(tmp_path):
    (tmp_path / "book.jsonl").write_bytes(msgspec.json.encode(("old", HEARD)) + b"\n")
    (line,) = read_notebook(tmp_path / "book.jsonl")
    assert (line.key, line.found, line.source) == ("old", HEARD, "")


def test_without_a_file_a_notebook_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    book = Notebook(None)
    book.add("a", HEARD, "secret")
    assert book.known == {"a": HEARD} and list(tmp_path.iterdir()) == []
