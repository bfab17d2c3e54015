"""A worker's batch: results equal those of `Recognizer`, and whatever a recording does becomes a failure."""

from dataclasses import replace

import fsspec
import numpy as np
import pytest
import soundfile

from bimodal import Clip, Recognizer
from bimodal.scale.listing import list_items
from bimodal.scale.records import BulkOptions, Item, Setup
from bimodal.scale.tables import from_bytes
from bimodal.scale.work import LONGEST_EXTRACT, load_worker, unable, work


def results(outcome) -> list[dict]:
    assert not outcome.fatal, outcome.fatal
    return from_bytes(outcome.results).to_pylist()


def failures(outcome) -> list[dict]:
    return from_bytes(outcome.failures).to_pylist()


@pytest.fixture(scope="module")
def extracting(setup: Setup) -> Setup:
    return replace(setup, options=BulkOptions(task="extract"))


def test_results_are_those_of_single_calls(clips, setup):
    items = list(list_items([str(clips)]))
    outcome = work(setup, items)
    found, recognizer = results(outcome), Recognizer(setup.model, threads=1)
    assert [row["path"] for row in found] == [item.name for item in items if "torn" not in item.name]
    for row in found:
        single = recognizer.recognize(row["path"])
        assert row["emotion"] == single.emotion and row["end"] == single.end and row["revision"] == single.revision
        assert all(abs(row[emotion] - score) < 1e-5 for emotion, score in single.scores.items())
    assert (outcome.recordings, outcome.failed, outcome.audio_seconds) == (13, 1, pytest.approx(6.0))
    assert 0 < outcome.compute_seconds <= outcome.busy_seconds and outcome.memory > 1e6
    assert [row["path"] for row in failures(outcome)] == [str(clips / "torn.wav")]


def test_the_same_batch_gives_the_same_bytes(clips, setup):
    items = list(list_items([str(clips)]))
    first, second = work(setup, items), work(setup, items)
    assert (first.results, first.failures) == (second.results, second.failures)


def test_rows_take_their_stretch_words_and_speaker(clips, setup):
    file = sorted(clips.glob("s*.wav"))[0]
    row = Item(name="a", url=str(file), id="7", start=0.1, end=0.4, transcript="Stop that!", speaker="ann")
    words = Item(name="b", transcript="I am so glad.")
    found, alone = results(work(setup, [row, words]))
    clip = Clip(audio=file, start=0.1, end=0.4, transcript="Stop that!", speaker="ann")
    (single,) = Recognizer(setup.model, threads=1).recognize_batch([clip])
    assert (found["id"], found["start"], found["end"], found["speaker"]) == ("7", 0.1, pytest.approx(0.4), "ann")
    assert found["emotion"] == single.emotion and found["gate"] == pytest.approx(single.gate, abs=1e-5)
    assert alone["transcript"] == "I am so glad." and alone["end"] is None


def test_a_long_recording_gets_a_row_for_each_stretch(long_clip, setup):
    over_time = results(work(setup, [Item(name="long", url=str(long_clip))]))
    whole = replace(setup, options=BulkOptions(timeline=False))
    assert len(results(work(whole, [Item(name="long", url=str(long_clip))]))) == 1
    store = fsspec.filesystem("memory")
    store.pipe("/work/long.wav", long_clip.read_bytes())
    assert results(work(setup, [Item(name="long", url="memory://work/long.wav")])) == over_time


def test_each_failure_says_its_recording_and_stops_no_other(clips, setup):
    good = sorted(clips.glob("s*.wav"))[0]
    items = [
        Item(name="gone.wav", url="/nowhere/gone.wav"),
        Item(name="good", url=str(good)),
        Item(name="clips/torn.wav", url=str(clips / "torn.wav")),
        Item(name="nothing"),
        Item(name="bad", problem="m.csv:3: start is 'x'"),
        Item(name="s", url=str(good), start=7.0, end=8.0),
    ]
    outcome = work(setup, items)
    assert [row["path"] for row in results(outcome)] == ["good"] and outcome.failed == 5
    told = {row["path"]: row["error"] for row in failures(outcome)}
    assert list(told) == ["gone.wav", "clips/torn.wav", "nothing", "bad", "s"]
    assert told["gone.wav"] == "gone.wav: no such file" and told["clips/torn.wav"].startswith("clips/torn.wav: cannot")
    assert told["nothing"] == "nothing: nothing to recognise: give a recording, words, or both"
    assert told["bad"] == "m.csv:3: start is 'x'" and "no samples between 7 s and 8 s" in told["s"]


def test_a_batch_without_a_usable_recording_has_the_columns_of_the_others(clips, setup, extracting):
    good = Item(name="good", url=str(sorted(clips.glob("s*.wav"))[0]), transcript="Get out!")
    for one in (setup, extracting):
        full, empty = (from_bytes(work(one, [item]).results) for item in (good, Item(name="gone", url="/gone.wav")))
        assert empty.schema == full.schema and empty.num_rows == 0
        given_up = unable(load_worker(one), good, "a worker ended")
        assert (
            from_bytes(given_up.results).schema == full.schema
            and failures(given_up)[0]["error"] == "good: a worker ended"
        )


def test_extract_gives_what_recognizer_extract_gives(clips, extracting):
    files = sorted(clips.glob("s*.wav"))[:3]
    items = [Item(name=file.name, url=str(file), transcript="Get out!") for file in files]
    found = results(work(extracting, items))
    arrays = Recognizer(extracting.model, threads=1).extract(
        [Clip(audio=file, transcript="Get out!") for file in files]
    )
    for name, values in arrays.arrays().items():
        assert np.allclose([row[name] for row in found], values, atol=1e-5, equal_nan=True), name
    assert [row["duration"] for row in found] == [0.5] * 3


def test_extract_refuses_what_is_no_utterance(tmp_path, extracting):
    soundfile.write(tmp_path / "long.wav", np.zeros(int((LONGEST_EXTRACT + 1) * 8000), np.int16), 8000)
    (row,) = failures(work(extracting, [Item(name="long.wav", url=str(tmp_path / "long.wav"))]))
    assert row["error"].startswith("long.wav: longer than 600 s")


def test_another_model_or_none_stops_the_run(clips, setup):
    other = work(replace(setup, revision="000000000000"), [])
    assert "the run began with 000000000000; install the same model everywhere" in other.fatal
    assert "no model folder" in work(replace(setup, model="/nowhere"), []).fatal


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_store_that_is_away_stops_the_run_and_a_missing_recording_does_not(setup):
    away = [
        Item(name=f"http://127.0.0.1:9/{number}.wav", url=f"http://127.0.0.1:9/{number}.wav") for number in range(2)
    ]
    assert work(setup, away).fatal.endswith("give the command again when the store answers")
    gone = [Item(name="a", url="memory://gone/a.wav"), Item(name="b", url="memory://gone/b.wav")]
    assert work(setup, gone).failed == 2
