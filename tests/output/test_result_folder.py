"""A folder of results: content decides what is finished, a killed run goes on, other settings are refused."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bimodal import Recognition
from bimodal.audio.recordings import Recording, find_recordings
from bimodal.errors import BimodalError
from bimodal.output.formats import FORMATS
from bimodal.output.result_folder import Journal, ResultFolder, Task

ONE = Recognition(
    emotion="anger", scores={"anger": 0.75, "sadness": 0.25}, speech_scores={"anger": 0.75, "sadness": 0.25},
    text_scores=None, gate=None, start=0.0, end=2.0, speaker="ann", model="tiny", revision="0",
)  # fmt: skip
RESULTS = [replace(ONE, start=2.0 * number, end=2.0 * number + 2.0) for number in range(5)]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return make(tmp_path / "sub" / "call.wav", b"x", Path("sub/call.wav"))


def make(path: Path, content: bytes, place: Path | None = None) -> Recording:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Recording(path=path, name=str(place or path), place=place or Path(path.name))


def task_of(folder: ResultFolder, recording: Recording, words: object = None) -> Task:
    (task,) = folder.tasks([recording], [words])
    return task


def keep(folder: ResultFolder, task: Task, results=RESULTS) -> None:
    with folder.claim(task, wait=False) as journal:
        for result in results:
            journal.add(result)
        folder.finish(task, journal)


def visible(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("kind", FORMATS)
def test_an_interrupted_recording_goes_on_and_ends_with_the_same_file(recording, tmp_path, kind):
    whole = ResultFolder(tmp_path / "whole", kind, {"model": "m"})
    task = task_of(whole, recording)
    keep(whole, task)
    assert whole.is_done(task)
    parts = ResultFolder(tmp_path / "parts", kind, {"model": "m"})
    with parts.claim(task_of(parts, recording), wait=False) as journal:
        for result in RESULTS[:3]:  # what a killed process leaves: a journal, half a line, a temporary file
            journal.add(result)
    (file,) = (tmp_path / "parts" / "sub").iterdir()
    with file.open("ab") as stream:
        stream.write(b'{"emotion": "ang')
    final = whole.file(task).name
    (file.parent / f".{final}.123.tmp").write_text("half")
    again = ResultFolder(tmp_path / "parts", kind, {"model": "m"})
    task = task_of(again, recording)
    assert not again.is_done(task)
    with again.claim(task, wait=False) as journal:
        assert journal.ends == {"ann": 6.0} and not journal.other
        for result in RESULTS[3:]:
            journal.add(result)
        again.finish(task, journal)
    assert (tmp_path / "parts" / "sub" / final).read_bytes() == (tmp_path / "whole" / "sub" / final).read_bytes()
    assert [file.name for file in (tmp_path / "parts" / "sub").iterdir()] == [final]


def test_json_lines_in_a_folder_name_their_recording(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "jsonl", {})
    task = task_of(kept, recording)
    keep(kept, task)
    assert {json.loads(line)["path"] for line in kept.file(task).read_text().splitlines()} == {"sub/call.wav"}


def test_bytes_and_words_decide_what_is_finished_and_dates_do_not(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    keep(kept, task_of(kept, recording, "hi"))
    os.utime(recording.path, (9e9, 9e9))
    assert kept.is_done(task_of(kept, recording, "hi")) and kept.change(task_of(kept, recording, "hi")) == ""
    other = task_of(kept, recording, "bye")
    assert not kept.is_done(other) and kept.change(other) == "its words have changed"
    recording.path.write_bytes(b"another")
    os.utime(recording.path, (1, 1))  # a restored copy is older than the results
    other = task_of(ResultFolder(tmp_path / "out", "csv", {}), recording, "hi")
    assert not kept.is_done(other) and kept.change(other) == "the recording has changed"
    assert kept.file(other) == kept.file(task_of(kept, recording, "hi"))
    keep(kept, other)
    assert kept.is_done(other) and visible(tmp_path / "out" / "sub") == {"call.wav.csv"}


def test_nothing_is_left_of_a_changed_recording_that_cannot_be_recognised(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    keep(kept, task_of(kept, recording))
    recording.path.write_bytes(b"damaged")
    with pytest.raises(BimodalError), kept.claim(task_of(kept, recording), wait=False):
        raise BimodalError("cannot be recognised")
    assert visible(tmp_path / "out") == {"index.jsonl", "settings.json"}


def test_a_file_of_results_that_was_deleted_is_not_finished(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    task = task_of(kept, recording)
    keep(kept, task)
    kept.file(task).unlink()
    assert not kept.is_done(task) and kept.change(task) == ""


def test_the_journal_of_another_recording_or_other_words_is_dropped(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    with kept.claim(task_of(kept, recording, "hi"), wait=False) as journal:
        journal.add(ONE)
    with kept.claim(task_of(kept, recording, "bye"), wait=False) as journal:
        assert journal.other and journal.ends == {}
    with kept.claim(task_of(kept, recording, "bye"), wait=False) as journal:
        assert not journal.other


def test_two_recordings_of_one_name_in_one_call_have_their_folders_names(tmp_path):
    for folder, content in {"A": b"a", "B": b"b", "other/B": b"c"}.items():
        make(tmp_path / folder / "x.wav", content)
    kept = ResultFolder(tmp_path / "out", "csv", {})
    named = [tmp_path / "A", tmp_path / "B" / "x.wav", tmp_path / "other" / "B"]
    tasks = kept.tasks(find_recordings(named), [None] * 3)
    files = [kept.file(task).relative_to(kept.folder).as_posix() for task in tasks]
    assert files[:2] == ["A/x.wav.csv", "B/x.wav.csv"]
    assert files[2].startswith("x-") and files[2].endswith(".wav.csv") and len(files[2]) == len("x-12345678.wav.csv")
    for task in tasks:
        keep(kept, task)
    assert visible(kept.folder) == {*files, "index.jsonl", "settings.json"}
    again = ResultFolder(tmp_path / "out", "csv", {})
    alone = [task_of(again, recording) for recording in find_recordings(named)]  # each in a call of its own
    assert all(map(again.is_done, alone)) and [again.file(task) for task in alone] == [kept.folder / f for f in files]


@pytest.mark.parametrize("content", [b"other", b"same"])
def test_a_recording_of_the_same_name_in_a_later_call_has_results_of_its_own(tmp_path, content):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    first, second = make(tmp_path / "A" / "x.wav", b"same"), make(tmp_path / "B" / "x.wav", content)
    keep(kept, task_of(kept, first))
    task = task_of(kept, second)
    assert not kept.is_done(task) and kept.change(task) == ""
    keep(kept, task, RESULTS[:1])
    assert visible(kept.folder) - {"index.jsonl", "settings.json"} == {"x.wav.csv", "B/x.wav.csv"}
    assert kept.is_done(task_of(kept, first)) and kept.is_done(task)


def test_recordings_and_results_may_be_moved_together_or_apart(tmp_path):
    kept = ResultFolder(tmp_path / "one" / "out", "csv", {})
    keep(kept, task_of(kept, make(tmp_path / "one" / "x.wav", b"x")))
    (tmp_path / "one").rename(tmp_path / "two")
    moved = make(tmp_path / "two" / "x.wav", b"x")
    kept = ResultFolder(tmp_path / "two" / "out", "csv", {})
    assert kept.is_done(task_of(kept, moved))
    (tmp_path / "two" / "out").rename(tmp_path / "out")
    kept = ResultFolder(tmp_path / "out", "csv", {})
    assert kept.is_done(task_of(kept, moved))
    moved.path.write_bytes(b"y")
    assert kept.change(task_of(kept, moved)) == "the recording has changed"


def test_a_recording_that_changes_while_it_is_recognised_is_not_finished(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    task = task_of(kept, recording)
    with kept.claim(task, wait=False) as journal:
        journal.add(ONE)
        recording.path.write_bytes(b"replaced")
        with pytest.raises(BimodalError, match="changed while it was recognised; give the command again"):
            kept.finish(task, journal)
    assert visible(kept.folder) == {"index.jsonl", "settings.json"}


def test_half_a_line_of_the_index_costs_that_line_alone(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    keep(kept, task_of(kept, recording))
    with (tmp_path / "out" / "index.jsonl").open("ab") as stream:
        stream.write(b'{"file": "y.wav.csv", "sou')
    kept = ResultFolder(tmp_path / "out", "csv", {})
    other = task_of(kept, make(tmp_path / "z.wav", b"z"))
    keep(kept, other)
    kept = ResultFolder(tmp_path / "out", "csv", {})
    assert kept.is_done(other) and kept.is_done(task_of(kept, recording))


def test_what_a_process_killed_after_the_last_step_leaves_is_deleted(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    task = task_of(kept, recording)
    keep(kept, task)
    with Journal(kept.file(task), task.key, wait=False) as journal:
        journal.add(ONE)
    assert len(visible(tmp_path / "out" / "sub")) == 2
    kept.tidy(task)
    assert visible(tmp_path / "out" / "sub") == {"call.wav.csv"}


OTHER_PROCESS = """
import sys
from pathlib import Path
from bimodal.audio.recordings import find_recordings
from bimodal.output.result_folder import ResultFolder
folder = ResultFolder(Path(sys.argv[1]), "csv", {})
(task,) = folder.tasks(find_recordings([Path(sys.argv[2])]), [None])
print(folder.claim(task, wait=False) is None, flush=True)
print(folder.claim(task, wait=True) is None, folder.is_done(task), folder.file(task).name, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_second_process_waits_for_the_results_of_the_first(recording, tmp_path):
    kept = ResultFolder(tmp_path / "out", "csv", {})
    recording = replace(recording, place=Path("call.wav"))
    task = task_of(kept, recording)
    command = [sys.executable, "-c", OTHER_PROCESS, tmp_path / "out", recording.path]
    with kept.claim(task, wait=False) as journal:
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "True\n"
        journal.add(ONE)
        kept.finish(task, journal)
    assert other.communicate()[0] == "True True call.wav.csv\n"
    assert visible(kept.folder) == {"index.jsonl", "settings.json", "call.wav.csv"}


def test_results_with_other_settings_are_refused(tmp_path):
    ResultFolder(tmp_path / "out", "vtt", {"model": "a 1"})
    with pytest.raises(
        BimodalError,
        match=r"contains results with other settings \(model 'a 1' instead of 'b 2'\); choose a new folder",
    ):
        ResultFolder(tmp_path / "out", "vtt", {"model": "b 2"})
    with pytest.raises(BimodalError, match="format 'vtt' instead of 'srt'"):
        ResultFolder(tmp_path / "out", "srt", {"model": "a 1"})


def test_a_folder_without_an_index_is_refused(tmp_path):
    ResultFolder(tmp_path / "out", "vtt", {})
    (tmp_path / "out" / "index.jsonl").unlink()
    with pytest.raises(BimodalError, match=r"index\.jsonl, which names the recording of each result, is missing"):
        ResultFolder(tmp_path / "out", "vtt", {})
