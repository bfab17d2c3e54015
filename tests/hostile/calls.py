"""Python arguments, words, stretches and streams that no caller should pass, and what then comes back."""

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from bimodal import Clip
from bimodal.asr.timed_words import TimedWords
from bimodal.audio.segmentation import SegmentConfig
from bimodal.inference.stream import TimelineConfig
from bimodal.records import Recognition
from tests.hostile.attempts import Attempt, World, command
from tests.hostile.recordings import WAV
from tests.hostile.sounds import RATE, encoded, sweep

SWEEP = sweep()
TEXTS: dict[str, str] = {
    "plain": "Stop that at once!", "empty": "", "blank": " \n\t", "nul": "a\0b", "bell": "\a\a\a",
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;owned\x07", "lone-surrogate": "a\ud800b", "two-lone": "\udfff\ud800",
    "right-to-left": "\u202eمرحبا\u202c שלום", "zero-width": "\u200b\u200d\ufeff", "combining": "h" + "\u0335" * 5000,
    "emoji": "👩‍👩‍👧‍👦" * 200, "flags": "\U0001f1e6" * 999, "private-use": "\ue000\U0010ffff",
    "noncharacters": "\ufffe\uffff", "megabyte": "word " * 200_000, "one-long-word": "a" * 1_000_000,
    "letters-apart": "a b " * 50_000, "digits": "9" * 10_000, "quotes": '"' * 1000 + "'" * 1000,
    "markup": "<script>alert(1)</script>", "special-tokens": "[CLS] [SEP] [PAD] [UNK] [MASK] </s> <s>",
    "special-many": "[SEP]" * 2000, "braces": "{0.__class__} %s %n ${HOME} $(id)",
    "line-separators": "a\u2028b\u2029c\x85d\x0be\x0c", "carriage-returns": "a\rb\r\nc", "tabs": "\t" * 10_000,
    "cuneiform": "𒀀𒀁𒀂", "javanese": "ꦲꦤꦕꦫꦏ", "mathematical": "𝕊𝕥𝕠𝕡", "fullwidth": "Ｓｔｏｐ！", "ligature": "ﷺ" * 500,
    "tag-characters": "\U000e0041" * 300, "path": "../../etc/passwd", "csv-formula": "=1+1",
    "json": '{"emotion": "joy"}', "newlines": "\n" * 10_000, "base64": "QUJD" * 5000,
}  # fmt: skip
"""Transcripts; each has an answer, or abstains where nothing is said."""

_NOTHING = ("empty", "blank", "zero-width", "bell", "tabs", "tag-characters", "newlines")

