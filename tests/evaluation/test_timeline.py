"""Timelines of a real model compared with known turns; bad references cost a sentence."""

import csv
import json

import pytest
import soundfile
from typer.testing import CliRunner

from bimodal import Recognizer
from bimodal.cli import app
from bimodal.errors import BimodalError, ConfigError, ManifestError
from bimodal.evaluation.describe_timeline import describe_timeline, describe_timeline_markdown, write_timeline_report
from bimodal.evaluation.join import JoinConfig, join_clips
from bimodal.evaluation.timeline import TimelineEvaluation, evaluate_timeline
from bimodal.records import Manifest, Utterance
from tests.soak.recording import SAMPLES

NAMES = ("cross", "conflict")


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer(threads=1)


@pytest.fixture(scope="module")
def clips():
    """Clips, each with the emotion that the model hears in it."""
    model = Recognizer(threads=1)
    heard = {name: model.recognize(SAMPLES / f"{name}.mp3").emotion for name in NAMES}
    rows = [
        Utterance(id=f"{name}{number}", path=f"{name}.mp3", emotion=heard[name], speaker=str(number))
        for number in range(4)
        for name in NAMES
    ]
    return Manifest(path=SAMPLES / "clips.csv", utterances=tuple(rows), columns=())


@pytest.fixture(scope="module")
def call(clips, tmp_path_factory):
    """A recording on the disk, and its turns."""
    folder = tmp_path_factory.mktemp("call")
    joined = join_clips(clips.utterances, SAMPLES, "call.wav", "mix", JoinConfig(), 0)
    soundfile.write(folder / "call.wav", joined.signals[0], 16_000)
    return folder, joined.turns


def write_turns(folder, turns, name="turns.csv", **changed):
    lines = ["id,path,start,end,emotion,speaker"]
    for number, turn in enumerate(turns):
        row = {"path": turn.path, "start": turn.start, "end": turn.end, "emotion": turn.emotion, "speaker": "Ann"}
        lines.append(",".join(map(str, [number, *(row | (changed if number == len(turns) - 1 else {})).values()])))
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


@pytest.mark.parametrize("channels", ["mix", "speakers"])
def test_clips_are_joined_and_most_of_what_the_model_hears_alone_it_hears_in_them(recognizer, clips, channels):
    report = evaluate_timeline(recognizer, clips, channels=channels)
    assert report.joined and len(report.recordings) == 2 and report.turns >= 8
    total = report.total
    assert 0 <= report.speech_error.value < 0.6 and 0 <= report.eder.value < report.speech_error.value
    assert total.missed < 0.1 * total.speech
    assert total.speech - total.missed - total.confused == pytest.approx(sum(total.right.values()))
    assert report.speech_error.low <= report.speech_error.value <= report.speech_error.high
    assert "Only 2 recordings" in report.notes[-1] and "seed 0" in " ".join(report.notes)


def test_turns_of_a_recording_give_the_figures_of_the_joined_one(recognizer, call):
    folder, turns = call
    report = evaluate_timeline(recognizer, write_turns(folder, turns))
    again = evaluate_timeline(recognizer, write_turns(folder, turns, "again.csv"), TimelineEvaluation(tolerance=5.0))
    assert not report.joined and list(report.recordings) == ["call.wav"]
    assert report.total.speech == pytest.approx(sum(turn.end - turn.start for turn in turns), abs=0.01)
    assert report.eder.low is None and "One recording: there is no interval." in report.notes
    assert again.eder == report.eder and again.change_recall.value >= report.change_recall.value


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"start": 1.0}, "turns of Ann overlap"),
        ({"end": 400.0}, r"call.wav: the turn '\d+' ends at 400.00 s, the recording at \d+.\d+ s; is this the"),
        ({"emotion": "boredom"}, r"the turn '\d+' \(boredom\) cannot be scored: 'boredom' has no place in ekman7"),
        ({"emotion": "blorb"}, "unknown emotion 'blorb'"),
        ({"start": "", "end": ""}, r"5 of 6 rows have start and end, '5' has not"),
        ({"path": "gone.wav"}, "gone.wav"),
    ],
)
def test_a_reference_that_cannot_be_used_costs_a_sentence(recognizer, call, changed, told):
    folder, turns = call
    with pytest.raises(BimodalError, match=told):
        evaluate_timeline(recognizer, write_turns(folder, turns[:6], "bad.csv", **changed))


def test_speakers_on_channels_must_have_their_names(recognizer, call):
    folder, turns = call
    with pytest.raises(ManifestError, match=r"has the speaker 'Ann', expected one of \['channel 1'\]"):
        evaluate_timeline(recognizer, write_turns(folder, turns, "names.csv"), channels="speakers")


def test_a_tolerance_must_be_positive():
    with pytest.raises(ConfigError, match="tolerance 0 s: expected more than 0"):
        TimelineEvaluation(tolerance=0)


def test_the_report_has_all_figures_and_is_written_whole(recognizer, call, tmp_path):
    folder, turns = call
    report = evaluate_timeline(recognizer, write_turns(folder, turns))
    text = describe_timeline(report)
    for told in (
        "EDER, of the whole length",
        "missed emotion",
        "error over speech",
        "changes of emotion that are true",
    ):
        assert told in text and told in describe_timeline_markdown(report)
    write_timeline_report(tmp_path / "report", report)
    stored = json.loads((tmp_path / "report" / "timeline.json").read_text())
    assert stored["eder"]["value"] == report.eder.value and stored["recordings"]["call.wav"]["duration"] > 10
    (row,) = csv.DictReader((tmp_path / "report" / "timeline.csv").open())
    assert float(row["speech"]) == pytest.approx(report.total.speech, abs=0.001)
    assert (tmp_path / "report" / "timeline.md").read_text().startswith("# Timelines of ")


def test_the_command_evaluates_timelines_and_refuses_what_does_not_go_with_it(call, tmp_path):
    folder, turns = call
    file = str(write_turns(folder, turns, "cli.csv"))
    done = CliRunner().invoke(
        app, ["evaluate", file, "--model", "permissive", "--timeline", "--out", str(tmp_path / "out"), "-q"]
    )
    assert done.exit_code == 0 and "EDER, of the whole length" in done.output
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["timeline.csv", "timeline.json", "timeline.md"]
    for options in (
        ["--timeline"],
        ["--timeline", "--model", "permissive", "--folds", "3"],
        ["--channels", "speakers"],
    ):
        assert CliRunner().invoke(app, ["evaluate", file, *options]).exit_code == 2
