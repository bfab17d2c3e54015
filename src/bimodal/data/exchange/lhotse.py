"""lhotse: `recordings.jsonl.gz` and `supervisions.jsonl.gz` (or `.jsonl`), the manifests that `lhotse prepare` writes.

A recording has sources and a number of samples, a supervision a recording, start, duration, text, speaker, language,
and `custom` for all else. Source: https://lhotse.readthedocs.io (Recording, SupervisionSegment).
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import header_reader, link_below, spoken
from bimodal.data.exchange.rows import cell_text, json_lines, row_cells, rows_as_manifest
from bimodal.errors import ManifestError
from bimodal.records import Manifest

RECORDINGS, SUPERVISIONS = "*recordings*.jsonl*", "*supervisions*.jsonl*"
FIELDS: Final = {"text": "transcript", "language": "lang", "speaker": "speaker", "gender": "gender"}
_SLACK: Final = 0.001  # seconds; lhotse rounds


def read(source: Path, options: ReadOptions) -> Manifest:
    """Utterances of the supervisions; those of a whole recording have no times.

    Raises:
        ManifestError: A file is missing or damaged, a supervision has no recording, or a recording is no single file.
    """
    recordings = {str(one.get("id")): one for one in _lines(source, RECORDINGS)}
    rows = []
    for number, supervision in enumerate(_lines(source, SUPERVISIONS), start=1):
        where = f"{source}: supervision {number}"
        recording = recordings.get(str(supervision.get("recording_id")))
        if recording is None:
            raise ManifestError(f"{where}: its recording {supervision.get('recording_id')!r} is not in the recordings")
        rows.append(_cells(supervision, recording, where))
    return rows_as_manifest(rows, source, source, options.root)


def _lines(source: Path, pattern: str) -> Iterator[dict[str, Any]]:
    files = [file for file in sorted(source.glob(pattern)) if file.name.endswith((".jsonl", ".jsonl.gz"))]
    if not files:
        raise ManifestError(f"{source}: no {pattern} in this folder, expected recordings and supervisions of lhotse")
    for file in files:
        try:
            content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        except (OSError, EOFError, zlib.error) as error:
            raise ManifestError(f"{file}: cannot be read ({str(error)[:100]}); copy it again") from error
        yield from json_lines(file, content)


def _cells(supervision: Mapping[str, Any], recording: Mapping[str, Any], where: str) -> dict[str, str | float]:
    sources: Any = recording.get("sources")
    kinds = [one.get("type") if isinstance(one, dict) else one for one in sources] if isinstance(sources, list) else []
    if kinds != ["file"]:
        raise ManifestError(f"{where}: its recording has the sources {kinds}, expected one of type 'file'")
    custom = supervision.get("custom") or {}
    if not isinstance(custom, dict):
        raise ManifestError(f"{where}: custom is {str(custom)[:40]!r}, expected an object")
    named = {**custom, **{ours: supervision.get(theirs) for theirs, ours in FIELDS.items() if supervision.get(theirs)}}
    try:
        start, length = float(supervision["start"]), float(supervision["duration"])
        whole = float(recording["duration"])
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(
            f"{where}: start, duration and that of the recording must be numbers ({error!r})"
        ) from error
    times: dict[str, float] = {"start": start} if start or start + length < whole - _SLACK else {}
    if start + length < whole - _SLACK:
        times["end"] = round(start + length, 9)
    cells = {name: cell_text(value) for name, value in named.items()}
    return {**cells, "id": cell_text(supervision.get("id")), "path": cell_text(sources[0].get("source")), **times}


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write recordings and supervisions. Paths are relative to the folder.

    Raises:
        ManifestError: No row has a recording.
        AudioError: The header of a recording cannot be read.
    """
    lost: list[str] = []
    rows, header_of = spoken(outgoing, "lhotse", lost), header_reader(outgoing)
    recordings, supervisions = {}, []
    for row, place in zip(rows, link_below(outgoing, rows), strict=True):
        header, path = header_of(str(row.path)), str(place.path)
        channels = list(range(header.channels))
        samples = round(header.duration * header.sampling_rate)
        recordings[path] = {
            "id": path,
            "sources": [{"type": "file", "channels": channels, "source": path}],
            "sampling_rate": header.sampling_rate,
            "num_samples": samples,
            "duration": samples / header.sampling_rate,
            "channel_ids": channels,
        }
        start, end = row.start or 0.0, header.duration if row.end is None else row.end
        cells = {name: value for name, value in row_cells(row).items() if name not in ("id", "path", "start", "end")}
        supervisions.append(
            {
                "id": row.id,
                "recording_id": path,
                "start": start,
                "duration": round(end - start, 9),
                "channel": channels[0] if len(channels) == 1 else channels,
                **{theirs: cells.pop(ours) for theirs, ours in FIELDS.items() if ours in cells},
                "custom": cells,
            }
        )
    _write(outgoing.folder / "recordings.jsonl.gz", list(recordings.values()))
    _write(outgoing.folder / "supervisions.jsonl.gz", supervisions)
    yield from lost


def _write(file: Path, items: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    file.write_bytes(gzip.compress(lines.encode(), mtime=0))


def recognise(source: Path) -> bool:
    """Whether a folder has supervisions."""
    return source.is_dir() and any(source.glob(SUPERVISIONS))


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="lhotse: recordings and supervisions, also of icefall",
    files="recordings.jsonl.gz, supervisions.jsonl.gz, audio/",
)
