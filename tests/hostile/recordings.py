"""Recordings that are unusual, wrong, cut, or none at all, each with what must be told of it.

A table: name of the file, what writes it, seconds of sound that must be read and whether a warning of a cut must stand
on the result; or the words that the sentence which refuses it must hold.
"""

import gzip
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from tests.hostile.sounds import (
    RATE,
    SECONDS,
    chunk,
    encoded,
    fmt,
    pcm,
    plain,
    replaced,
    riff,
    share,
    sweep,
    writes,
)


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A file and what must be told of it.

    Attributes:
        name: Of the file.
        write: Makes it at a path.
        seconds: Length of what must be read.
        tolerance: How many seconds more or less are right; codecs pad.
        cut: Whether a warning that it is cut must stand on the result.
        damaged: Whether a warning that it is damaged must stand on the result.
        refused: Words of the sentence that refuses it; empty where it is read.
        heard: Smallest correlation with the sweep; 0 where something else is in it.
        source: Sampling rate at which the sweep was made.
        ffmpeg: Why FFmpeg alone does not read the same; empty where it must.
    """

    name: str
    write: Callable[[Path], None]
    seconds: float = SECONDS
    tolerance: float = 0.1
    cut: bool = False
    damaged: bool = False
    refused: str = ""
    heard: float = 0.9
    source: int = RATE
    ffmpeg: str = ""


LIBSNDFILE = {
    "WAV": "PCM_16 PCM_24 PCM_32 PCM_U8 FLOAT DOUBLE ULAW ALAW IMA_ADPCM MS_ADPCM GSM610 G721_32 NMS_ADPCM_16 "
    "NMS_ADPCM_24 NMS_ADPCM_32",
    "WAVEX": "PCM_16 PCM_24 PCM_32 PCM_U8 FLOAT DOUBLE ULAW ALAW",
    "RF64": "PCM_16 PCM_24 PCM_32 PCM_U8 FLOAT DOUBLE ULAW ALAW",
    "W64": "PCM_16 PCM_24 PCM_32 PCM_U8 FLOAT DOUBLE ULAW ALAW IMA_ADPCM MS_ADPCM GSM610",
    "AIFF": "PCM_S8 PCM_16 PCM_24 PCM_32 PCM_U8 FLOAT DOUBLE ULAW ALAW IMA_ADPCM GSM610",
    "AU": "PCM_S8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW G721_32 G723_24 G723_40",
    "CAF": "PCM_S8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW ALAC_16 ALAC_20 ALAC_24 ALAC_32",
    "FLAC": "PCM_S8 PCM_16 PCM_24",
    "OGG": "VORBIS OPUS",
    "MP3": "MPEG_LAYER_III",
    "NIST": "PCM_S8 PCM_16 PCM_24 PCM_32 ULAW ALAW",
    "VOC": "PCM_16 ULAW ALAW",
    "AVR": "PCM_S8 PCM_16 PCM_U8",
    "SVX": "PCM_S8 PCM_16",
    "MAT4": "PCM_16 PCM_32 FLOAT DOUBLE",
    "MAT5": "PCM_16 PCM_32 PCM_U8 FLOAT DOUBLE",
    "PAF": "PCM_S8 PCM_16 PCM_24",
    "PVF": "PCM_S8 PCM_16 PCM_32",
    "SDS": "PCM_S8 PCM_16 PCM_24",
    "IRCAM": "PCM_16 PCM_32 FLOAT ULAW ALAW",
    "HTK": "PCM_16",
    "MPC2K": "PCM_16",
}
"""Formats and subtypes of libsndfile. It cannot read the DWVW and SD2 that it writes."""

_FFMPEG_LACKS = {
    "AVR", "HTK", "IRCAM", "MAT4", "MAT5", "MPC2K", "NIST", "PAF", "PVF", "SDS",
    "CAF-ALAC_20", "WAV-G721_32", "WAV-NMS_ADPCM_16", "WAV-NMS_ADPCM_24", "WAV-NMS_ADPCM_32",
    "AU-G721_32", "AU-G723_24", "AU-G723_40",
}  # fmt: skip


def subtypes() -> Iterator[Sound]:
    """Every subtype that libsndfile writes and reads."""
    for form, names in LIBSNDFILE.items():
        for subtype in names.split():
            rate = 44_100 if form == "MPC2K" else RATE
            lacks = {form, f"{form}-{subtype}"} & _FFMPEG_LACKS
            yield Sound(
                name=f"{form}-{subtype}.{form.lower()}",
                write=writes(lambda form=form, subtype=subtype, rate=rate: plain(form, subtype, rate)),
                ffmpeg="a format that FFmpeg does not read, or reads otherwise" if lacks else "",
            )


def rates() -> Iterator[Sound]:
    """Usual and unusual sampling rates, and numbers of channels."""
    for rate in (1000, 4000, 8000, 11_025, 12_000, 22_050, 24_000, 32_000, 37_800, 44_100, 48_000, 88_200, 96_000):
        yield Sound(name=f"rate-{rate}.wav", write=writes(lambda rate=rate: plain(rate=rate)), source=rate)
    for rate in (176_400, 192_000, 384_000, 655_350, 1_000_000):
        yield Sound(name=f"rate-{rate}.wav", write=writes(lambda rate=rate: plain(rate=rate)), source=rate)
    for rate in (1, 11, 999, 1_000_001, 2**31 - 1):
        write = writes(riff(chunk(b"fmt ", fmt(rate)), chunk(b"data", pcm())))
        yield Sound(name=f"rate-{rate}.wav", write=write, refused="sampling rate .*expected a positive number of Hz")
    for channels in (2, 3, 5, 6, 7, 8, 12, 16, 32, 64):
        yield Sound(name=f"channels-{channels}.wav", write=writes(lambda channels=channels: plain(channels=channels)))
    for channels in (65, 255, 1024):
        write = writes(lambda channels=channels: plain(channels=channels, seconds=0.1))
        yield Sound(name=f"channels-{channels}.wav", write=write, refused="channels, expected at most 64|cannot be deco")
    yield Sound(name="channels-8.flac", write=writes(lambda: plain("FLAC", channels=8)))
    for form in ("matroska", "caf", "w64"):
        for layout in ("5.1", "7.1", "hexadecagonal", "22.2"):
            codec = "pcm_s16be" if form == "caf" else "pcm_s16le"
            write = writes(lambda form=form, layout=layout, codec=codec: encoded(form, codec, layout=layout))
            yield Sound(name=f"{layout}.{form}", write=write)
    yield Sound(name="7.1.wv", write=writes(lambda: encoded("wv", "wavpack", layout="7.1")))


FFMPEG: dict[str, tuple] = {
    "aac.m4a": ("ipod", "aac"), "alac.m4a": ("ipod", "alac"), "aac.mp4": ("mp4", "aac"), "pcm.mov": ("mov", "pcm_s16le"),
    "aac.mov": ("mov", "aac"), "mulaw.mov": ("mov", "pcm_mulaw", 8000), "float.mov": ("mov", "pcm_f32le"),
    "double.mov": ("mov", "pcm_f64be"), "24.mov": ("mov", "pcm_s24le"), "mp3.mov": ("mov", "libmp3lame"),
    "aac.3gp": ("3gp", "aac"), "amr.3gp": ("3gp", "libopencore_amrnb", 8000), "aac.f4v": ("f4v", "aac"),
    "smooth.ismv": ("ismv", "aac"), "5.1.m4a": ("ipod", "aac", 48_000, "5.1"),
    "fragments.mp4": ("mp4", "aac", RATE, "mono", 1.0, (("movflags", "frag_keyframe+empty_moov"),)),
    "opus.webm": ("webm", "libopus", 48_000),
    "live.webm": ("webm", "libopus", 48_000, "mono", 1.0, (("live", "1"),)), "opus.ogg": ("ogg", "libopus", 48_000),
    "5.1.opus": ("ogg", "libopus", 48_000, "5.1"), "flac.ogg": ("ogg", "flac"), "opus.spx": ("spx", "libopus", 48_000),
    "aac.mka": ("matroska", "aac"), "flac.mka": ("matroska", "flac"), "mp3.mkv": ("matroska", "libmp3lame"),
    "pcm.mkv": ("matroska", "pcm_s16le"), "24.mkv": ("matroska", "pcm_s24le"), "float.mkv": ("matroska", "pcm_f32le"),
    "wavpack.mka": ("matroska", "wavpack"), "tta.mka": ("matroska", "tta"), "ac3.mkv": ("matroska", "ac3", 48_000),
    "stereo.mp3": ("mp3", "libmp3lame", 44_100, "stereo"), "8.mp3": ("mp3", "libmp3lame", 8000),
    "11.mp3": ("mp3", "libmp3lame", 11_025), "24.mp3": ("mp3", "libmp3lame", 24_000), "48.mp3": ("mp3", "libmp3lame", 48_000),
    "stream.mp3": ("mp3", "libmp3lame", RATE, "mono", 1.0, (("write_xing", "0"),)), "mono.mp2": ("mp2", "mp2"),
    "48.mp2": ("mp2", "mp2", 48_000, "stereo"), "mono.ac3": ("ac3", "ac3", 48_000), "44.ac3": ("ac3", "ac3", 44_100),
    "32.ac3": ("ac3", "ac3", 32_000), "5.1.ac3": ("ac3", "ac3", 48_000, "5.1"), "mono.eac3": ("eac3", "eac3", 48_000),
    "mono.aac": ("adts", "aac"), "aac.ts": ("mpegts", "aac"), "mp2.ts": ("mpegts", "mp2"),
    "opus.ts": ("mpegts", "libopus", 48_000), "mp2.mpg": ("mpeg", "mp2"), "ac3.vob": ("vob", "ac3", 48_000),
    "mp3.avi": ("avi", "libmp3lame"), "pcm.avi": ("avi", "pcm_s16le"), "ac3.avi": ("avi", "ac3", 48_000),
    "wma2.wma": ("asf", "wmav2", 44_100, "mono", 1.0, (), 64_000), "aac.flv": ("flv", "aac"),
    "mp3.flv": ("flv", "libmp3lame", 44_100), "adpcm.flv": ("flv", "adpcm_swf", 22_050),
    "nellymoser.flv": ("flv", "nellymoser", 22_050), "mono.tta": ("tta", "tta"), "mono.wv": ("wv", "wavpack"),
    "mono.amr": ("amr", "libopencore_amrnb", 8000), "yamaha.wav": ("wav", "adpcm_yamaha"),
    "g726.wav": ("wav", "g726", 8000), "g722.wav": ("wav", "g722"), "mp3.wav": ("wav", "libmp3lame"),
    "ac3.wav": ("wav", "ac3", 48_000), "flac.wav": ("wav", "flac"), "64.wav": ("wav", "pcm_s64le"),
    "rf64.wav": ("wav", "pcm_s16le", RATE, "mono", 1.0, (("rf64", "always"),)), "mp3.w64": ("w64", "libmp3lame"),
    "alac.caf": ("caf", "alac"), "flac.caf": ("caf", "flac"), "quicktime.caf": ("caf", "adpcm_ima_qt"),
    "amr.caf": ("caf", "libopencore_amrnb", 8000), "sowt.aiff": ("aiff", "pcm_s16le"), "quicktime.aiff": ("aiff", "adpcm_ima_qt"),
    "g722.au": ("au", "g722"), "8.voc": ("voc", "pcm_u8"), "16.voc": ("voc", "pcm_s16le"), "alaw.voc": ("voc", "pcm_alaw"),
    "mono.ircam": ("ircam", "pcm_s16le"),
}  # fmt: skip
"""Recordings as FFmpeg writes them: format, codec, rate, layout, seconds, options, bit rate."""

_UNKNOWN = {
    "mono.adx": ("adx", "adpcm_adx"), "mono.nut": ("nut", "pcm_s16le"), "mono.sox": ("sox", "pcm_s32le"),
    "mono.latm": ("latm", "aac"), "mono.rm": ("rm", "real_144", 8000), "mp3.swf": ("swf", "libmp3lame", 44_100),
    "mono.g722": ("g722", "g722"),
}  # fmt: skip


def containers() -> Iterator[Sound]:
    """What FFmpeg writes."""
    for name, made in FFMPEG.items():
        yield Sound(name=name, write=writes(lambda made=made: encoded(*made)), tolerance=0.13)
    for name, made in _UNKNOWN.items():
        yield Sound(name=name, write=writes(lambda made=made: encoded(*made)), refused="cannot be decoded as audio")
    aac = writes(lambda: encoded("wav", "aac"))
    yield Sound(name="aac.wav", write=aac, refused="damaged: cannot be decoded", ffmpeg="it lacks what AAC needs")