AUDIO: dict[str, tuple[Any, Any, str]] = {
    "nan": (np.full(RATE, np.nan, np.float32), RATE, "NaN or infinite"),
    "inf": (np.r_[SWEEP, np.inf], RATE, "NaN or infinite"),
    "empty": (np.zeros(0), RATE, "holds no samples|no samples"), "scalar": (np.float32(1), RATE, r"expected \(T,\)"),
    "none-in-list": ([None] * 9, RATE, "is no recording"), "three-axes": (np.zeros((2, 3, 4)), RATE, "shape"),
    "square": (np.zeros((9, 9)), RATE, "does not tell time"),
    "bool": (np.zeros(99, bool), RATE, "bool is no recording"),
    "complex": (np.zeros(99, complex), RATE, "is no recording"),
    "objects": (np.array([object()] * 9), RATE, "is no recording"),
    "text-array": (np.array(["a"] * 9), RATE, "is no recording"),
    "dates": (np.array(["2020"] * 9, "datetime64[s]"), RATE, "is no recording"),
    "uint16": (np.zeros(99, np.uint16), RATE, "no known range"),
    "int64": (np.zeros(99, np.int64), RATE, "no known range"),
    "huge-floats": (np.full(RATE, 1e30), RATE, r"expected \[-1, 1\]"),
    "float16": (SWEEP.astype(np.float16), RATE, ""), "longdouble": (SWEEP.astype(np.longdouble), RATE, ""),
    "big-endian": (SWEEP.astype(">f4"), RATE, ""), "big-endian-int": ((SWEEP * 32767).astype(">i2"), RATE, ""),
    "strided": (np.repeat(SWEEP, 2)[::2], RATE, ""), "reversed": (SWEEP[::-1], RATE, ""),
    "read-only": (np.frombuffer(SWEEP.tobytes(), np.float32), RATE, ""),
    "fortran": (np.asfortranarray(np.stack([SWEEP, SWEEP], 1)), RATE, ""),
    "masked": (np.ma.array(SWEEP, mask=SWEEP > 0.1), RATE, "|"), "subclass": (SWEEP.view(np.recarray), RATE, "|"),
    "structured": (np.zeros(9, [("a", "f4")]), RATE, "is no recording"),
    "list": (SWEEP.tolist(), RATE, ""), "tuple": (tuple(SWEEP[:99].tolist()), RATE, ""),
    "memory-view": (memoryview(WAV), None, ""), "bytes": (WAV, None, ""), "byte-array": (bytearray(WAV), None, ""),
    "no-bytes": (b"", None, "empty|0 bytes"), "bytes-with-rate": (WAV, RATE, "leave it out"),
    "stream": (io.BytesIO(WAV), None, ""), "stream-at-its-end": (None, None, "nothing to recognise"),
    "text-stream": (io.StringIO("a"), None, "text mode"), "number": (5, RATE, "expected"),
    "number-alone": (5, None, "sampling rate"), "dictionary": ({}, None, "expected 'array'"),
    "dictionary-path": ({"path": "/no/where.wav"}, None, "no such file"),
    "dictionary-list": ({"array": [[1]], "sampling_rate": RATE}, None, "|"),
    "dictionary-text": ({"array": "abc", "sampling_rate": RATE}, None, "leave it out"),
    "nul-path": ("a\0b.wav", None, "."), "long-path": ("a" * 5000 + ".wav", None, "."),
    "surrogate-path": ("\ud800.wav", None, "."), "url": ("http://example.org/a.wav", None, "no such file"),
    "device": ("/dev/zero", None, "pipe or device"), "folder": ("/", None, "is a folder"),
    "proc": ("/proc/self/mem", None, "."), "proc-status": ("/proc/self/status", None, "."),
    "generator": ((x for x in [0.1]), RATE, "."), "set": ({0.1}, RATE, "."), "lambda": (lambda: 1, RATE, "."),
    "class": (np.ndarray, RATE, "."), "exception": (ValueError("x"), RATE, "."),
    "deep-list": ([[[[0.1]]]], RATE, "shape"), "ragged": ([[0.1], [0.1, 0.2]], RATE, "no array"),
    "pair-of-numbers": ((1, 2), None, "."), "pair-of-arrays": ((SWEEP, SWEEP), None, "."),
    "triple": ((SWEEP, RATE, 1), None, "."), "m4a-bytes": (encoded("ipod", "aac"), None, ""),
}  # fmt: skip
"""Audio as callers pass it, with its rate, and the words of the sentence; empty where there is a result."""

RATES: dict[str, tuple[Any, str]] = {
    "0": (0, "positive"), "negative": (-16_000, "positive"), "nan": (float("nan"), "whole number"),
    "inf": (float("inf"), "whole number"), "true": (True, "positive"), "text": ("16000", "sampling rate"),
    "khz": (16, "16 kHz are 16000 Hz"), "khz-float": (44.1, "44100"), "huge": (10**30, "positive|whole"),
    "half": (16_000.5, "whole number"), "list": ([16_000], "whole number"),
    "none": (None, "need their sampling rate"), "array": (np.array(16_000), ""), "numpy": (np.int16(16_000), ""),
    "bytes": (b"16000", "sampling rate"), "complex": (16_000 + 0j, "whole number"), "highest": (1_000_000, ""),
    "lowest": (1000, ""), "beyond": (1_000_001, "positive"),
}  # fmt: skip

SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "hop-nan": ({"hop": float("nan")}, "hop"), "hop-0": ({"hop": 0}, "hop"), "hop-negative": ({"hop": -1.0}, "hop"),
    "hop-huge": ({"hop": 1e308, "window": 1e308}, ""),
    "hop-inf": ({"hop": float("inf"), "window": float("inf")}, "hop"), "window-below-hop": ({"hop": 5.0}, "hop"),
    "smoothing-nan": ({"smoothing": float("nan")}, "smoothing"),
    "smoothing-negative": ({"smoothing": -1.0}, "smoothing"), "smoothing-tiny": ({"smoothing": 1e-300}, ""),
    "channels": ({"channels": "left"}, "channels"), "track-0": ({"track": 0}, "track"),
    "track-huge": ({"track": 10**9}, "track"),
}  # fmt: skip

SEGMENTS: dict[str, dict[str, float]] = {
    "threshold-0": {"threshold": 0.0}, "threshold-1": {"threshold": 1.0},
    "threshold-nan": {"threshold": float("nan")}, "release-above": {"release": 0.9},
    "padding-nan": {"padding": float("nan")}, "padding-long": {"padding": 9.0},
    "pause-inf": {"min_pause": float("inf")}, "pause-nan": {"min_pause": float("nan")},
    "speech-nan": {"min_speech": float("nan")}, "speech-0": {"min_speech": 0.0},
    "longest-inf": {"max_seconds": float("inf")}, "longest-0": {"max_seconds": 0.0},
    "longest-huge": {"max_seconds": 1e9}, "pause-negative": {"min_pause": -1.0},
}  # fmt: skip

