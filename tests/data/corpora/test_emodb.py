"""EmoDB: file names become utterances, and agree with the manifest made elsewhere."""

from collections import Counter

import pytest

from bimodal.data.corpora import emodb
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


def test_a_file_name_is_read_as_a_row(tmp_path):
    (tmp_path / "wav").mkdir()
    for name in ("16b10Wb.wav", "16b10Wb.txt", "16c10Wb.wav", "99b10Wb.wav", "16b04Wb.wav"):
        (tmp_path / "wav" / name).touch()
    (row,) = emodb.prepare(tmp_path)
    assert (row.id, row.path, row.emotion, row.speaker, row.lang) == ("16b10Wb", "wav/16b10Wb.wav", "anger", "16", "de")
    assert row.transcript == "Die wird auf dem Platz sein, wo wir sie immer hinlegen."
    assert row.extra == {"gender": "female", "sentence": "b10", "version": "b"}


def test_a_second_copy_is_left_out_and_counted(tmp_path, caplog):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "03a01Fa.wav").touch()
    assert [row.path for row in emodb.prepare(tmp_path)] == ["a/03a01Fa.wav"]
    assert "1 second copies skipped" in caplog.text


def test_another_folder_is_refused_with_the_files_expected(tmp_path):
    with pytest.raises(ManifestError, match=r"expected files such as wav/03a01Fa\.wav"):
        emodb.prepare(tmp_path)


def test_the_corpus_agrees_with_its_manifest(corpus_data):
    rows = emodb.prepare(corpus_data / "emodb")
    listed = {row.path: row for row in read_manifest(corpus_data / "emodb" / "manifest.csv").utterances}
    assert len(rows) == len(listed) == 535
    assert Counter(row.emotion for row in rows)["anger"] == 127
    for row in rows:
        other = listed[row.path]
        assert (row.emotion, row.transcript, row.speaker, row.lang) == (
            other.emotion,
            other.transcript,
            other.speaker,
            other.lang,
        )
        assert (row.extra["gender"], row.extra["sentence"]) == (other.extra["gender"], other.extra["sentence"])
