"""Recognitions written as JSON Lines, JSON, CSV, WebVTT, SRT, TextGrid, ELAN, Label Studio, RTTM and EmotionML.

Each writer takes results one by one and writes them to a text stream; some have to collect them.
Packages for these formats hold whole documents and leave escaping to the caller, so we have our own writers. The
tests read their output with those packages.
"""

import csv
import html
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePath
from typing import Any, Final, TextIO
from urllib.parse import quote

import msgspec

from bimodal.data.dimensions import expected_position
from bimodal.errors import BimodalError
from bimodal.output.elan import write_elan
from bimodal.output.label_studio import write_label_studio
from bimodal.output.marks import encodable, gapless, one_line, tier_prefix, times_of
from bimodal.records import Recognition

EMOTIONML: Final = "http://www.w3.org/2009/10/emotionml"
"""Namespace of EmotionML 1.0 (https://www.w3.org/TR/emotionml/)."""

Named = tuple[str, Recognition]
"""Name of a recording, and one of its results."""

Writer = Callable[[Iterable[Named], TextIO], None]

FIRST_COLUMNS: Final = ("start", "end", "speaker", "emotion")
"""Columns of a table of results; after them comes one column for each emotion's score."""

LAST_COLUMNS: Final = (
    "gate",
    "arousal",
    "valence",
    "prediction_set",
    "coverage",
    "abstained",
    "reason",
    "transcript",
    "transcript_source",
    "transcript_confidence",
    "transcript_language",
    "model",
    "revision",
    "adapted_to",
    "speaker_confidence",
    "overlap",
    "error",
)
"""Columns after the scores."""

_CHANNEL: Final = re.compile("(?:channel|speaker) ([1-9][0-9]{0,8})")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_recognitions(
    recognitions: Iterable[Recognition], stream: TextIO, kind: str, *, recording: str = "recording"
) -> None:
    """Write the results of one recording in one of `FORMATS`.

    Args:
        recognitions: In order of time; of an iterator each result is written as it comes.
        stream: Text stream in UTF-8; for CSV opened with `newline=""`.
        kind: A key of `FORMATS`.
        recording: Name of the recording, for formats that contain it (RTTM, EmotionML).

    Raises:
        BimodalError: An unknown format, or results without times, or with absurd ones, in a format that needs them.
    """
    output = find_format(kind)
    output.write(_with_a_place(((recording, result) for result in recognitions), output), stream)


def write_recordings(found: Iterable[Named], stream: TextIO, kind: str, *, header: bool = True) -> None:
    """Write results of several recordings. JSON Lines and CSV contain the names of the recordings as `path`.

    Args:
        found: Pairs of recording name and result. Results of one recording follow one another.
        stream: As in `write_recognitions`.
        kind: A key of `FORMATS`; for several recordings one with `append`.
        header: False if the stream holds rows already, so that CSV needs no second header.

    Raises:
        BimodalError: As in `write_recognitions`.
    """
    output = find_format(kind)
    kept = _with_a_place(found, output)
    if output.append is None:
        output.write(kept, stream)
    else:
        output.append(kept, stream, header)


def _with_a_place(found: Iterable[Named], output: "FormatInfo") -> Iterator[Named]:
    """The results that a format has a place for: subtitles and annotations have none for an error."""
    return ((name, result) for name, result in found if output.errors or result.error is None)


def find_format(kind: str) -> "FormatInfo":
    """The entry of `FORMATS` of this name.

    Raises:
        BimodalError: An unknown format.
    """
    if kind not in FORMATS:
        raise BimodalError(f"unknown format '{kind}', expected one of {', '.join(FORMATS)}")
    return FORMATS[kind]


def _emotions_first(found: Iterable[Named]) -> tuple[list[str], Iterator[Named]]:
    """The emotions of the first result with scores, and all results; those with an error have no scores."""
    results, held = iter(found), list[Named]()
    for named in results:
        held.append(named)
        if named[1].scores:
            break
    return list(held[-1][1].scores) if held else [], chain(held, results)


