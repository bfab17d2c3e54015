"""Listening: a file at the speed of speech goes the microphone's way and gives the file's results."""

import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from bimodal import Recognizer
from bimodal.audio.decode import load_signal
from bimodal.audio.microphone import play_file
from bimodal.errors import AudioError
from bimodal.inference.live import Moment, listen
from bimodal.output.live import draw

RATE = 16_000


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def recording(corpus_data: Path, tmp_path_factory) -> Path:
    """A clip, a pause, and the clip again, at 44.1 kHz in stereo."""
    import soxr

    clip = load_signal(corpus_data / "ravdess" / "audio" / "03-01-05-01-01-01-01.flac")[: 3 * RATE]
    whole = soxr.resample(np.concatenate([clip, np.zeros(RATE // 2, np.float32), clip]), RATE, 44_100)
    path = tmp_path_factory.mktemp("listening") / "spoken.wav"
    soundfile.write(path, np.stack([whole, 0.5 * whole], axis=1), 44_100, subtype="FLOAT")
    return path


def test_a_file_is_heard_as_slowly_as_it_was_spoken_and_gives_its_results(recognizer, recording):
    expected = list(recognizer.recognize_long(recording))
    source = play_file(recording)
    stream = recognizer.stream(source.sampling_rate)
    began = time.monotonic()
    moments = list(listen(stream, source))
    assert time.monotonic() - began == pytest.approx(6.5, abs=1.0)
    assert [result for moment in moments for result in moment.results] + stream.finish() == expected
    assert len(moments) == 65 and moments[-1].duration == pytest.approx(6.5)
    assert any(moment.partial for moment in moments) and len(expected) >= 2
    first = next(moment.duration for moment in moments if moment.results)
    assert first < 5.0


def test_the_command_writes_the_files_results(tiny_model, recognizer, recording):
    command = [sys.executable, "-m", "bimodal", "listen", str(tiny_model), "--input", str(recording)]
    command += ["--format", "jsonl", "--threads", "1", "--speaker", "anna"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [replace(one, speaker="anna") for one in recognizer.recognize_long(recording)]
    assert [(one["start"], one["end"], one["speaker"]) for one in found] == [
        (one.start, one.end, one.speaker) for one in expected
    ]
    assert "licence of the weights" in done.stderr


def test_an_interrupt_keeps_what_was_heard(tiny_model, recording):
    command = [sys.executable, "-m", "bimodal", "listen", str(tiny_model), "--input", str(recording), "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "listening to" in line:
            break
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=30)
    assert process.returncode == 0 and "Traceback" not in said
    assert "emotion" in shown and "nobody is speaking" in shown
    assert "speech " in shown.splitlines()[-1]


def test_a_microphone_that_is_not_there_is_one_sentence(tiny_model):
    command = [sys.executable, "-m", "bimodal", "listen", str(tiny_model), "--device", "none of this name"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "PortAudio" in done.stderr or "no microphone 'none of this name'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_missing_file_is_one_sentence():
    with pytest.raises(AudioError, match="no such file"):
        play_file("nowhere.wav")


def test_the_view_shows_what_is_being_said_and_the_last_results(recognizer, recording):
    results = list(recognizer.recognize_long(recording))
    moment = Moment(duration=3.25, level=-20.0, results=(), partial=results[0])
    console = Console(file=io.StringIO(), width=100)
    console.print(draw([replace(results[0], transcript="Kids are talking")], moment))
    console.print(draw([], replace(moment, partial=None)))
    shown = console.file.getvalue()
    assert "3.2 s" in shown and "|" * 20 in shown and "nobody is speaking" in shown
    assert all(emotion in shown for emotion in results[0].scores)
    assert f"{results[0].scores[results[0].emotion]:.2f}" in shown and "Kids are talking" in shown
