"""m4a, AAC, WebM, video sound like the WAV they were made from; damaged ones are a sentence, playlists never read."""

import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from bimodal.audio.decode import decode_audio, iterate_audio, load_signal, read_audio, read_header
from bimodal.errors import AudioError

RATE = 16_000
CODECS = {
    "a.m4a": ("aac", None), "a.aac": ("aac", "adts"), "a.webm": ("libopus", None), "live.webm": ("libopus", None),
    "a.mp3": ("libmp3lame", None), "stream.mp3": ("libmp3lame", None), "a.ogg": ("libopus", None),
    "a.opus": ("libopus", None), "a.ac3": ("ac3", None), "a.wv": ("wavpack", None), "a.tta": ("tta", None),
    "a.ts": ("aac", "mpegts"),
}  # fmt: skip
KINDS = {"a.m4a": ("aac", None), "a.aac": ("aac", "adts"), "a.webm": ("libopus", None), "a.mkv": ("flac", None)}


def write_container(
    path: Path,
    signal: np.ndarray,
    codec: str,
    form: str | None,
    *,
    rate=48_000,
    video=False,
    options=None,
    quality=None,
) -> Path:
    """A container with the signal (channels, T) at 16 kHz."""
    layout = "mono" if len(signal) == 1 else "stereo"
    with av.open(str(path), "w", format=form, options=options or {}) as out:
        sound = out.add_stream(codec, rate=rate, layout=layout)
        if quality:  # a bit rate that changes
            sound.codec_context.qscale, sound.codec_context.global_quality = True, quality * 118
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


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.webm", "a.aac", "live.webm", "stream.mp3"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_file_is_read_to_the_cut_with_a_warning(signal, tmp_path, name, share):
    options = {"live.webm": {"live": "1"}, "stream.mp3": {"write_xing": "0"}}.get(name, {})
    path = write_container(tmp_path / name, np.tile(signal, 6), *CODECS[name], options=options)
    whole = load_signal(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    decoded = decode_audio(path).at_model_rate(name)
    assert 0.2 * len(whole) < len(decoded.signal) < 0.97 * len(whole)
    assert correlation(decoded.signal, whole) > 0.98
    (warning,) = decoded.warnings
    assert warning.startswith(f"the recording is cut: it ends after {decode_seconds(path):.2f} s")
    with pytest.raises(AudioError, match=f"{name}: the recording is cut"):
        load_signal(path)


def decode_seconds(path: Path) -> float:
    return sum(len(block) / rate for block, rate in iterate_audio(path))


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.mp3", "a.ogg"])
def test_a_file_of_which_nothing_is_left_is_a_sentence(signal, tmp_path, name):
    path = write_container(tmp_path / name, signal, *CODECS[name])
    path.write_bytes(path.read_bytes()[:120])
    with pytest.raises(AudioError, match=f"{name}: (cannot be decoded as audio|damaged)"):
        load_signal(path)


@pytest.mark.parametrize("name", ["a.mp3", "stream.mp3", "a.ogg", "a.opus", "a.webm", "a.aac"])
def test_files_that_were_joined_are_read_to_the_end(signal, tmp_path, name):
    options = {"write_xing": "0"} if name == "stream.mp3" else {}
    path = write_container(tmp_path / name, signal, *CODECS[name], options=options)
    once = load_signal(path)
    path.write_bytes(path.read_bytes() * 2)
    twice = decode_audio(path).at_model_rate(name)
    assert len(twice.signal) == pytest.approx(2 * len(once), abs=0.11 * RATE) and twice.warnings == ()
    assert correlation(once, twice.signal[len(once) - 1000 :]) > 0.95


def test_an_mp3_whose_first_frame_is_large_is_read_to_the_end(tmp_path):
    noise = np.random.default_rng(0).standard_normal(RATE // 2) * 0.3
    quiet = 0.1 * np.sin(2 * np.pi * 200 * np.arange(20 * RATE) / RATE)
    signal = np.concatenate([noise, quiet])
    options = {"write_xing": "0"}
    path = write_container(tmp_path / "a.mp3", signal[None], "libmp3lame", None, rate=RATE, options=options, quality=4)
    assert len(load_signal(path)) == pytest.approx(len(signal), abs=0.15 * RATE)
    assert read_header(path).duration == pytest.approx(20.5, abs=0.15)


@pytest.mark.parametrize("form", ["webm", "matroska"])
@pytest.mark.parametrize("live", ["0", "1"])
def test_silence_stands_for_packets_that_are_missing_or_come_late(signal, tmp_path, form, live):
    source = write_container(tmp_path / "a.webm", np.tile(signal, 3), "libopus", None)
    whole = load_signal(source)
    options = {"live": live} if form == "webm" else {}
    gap = remux(source, tmp_path / "gap", form, lambda at: not 3 < at < 6, options=options)
    late = remux(source, tmp_path / "late", form, lambda at: True, shift=4.0, options=options)
    heard = load_signal(gap)
    assert len(heard) == pytest.approx(len(whole), abs=0.1 * RATE)
    assert np.abs(heard[int(3.2 * RATE) : int(5.8 * RATE)]).max() < 1e-3
    assert correlation(whole[int(6.2 * RATE) :], heard[int(6.2 * RATE) - 800 :]) > 0.9
    part, rate = read_audio(gap, start=6.5, end=7.5)
    assert np.array_equal(part, read_audio(gap)[0][int(6.5 * rate) : int(7.5 * rate)])
    heard = load_signal(late)
    assert len(heard) == pytest.approx(len(whole) + 4 * RATE, abs=0.1 * RATE)
    assert np.abs(heard[: int(3.9 * RATE)]).max() < 1e-3
    assert correlation(whole, heard[4 * RATE - 800 :]) > 0.95


def remux(source: Path, path: Path, form: str, keep, *, shift: float = 0.0, options=None) -> Path:
    """The same packets at other times; those that `keep` wants."""
    with av.open(str(source)) as read, av.open(str(path), "w", format=form, options=options or {}) as out:
        track = read.streams.audio[0]
        copied = out.add_stream_from_template(track)
        for packet in read.demux(track):
            if packet.dts is not None and keep(float(packet.pts * packet.time_base)):
                moved = round(shift / packet.time_base)
                packet.stream, packet.pts, packet.dts = copied, packet.pts + moved, packet.dts + moved
                out.mux(packet)
    return path


def test_times_that_are_absurd_make_no_endless_silence(signal, tmp_path):
    source = write_container(tmp_path / "a.webm", signal, "libopus", None)
    path = remux(source, tmp_path / "far.mkv", "matroska", lambda at: True, shift=1e6)
    assert len(load_signal(path)) == pytest.approx(len(load_signal(source)), abs=0.1 * RATE)


def two_tracks(path: Path, first: np.ndarray, second: np.ndarray) -> Path:
    """A file with two sound tracks, the second one marked as default."""
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("aac", rate=RATE, layout="mono") for _ in range(2)]
        tracks[0].disposition, tracks[1].disposition = 0, av.stream.Disposition.default
        for begin in range(0, len(first) - 1023, 1024):
            for track, signal in zip(tracks, (first, second), strict=True):
                piece = signal[None, begin : begin + 1024].astype(np.float32)
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = RATE, begin
                out.mux(track.encode(frame))
        for track in tracks:
            out.mux(track.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_default_track_is_read_or_the_one_that_is_named(signal, tmp_path, name):
    path = two_tracks(tmp_path / name, np.zeros(len(signal[0])), signal[0])
    read = {track: decode_audio(path, track=track).signal for track in (None, 1, 2)}
    assert np.array_equal(read[None], read[2])
    assert np.std(read[1]) < 0.01 < 0.1 < np.std(read[2])
    with pytest.raises(AudioError, match=f"{name}: no sound track 3, expected one of 1 .*, 2 "):
        decode_audio(path, track=3)


def test_a_file_of_one_track_has_no_other(signal, tmp_path):
    soundfile.write(tmp_path / "a.wav", signal[0], RATE)
    assert len(decode_audio(tmp_path / "a.wav", track=1).signal) == 3 * RATE
    with pytest.raises(AudioError, match="no sound track 2, this file has one"):
        decode_audio(tmp_path / "a.wav", track=2)


def test_damage_in_the_middle_is_told_and_what_follows_keeps_its_time(signal, tmp_path):
    path = write_container(tmp_path / "a.m4a", np.tile(signal, 4), "aac", None, rate=RATE)
    whole, content = load_signal(path), bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 800] = bytes(range(200)) * 4
    path.write_bytes(content)
    decoded = decode_audio(path)
    assert "the recording is damaged: about 0." in decoded.warnings[0]
    assert len(decoded.signal) == pytest.approx(len(whole), abs=0.1 * RATE)
    assert correlation(decoded.signal[-2 * RATE :], whole[-2 * RATE :]) > 0.95


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg command as oracle")
@pytest.mark.parametrize("name", [name for name in CODECS if not name.endswith("webm")])
def test_length_and_samples_are_those_of_the_ffmpeg_command(signal, tmp_path, name):
    options = {"write_xing": "0"} if name == "stream.mp3" else {}
    path = write_container(tmp_path / name, np.tile(signal, 4), *CODECS[name], options=options)
    command = ["ffmpeg", "-loglevel", "error", "-i", path, "-ac", "1", "-f", "f32le", "-"]
    oracle = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)
    read, rate = read_audio(path)
    assert len(read) == pytest.approx(len(oracle), abs=0.05 * rate)
    size = min(len(read), len(oracle))
    assert max(np.corrcoef(read[shift : size + shift - 4000], oracle[: size - 4000])[0, 1] for shift in (0, 312)) > 0.99


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
    assert "needs PyAV: pip install av" in done.stderr