def _write_jsonl(found: Iterable[Named], stream: TextIO, named: bool = False) -> None:
    for recording, result in found:
        # Lone surrogates cannot be written as UTF-8.
        plain = result.to_dict() | {"transcript": encodable(result.transcript), "speaker": encodable(result.speaker)}
        name = {"path": encodable(recording)} if named else {}
        stream.write(msgspec.json.encode(name | plain).decode() + "\n")


def _write_json(found: Iterable[Named], stream: TextIO) -> None:
    """One JSON document: the recording, its summary, its results, which are collected first."""
    from bimodal.inference.summary import summarise  # here, since the other formats start faster without

    names: dict[str, None] = {}
    lines, results = io.StringIO(), list[Recognition]()
    for recording, result in found:
        names[recording] = None
        results.append(result)
        _write_jsonl([(recording, result)], lines)
    document = {
        "recording": encodable(next(iter(names), None)),
        "summary": summarise(replace(one, transcript=encodable(one.transcript)) for one in results),
        "results": [msgspec.Raw(line.encode()) for line in lines.getvalue().splitlines()],
    }
    stream.write(msgspec.json.encode(document).decode() + "\n")


def _write_csv(found: Iterable[Named], stream: TextIO, named: bool = False, header: bool = True) -> None:
    writer = csv.writer(stream)
    emotions, results = _emotions_first(found)
    for row, (recording, result) in enumerate(results):
        if header and row == 0:
            names = [_cell(emotion) for emotion in emotions]
            writer.writerow([*(["path"] if named else []), *FIRST_COLUMNS, *names, *LAST_COLUMNS])
        scores = [f"{result.scores[emotion]:.4f}" if result.scores else "" for emotion in emotions]
        writer.writerow(
            ([_cell(recording)] if named else [])
            + [_cell(column_value(result, name)) for name in FIRST_COLUMNS]
            + scores
            + [_cell(column_value(result, name)) for name in LAST_COLUMNS]
        )


def column_value(result: Recognition, name: str) -> Any:
    """What a result has in one of `FIRST_COLUMNS` or `LAST_COLUMNS`; the emotions of a prediction set as text.

    Example:
        >>> from bimodal.records import PredictionSet
        >>> scores = {"anger": 0.7, "fear": 0.3}
        >>> one = PredictionSet(emotions=("anger", "fear"), coverage=0.9, by="marginal")
        >>> result = Recognition(emotion="anger", scores=scores, speech_scores=None, text_scores=None, gate=None,
        ...                      prediction_set=one)
        >>> [column_value(result, name) for name in ("emotion", "prediction_set", "coverage")]
        ['anger', 'anger; fear', 0.9]
    """
    if name not in ("prediction_set", "coverage"):
        return getattr(result, name)
    found = result.prediction_set
    if found is None:
        return None
    return found.coverage if name == "coverage" else "; ".join(found.emotions)


