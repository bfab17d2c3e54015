"""Results as an annotation document of ELAN (EAF 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd)."""

import mimetypes
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final, TextIO
from urllib.parse import quote
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from bimodal.errors import BimodalError
from bimodal.output.marks import encodable, gapless, one_line, tier_prefix, times_of
from bimodal.records import Recognition

_SCHEMA: Final = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_DATE: Final = "1970-01-01T00:00:00+00:00"  # the schema needs one; the same results are to give the same bytes
_TYPE: Final = "default-lt"


def write_elan(found: Iterable[tuple[str, Recognition]], stream: TextIO) -> None:
    """Three tiers per speaker: emotions, their scores, words. Annotations of a tier never overlap, as ELAN needs it.

    Args:
        found: Name of the recording and result, one after the other.
        stream: Text stream in UTF-8.

    Raises:
        BimodalError: No results, or results without times.
    """
    tiers: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    prefixes: dict[str, str] = {}
    recordings: list[str] = []
    for recording, result in found:
        recordings = [recording]
        start, end = times_of(result, "elan")
        prefix, speaker = tier_prefix(result.speaker or "", prefixes), one_line(result.speaker)
        score = "" if result.emotion is None else f"{result.scores[result.emotion]:.2f}"
        for name, text in (("emotion", result.emotion), ("score", score), ("transcript", result.transcript)):
            tiers.setdefault((f"{prefix}{name}", speaker), []).append((start, end, one_line(text)))
    if not tiers:
        raise BimodalError("no results to write as elan")
    document = _document(recordings[-1])
    slots = SubElement(document, "TIME_ORDER")
    for (name, speaker), marks in tiers.items():
        tier = SubElement(document, "TIER", LINGUISTIC_TYPE_REF=_TYPE, TIER_ID=name)
        if speaker:
            tier.set("PARTICIPANT", speaker)
        for start, end, text in gapless(marks, 0):
            if text:
                _annotate(tier, slots, start, end, text)
    SubElement(document, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID=_TYPE, TIME_ALIGNABLE="true")
    indent(document)
    stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    ElementTree(document).write(stream, encoding="unicode")
    stream.write("\n")


def _document(recording: str) -> Element:
    """The document with the place of its recording, relative to itself."""
    document = Element("ANNOTATION_DOCUMENT", AUTHOR="bimodal", DATE=_DATE, FORMAT="3.0", VERSION="3.0")
    document.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    document.set("xsi:noNamespaceSchemaLocation", _SCHEMA)
    header = SubElement(document, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    name = quote(encodable(PurePath(recording).name) or "recording")
    kind = mimetypes.guess_type(name)[0] or "unknown"
    SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=name, MIME_TYPE=kind, RELATIVE_MEDIA_URL=f"./{name}")
    return document


def _annotate(tier: Element, slots: Element, start: int, end: int, text: str) -> None:
    """One annotation with time slots of its own."""
    number = len(slots) // 2 + 1
    names = f"ts{2 * number - 1}", f"ts{2 * number}"
    for name, time in zip(names, (start, end), strict=True):
        SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(time))
    annotation = SubElement(SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{number}")
    annotation.set("TIME_SLOT_REF1", names[0])
    annotation.set("TIME_SLOT_REF2", names[1])
    SubElement(annotation, "ANNOTATION_VALUE").text = text
