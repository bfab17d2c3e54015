"""Files that are no recording, strange names, bombs, and files that were joined; a part of the table of recordings."""

import gzip
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from tests.hostile.recordings import FFMPEG, LONG, PCM, WAV, Sound, long_recording
from tests.hostile.sounds import RATE, chunk, encoded, fmt, plain, replaced, riff, writes

NO_SOUND: dict[str, bytes | Callable[[], bytes]] = {
    "text": b"This is no recording.\n" * 200, "one-byte": b"R", "zeros": bytes(50_000), "ones": b"\xff" * 50_000,
    "random": np.random.default_rng(7).bytes(50_000), "html": b"<!doctype html><html><body>404</body></html>" * 40,
    "json": b'{"error": "not found", "a": [' + b"1," * 2000 + b"1]}",
    "xml": b"<?xml version='1.0'?><a>" + b"<b/>" * 999,
    "elf": b"\x7fELF\x02\x01\x01" + bytes(9) + np.random.default_rng(1).bytes(9000), "exe": b"MZ\x90\0" + bytes(9000),
    "script": b"#!/bin/sh\nrm -rf nothing\n", "png": b"\x89PNG\r\n\x1a\n" + bytes(2000),
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(2000), "pdf": b"%PDF-1.7\n" + bytes(3000), "zip": b"PK\x03\x04" + bytes(3000),
    "gzip": gzip.compress(bytes(10**6)), "pickle": b"\x80\x04\x95" + bytes(900),
    "playlist": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "midi": b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk" + bytes(500),
    "smil": b"<smil><body><audio src='http://example.org/a.wav'/></body></smil>",
    "pls": b"[playlist]\nFile1=/etc/passwd\n", "riff-of-something": b"RIFF\xff\xff\xff\x7fCDXAfmt " + bytes(400),
    "ftyp-alone": b"\0\0\0\x20ftypM4A " + bytes(5000), "ebml-alone": b"\x1aE\xdf\xa3" + b"\xff" * 3000,
    "ogg-alone": b"OggS" * 999, "flac-alone": b"fLaC" + bytes(3000),
    "flac-streaminfo": b"fLaC\x80\0\0\x22" + b"\xff" * 34, "id3-alone": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(99),
    "id3-chain": b"ID3\4\0\0\0\0\0\0" * 9000, "form-alone": b"FORM\x7f\xff\xff\xffAIFF" + bytes(900),
    "caf-alone": b"caff\0\1\0\0desc\x7f" + b"\xff" * 400, "au-alone": b".snd" + b"\xff" * 400,
    "w64-alone": b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0" + b"\xff" * 200,
    "voc-alone": b"Creative Voice File\x1a" + b"\x1a\0\x0a\1\x29\x11" + b"\1\xff\xff\xff",
    "nist-alone": b"NIST_1A\n   1024\n" + b"x" * 2000,
    "nist-giant": b"NIST_1A\n99999999999999999999\nchannel_count -i 9\n" + b"\0" * 2000,
    "avi-alone": b"RIFF\xff\xff\xff\x7fAVI LIST" + bytes(800), "flv-alone": b"FLV\1\5\0\0\0\x09" + b"\xff" * 800,
    "asf-alone": b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel" + b"\xff" * 800, "ts-alone": (b"G" + bytes(187)) * 40,
    "mpeg-alone": b"\0\0\1\xba" + b"\xff" * 4000, "amr-alone": b"#!AMR\n", "tta-alone": b"TTA1" + b"\xff" * 400,
    "wv-alone": b"wvpk" + b"\xff" * 400, "ac3-alone": b"\x0b\x77" * 900, "adts-alone": b"\xff\xf1\x50\x80" * 300,
    "mp3-sync-alone": b"\xff\xfb\x90\0", "gsm-alone": (b"\xd0" + b"\xff" * 32) * 3,
    "mat5-alone": b"MATLAB 5.0 MAT-file" + bytes(107) + b"\0\1IM" + b"\xff" * 300,
    "avr-alone": b"2BIT" + b"\xff" * 300, "svx-alone": b"FORM\0\0\1\0" + b"8SVXBODY\x7f\xff\xff\xff" + bytes(100),
    "ircam-alone": b"d\xa3\3\0" + b"\xff" * 400, "sds-alone": b"\xf0~\0\1" + b"\x7f" * 300,
    "xi": lambda: plain("XI", "DPCM_16", 44_100), "htk-alone": b"\0\0\0\1\0\0\0\1\0\2\0\0\0\0",
}  # fmt: skip
"""Bytes that are no recording, whatever they are called."""


def strangers() -> Iterator[Sound]:
    """Files that are no recording, by names that promise one."""
    anything = "cannot be decoded as audio|holds no s|damaged|sampling rate|channels|holds no sound|not read"
    for name, content in NO_SOUND.items():
        yield Sound(name=f"{name}.wav", write=writes(content), refused=anything)
    for suffix in ("mp3", "flac", "ogg", "m4a", "webm", "opus", "raw", "aac", "gsm", ""):
        yield Sound(
            name=f"text.{suffix}", write=writes(b"no recording\n" * 99), refused="cannot be deco|not read|holds"
        )
    yield Sound(name="empty.wav", write=writes(b""), refused=r"the file is empty \(0 bytes\)")
    yield Sound(name="folder.wav", write=lambda path: path.mkdir(), refused="is a folder")
    yield Sound(name="missing.wav", write=lambda path: None, refused="no such file")
    yield Sound(name="nowhere.wav", write=lambda path: path.symlink_to("nothing"), refused="no such file")
    yield Sound(name="loop.wav", write=lambda path: path.symlink_to(path.name), refused="no such file|loop|symbolic")
    yield Sound(name="pipe.wav", write=os.mkfifo, refused="a pipe or device")
    yield Sound(name="null.wav", write=lambda path: path.symlink_to("/dev/null"), refused="a pipe or device")
    yield Sound(name="zero.wav", write=lambda path: path.symlink_to("/dev/zero"), refused="a pipe or device")
    yield Sound(name="archive.wav", write=_archive, refused="cannot be decoded as audio")


