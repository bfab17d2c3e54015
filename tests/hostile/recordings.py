"""Recordings that are unusual, wrong, cut, or none at all, each with what must be told of it.

A table: name of the file, what writes it, seconds of sound that must be read and whether a warning of a cut must stand
on the result; or the words that the sentence which refuses it must hold.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        refused: Words of the sentence that refuses it; empty where it is read, `|` where both are right.
        heard: Smallest correlation with the sweep; 0 where something else is in it.
        source: Sampling rate at which the sweep was made.
        written: Length of the sweep from which it was made; 0 for `seconds`.
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
    written: float = 0.0
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
        yield Sound(
            name=f"channels-{channels}.wav", write=write, refused="channels, expected at most 64|cannot be deco"
        )
    yield Sound(name="channels-8.flac", write=writes(lambda: plain("FLAC", channels=8)))
    for form in ("matroska", "caf", "w64"):
        for layout in ("5.1", "7.1", "hexadecagonal", "22.2"):
            codec = "pcm_s16be" if form == "caf" else "pcm_s16le"
            write = writes(lambda form=form, layout=layout, codec=codec: encoded(form, codec, layout=layout))
            yield Sound(name=f"{layout}.{form}", write=write)
    yield Sound(name="7.1.wv", write=writes(lambda: encoded("wv", "wavpack", layout="7.1")))


FFMPEG: dict[str, tuple] = {
    "aac.m4a": ("ipod", "aac"), "alac.m4a": ("ipod", "alac"), "aac.mp4": ("mp4", "aac"),
    "pcm.mov": ("mov", "pcm_s16le"), "aac.mov": ("mov", "aac"), "mulaw.mov": ("mov", "pcm_mulaw", 8000),
    "float.mov": ("mov", "pcm_f32le"), "double.mov": ("mov", "pcm_f64be"), "24.mov": ("mov", "pcm_s24le"),
    "mp3.mov": ("mov", "libmp3lame"), "aac.3gp": ("3gp", "aac"), "amr.3gp": ("3gp", "libopencore_amrnb", 8000),
    "aac.f4v": ("f4v", "aac"), "smooth.ismv": ("ismv", "aac"), "5.1.m4a": ("ipod", "aac", 48_000, "5.1"),
    "fragments.mp4": ("mp4", "aac", RATE, "mono", 1.0, (("movflags", "frag_keyframe+empty_moov"),)),
    "opus.webm": ("webm", "libopus", 48_000), "live.webm": ("webm", "libopus", 48_000, "mono", 1.0, (("live", "1"),)),
    "opus.ogg": ("ogg", "libopus", 48_000), "5.1.opus": ("ogg", "libopus", 48_000, "5.1"),
    "flac.ogg": ("ogg", "flac"), "opus.spx": ("spx", "libopus", 48_000), "aac.mka": ("matroska", "aac"),
    "flac.mka": ("matroska", "flac"), "mp3.mkv": ("matroska", "libmp3lame"), "pcm.mkv": ("matroska", "pcm_s16le"),
    "24.mkv": ("matroska", "pcm_s24le"), "float.mkv": ("matroska", "pcm_f32le"),
    "wavpack.mka": ("matroska", "wavpack"), "tta.mka": ("matroska", "tta"), "ac3.mkv": ("matroska", "ac3", 48_000),
    "stereo.mp3": ("mp3", "libmp3lame", 44_100, "stereo"), "8.mp3": ("mp3", "libmp3lame", 8000),
    "11.mp3": ("mp3", "libmp3lame", 11_025), "24.mp3": ("mp3", "libmp3lame", 24_000),
    "48.mp3": ("mp3", "libmp3lame", 48_000),
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
    "amr.caf": ("caf", "libopencore_amrnb", 8000), "sowt.aiff": ("aiff", "pcm_s16le"),
    "quicktime.aiff": ("aiff", "adpcm_ima_qt"), "g722.au": ("au", "g722"), "8.voc": ("voc", "pcm_u8"),
    "16.voc": ("voc", "pcm_s16le"), "alaw.voc": ("voc", "pcm_alaw"), "mono.ircam": ("ircam", "pcm_s16le"),
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
        heard = 0.0 if name == "8.voc" else 0.8  # its rate is 16,129 Hz, which the format can say and 16,000 not
        yield Sound(name=name, write=writes(lambda made=made: encoded(*made)), tolerance=0.13, heard=heard)
    for name, made in _UNKNOWN.items():
        yield Sound(name=name, write=writes(lambda made=made: encoded(*made)), refused="cannot be decoded as audio")
    aac = writes(lambda: encoded("wav", "aac"))
    yield Sound(name="aac.wav", write=aac, refused="damaged: cannot be decoded", ffmpeg="it lacks what AAC needs")


CUT: dict[str, tuple[float, ...]] = dict.fromkeys(
    ("WAV-PCM_16", "WAV-PCM_24", "WAV-FLOAT", "WAV-ULAW", "WAV-MS_ADPCM", "WAV-IMA_ADPCM", "WAV-GSM610", "RF64-PCM_16",
     "WAVEX-PCM_16", "W64-PCM_16", "AIFF-PCM_16", "AIFF-FLOAT", "AU-PCM_16", "AU-ULAW", "CAF-PCM_16", "NIST-PCM_16",
     "NIST-ULAW", "VOC-PCM_16", "VOC-ALAW", "AVR-PCM_16", "SVX-PCM_16", "MAT4-PCM_16", "MAT4-DOUBLE", "MAT5-PCM_16",
     "MAT5-FLOAT", "MPC2K-PCM_16", "FLAC-PCM_16", "MP3-MPEG_LAYER_III", "OGG-OPUS"),
    (0.53, 0.97),
) | dict.fromkeys(
    ("opus.webm", "live.webm", "opus.ogg", "flac.ogg", "aac.mka", "mp3.mkv", "pcm.mkv", "ac3.mkv", "stereo.mp3",
     "stream.mp3", "48.mp2", "mono.ac3", "44.ac3", "32.ac3", "5.1.ac3", "mono.eac3", "mono.aac", "aac.ts", "mp2.ts",
     "opus.ts", "mp2.mpg", "ac3.vob", "mp3.avi", "pcm.avi", "ac3.avi", "wma2.wma", "aac.flv", "mp3.flv", "adpcm.flv",
     "nellymoser.flv", "mono.amr", "yamaha.wav", "g726.wav", "mp3.wav", "ac3.wav", "rf64.wav", "fragments.mp4",
     "16.voc"),
    (0.53, 0.97),
)  # fmt: skip
"""Recordings of three seconds that are cut to shares of their bytes, so that something of them can be read."""

_NEEDS_ALL = ("OGG-VORBIS", "aac.m4a", "alac.m4a", "aac.mp4", "pcm.mov", "mulaw.mov", "aac.3gp", "aac.f4v", "alac.caf")
_DOES_NOT_TELL = ("PAF-PCM_16", "PVF-PCM_16", "IRCAM-PCM_16")  # their headers say no length, nor do their samples
LONG = 3.0


def long_recording(name: str) -> bytes:
    """A recording of three seconds, by the name of its kind."""
    if name in FFMPEG:
        rate, layout, _, *rest = _defaults(FFMPEG[name])
        return encoded(*FFMPEG[name][:2], rate, layout, LONG, *rest)
    form, _, subtype = name.partition("-")
    return plain(form, subtype, 44_100 if form == "MPC2K" else RATE, seconds=LONG)


def _defaults(made: tuple) -> tuple:
    """Rate, layout, seconds, options and bit rate of an entry of `FFMPEG`."""
    return (*made[2:], *(RATE, "mono", 1.0, (), 0)[len(made) - 2 :])


def cuts() -> Iterator[Sound]:
    """Recordings that stop in the middle. What is there is read, and a warning says so."""
    for name, parts in CUT.items():
        suffix = name if "." in name else f"{name}.{name.partition('-')[0].lower()}"
        for part in parts:
            write = writes(lambda name=name, part=part: share(long_recording(name), part))
            pages = 1.2 if "ogg" in suffix else 0.6  # a page is lost whole
            yield Sound(
                name=f"cut-{100 * part:.0f}-{suffix}", write=write, seconds=part * LONG, tolerance=pages, cut=True,
                heard=0.75, written=LONG, ffmpeg="how much of the last frame is kept is a matter of taste",
            )  # fmt: skip
    for name in _NEEDS_ALL:
        write = writes(lambda name=name: share(long_recording(name), 0.53))
        yield Sound(name=f"cut-{name}", write=write, refused="it is cut, and nothing")
    for name in _DOES_NOT_TELL:
        write = writes(lambda name=name: share(long_recording(name), 0.53))
        suffix = name.partition("-")[0].lower()
        yield Sound(
            name=f"cut-{name}.{suffix}", write=write, seconds=0.53 * LONG, written=LONG, ffmpeg="unknown to FFmpeg"
        )
    for name in ("WAV-PCM_16", "FLAC-PCM_16", "OGG-VORBIS", "MP3-MPEG_LAYER_III", "opus.webm", "aac.m4a", "mono.ac3"):
        for size in (1, 3, 4, 11, 12, 37):
            write = writes(lambda name=name, size=size: long_recording(name)[:size])
            sentence = "cannot be decoded as audio|damaged|holds no samples"
            yield Sound(name=f"first-{size}-{name}", write=write, refused=sentence)


PCM = pcm()
WAV = riff(chunk(b"fmt ", fmt()), chunk(b"data", PCM))


def headers() -> Iterator[Sound]:
    """WAV files whose header is wrong or unusual."""
    for size in (0, 1, 10, 2**31 - 1, 2**31, 2**32 - 1):
        write = writes(replaced(WAV, b"RIFF", 4, struct.pack("<I", size)))
        yield Sound(name=f"riff-size-{size}.wav", write=write)
    for size in (0, 2**31 - 1, 2**31, 0xFFFFFFFF, 0xFFFFFFF0, 0x7FFFFFFF - 36):
        write = writes(replaced(WAV, b"data", 4, struct.pack("<I", size)))
        yield Sound(name=f"data-size-{size}.wav", write=write)
    yield Sound(
        name="data-size-double.wav", write=writes(replaced(WAV, b"data", 4, struct.pack("<I", 2 * len(PCM)))), cut=True
    )
    small = replaced(WAV, b"data", 4, struct.pack("<I", len(PCM) // 2))
    yield Sound(name="data-size-half.wav", write=writes(small), seconds=0.5, heard=0, ffmpeg="it ends as it says")
    odd = riff(chunk(b"fmt ", fmt()), chunk(b"data", PCM + b"\1"))
    yield Sound(name="data-odd.wav", write=writes(odd))
    two = riff(chunk(b"fmt ", fmt()), chunk(b"data", PCM[:16_000]), chunk(b"data", PCM[16_000:]))
    yield Sound(name="two-data.wav", write=writes(two), ffmpeg="it reads the first data chunk alone")
    apart = riff(
        chunk(b"fmt ", fmt()), chunk(b"data", PCM[:16_000]), chunk(b"LIST", b"INFOabc"), chunk(b"data", PCM[16_000:])
    )
    yield Sound(name="two-data-apart.wav", write=writes(apart), ffmpeg="it reads the first data chunk alone")
    late = riff(chunk(b"data", PCM), chunk(b"fmt ", fmt()))
    yield Sound(name="format-last.wav", write=writes(late))
    yield Sound(name="no-format.wav", write=writes(riff(chunk(b"data", PCM))), refused="cannot be decoded as audio")
    yield Sound(name="no-data.wav", write=writes(riff(chunk(b"fmt ", fmt()))), refused="holds no samples|cannot be dec")
    empty = riff(chunk(b"fmt ", fmt()), chunk(b"data", b""))
    yield Sound(name="no-samples.wav", write=writes(empty), refused="holds no samples")
    yield from _formats()
    yield from _neighbours()


def _formats() -> Iterator[Sound]:
    """Chunks `fmt ` with absurd values."""
    refused = "cannot be decoded as audio|expected a positive number|holds no samples|damaged"
    wrong = {
        "rate-0": fmt(0), "rate-4294967295": fmt(2**32 - 1), "channels-0": fmt(channels=0, block=2),
        "channels-65535": fmt(channels=65_535, block=2), "bits-0": fmt(bits=0, block=2),
        "bits-65535": fmt(bits=65_535, block=2), "code-0": fmt(code=0), "code-9999": fmt(code=0x9999),
        "code-mp3": fmt(code=0x55), "empty": b"", "one-byte": b"\1",
        "float-16": fmt(code=3, bits=16), "gsm-odd": fmt(code=49, bits=0, block=1),
    }  # fmt: skip
    for name, form in wrong.items():
        write = writes(riff(chunk(b"fmt ", form), chunk(b"data", PCM)))
        yield Sound(name=f"format-{name}.wav", write=write, refused=refused)
    right = {
        "block-0": fmt(block=0), "block-65535": fmt(block=65_535), "bytes-a-second-0": fmt(bytes_second=0),
        "bytes-a-second-4294967295": fmt(bytes_second=2**32 - 1), "long": fmt() + bytes(2000),
        "without-bits": fmt()[:14],
    }  # fmt: skip
    for name, form in right.items():
        write = writes(riff(chunk(b"fmt ", form), chunk(b"data", PCM)))
        yield Sound(name=f"format-{name}.wav", write=write, ffmpeg="it needs these values, which nobody else does")


def _neighbours() -> Iterator[Sound]:
    """What else may stand in a WAV."""
    form, data = chunk(b"fmt ", fmt()), chunk(b"data", PCM)
    whole = {
        "junk-before": riff(chunk(b"JUNK", bytes(5000)), form, data), "junk-after": WAV + bytes(4096),
        "text-after": WAV + b"this is no chunk at all, only text" * 50,
        "fact-wrong": riff(form, chunk(b"fact", b"\xff" * 4), data),
        "list-before": riff(form, chunk(b"LIST", b"INFOISFT\5\0\0\0abcd\0\0"), data),
        "cue-after": riff(form, data, chunk(b"cue ", struct.pack("<I", 2**31 - 1))),
        "bext": riff(chunk(b"bext", bytes(602)), form, data), "peak": riff(form, chunk(b"PEAK", bytes(16)), data),
        "padding": riff(form, *(chunk(b"PAD ", b"") for _ in range(500)), data),
        "id3-before": b"ID3" + bytes([4, 0, 0, 0, 0, 1, 0]) + bytes(128) + WAV,
        "id3-after": riff(form, data, chunk(b"id3 ", b"ID3\4" + bytes(99))),
        "after-giant-chunk": riff(form, data, chunk(b"LIST", b"x", 2**32 - 1)),
        "control-names": riff(form, data, chunk(b"\1\2\3\4", b"x")),
    }  # fmt: skip
    for name, content in whole.items():
        other = "after" in name or "id3" in name
        yield Sound(name=f"{name}.wav", write=writes(content), ffmpeg="it stumbles over what stands there" * other)
    hidden = riff(form, chunk(b"JUNK", b"x", 2**31), data)
    yield Sound(name="chunk-beyond-the-end.wav", write=writes(hidden), refused="cannot be decoded|holds no samples")
    inside = replaced(WAV, b"RIFF", 0, b"XIFF")
    yield Sound(name="magic-wrong.wav", write=writes(inside), refused="cannot be decoded as audio")
    yield Sound(
        name="kind-wrong.wav", write=writes(riff(form, data, kind=b"WAVX")), refused="cannot be decoded as audio"
    )
    yield Sound(name="zeros-before.wav", write=writes(bytes(100) + WAV), refused="cannot be decoded as audio")
    yield Sound(name="joined.wav", write=writes(WAV + WAV), seconds=2.0, heard=0, ffmpeg="it reads the first alone")


def samples() -> Iterator[Sound]:
    """Samples that are none, and extremes."""
    for subtype in ("FLOAT", "DOUBLE"):
        for name, value in (("nan", np.nan), ("inf", np.inf), ("minus-inf", -np.inf)):
            signal = sweep().copy()
            signal[1234] = value
            write = _array(signal, subtype)
            yield Sound(name=f"{name}-{subtype}.wav", write=write, refused="1 samples are NaN or infinite, the first")
    everything = np.full(RATE, np.nan, np.float32)
    yield Sound(name="all-nan.wav", write=_array(everything, "FLOAT"), refused="16000 samples are NaN")
    huge = np.full(RATE, 3e38, np.float32)
    yield Sound(name="huge-float.wav", write=_array(huge, "FLOAT"), heard=0)
    beyond = np.full(RATE, 1e300)
    yield Sound(name="huge-double.wav", write=_array(beyond, "DOUBLE"), refused="NaN or infinite")
    for name, signal in (
        ("silence", np.zeros(RATE)), ("direct-current", np.full(RATE, 0.9)), ("denormal", np.full(RATE, 1e-42)),
        ("square", np.sign(sweep())), ("impulse", np.eye(1, RATE, 99)[0]),
    ):  # fmt: skip
        yield Sound(name=f"{name}.wav", write=_array(signal, "FLOAT"), heard=0)
    for length in (1, 2, 10, 159, 160, 161, 400):
        yield Sound(
            name=f"samples-{length}.wav", write=_array(sweep()[:length], "PCM_16"), seconds=length / RATE, heard=0
        )
    loud = riff(chunk(b"fmt ", fmt(bits=8)), chunk(b"data", bytes([255, 0] * 8000)))
    yield Sound(name="full-scale-8.wav", write=writes(loud), heard=0)


def _array(signal: np.ndarray, subtype: str) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, signal, RATE, subtype=subtype, format="WAV")


_DAMAGED: dict[str, Any] = {
    "MP3-MPEG_LAYER_III": {"cut": True},
    "opus.webm": {"cut": True, "damaged": False, "seconds": 1.6},  # the rest of a cluster is lost
    "aac.mka": {"cut": True, "damaged": False, "seconds": 1.4},
}


def damage() -> Iterator[Sound]:
    """Random bytes in the middle; the sound before and behind it stays where it was."""
    rng = np.random.default_rng(0)
    for name in ("FLAC-PCM_16", "MP3-MPEG_LAYER_III", "opus.webm", "mono.aac", "mono.ac3", "aac.mka"):
        content = long_recording(name)
        middle = len(content) // 2
        spoiled = content[:middle] + rng.bytes(300) + content[middle + 300 :]
        yield Sound(
            name=f"damaged-{name}", write=writes(spoiled), tolerance=0.4, heard=0.4, written=LONG,
            **{"seconds": LONG, "damaged": True} | _DAMAGED.get(name, {}), ffmpeg="it leaves out what is damaged",
        )  # fmt: skip
    for name in ("WAV-PCM_16", "AIFF-PCM_16", "W64-PCM_16", "CAF-PCM_16", "NIST-PCM_16", "AU-PCM_16"):
        content = long_recording(name)
        for at in (4, 12, 20, 34, 50):
            spoiled = content[:at] + rng.bytes(4) + content[at + 4 :]
            yield Sound(name=f"header-{at}-{name}", write=writes(spoiled), refused="|", seconds=0, heard=0)


TABLES = (subtypes, rates, containers, cuts, headers, samples, damage)
"""Functions that give recordings."""