WORDS: dict[str, tuple[dict[str, Any], str]] = {
    "backwards": ({"start": 2.0, "end": 1.0, "transcript": "a"}, "."),
    "nan": ({"start": float("nan"), "end": 1.0, "transcript": "a"}, "."),
    "inf": ({"start": 0.0, "end": float("inf"), "transcript": "a"}, "."),
    "negative": ({"start": -1.0, "end": 1.0, "transcript": "a"}, "."),
    "huge": ({"start": 1e300, "end": 1e301, "transcript": "a"}, "|"),
    "empty": ({"start": 0.0, "end": 1.0, "transcript": ""}, "|"),
    "surrogate": ({"start": 0.0, "end": 1.0, "transcript": "\ud800"}, "|"),
    "megabyte": ({"start": 0.0, "end": 1.0, "transcript": "a " * 500_000}, "|"),
    "sure": ({"start": 0.0, "end": 1.0, "transcript": "a", "confidence": 2.0}, "."),
    "sure-nan": ({"start": 0.0, "end": 1.0, "transcript": "a", "confidence": float("nan")}, "."),
    "point": ({"start": 1.0, "end": 1.0, "transcript": "a"}, "|"),
}  # fmt: skip

CLIPS: dict[str, tuple[dict[str, Any], str]] = {
    "sure-nan": ({"transcript": "a", "transcript_confidence": float("nan")}, "transcript_confidence"),
    "sure-2": ({"transcript": "a", "transcript_confidence": 2.0}, "transcript_confidence"),
    "sure-negative": ({"transcript": "a", "transcript_confidence": -1.0}, "transcript_confidence"),
    "sure-0": ({"transcript": "a", "transcript_confidence": 0.0}, ""),
    "sure-text": ({"transcript": "a", "transcript_confidence": "x"}, "transcript_confidence"),
    "transcript-number": ({"transcript": 5}, "transcript"), "transcript-bytes": ({"transcript": b"a"}, "transcript"),
    "transcript-list": ({"transcript": ["a"]}, "transcript"),
    "speaker-number": ({"transcript": "a", "speaker": 5}, "|"),
    "speaker-surrogate": ({"transcript": "a", "speaker": "\ud800"}, "|"), "columns": ({"columns": [1.0]}, "|"),
    "before-empty": ({"transcript": "a", "before": ()}, ""), "language": ({"transcript": "a", "language": "xx"}, ""),
    "language-long": ({"transcript": "a", "language": "x" * 100_000}, "|"),
}  # fmt: skip

OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "speaker-surrogate": (("--speaker", "caf\udce9"), ""), "speaker-ansi": (("--speaker", "\x1b[31m"), ""),
    "speaker-huge": (("--speaker", "x" * 100_000), ""), "transcript-surrogate": (("--transcript", "caf\udce9"), ""),
    "track-0": (("--track", "0"), "track"), "track-99": (("--track", "99"), "no sound track 99"),
    "track-text": (("--track", "x"), "track"), "threads-negative": (("--threads", "-1"), "threads"),
    "threads-huge": (("--threads", "999999999999"), "threads"), "format": (("--format", "docx"), "is not one of"),
    "format-empty": (("--format", ""), "is not one of"), "model-missing": (("--model", "nowhere"), "nowhere"),
    "model-file": (("--model", "/etc/passwd"), "."), "out-file": (("--out", "/etc/passwd"), "."),
    "out-long": (("--out", "a" * 5000), "."), "plot-text": (("--plot", "a.txt"), "."),
    "plot-nowhere": (("--plot", "/nowhere/a.png"), "."),
    "transcripts-missing": (("--transcripts", "none.csv"), "none.csv"),
    "stats-folder": (("--speaker-stats", "/", "--speaker", "a"), "."),
    "stats-text": (("--speaker-stats", "/etc/passwd", "--speaker", "a"), "."),
    "both-words": (("--transcript", "a", "--transcribe"), "only one of"), "unknown": (("--nonsense",), "nonsense"),
    "asr-missing": (("--transcribe", "--asr-model", "/nowhere"), "asr"),
    "channels": (("--channels", "left"), "channels"), "asr-folder": (("--transcribe", "--asr-model", "/etc"), "asr"),
}  # fmt: skip
"""Options of `recognize`, with a recording before them."""

