"""Decoding in a process with limits: what it hears is what Python hears, and what harms it harms it alone."""

import io
import os
import signal
import tempfile

import numpy as np
import pytest
import soundfile

from bimodal.audio.decode import load_signal
from bimodal.service.decoding import Decoders
from bimodal.service.limits import Limits
from bimodal.service.problems import Problem


@pytest.fixture(scope="module")
def decoders():
    running = Decoders(Limits(clip_seconds=20.0, job_seconds=60.0), 1)
    yield running
    running.close()


def upload(data: bytes):
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    file.write(data)
    file.flush()
    return file


def encoded(signal, rate=44_100, form="WAV", subtype=None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, signal, rate, subtype, format=form)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_a_decoded_clip_is_what_python_hears(decoders, tmp_path, form):
    signal = 0.3 * np.sin(np.arange(44_100 * 2)[:, None] * [0.05, 0.08])
    data = encoded(signal, form=form)
    (tmp_path / "clip").write_bytes(data)
    with upload(data) as file:
        whole, part = decoders.decode_clip(file, None, None), decoders.decode_clip(file, 0.5, 1.25)
    np.testing.assert_array_equal(whole.signal, load_signal(tmp_path / "clip"))
    np.testing.assert_array_equal(part.signal, load_signal(tmp_path / "clip", start=0.5, end=1.25))
    assert whole.warnings == part.warnings == ()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_cut_recording_is_read_to_the_cut_with_a_warning(decoders, form):
    data = encoded(np.random.default_rng(0).normal(0, 0.1, 44_100 * 5), form=form)
    with upload(data[: len(data) // 2]) as file:
        clip, long = decoders.decode_clip(file, None, None), decoders.decode_long(file, mix=True)
    long.file.close()
    assert len(clip.signal) / 16_000 == pytest.approx(long.duration, abs=0.01) and 1.5 < long.duration < 3
    assert clip.warnings == long.warnings and clip.warnings[0].startswith("the recording is cut: it ends after")


def test_a_long_recording_keeps_its_channels_and_its_outline(decoders):
    loud, soft = np.full(44_100 * 5, 0.5), np.full(44_100 * 5, 0.1)
    with upload(encoded(np.stack([loud, soft], axis=1))) as file:
        split, mixed = decoders.decode_long(file, mix=False), decoders.decode_long(file, mix=True)
    with split.file, mixed.file:
        assert (soundfile.info(split.path).channels, soundfile.info(mixed.path).channels) == (2, 1)
        assert soundfile.info(mixed.path).samplerate == 16_000 and mixed.duration == pytest.approx(5, abs=0.01)
        assert max(mixed.peaks[100:-100]) == pytest.approx(0.3, abs=0.01) and len(mixed.peaks) <= 4000


HOSTILE = {
    "text": b"not audio " * 100,
    "a playlist": b"#EXTM3U\n/etc/passwd\n",
    "one byte": b"R",
    "random": np.random.default_rng(1).bytes(50_000),
    "a wav header over rubbish": encoded(np.zeros(100))[:20] + np.random.default_rng(2).bytes(300),
    "not a number": encoded(np.array([0.1, np.nan, 0.1]), subtype="FLOAT"),
    "a flac cut in its first frame": encoded(np.random.default_rng(0).normal(0, 0.1, 44_100), form="FLAC")[:2000],
    "an ogg header over rubbish": encoded(np.zeros(1000), form="OGG")[:200] + b"\xff" * 5000,
    "an mp4 header over rubbish": b"\x00\x00\x00\x20ftypM4A " + b"\x00" * 3000,
    "a webm header over rubbish": b"\x1aE\xdf\xa3" + b"\xff" * 3000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_recording_is_refused_without_naming_a_file(decoders, name):
    for decode in (lambda file: decoders.decode_clip(file, None, None), lambda file: decoders.decode_long(file, True)):
        with upload(HOSTILE[name]) as file, pytest.raises(Problem) as refused:
            decode(file).file.close()
        assert refused.value.kind == "unusable" and "/dev/" not in refused.value.detail


def test_silence_bombs_stop_at_the_limit(decoders):
    assert len(BOMB) < 2_000_000
    with upload(BOMB) as file:
        for decode in (lambda: decoders.decode_clip(file, None, None), lambda: decoders.decode_long(file, True)):
            with pytest.raises(Problem, match="lasts longer than") as refused:
                decode()
            assert refused.value.kind == "too-large"


BOMB = encoded(np.zeros(48_000 * 3600, np.int16), rate=48_000, form="FLAC")
"""An hour of silence: 700 MB of samples in a file of some hundred kilobytes."""


def test_a_process_that_dies_or_runs_out_of_memory_costs_one_request():
    running = Decoders(Limits(decoding_bytes=600 << 20, clip_seconds=1e6), 1)
    try:
        with upload(encoded(np.zeros(1600), rate=16_000)) as good:
            assert len(running.decode_clip(good, None, None).signal) == 1600
            (process,) = running._all
            os.kill(process._process.pid, signal.SIGKILL)
            with pytest.raises(Problem, match="too much time or memory"):
                running.decode_clip(good, None, None)
            assert len(running.decode_clip(good, None, None).signal) == 1600
            with upload(BOMB) as file, pytest.raises(Problem, match="memory"):
                running.decode_clip(file, None, None)
            assert len(running.decode_clip(good, None, None).signal) == 1600
    finally:
        running.close()
    assert not running._all or all(process._process.poll() is not None for process in running._all)


def test_decoding_that_takes_too_long_is_ended():
    running = Decoders(Limits(decoding_seconds=0.01, clip_seconds=1e6), 1)
    try:
        with upload(BOMB) as file, pytest.raises(Problem, match="too much time"):
            running.decode_clip(file, None, None)
    finally:
        running.close()
