"""Conversions: a manifest survives the way to each format and back; what does not is said; nothing half is left."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bimodal.cli import app
from bimodal.cli.convert import FORMATS
from bimodal.data.exchange import EXCHANGE, ORDER, convert, find_format
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError
from bimodal.records import Utterance

LEFT_OUT = {
    "audformat": {"words"},
    "audiofolder": {"words"},
    "emobox": {"words", "six"},
    "kaldi": {"words"},
    "lhotse": {"words"},
}
"""Rows that a format cannot hold: those without a recording, and for EmoBox without an emotion."""


def rows_of(manifest: Path) -> dict[str, Utterance]:
    """Rows by id, without cells that are empty."""
    rows = read_manifest(manifest).utterances
    return {row.id: replace(row, extra={name: cell for name, cell in row.extra.items() if cell}) for row in rows}


@pytest.mark.parametrize("name", EXCHANGE)
def test_a_manifest_survives_the_way_there_and_back(name, source, tmp_path):
    done = convert(source, tmp_path / "there", name)
    assert (done.read_as, done.utterances) == ("manifest", 6)
    back = convert(tmp_path / "there", tmp_path / "back")
    assert back.read_as == name and back.lost == ()
    before, after = rows_of(source), rows_of(tmp_path / "back" / "manifest.csv")
    assert after.keys() == before.keys() - LEFT_OUT.get(name, set())
    for key, row in after.items():
        given = before[key]
        if name == "audiofolder":  # the parts are folders, and all rows have times if any has
            given = replace(given, path=row.path, start=given.start or 0.0, end=given.end or 1.0)
        assert row == given
        if row.path is not None:
            original = source.parent / str(before[key].path)
            assert (tmp_path / "back" / row.path).read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("audformat", ["left out: 1 row without a recording", "2 rows with several emotions: the scheme"]),
        ("audiofolder", ["left out: 1 row without a recording"]),
        ("dataset", ["1 row with the recording of another row"]),
        (
            "emobox",
            ["left out: 1 row without a rec", "left out: 1 row without an emo", "EmoBox sees the most frequent"],
        ),
        ("kaldi", ["left out: 1 row without a recording"]),
        ("label_studio", []),
        ("lhotse", ["left out: 1 row without a recording"]),
        ("manifest", []),
        ("parquet", ["1 row with the recording of another row"]),
        ("speechbrain", []),
        ("speechbrain_csv", ["rows without a recording have the duration 0"]),
    ],
)
def test_what_a_format_cannot_hold_is_said(name, told, source, tmp_path):
    lost = convert(source, tmp_path / "there", name).lost
    assert len(lost) == len(told)
    assert all(part in sentence for part, sentence in zip(told, lost, strict=True))


def test_a_folder_of_another_format_and_an_unknown_one_are_told(source, tmp_path):
    convert(source, tmp_path / "there", "kaldi")
    with pytest.raises(ManifestError, match="this is kaldi, not lhotse; leave --from out"):
        convert(tmp_path / "there", tmp_path / "back", read_as="lhotse")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="no files of a format that is known; expected one of"):
        find_format(tmp_path / "empty")
    with pytest.raises(ManifestError, match="unknown format 'xml', expected one of audformat, "):
        convert(source, tmp_path / "out", "xml")


def test_a_missing_recording_and_a_place_that_cannot_be_written_are_told(source, tmp_path):
    convert(source, tmp_path / "there", "kaldi")
    shutil.rmtree(tmp_path / "there" / "audio")
    with pytest.raises(ManifestError, match=r"there: no recording '.*there/audio/"):
        convert(tmp_path / "there", tmp_path / "back")
    (tmp_path / "file").touch()
    with pytest.raises(ManifestError, match=r"file/new: cannot be written \(.*\); name another folder"):
        convert(source, tmp_path / "file" / "new", "kaldi")


def test_a_folder_with_files_is_never_overwritten_and_a_failure_leaves_nothing(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(ManifestError, match="exists and is not empty; choose a new folder"):
        convert(source, tmp_path / "out", "kaldi")
    with pytest.raises(ManifestError, match="lies within the source"):
        convert(source.parent, source.parent / "inside")
    text_only = tmp_path / "words.csv"
    text_only.write_text("transcript,emotion\nhi,joy\n", encoding="utf-8")
    for name in ("kaldi", "lhotse", "audiofolder", "audformat", "emobox"):
        with pytest.raises(ManifestError, match="no utterance has a recording"):
            convert(text_only, tmp_path / "new", name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source", "words.csv"]


def test_recordings_outside_need_a_root(source, tmp_path):
    manifest = tmp_path / "elsewhere" / "rows.csv"
    manifest.parent.mkdir()
    manifest.write_text(f"path,emotion\n{source.parent}/audio/e.wav,joy\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"must be relative to the manifest.*--root FOLDER"):
        convert(manifest, tmp_path / "out", "kaldi")
    convert(manifest, tmp_path / "out", "kaldi", root=source.parent)
    assert (tmp_path / "out" / "wav.scp").read_text().endswith(" audio/e.wav\n")


def test_missing_recordings_are_told(source, tmp_path):
    (source.parent / "audio" / "e.wav").unlink()
    with pytest.raises(ManifestError, match=r"no recording '.*e\.wav'"):
        convert(source, tmp_path / "out", "lhotse")


def test_formats_are_looked_for_in_an_order_and_listed_in_the_help():
    assert sorted(ORDER) == sorted(EXCHANGE) == sorted(FORMATS.replace(" or ", ", ").replace(",,", ",").split(", "))


def test_the_command_says_what_was_lost_and_fails_with_one_sentence(source, tmp_path):
    done = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "there"), "--to", "emobox"])
    assert done.exit_code == 0
    assert "bimodal: left out: 1 row without a recording" in done.stderr
    assert "6 utterances of" in done.stderr and "(manifest)" in done.stderr and "(emobox)" in done.stderr
    failed = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "there"), "--to", "emobox"])
    assert isinstance(failed.exception, ManifestError) and "\n" not in str(failed.exception)
