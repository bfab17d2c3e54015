"""A folder of results: a killed run goes on and ends with the same files; other settings are refused."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bimodal import Recognition
from bimodal.audio.recordings import Recording
from bimodal.errors import BimodalError
from bimodal.output.formats import FORMATS
from bimodal.output.result_folder import ResultFolder

ONE = Recognition(
    emotion="anger", scores={"anger": 0.75, "sadness": 0.25}, speech_scores={"anger": 0.75, "sadness": 0.25},
    text_scores=None, gate=None, start=0.0, end=2.0, speaker="ann", model="tiny", revision="0",
)  # fmt: skip
RESULTS = [replace(ONE, start=2.0 * number, end=2.0 * number + 2.0) for number in range(5)]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    path = tmp_path / "sub" / "call.wav"
    path.parent.mkdir()
    path.write_bytes(b"x")
    os.utime(path, (1, 1))
    return Recording(path=path, name="sub/call.wav", place=Path("sub/call.wav"))


def keep(folder: ResultFolder, recording: Recording, results=RESULTS) -> None:
    for result in results:
        folder.add(recording, result)
    folder.finish(recording)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_interrupted_recording_goes_on_and_ends_with_the_same_file(recording, tmp_path, kind):
    whole = ResultFolder(tmp_path / "whole", kind, {"model": "m"})
    keep(whole, recording)
    assert whole.is_done(recording)
    parts = ResultFolder(tmp_path / "parts", kind, {"model": "m"})
    for result in RESULTS[:3]:  # what a killed process leaves: a journal, and half a line
        parts.add(recording, result)
    (journal,) = (tmp_path / "parts" / "sub").iterdir()
    with journal.open("ab") as stream:
        stream.write(b'{"emotion": "ang')
    again = ResultFolder(tmp_path / "parts", kind, {"model": "m"})
    assert not again.is_done(recording) and again.ends(recording) == {"ann": 6.0}
    keep(again, recording, RESULTS[3:])
    assert again.file(recording).read_bytes() == whole.file(recording).read_bytes()
    assert [file.name for file in (tmp_path / "parts" / "sub").iterdir()] == [whole.file(recording).name]


def test_json_lines_in_a_folder_name_their_recording(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "jsonl", {})
    keep(kept, recording)
    assert {json.loads(line)["path"] for line in kept.file(recording).read_text().splitlines()} == {"sub/call.wav"}


def test_a_recording_that_changed_is_recognised_again(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    keep(kept, recording)
    assert kept.is_done(recording)
    os.utime(recording.path)
    os.utime(kept.file(recording), (5, 5))
    assert not kept.is_done(recording)
    kept.add(recording, ONE)
    os.utime(kept._journal(recording), (5, 5))
    assert kept.ends(recording) == {} and not kept._journal(recording).exists()


def test_results_with_other_settings_are_refused(tmp_path):
    ResultFolder(tmp_path / "out", "vtt", {"model": "a 1"})
    with pytest.raises(
        BimodalError,
        match=r"contains results with other settings \(model 'a 1' instead of 'b 2'\); choose a new folder",
    ):
        ResultFolder(tmp_path / "out", "vtt", {"model": "b 2"})
    with pytest.raises(BimodalError, match="format 'vtt' instead of 'srt'"):
        ResultFolder(tmp_path / "out", "srt", {"model": "a 1"})


def test_recordings_that_would_overwrite_one_another_are_refused(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "srt", {})
    kept.check_places([recording])
    with pytest.raises(BimodalError, match=r"would both be written to .*sub/call\.wav\.srt"):
        kept.check_places([recording, replace(recording, path=tmp_path / "other.wav", name="other")])
