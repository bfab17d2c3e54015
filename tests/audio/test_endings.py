"""A file that stops in the middle of its data is told from one that ends; the hostile corpus holds every format."""

import io
import struct

import pytest

from bimodal.audio.decode import decode_audio
from bimodal.audio.endings import ends_early, promised_by_header
from bimodal.audio.formats import frame_bytes
from tests.hostile.recordings import FFMPEG
from tests.hostile.sounds import encoded, likeness, plain, share, sweep

KINDS = {
    "aac.m4a": "mov",
    "opus.webm": "matroska",
    "opus.ogg": "ogg",
    "aac.ts": "mpegts",
    "mp2.mpg": "mpeg",
    "ac3.vob": "mpeg",
    "pcm.avi": "avi",
    "aac.flv": "flv",
    "wma2.wma": "asf",
    "16.voc": "voc",
}


@pytest.mark.parametrize("name", KINDS)
def test_the_last_bytes_are_missed_whatever_was_cut(name):
    content = encoded(*FFMPEG[name])
    assert not ends_early(io.BytesIO(content), len(content), KINDS[name])
    for size in (len(content) - 30, int(0.97 * len(content)), len(content) // 2 + 1):
        assert ends_early(io.BytesIO(content[:size]), size, KINDS[name]), size


@pytest.mark.parametrize("form", ["NIST", "AVR", "MAT4", "MAT5", "MPC2K", "WVE"])
def test_the_header_of_a_rare_format_promises_what_is_there(form):
    content = plain(form, "ALAW" if form == "WVE" else "PCM_16", 8000)
    first, length = promised_by_header(io.BytesIO(content), form)
    assert first + length == pytest.approx(len(content), abs=8) and length >= 8000
    (warning,) = decode_audio(share(content, 0.5)).warnings
    assert warning.startswith("the recording is cut: it ends after 0.") and "promises 1.0" in warning


@pytest.mark.parametrize("form", ["IRCAM", "PVF", "WAV"])
def test_a_format_that_does_not_tell_promises_nothing(form):
    assert promised_by_header(io.BytesIO(plain(form)), form) == (0, 0)


def test_sizes_that_no_file_has_are_no_place_to_read_at():
    atom = struct.pack(">I4sQ", 1, b"mdat", 2**63)
    assert ends_early(io.BytesIO(atom), len(atom), "mov")
    w64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0" + b"\xff" * 99
    assert not ends_early(io.BytesIO(w64), len(w64), "w64")


@pytest.mark.parametrize("name", ["mono.ac3", "44.ac3", "32.ac3", "mono.eac3", "mono.mp2"])
def test_frames_follow_one_another_at_the_length_that_they_say(name):
    content, codec = encoded(*FFMPEG[name]), name.rpartition(".")[2]
    at = count = 0
    while at < len(content) and (length := frame_bytes(codec, content[at : at + 8])):
        at, count = at + length, count + 1
    assert at == len(content) and count > 10


@pytest.mark.parametrize("layout", ["7.1", "hexadecagonal", "22.2"])
@pytest.mark.parametrize("form", ["matroska", "mov"])
def test_many_channels_are_decoded_and_do_not_end_the_process(form, layout):
    decoded = decode_audio(encoded(form, "pcm_s16le", layout=layout))
    assert len(decoded.signal) == 16_000 and likeness(decoded.signal, sweep()) > 0.99