STRETCHES: dict[str, tuple[float | None, float | None, str]] = {
    "nan": (float("nan"), None, "no samples"), "inf": (float("inf"), None, "no samples"),
    "negative": (-1.0, None, "no samples"), "backwards": (0.8, 0.2, "no samples"),
    "beyond": (5.0, None, "no samples"), "point": (0.5, 0.5, "no samples"), "huge-end": (0.5, 1e308, ""),
    "inf-end": (0.5, float("inf"), ""), "nan-end": (None, float("nan"), "no samples"),
    "huge-start": (1e308, None, "no samples"), "tiny": (0.0, 1e-300, "no samples"),
}  # fmt: skip


def attempts() -> Iterator[Attempt]:
    """All attempts with Python arguments, words and streams."""
    for number, (name, text) in enumerate(TEXTS.items()):
        refused = "nothing to recognise" if name in _NOTHING else ""
        door, wrong = "Python", _wrong_result
        yield Attempt(door=door, name=f"words-{name}", ask=partial(_words, text), refused=refused, wrong=wrong)
        if number % 3 == 1 and len(text) < 100_000:
            ask = partial(_say, text)
            yield Attempt(door="command line", name=f"words-{name}", ask=ask, refused=refused, wrong=_wrong_line)
    for name, (audio, rate, refused) in AUDIO.items():
        ask = partial(_audio, audio, rate)
        yield Attempt(door="Python", name=f"audio-{name}", ask=ask, refused=refused, wrong=_wrong_result)
    for name, (rate, refused) in RATES.items():
        yield Attempt(door="Python", name=f"rate-{name}", ask=partial(_audio, SWEEP, rate), refused=refused)
        refused = "" if name == "none" else refused
        if name != "none":
            yield Attempt(door="Python", name=f"stream-rate-{name}", ask=partial(_stream, rate), refused=refused)
    for name, (settings, refused) in SETTINGS.items():
        yield Attempt(door="Python", name=f"timeline-{name}", ask=partial(_timeline, settings), refused=refused)
    for name, values in SEGMENTS.items():
        yield Attempt(door="Python", name=f"segments-{name}", ask=partial(_segments, values), refused="expected")
    for name, (word, refused) in WORDS.items():
        yield Attempt(door="Python", name=f"timed-{name}", ask=partial(_timed, word), refused=refused)
    for name, (fields, refused) in CLIPS.items():
        yield Attempt(door="Python", name=f"clip-{name}", ask=partial(_clip, fields), refused=refused)
    for name, (options, refused) in OPTIONS.items():
        yield Attempt(door="command line", name=f"option-{name}", ask=partial(_options, options), refused=refused)
    for name, (start, end, refused) in STRETCHES.items():
        ask = partial(_stretch, start, end)
        yield Attempt(door="Python", name=f"stretch-{name}", ask=ask, refused=refused, wrong=_wrong_result)


def _words(text: str, world: World) -> Recognition:
    return world.recognizer.recognize(transcript=text)


def _say(text: str, world: World) -> str:
    return command("recognize", f"--transcript={text}", "--format", "jsonl")


def _audio(audio: Any, rate: Any, world: World) -> Recognition:
    if isinstance(audio, io.BytesIO):
        audio.seek(0)
    return world.recognizer.recognize(audio, sampling_rate=rate)


def _stream(rate: Any, world: World) -> list[Recognition]:
    stream = world.recognizer.stream(rate)
    return stream.push(SWEEP) + stream.finish()


def _timeline(settings: dict[str, Any], world: World) -> list[Recognition]:
    (path := world.place("a.wav")).write_bytes(WAV)
    return list(world.recognizer.recognize_long(path, config=TimelineConfig(**settings)))


def _segments(values: dict[str, float], world: World) -> SegmentConfig:
    return SegmentConfig(**values)


def _timed(word: dict[str, Any], world: World) -> list[Recognition]:
    (path := world.place("a.wav")).write_bytes(WAV)
    return list(world.recognizer.recognize_long(path, words=[TimedWords(**word)]))


def _stretch(start: float | None, end: float | None, world: World) -> Recognition:
    (path := world.place("a.wav")).write_bytes(WAV)
    return world.recognizer.recognize_batch([Clip(audio=path, start=start, end=end)])[0]


def _clip(fields: dict[str, Any], world: World) -> Recognition:
    return world.recognizer.recognize_batch([Clip(**fields)])[0]


def _options(options: tuple[str, ...], world: World) -> str:
    (path := world.place("a.wav")).write_bytes(WAV)
    told = command("recognize", path, *options)
    told.encode()
    return told


def _wrong_result(result: Recognition) -> str:
    total = sum(result.scores.values())
    return "" if abs(total - 1) < 1e-4 else f"the scores sum to {total}"


def _wrong_line(told: str) -> str:
    lines = [line for line in told.splitlines() if line.startswith("{")]
    return "" if len(lines) == 1 else f"{len(lines)} lines of JSON, expected 1"
