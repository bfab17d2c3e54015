"""A recording that is cut is recognised to the cut, and every result, over time or not, leaves no doubt about it."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from bimodal import Clip, Recognizer
from bimodal.errors import AudioError
from bimodal.inference.stream import TimelineConfig
from tests.system.test_start import run

RATE = 16_000


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def speech(corpus_data: Path) -> np.ndarray:
    """About 40 s of real speech."""
    files = sorted((corpus_data / "ravdess" / "audio").glob("03-01-0[1-5]-01-*-01-0*.flac"))[:14]
    return np.concatenate([soundfile.read(file, dtype="float32")[0] for file in files])


def written(path: Path, signal: np.ndarray, share: float) -> Path:
    """A recording that is cut to a share of its bytes."""
    soundfile.write(path, signal, RATE)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    return path


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_cut_recording_has_a_result_with_a_warning_and_a_whole_one_has_none(recognizer, speech, tmp_path, name):
    cut, whole = (
        written(tmp_path / name, speech[: 8 * RATE], 0.6),
        written(tmp_path / f"w{name}", speech[: 8 * RATE], 1),
    )
    told = recognizer.recognize(cut).warnings
    assert [warning.startswith("the recording is cut: it ends after") for warning in told].count(True) == 1
    assert not any("the recording is" in warning for warning in recognizer.recognize(whole).warnings)
    assert recognizer.recognize(cut.read_bytes()).warnings == told
    with pytest.raises(AudioError, match="the recording is cut"):
        recognizer.extract([Clip(audio=cut)])  # embeddings carry no warnings


@pytest.mark.parametrize("channels", ["mix", "speakers"])
def test_the_last_result_over_time_warns(recognizer, speech, tmp_path, channels):
    cut = written(tmp_path / "a.wav", np.stack([speech, 0.5 * speech], axis=1), 0.8)
    results = list(recognizer.recognize_long(cut, config=TimelineConfig(channels=channels)))
    warned = [any("the recording is cut" in warning for warning in result.warnings) for result in results]
    assert len(results) > 5 and warned == [False] * (len(results) - 1) + [True]
    silent = written(tmp_path / "silent.wav", np.zeros(40 * RATE), 0.5)
    (nothing,) = recognizer.recognize_long(silent)
    assert nothing.abstained and "the recording is cut: it ends after 20.00 s" in nothing.warnings[0]


def test_the_command_line_warns_on_stderr_in_every_format_and_is_a_success(tiny_model, speech, tmp_path):
    short = written(tmp_path / "short.wav", speech[: 6 * RATE], 0.5)
    long = written(tmp_path / "long.flac", speech, 0.9)
    for form in ("table", "jsonl", "csv"):
        done = run("recognize", "-m", tiny_model, short, long, "--format", form)
        for path in (short, long):
            assert f"bimodal: warning: {path}: the recording is cut: it ends after".encode() in done.stderr
    rows = run("recognize", "-m", tiny_model, short, "--format", "jsonl").stdout.splitlines()
    assert "the recording is cut" in json.loads(rows[0])["warnings"][0]
    done = run("recognize", "-m", tiny_model, long, "--out", tmp_path / "out", "--format", "vtt")
    assert b"the recording is cut" in done.stderr and list((tmp_path / "out").glob("long*.vtt"))


def test_the_track_that_is_named_is_recognised(tiny_model, recognizer, speech, tmp_path):
    path = tmp_path / "two.mp4"
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("aac", rate=RATE, layout="mono") for _ in range(2)]
        for begin in range(0, 6 * RATE, 1024):
            for track, gain in zip(tracks, (0.0, 1.0), strict=True):
                piece = gain * speech[None, begin : begin + 1024]
                frame = av.AudioFrame.from_ndarray(piece.astype(np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = RATE, begin
                out.mux(track.encode(frame))
        for track in tracks:
            out.mux(track.encode(None))
    assert recognizer.recognize(path, track=1).reason == "the recording is silent"
    assert recognizer.recognize(path, track=2).emotion
    assert b"the recording is silent" in run("recognize", "-m", tiny_model, path, "--track", "1").stdout
    assert b"no sound track 3" in run("recognize", "-m", tiny_model, path, "--track", "3", code=1).stderr
    (row,) = run("recognize", "-m", tiny_model, path, "--track", "2", "--format", "jsonl").stdout.splitlines()
    assert json.loads(row)["emotion"] == recognizer.recognize(path, track=2).emotion


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), True, 16.0, 44.1, "16000"])
def test_a_rate_that_is_none_is_a_sentence_in_python(recognizer, rate):
    for ask in (lambda: recognizer.recognize(np.zeros(9000), sampling_rate=rate), lambda: recognizer.stream(rate)):
        with pytest.raises(AudioError, match="sampling rate"):
            ask()
