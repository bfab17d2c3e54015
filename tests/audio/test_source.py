"""A path, bytes and a file object are read alike; what cannot be read is one sentence."""

import io

import numpy as np
import pytest
import soundfile

from bimodal.audio.decode import iterate_audio, load_signal, read_audio, read_header
from bimodal.audio.source import as_source
from bimodal.errors import AudioError

RATE = 22_050


class Pipe(io.RawIOBase):
    """Bytes that can be read once, from the front, as from a socket."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._rest.readinto(buffer)


@pytest.fixture
def path(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, (RATE, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, RATE)
    soundfile.write(tmp_path / "a.flac", noise, RATE)
    return tmp_path / "a.wav"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("form", [str, bytes, bytearray, memoryview, io.BytesIO, Pipe], ids=lambda form: form.__name__)
def test_every_form_gives_the_samples_of_the_file(path, suffix, form):
    path = path.with_suffix(suffix)
    source = str(path) if form is str else form(path.read_bytes())
    signal, rate = read_audio(source, start=0.25, end=0.75)
    expected, _ = read_audio(path, start=0.25, end=0.75)
    assert rate == RATE and np.array_equal(signal, expected)


def test_a_file_object_is_read_from_its_beginning_again_and_again_and_stays_open(path):
    with path.open("rb") as stream:
        stream.read(1000)
        first, again = load_signal(stream), load_signal(stream)
        assert np.array_equal(first, again) and np.array_equal(first, load_signal(path))
        assert read_header(stream) == read_header(path)
        assert sum(len(block) for block, _ in iterate_audio(stream, block_seconds=0.1)) == RATE
        assert not stream.closed


def test_bytes_of_a_container_are_unpacked(tmp_path, path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mkv"), "w") as out, av.open(str(path)) as wav:
        track = out.add_stream("flac", rate=RATE, layout="stereo")
        for frame in wav.decode(audio=0):
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    content = (tmp_path / "a.mkv").read_bytes()
    assert np.array_equal(load_signal(content), load_signal(tmp_path / "a.mkv"))
    assert read_header(io.BytesIO(content)).channels == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "is empty"), (b"no audio " * 99, "cannot be decoded"), (b"RIFF", "cannot be decoded")],
)
def test_bytes_that_are_no_recording_are_one_sentence(content, told):
    with pytest.raises(AudioError, match=f"^audio in memory: .*{told}"):
        read_audio(content)


def test_a_truncated_recording_is_refused_in_memory_too(path):
    with pytest.raises(AudioError, match="audio in memory: the recording is cut"):
        read_audio(path.read_bytes()[:-1000])


def test_a_closed_file_and_one_in_text_mode_are_refused_with_advice(path):
    with path.open("rb") as stream:
        pass
    with pytest.raises(AudioError, match=r"a\.wav: the file object is closed"):
        as_source(stream)
    with path.open() as text, pytest.raises(AudioError, match="open\\(path, 'rb'\\)"):
        as_source(text)
