"""Recordings through a codec and back: coded by PyAV or libsndfile, decoded as any file of that format."""

import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import soundfile

from bimodal.audio.decode import SAMPLING_RATE, Signal, load_signal, resample
from bimodal.errors import BimodalError

TELEPHONE_RATE: Final = 8_000


def through_ffmpeg(signal: Signal, container: str, codec: str, rate: int, bit_rate: int) -> Signal:
    """A 16 kHz signal (T,) coded and decoded by FFmpeg, cut or padded to its length.

    Args:
        signal: Samples in [-1, 1].
        container: FFmpeg's name of the format, such as `mp3`.
        codec: FFmpeg's name of the encoder, such as `libmp3lame`.
        rate: Sampling rate of the codec in Hz.
        bit_rate: In bits per second.

    Raises:
        BimodalError: This FFmpeg has no such codec.
    """
    import av  # start-up: the tests of a file of scores need no codec

    coded = io.BytesIO()
    frame = av.AudioFrame.from_ndarray(_as_integers(signal)[None], format="s16", layout="mono")
    frame.sample_rate = SAMPLING_RATE
    try:
        with av.open(coded, "w", format=container) as file:
            stream: Any = file.add_stream(codec, rate=rate, layout="mono")
            stream.bit_rate = bit_rate
            for one in (frame, None):  # None takes out what the encoder holds back
                file.mux(stream.encode(one))
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, ValueError) as error:
        raise BimodalError(f"this FFmpeg cannot write {codec} ({error})") from error
    return _decoded(coded, len(signal))


def through_libsndfile(signal: Signal, subtype: str) -> Signal:
    """A 16 kHz signal (T,) at 8 kHz in a WAV file of that subtype, and back; cut or padded to its length.

    Raises:
        BimodalError: This libsndfile does not write the subtype.
    """
    coded = io.BytesIO()
    narrow = np.clip(resample(signal, SAMPLING_RATE, TELEPHONE_RATE), -1, 1)
    try:
        soundfile.write(coded, narrow, TELEPHONE_RATE, format="WAV", subtype=subtype)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise BimodalError(f"this libsndfile cannot write {subtype} ({error})") from error
    return _decoded(coded, len(signal))


def change_tempo(signal: Signal, factor: float) -> Signal:
    """A 16 kHz signal (T,) spoken faster by a factor (0.5 to 2), at the same pitch, by FFmpeg's filter `atempo`."""
    import av  # start-up, as above

    graph = av.filter.Graph()
    form = f"sample_rate={SAMPLING_RATE}:sample_fmt=flt:channel_layout=mono:time_base=1/{SAMPLING_RATE}"
    source, tempo, sink = graph.add("abuffer", form), graph.add("atempo", str(factor)), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(signal[None], np.float32), format="flt", layout="mono")
    frame.sample_rate = SAMPLING_RATE
    source.push(frame)
    source.push(None)
    return np.concatenate(list(_pulled(sink)))


def _pulled(sink: Any) -> Any:
    """The frames that a filter gives, until it has no more."""
    import av  # start-up, as above

    while True:
        try:
            yield sink.pull().to_ndarray()[0]
        except (av.error.EOFError, av.error.BlockingIOError):
            return


def _as_integers(signal: Signal) -> Any:
    return (np.clip(signal, -1, 1) * 32767).astype(np.int16)


def _decoded(coded: io.BytesIO, length: int) -> Signal:
    coded.seek(0)
    found = load_signal(coded)[:length]
    return np.pad(found, (0, length - len(found)))


CODECS: Final[Mapping[str, Callable[[Signal], Signal]]] = {
    "MP3, 32 kbit/s": lambda signal: through_ffmpeg(signal, "mp3", "libmp3lame", 16_000, 32_000),
    "Opus, 16 kbit/s": lambda signal: through_ffmpeg(signal, "ogg", "libopus", 16_000, 16_000),
    "AMR, 7.4 kbit/s": lambda signal: through_ffmpeg(signal, "amr", "libopencore_amrnb", 8_000, 7_400),
    "u-law, 8 kHz": lambda signal: through_libsndfile(signal, "ULAW"),
    "GSM, 8 kHz": lambda signal: through_libsndfile(signal, "GSM610"),
}
"""Codecs by their name in the report."""
