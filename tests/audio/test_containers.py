"""m4a, AAC, WebM, video sound like the WAV they were made from; damaged ones are a sentence, playlists never read."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from bimodal.audio.decode import iterate_audio, load_signal, read_header
from bimodal.errors import AudioError

RATE = 16_000
KINDS = {"a.m4a": ("aac", None), "a.aac": ("aac", "adts"), "a.webm": ("libopus", None), "a.mkv": ("flac", None)}


def write_container(path: Path, signal: np.ndarray, codec: str, form: str | None, *, rate=48_000, video=False) -> Path:
    """A container with the signal (channels, T) at 16 kHz."""
    layout = "mono" if len(signal) == 1 else "stereo"
    with av.open(str(path), "w", format=form) as out:
        sound = out.add_stream(codec, rate=rate, layout=layout)
        if video:
            picture = out.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        frame = av.AudioFrame.from_ndarray(signal.astype(np.float32), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = RATE, 0
        resampler, queue = av.AudioResampler(format=sound.format, layout=layout, rate=rate), av.AudioFifo()
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            queue.write(piece)
        while (piece := queue.read(sound.codec_context.frame_size or 1024, partial=True)) is not None:
            out.mux(sound.encode(piece))
        out.mux(sound.encode(None))
        if video:
            image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
            out.mux([*picture.encode(image), *picture.encode(None)])
    return path


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    """Three seconds that rise in pitch and whose second half is louder; one channel."""
    time = np.arange(3 * RATE) / RATE
    return (0.1 + 0.2 * (time > 1.5)) * np.sin(2 * np.pi * (200 + 100 * time) * time)[None]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Largest normalised correlation within the delay of a coder."""
    size = min(len(one), len(other)) - 4000
    parts = [other[shift : shift + size] for shift in range(3000)]
    return max(float(np.corrcoef(one[:size], part)[0, 1]) for part in parts)


@pytest.mark.parametrize("name", KINDS)
def test_a_container_sounds_like_what_went_in(signal, tmp_path, name):
    path = write_container(tmp_path / name, signal, *KINDS[name])
    heard = load_signal(path)
    assert len(heard) == pytest.approx(3 * RATE, abs=0.1 * RATE)
    assert correlation(signal[0], heard) > 0.98
    assert read_header(path).duration == pytest.approx(3, abs=0.1)


def test_a_stretch_is_what_the_whole_holds_there_in_blocks_of_any_size(signal, tmp_path):
    path = write_container(tmp_path / "a.m4a", signal, "aac", None, rate=RATE)
    whole = load_signal(path)
    assert np.array_equal(load_signal(path, start=1.0, end=2.0), whole[RATE : 2 * RATE])
    blocks = [block for block, _ in iterate_audio(path, block_seconds=0.3)]
    assert len(blocks) > 5 and np.array_equal(np.concatenate(blocks), whole)
    with pytest.raises(AudioError, match=r"no samples between 9 s and its end; the recording lasts 3\.\d+ s"):
        load_signal(path, start=9)


def test_channels_of_a_video_are_told_apart(signal, tmp_path):
    both = np.concatenate([signal, np.zeros_like(signal)])
    path = write_container(tmp_path / "call.mp4", both, "aac", None, video=True)
    assert read_header(path).channels == 2
    left, right = (np.concatenate([block for block, _ in iterate_audio(path, channel=one)]) for one in (0, 1))
    assert np.std(left) > 0.1 and np.std(right) < 0.01


def test_the_name_of_a_container_does_not_matter(signal, tmp_path):
    path = write_container(tmp_path / "a.m4a", signal, "aac", None)
    assert np.array_equal(load_signal(path.rename(tmp_path / "a.wav")), load_signal(tmp_path / "a.wav"))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_container_is_a_sentence(signal, tmp_path, share):
    for name in ("a.m4a", "a.webm"):
        path = write_container(tmp_path / name, np.tile(signal, 4), *KINDS[name])
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(AudioError, match=f"{name}: (cannot be decoded as audio|damaged or truncated|truncated)"):
            load_signal(path)


def test_a_video_without_sound_is_a_sentence(tmp_path):
    with av.open(str(tmp_path / "still.mp4"), "w") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        out.mux([*picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))), *picture.encode(None)])
    with pytest.raises(AudioError, match="holds no sound, only video"):
        read_header(tmp_path / "still.mp4")


def test_a_playlist_is_not_followed(signal, tmp_path):
    soundfile.write(tmp_path / "secret.wav", signal[0], RATE)
    for name, text in (
        ("a.m4a", f"ffconcat version 1.0\nfile {tmp_path}/secret.wav\n"),
        ("a.mp4", "#EXTM3U\nsecret.wav"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(AudioError, match="cannot be decoded as audio"):
            load_signal(tmp_path / name)


def test_without_pyav_the_sentence_says_what_to_install(signal, tmp_path):
    path = write_container(tmp_path / "a.m4a", signal, "aac", None)
    code = "import sys; sys.modules['av'] = None; from bimodal.audio import decode; decode.load_signal(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert "needs PyAV: pip install 'bimodal-emotion[containers]'" in done.stderr
