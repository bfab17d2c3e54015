"""One's own manifest, and the folder that every corpus is written to."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from bimodal.data import corpora
from bimodal.data.corpora import manifest as own
from bimodal.data.corpora import prepare_corpus
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "clips").mkdir(parents=True)
    for name in ("a.wav", "b.wav"):
        soundfile.write(folder / "clips" / name, np.zeros(1600), 16_000)
    text = "path,transcript,emotion,mood\nclips/a.wav,hi,joy,x\nclips/b.wav,,joy,\n,only words,fear,\n"
    (folder / "manifest.csv").write_text(text)
    return folder


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.jsonl", "metadata.csv"])
def test_a_folder_or_the_file_itself_may_be_given(tmp_path, name):
    (tmp_path / name).write_text('{"transcript": "hi"}\n' if name.endswith("jsonl") else "transcript\nhi\n")
    assert own.prepare(tmp_path) == own.prepare(tmp_path / name) == read_manifest(tmp_path / name).utterances


def test_no_manifest_or_two_of_them_are_refused(tmp_path, source):
    with pytest.raises(ManifestError, match=r"expected exactly one of .*, found none"):
        own.prepare(tmp_path)
    (source / "metadata.csv").write_text("transcript\nhi\n")
    with pytest.raises(ManifestError, match=r"found manifest\.csv, metadata\.csv"):
        own.prepare(source)


def test_a_corpus_is_written_with_its_recordings_and_reads_back(tmp_path, source):
    out = tmp_path / "deep" / "out"
    manifest = prepare_corpus("manifest", source, out)
    assert manifest == read_manifest(out / "manifest.csv")
    assert [row.path for row in manifest.utterances] == ["audio/clips/a.wav", "audio/clips/b.wav", None]
    assert [row.id for row in manifest.utterances] == ["clips/a.wav", "clips/b.wav", "row-3"]
    assert (out / "audio/clips/a.wav").read_bytes() == (source / "clips/a.wav").read_bytes()
    assert not (out / "audio/clips/a.wav").is_symlink()
    assert prepare_corpus("manifest", source / "manifest.csv", tmp_path / "other").utterances == manifest.utterances


def test_a_second_call_keeps_what_is_there_mends_what_is_broken_and_leaves_no_rubbish(tmp_path, source):
    out = tmp_path / "out"
    prepare_corpus("manifest", source, out)
    (out / "audio/clips/a.wav").unlink()
    (out / "audio/clips/a.wav").write_bytes(b"half")
    kept = (out / "audio/clips/b.wav").stat().st_ino
    prepare_corpus("manifest", source, out)
    assert (out / "audio/clips/a.wav").read_bytes() == (source / "clips/a.wav").read_bytes()
    assert (out / "audio/clips/b.wav").stat().st_ino == kept
    files = sorted(file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file())
    assert files == ["audio/clips/a.wav", "audio/clips/b.wav", "manifest.csv"]


def test_where_no_hard_links_can_be_made_recordings_are_copied_once(tmp_path, source, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    copies = []
    monkeypatch.setattr(os, "link", refuse)
    copy = shutil.copy2
    monkeypatch.setattr(shutil, "copy2", lambda *given: (copies.append(given), copy(*given)))
    for _ in range(2):
        prepare_corpus("manifest", source, tmp_path / "out")
    assert (tmp_path / "out/audio/clips/a.wav").read_bytes() == (source / "clips/a.wav").read_bytes()
    assert len(copies) == 2


def test_a_recording_behind_a_link_is_written_as_a_file(tmp_path, source):
    (source / "clips" / "link.wav").symlink_to(source / "clips" / "a.wav")
    (source / "manifest.csv").write_text("path\nclips/link.wav\n")
    prepare_corpus("manifest", source, tmp_path / "out")
    written = tmp_path / "out/audio/clips/link.wav"
    assert written.is_file() and not written.is_symlink()


def test_recordings_below_audio_stay_below_it(tmp_path, source):
    (source / "clips").rename(source / "audio")
    (source / "manifest.csv").write_text("path\naudio/a.wav\n")
    assert prepare_corpus("manifest", source, tmp_path / "out").utterances[0].path == "audio/a.wav"


def test_wrong_names_places_and_missing_recordings_are_refused(tmp_path, source):
    with pytest.raises(ManifestError, match="unknown corpus 'friends', expected one of"):
        prepare_corpus("friends", source, tmp_path / "out")
    with pytest.raises(ManifestError, match="no such file or folder"):
        prepare_corpus("ravdess", tmp_path / "none", tmp_path / "out")
    for out in (source, source / "out"):
        with pytest.raises(ManifestError, match="lies within the source"):
            prepare_corpus("manifest", source, out)
    (source / "clips" / "a.wav").unlink()
    (source / "clips" / "b.wav").unlink()
    with pytest.raises(ManifestError, match=r"a\.wav: no such recording\n.*b\.wav: no such recording"):
        prepare_corpus("manifest", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "folder", "rows"), [("emodb", "emodb", 535), ("ravdess", "ravdess", 1_440)])
def test_a_real_corpus_is_prepared_whole(corpus_data, tmp_path, name, folder, rows):
    manifest = prepare_corpus(name, corpus_data / folder, tmp_path / "out")
    assert len(manifest.utterances) == rows
    assert all((tmp_path / "out" / row.path).is_file() for row in manifest.utterances)


def test_meld_is_prepared_from_text_and_features_alone(corpus_data, tmp_path):
    manifest = prepare_corpus("meld", corpus_data / "meld_text_prosody", tmp_path / "out")
    assert manifest.utterances == own.prepare(corpus_data / "meld_text_prosody")
    assert not (tmp_path / "out" / "audio").exists()


def test_every_corpus_of_the_table_is_documented_and_described():
    shown = corpora.describe_corpora()
    for name, corpus in corpora.CORPORA.items():
        assert corpus.prepare.__module__ == f"bimodal.data.corpora.{name}" and corpus.prepare.__doc__
        assert f"\n{name} " in f"\n{shown}" and all(
            part in shown for part in (corpus.title, corpus.licence, corpus.url)
        )
