"""Labels on the disk: nothing that was acknowledged is lost, whatever happens beside it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bimodal.errors import LabellingError
from bimodal.labelling.records import Label, LabelClip
from bimodal.labelling.store import Store, create_store


def say(store, clip, answer="anger", rater="anna", **more):
    return store.add(rater, Label(clip=clip, answer=answer, **more))


def test_labels_read_back_with_intensity_and_note(store):
    say(store, "0.wav", intensity=4, note='loud, "very"\nloud')
    found = Store(store.folder).labels_of("Anna")["0.wav"]
    assert (found.answer, found.intensity, found.note) == ("anger", 4, 'loud, "very"\nloud')


def test_raters_are_kept_apart_and_a_name_is_the_same_in_any_case(store):
    say(store, "0.wav", rater="Anna B.x")
    say(store, "0.wav", "calm", rater="ANNA B.x")
    say(store, "0.wav", rater="bob")
    assert store.raters() == ("anna b.x", "bob")
    assert store.labels()["anna b.x"]["0.wav"].answer == "calm"


@pytest.mark.parametrize("name", ["", " ", "../x", "a/b", "x" * 41, ".hidden", "a\nb", "con."])
def test_a_name_that_is_no_file_name_is_refused(store, name):
    with pytest.raises(LabellingError, match="rater's name"):
        say(store, "0.wav", rater=name)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (
            Label(clip="0.wav", answer="joyful"),
            "'joyful' is outside the vocabulary; expected one of anger, calm, unsure",
        ),
        (Label(clip="9.wav", answer="anger"), "no clip '9.wav'"),
        (Label(clip="0.wav", answer="anger", intensity=6), "intensity 6: expected 1 to 5"),
        (Label(clip="0.wav", answer="anger", note="x" * 2001), "2001 characters, expected at most 2000"),
    ],
)
def test_what_is_no_label_is_refused_in_one_sentence_and_nothing_is_stored(store, label, told):
    with pytest.raises(LabellingError, match=told) as error:
        store.add("anna", label)
    assert "\n" not in str(error.value)
    assert store.raters() == ()


def test_an_undo_takes_back_the_last_label_and_brings_an_earlier_one_back(store):
    say(store, "0.wav")
    say(store, "1.wav")
    say(store, "0.wav", "calm")
    assert store.undo("anna").answer == "calm"
    assert {name: one.answer for name, one in store.labels_of("anna").items()} == {"1.wav": "anger", "0.wav": "anger"}
    store.undo("anna")
    store.undo("anna")
    assert store.undo("anna") is None
    assert Store(store.folder).labels_of("anna") == {}


def test_a_label_that_was_sent_twice_counts_once(store):
    for _ in range(2):
        say(store, "0.wav", at="2026-01-01T00:00:00Z")
    store.undo("anna")
    assert store.labels_of("anna") == {}


def test_a_file_that_somebody_edits_is_read_again_and_damaged_lines_are_named(store):
    say(store, "0.wav")
    file = store.file_of("anna")
    file.write_text(
        file.read_text() + '{"clip":"1.wav","answer":"joy"}\nnonsense\n{"clip":"2.wav","answer":"calm"}',
        encoding="utf-8",
    )
    assert list(store.labels_of("anna")) == ["0.wav", "2.wav"]
    first, second = store.problems()
    assert first.startswith(f"{file}:2: label 'joy' is outside") and second.startswith(f"{file}:3: no label")
    say(store, "3.wav")  # the editor left no line feed: its line stays whole
    assert list(store.labels_of("anna")) == ["0.wav", "2.wav", "3.wav"]
    assert "nonsense" in file.read_text()


def test_a_file_that_is_deleted_is_no_error(store):
    say(store, "0.wav")
    store.file_of("anna").unlink()
    assert store.labels_of("anna") == {}
    say(store, "1.wav")
    assert list(store.labels_of("anna")) == ["1.wav"]


def test_two_programs_that_write_one_raters_file_at_once_lose_nothing(tmp_path):
    clips = tuple(LabelClip(id=str(number), path=str(number)) for number in range(200))
    create_store(tmp_path, ("anger", "calm"), clips)
    stores = Store(tmp_path), Store(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: say(stores[number % 2], str(number)), range(200)))
    assert len(Store(tmp_path).labels_of("anna")) == 200
    assert Store(tmp_path).problems() == ()


def test_no_label_that_was_acknowledged_is_lost_when_the_program_is_killed(store):
    """SIGKILL in the middle of labelling, again and again: all labels that were acknowledged are there."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from bimodal.labelling.records import Label
        from bimodal.labelling.store import Store
        store, begin = Store(Path(sys.argv[1])), int(sys.argv[2])
        for number in range(begin, begin + 100_000):
            kept = store.add("anna", Label(clip=f"{number % 5}.wav", answer="calm", note=str(number)))
            print(number, flush=True)
    """)
    acknowledged: list[str] = []
    for _ in range(5):
        command = [sys.executable, "-c", program, str(store.folder), str(len(acknowledged))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(0.05)
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read()
        acknowledged += [str(len(acknowledged)), *rest.split("\n")[:-1]]
    content = store.file_of("anna").read_text()
    assert len(acknowledged) > 10
    assert all(f'"note":"{number}"' in content for number in acknowledged)
    say(store, "0.wav", note="after")
    assert store.labels_of("anna")["0.wav"].note == "after"
    assert len(store.problems()) <= 5  # half a line of each kill at most


def test_a_folder_is_continued_with_its_vocabulary_and_another_is_refused(store):
    again = create_store(store.folder, (), store.clips)
    assert again.emotions == ("anger", "calm")
    with pytest.raises(LabellingError, match="was begun with the emotions anger, calm"):
        create_store(store.folder, ("joy", "fear"), store.clips)


@pytest.mark.parametrize("emotions", [("anger",), ("a", "a"), ("unsure", "a"), ("a|b", "c"), ()])
def test_a_vocabulary_that_is_none_is_refused(tmp_path, emotions):
    with pytest.raises(LabellingError):
        create_store(tmp_path / "new", emotions, ())


def test_damaged_settings_or_clips_are_named(store):
    (store.folder / "clips.jsonl").write_text('{"id":"a","path":"a"}\n{"id":1}\n')
    with pytest.raises(LabellingError, match=r"clips.jsonl:2: no clip"):
        Store(store.folder)
    (store.folder / "settings.json").write_text("{")
    with pytest.raises(LabellingError, match=r"settings.json: damaged"):
        Store(store.folder)