def _write_vtt(found: Iterable[Named], stream: TextIO) -> None:
    stream.write("WEBVTT\n")
    for _, result in found:
        start, end = times_of(result, "vtt")
        voice = f"<v {_escaped(one_line(result.speaker))}>" if result.speaker else ""
        stream.write(f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n{voice}{_escaped(_caption(result))}\n")


def _write_srt(found: Iterable[Named], stream: TextIO) -> None:
    for number, (_, result) in enumerate(found, start=1):
        start, end = times_of(result, "srt")
        voice = f"{one_line(result.speaker)}: " if result.speaker else ""
        text = f"{voice}{_caption(result)}".replace("-->", "->")  # the format knows no escapes
        stream.write(f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n")


def _write_textgrid(found: Iterable[Named], stream: TextIO) -> None:
    """Two tiers per speaker, emotions and words. Praat needs intervals without gaps and overlaps."""
    tiers: dict[str, list[tuple[int, int, str]]] = {}
    prefixes: dict[str, str] = {}
    for _, result in found:
        start, end = times_of(result, "textgrid")
        prefix = tier_prefix(result.speaker or "", prefixes)
        tiers.setdefault(f"{prefix}emotion", []).append((start, end, result.emotion or ""))
        tiers.setdefault(f"{prefix}transcript", []).append((start, end, result.transcript or ""))
    if not tiers:
        raise BimodalError("no results to write as textgrid")
    last = max(end for marks in tiers.values() for _, end, _ in marks)
    stream.write(f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = {last / 1000}\n')
    stream.write(f"tiers? <exists>\nsize = {len(tiers)}\nitem []:\n")
    for number, (name, marks) in enumerate(tiers.items(), start=1):
        intervals = list(gapless(marks, last))
        stream.write(f'    item [{number}]:\n        class = "IntervalTier"\n        name = {_praat(name)}\n')
        stream.write(f"        xmin = 0\n        xmax = {last / 1000}\n        intervals: size = {len(intervals)}\n")
        for index, (start, end, text) in enumerate(intervals, start=1):
            stream.write(f"        intervals [{index}]:\n            xmin = {start / 1000}\n")
            stream.write(f"            xmax = {end / 1000}\n            text = {_praat(text)}\n")


def _write_rttm(found: Iterable[Named], stream: TextIO) -> None:
    """One line per recognised emotion, in the field for the name. Speakers are channels, in order of appearance.

    The recording is named without its folder, as tools for RTTM expect. `channel 2` and `speaker 2` are channel 2.
    """
    channels: dict[str, dict[str | None, int]] = {}
    for recording, result in found:
        start, end = times_of(result, "rttm")
        known = channels.setdefault(recording, {})
        if result.emotion is not None:
            named = _CHANNEL.fullmatch(result.speaker or "")
            channel = int(named[1]) if named else known.setdefault(result.speaker, len(known) + 1)
            times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
            score = f"{result.scores[result.emotion]:.3f}"
            name = f"{_field(PurePath(recording).name)} {channel} {times} <NA> <NA> {_field(result.emotion)}"
            stream.write(f"SPEAKER {name} {score} <NA>\n")


def _write_emotionml(found: Iterable[Named], stream: TextIO) -> None:
    """One `emotion` per result: a category for each score, the segment as media fragment."""
    results = iter(found)
    first = next(results, None)
    stream.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<emotionml version="1.0" xmlns="{EMOTIONML}"')
    if first is None:
        stream.write("/>\n")
        return
    placed = expected_position(first[1].scores) is not None
    sets = ' dimension-set="#dimensions"' if placed else ""
    stream.write(f' category-set="#emotions"{sets}>\n  <vocabulary type="category" id="emotions">\n')
    for emotion in first[1].scores:
        stream.write(f"    <item name={_token(emotion)}/>\n")
    stream.write("  </vocabulary>\n")
    stream.write(_dimension_vocabulary() if placed else "")
    for recording, result in chain([first], results):
        if not result.abstained:
            stream.write("".join(f"  {line}\n" for line in _emotion_element(result, recording, placed=placed)))
    stream.write("</emotionml>\n")


def _dimension_vocabulary() -> str:
    """The dimensions of EmotionML, whose values go from 0 to 1: half of ours plus a half."""
    items = "".join(f'    <item name="{name}"/>\n' for name in ("arousal", "valence"))
    return f'  <vocabulary type="dimension" id="dimensions">\n{items}  </vocabulary>\n'


def _emotion_element(result: Recognition, recording: str, *, placed: bool) -> Iterator[str]:
    voice = [] if result.speech_scores is None else ["voice"]
    through = [*voice, *([] if result.text_scores is None else ["text"])]
    yield f'<emotion expressed-through="{" ".join(through)}">' if through else "<emotion>"
    if result.speaker:
        yield f'  <info><speaker xmlns="urn:bimodal">{_escaped(one_line(result.speaker))}</speaker></info>'
    for emotion, score in sorted(result.scores.items(), key=lambda pair: -pair[1]):
        yield f'  <category name={_token(emotion)} confidence="{min(1.0, max(0.0, score)):.4f}"/>'
    place = (expected_position(result.scores) if placed else None) or ()
    for name, value in zip(("arousal", "valence"), place, strict=False):
        yield f'  <dimension name="{name}" value="{(value + 1) / 2:.4f}"/>'
    if result.start is not None:
        start, end = times_of(result, "emotionml")
        uri = f"{quote(encodable(recording) or '')}#t={start / 1000:.3f},{end / 1000:.3f}"
        yield f'  <reference role="expressedBy" uri={_quoted(uri)}/>'
    if result.transcript:
        yield f"  {_escaped(one_line(result.transcript))}"
    yield "</emotion>"


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatInfo:
    """An output format.

    Attributes:
        write: Writes the results of one recording.
        suffix: Ending of a file in this format.
        media_type: What an HTTP response in this format is called.
        append: Writes the results of one recording with its name behind those of others; the last argument is True for
            the first one, which gets the header. None if a stream holds one recording.
        errors: Whether results with an error have a place; they are left out elsewhere.
    """

    write: Writer
    suffix: str
    media_type: str
    append: Callable[[Iterable[Named], TextIO, bool], None] | None = None
    errors: bool = False


FORMATS: Final[dict[str, FormatInfo]] = {
    "jsonl": FormatInfo(
        write=_write_jsonl,
        suffix=".jsonl",
        media_type="application/x-ndjson",
        append=lambda found, stream, header: _write_jsonl(found, stream, named=True),
        errors=True,
    ),
    "json": FormatInfo(write=_write_json, suffix=".json", media_type="application/json", errors=True),
    "csv": FormatInfo(
        write=_write_csv,
        suffix=".csv",
        media_type="text/csv; charset=utf-8",
        append=lambda found, stream, header: _write_csv(found, stream, named=True, header=header),
        errors=True,
    ),
    "vtt": FormatInfo(write=_write_vtt, suffix=".vtt", media_type="text/vtt; charset=utf-8"),
    "srt": FormatInfo(write=_write_srt, suffix=".srt", media_type="application/x-subrip; charset=utf-8"),
    "textgrid": FormatInfo(write=_write_textgrid, suffix=".TextGrid", media_type="text/plain; charset=utf-8"),
    "elan": FormatInfo(write=write_elan, suffix=".eaf", media_type="application/xml"),
    "labelstudio": FormatInfo(write=write_label_studio, suffix=".labelstudio.json", media_type="application/json"),
    "rttm": FormatInfo(
        write=_write_rttm,
        suffix=".rttm",
        media_type="text/plain; charset=utf-8",
        append=lambda found, stream, header: _write_rttm(found, stream),
    ),
    "emotionml": FormatInfo(write=_write_emotionml, suffix=".xml", media_type="application/emotionml+xml"),
}
"""The output formats: `bimodal recognize --format`, folders of results and the HTTP interface take what stands here."""


def _clock(milliseconds: int, point: str) -> str:
    """Hours, minutes, seconds and thousandths: 1:02:03.456."""
    seconds, thousandths = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{thousandths:03}"


def _caption(result: Recognition) -> str:
    """Text of a subtitle: `[anger 0.83] words`."""
    claim = "no emotion" if result.emotion is None else f"{result.emotion} {result.scores[result.emotion]:.2f}"
    return f"[{claim}] {one_line(result.transcript)}".rstrip()


def _cell(value: Any) -> Any:
    """A cell of CSV. Spreadsheets would run text that begins like a formula; an apostrophe in front prevents it.

    Example:
        >>> _cell("=1+1"), _cell("one"), _cell(-0.5)
        ("'=1+1", 'one', -0.5)
    """
    if isinstance(value, str):
        text = encodable(value) or ""
        return f"'{text}" if text.startswith(_FORMULA) else text
    return round(value, 4) if isinstance(value, float) else value


def _field(text: str) -> str:
    """A field of a line whose fields are separated by spaces."""
    return one_line(text).replace(" ", "_") or "<NA>"


def _praat(text: str) -> str:
    return '"' + one_line(text).replace('"', '""') + '"'


def _token(emotion: str) -> str:
    """An emotion as quoted XML name token."""
    return _quoted(re.sub(r"[^\w.:-]", "_", one_line(emotion)) or "_")


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _quoted(text: str) -> str:
    """An attribute's value."""
    return f'"{html.escape(text)}"'
