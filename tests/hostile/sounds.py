"""Recordings made by code: the same sweep in every format, and the tools that spoil them."""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 16_000
SECONDS = 1.0


def sweep(rate: int = RATE, seconds: float = SECONDS, source: int = 0) -> np.ndarray:
    """A tone whose pitch rises, so that each moment is told from every other; one that `source` Hz can hold."""
    time = np.arange(round(seconds * rate)) / rate
    high = min(1800.0, 0.35 * (source or rate))
    low = high / 9
    phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * seconds))
    return (0.3 * np.sin(phase)).astype(np.float32)


@cache
def plain(
    form: str = "WAV",
    subtype: str | None = "PCM_16",
    rate: int = RATE,
    channels: int = 1,
    seconds: float = SECONDS,
    endian: str = "FILE",
) -> bytes:
    """The sweep as libsndfile writes it."""
    stream = io.BytesIO()
    signal = np.repeat(sweep(rate, seconds)[:, None], channels, axis=1)
    soundfile.write(stream, signal, rate, subtype, endian, form)
    return stream.getvalue()


@cache
def encoded(
    form: str,
    codec: str,
    rate: int = RATE,
    layout: str = "mono",
    seconds: float = SECONDS,
    options: tuple[tuple[str, str], ...] = (),
    bit_rate: int = 0,
) -> bytes:
    """The sweep as FFmpeg writes it."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=form, options=dict(options)) as out:
        track = out.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            track.bit_rate = bit_rate
        kind = track.codec_context.format.name if track.codec_context.format else "s16"
        channels = track.codec_context.layout.nb_channels
        signal = np.repeat(sweep(rate, seconds)[:, None], channels, axis=1)
        resampler = av.AudioResampler(format=kind, layout=layout, rate=rate)
        for begin in range(0, len(signal), 1024):
            samples = signal[begin : begin + 1024].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            for piece in resampler.resample(frame):
                out.mux(track.encode(piece))
        out.mux(track.encode(None))
    return stream.getvalue()


def fmt(rate: int = RATE, channels: int = 1, bits: int = 16, code: int = 1, **wrong: int) -> bytes:
    """The chunk `fmt ` of a WAV; `block` and `bytes_second` may be wrong."""
    block = wrong.get("block", channels * bits // 8)
    second = wrong.get("bytes_second", rate * block)
    return struct.pack("<HHIIHH", code, channels, rate, second & 0xFFFFFFFF, block & 0xFFFF, bits)


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """A chunk of RIFF, with a padding byte."""
    return name + struct.pack("<I", len(content) if size is None else size) + content + b"\0" * (len(content) % 2)


def riff(*chunks: bytes, size: int | None = None, name: bytes = b"RIFF", kind: bytes = b"WAVE") -> bytes:
    """A RIFF file of these chunks."""
    body = kind + b"".join(chunks)
    return name + struct.pack("<I", len(body) if size is None else size) + body


def pcm(seconds: float = SECONDS, rate: int = RATE) -> bytes:
    """The sweep as samples of 16 bits."""
    return (sweep(rate, seconds) * 32767).astype("<i2").tobytes()


def share(content: bytes, part: float) -> bytes:
    """The first part of a file."""
    return content[: int(part * len(content))]


def replaced(content: bytes, name: bytes, offset: int, new: bytes) -> bytes:
    """The same with other bytes, so many after the first place of a name."""
    at = content.index(name) + offset
    return content[:at] + new + content[at + len(new) :]


def writes(content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    """What writes this content to a path; content may be made when it is asked for."""
    return lambda path: path.write_bytes(content() if callable(content) else content) and None


def ffmpeg(path: Path, rate: int = RATE) -> np.ndarray:
    """What FFmpeg decodes of a file, left to itself: samples (T,), channels averaged. Shares no code with bimodal."""
    pieces = []
    with av.open(str(path), metadata_errors="ignore") as file:
        track = file.streams.audio[0]
        layout = track.codec_context.layout  # asked for once: PyAV crashes where it is custom and asked for twice
        channels, custom = layout.nb_channels, " channels (" in layout.name
        if custom:
            track.codec_context.layout = f"{channels} channels"
        target = f"{channels} channels" if custom else layout.name
        resampler = av.AudioResampler(format="flt", layout=target, rate=rate)  # planar crashes PyAV from 8 channels on
        for packet in file.demux(track):
            try:
                for frame in packet.decode():
                    pieces += [piece.to_ndarray().reshape(-1, channels) for piece in resampler.resample(frame)]
            except av.error.InvalidDataError:
                continue
        pieces += [piece.to_ndarray().reshape(-1, channels) for piece in resampler.resample(None)]
    return np.concatenate(pieces).mean(axis=1)


def libsndfile(path: Path, rate: int = RATE) -> np.ndarray:
    """What libsndfile decodes of a file: samples (T,), channels averaged."""
    import soxr

    samples, found = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), found, rate)


def likeness(signal: np.ndarray, expected: np.ndarray, lag: int = 1200) -> float:
    """The largest correlation of two signals that begin together or a little apart, 0 to 1."""
    first, second = (one[: 4 * RATE : 3].astype(np.float64) for one in (signal, expected))
    size, lag = min(len(first), len(second)) - lag // 3, lag // 3
    if size < 2 * lag:
        size, lag = min(len(first), len(second)), 0
    found = 0.0
    for one, other in ((first, second), (second, first)):
        window, kept = one[: size + lag], other[:size]
        sums = np.concatenate([[0.0], np.cumsum(window**2)])
        power = sums[size:] - sums[:-size]
        products = np.correlate(window, kept, "valid")
        found = max(found, float((np.abs(products) / np.sqrt(power * (kept**2).sum() + 1e-12)).max()))
    return found
