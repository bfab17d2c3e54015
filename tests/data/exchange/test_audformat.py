"""audformat: its package reads ours; databases of several tables, schemes and splits are read."""

import audformat
import pandas
import pytest

from bimodal.data.exchange import convert
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


def database() -> audformat.Database:
    """Two tables of emotions, one a split, and tables about files and stretches."""
    made = audformat.Database("corpus", usage=audformat.define.Usage.OTHER)
    made.schemes["emotion"] = audformat.Scheme(labels=["anger", "joy"])
    made.schemes["speaker"] = audformat.Scheme(labels={"s1": {"gender": "female", "age": 31}})
    made.schemes["transcription"] = audformat.Scheme(labels={"a": {"de": "Hallo", "en": "Hello"}})
    made.schemes["confidence"] = audformat.Scheme("float")
    made.splits["eval"] = audformat.Split("test")
    made["emotion.test"] = audformat.Table(audformat.filewise_index(["audio/e.wav"]), split_id="eval")
    made["emotion"] = audformat.Table(
        audformat.segmented_index(["audio/sub/c.wav"] * 2, ["0s", "0.25s"], ["0.25s", pandas.NaT])
    )
    for name, emotions in (("emotion.test", ["joy"]), ("emotion", ["anger", "joy"])):
        made[name]["emotion"] = audformat.Column(scheme_id="emotion")
        made[name]["emotion"].set(emotions)
    made["emotion"]["confidence"] = audformat.Column(scheme_id="confidence")
    made["emotion"]["confidence"].set([0.5, None])
    made["files"] = audformat.Table(audformat.filewise_index(["audio/e.wav", "audio/sub/c.wav"]))
    for column, values in (("speaker", ["s1", "s1"]), ("transcription", ["a", None])):
        made["files"][column] = audformat.Column(scheme_id=column)
        made["files"][column].set(values)
    return made


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_tables_schemes_and_splits_are_joined(storage, source, tmp_path):
    source.unlink()
    database().save(str(source.parent), storage_format=storage)
    assert convert(source.parent, tmp_path / "out").read_as == "audformat"
    rows = {(row.path, row.start): row for row in read_manifest(tmp_path / "out" / "manifest.csv").utterances}
    whole = rows["audio/e.wav", None]
    assert (whole.emotion, whole.speaker, whole.split, whole.transcript) == ("joy", "s1", "test", "Hallo")
    assert whole.extra == {"gender": "female", "age": "31", "transcription": "a", "confidence": ""}
    first, second = rows["audio/sub/c.wav", 0.0], rows["audio/sub/c.wav", 0.25]
    assert (first.emotion, first.end, first.speaker, first.extra["confidence"]) == ("anger", 0.25, "s1", "0.5")
    assert (second.emotion, second.end, second.split) == ("joy", None, None)


def test_tables_that_differ_need_a_name(source, tmp_path):
    made = database()
    made["votes"] = audformat.Table(audformat.filewise_index(["audio/e.wav"]))
    made["votes"]["emotion"] = audformat.Column(scheme_id="emotion")
    made["votes"]["emotion"].set(["anger"])
    made.save(str(source.parent))
    with pytest.raises(ManifestError, match=r"the table 'votes' gives the emotion 'anger' where another gives 'joy'"):
        convert(source.parent, tmp_path / "out", read_as="audformat")
    convert(source.parent, tmp_path / "out", read_as="audformat", table="votes")
    (row,) = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert row.emotion == "anger"
    with pytest.raises(ManifestError, match="no table 'x', expected one of"):
        convert(source.parent, tmp_path / "other", read_as="audformat", table="x")


def test_the_package_reads_what_is_written(source, tmp_path):
    source.write_text(source.read_text().replace("|surprise", "").replace("anger|anger|neutral", "anger"))
    convert(source, tmp_path / "db", "audformat")
    found = audformat.Database.load(str(tmp_path / "db"))
    table = found["utterances"].get()
    assert found.schemes["emotion"].labels == ["joy", "anger", "sadness"] and len(table) == 5
    assert table["transcription"].iloc[0] == 'Hi, "x" you'
    assert table.index[1] == ("audio/sub/c.wav", pandas.Timedelta(seconds=0.25), pandas.Timedelta(seconds=0.625))


def test_pickles_damaged_headers_and_rows_of_one_stretch_are_refused(source, tmp_path):
    convert(source, tmp_path / "db", "audformat")
    (tmp_path / "db" / "db.utterances.pkl").touch()
    with pytest.raises(ManifestError, match=r"db\.utterances\.pkl: a pickle may run code and is never read"):
        convert(tmp_path / "db", tmp_path / "out")
    (tmp_path / "db" / "db.utterances.pkl").unlink()
    (tmp_path / "db" / "db.yaml").write_text("tables: [", encoding="utf-8")
    with pytest.raises(ManifestError, match="not a database that audformat can read"):
        convert(tmp_path / "db", tmp_path / "out")
    source.write_text("id,path,emotion\na,audio/e.wav,joy\nb,audio/e.wav,joy\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"utterance 'b': another row has the same stretch of 'audio/e.wav'"):
        convert(source, tmp_path / "again", "audformat")