def _archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.wav", WAV)


def names() -> Iterator[Sound]:
    """Names of files and extensions that say nothing, or too much."""
    for name in (
        "two\nlines.wav", "\x1b[31mred\x1b[0m.wav", "\x07bell.wav", "😀.wav", "نص.wav", "a\u202egnp.wav", " .wav",
        "-rf.wav", "'quote\".wav", "%s%n.wav", "a" * 240 + ".wav", ".hidden.wav", "tab\t.wav", "file:a.wav",
        "http:__example.org_a.wav", "concat:a|b.wav", "e\u0301.wav", "con.wav", "$(date).wav", "back\\slash.wav",
        "?*.wav", "latin-\udce9.wav", "no-extension", "wrong.mp3", "wrong.raw", "wrong.txt", "wrong.flac", "a.wav.gz",
    ):  # fmt: skip
        yield Sound(name=name, write=writes(WAV), ffmpeg="it takes some of these names for protocols")
    for suffix in ("wav", "raw", "mp3", "au", "gsm"):
        for kind in ("FLAC-PCM_16", "OGG-VORBIS", "opus.webm", "aac.m4a"):
            write = writes(lambda kind=kind: long_recording(kind))
            yield Sound(name=f"{kind}.{suffix}", write=write, seconds=LONG, heard=0)


def bombs() -> Iterator[Sound]:
    """Small files that promise hours, gigabytes, or endless chunks."""
    for seconds in (86_400, 4_000_000):
        promised = struct.pack("<I", min(2**32 - 2**17, seconds * RATE * 2))
        yield Sound(name=f"promises-{seconds}.wav", write=writes(replaced(WAV, b"data", 4, promised)), cut=True)
    long = plain("RF64", "PCM_16")
    giant = replaced(long, b"ds64", 16, struct.pack("<Q", 2**62))
    yield Sound(name="promises-exabytes.rf64", write=writes(giant), cut=True)
    w64 = plain("W64", "PCM_16")
    yield Sound(name="promises.w64", write=writes(replaced(w64, b"data", 16, struct.pack("<Q", 2**62))), cut=True)
    caf = plain("CAF", "PCM_16")
    yield Sound(name="promises.caf", write=writes(replaced(caf, b"data", 4, struct.pack(">q", 2**62))), cut=True)
    flac = bytearray(plain("FLAC", "PCM_16"))
    flac[21:26] = b"\x0f\xff\xff\xff\xff"[:1] + b"\xff" * 4
    yield Sound(name="promises.flac", write=writes(bytes(flac)), cut=True, heard=0, refused="|")
    xing = encoded("mp3", "libmp3lame")
    at = xing.find(b"Info") if b"Info" in xing else xing.find(b"Xing")
    frames = xing[: at + 8] + struct.pack(">I", 2**31) + xing[at + 12 :]
    yield Sound(name="promises.mp3", write=writes(frames), cut=True, ffmpeg="it reads what there is, as we do")
    chunks = riff(*[chunk(b"LIST", b"") for _ in range(20_000)], chunk(b"fmt ", fmt()), chunk(b"data", PCM))
    yield Sound(name="chunks.wav", write=writes(chunks), refused="cannot be decoded as audio")
    yield Sound(name="silence.flac", write=writes(lambda: _silent("FLAC", 300)), seconds=300, heard=0)
    yield Sound(name="silence.ogg", write=writes(lambda: _silent("OGG", 120)), seconds=120, heard=0)


def _silent(form: str, seconds: int) -> bytes:
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", 8000, 1, format=form) as file:
        for _ in range(seconds // 60):
            file.write(np.zeros(60 * 8000, np.float32))
    return stream.getvalue()


def joined() -> Iterator[Sound]:
    """Files of one format, one behind the other; rates and channels may change."""
    for name in ("stereo.mp3", "opus.ogg", "mono.aac", "mono.ac3", "FLAC-PCM_16", "OGG-VORBIS"):
        content = encoded(*FFMPEG[name]) if name in FFMPEG else plain(*name.split("-"))
        yield Sound(
            name=f"twice-{name}", write=writes(2 * content), seconds=2.0, tolerance=0.3, heard=0, ffmpeg="it may stop"
        )
    mono, stereo = encoded("mp3", "libmp3lame"), encoded("mp3", "libmp3lame", RATE, "stereo")
    other = encoded("mp3", "libmp3lame", 24_000)
    for name, content in (("mono-stereo", mono + stereo), ("stereo-mono", stereo + mono), ("rates", mono + other)):
        yield Sound(
            name=f"{name}.mp3", write=writes(content), seconds=2.0, tolerance=0.3, heard=0, ffmpeg="it may stop"
        )
    surround = encoded("ac3", "ac3", 48_000, "5.1")
    for name, content in (
        ("1-6", encoded("ac3", "ac3", 48_000) + surround),
        ("6-1", surround + encoded("ac3", "ac3", 48_000)),
    ):
        yield Sound(
            name=f"{name}.ac3", write=writes(content), seconds=2.0, tolerance=0.3, heard=0, ffmpeg="it may stop"
        )
