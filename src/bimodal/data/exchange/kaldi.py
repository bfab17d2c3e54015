"""Kaldi's data folder: `wav.scp`, `text`, `utt2spk`, `segments`, and one `utt2NAME` for each further column.

Each file has a line for each utterance (`wav.scp`: recording), its id first, in the order of the bytes. Kaldi itself
reads the first four, and `utt2lang`; ESPnet and others read any `utt2NAME`. Source: "Data preparation", kaldi-asr.org.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import link_below, spoken
from bimodal.data.exchange.rows import many, row_cells, rows_as_manifest, write_text
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

NAMES: Final = {"transcript": "text", "speaker": "utt2spk", "emotion": "utt2emo"}
"""Files of the fields that have a usual one; the others are in `utt2FIELD`."""
RECORDINGS, SEGMENTS, GENDERS = "wav.scp", "segments", "spk2gender"
TO_THE_END: Final = "-1"  # as 'extract-segments' reads it
UNKNOWN: Final = "und"  # a language that nobody knows (ISO 639-2)
WITHOUT: Final = {"transcript": "", "lang": UNKNOWN}  # cells of the files that have a line for each utterance
COUNTED = ("utt2spk", "utt2dur", "utt2num_frames")  # the first is a field, the others follow from the recordings
COLUMN: Final = re.compile(r"[\w-]+")


def read(source: Path, options: ReadOptions) -> Manifest:
    """Utterances of a data folder, in the order of its files.

    Raises:
        ManifestError: A file is missing or has a wrong line, or a recording is the output of a command.
    """
    if not (source / RECORDINGS).is_file():
        raise ManifestError(f"{source}: no {RECORDINGS} in this folder, expected a data folder of Kaldi")
    recordings = _table(source / RECORDINGS)
    for name, path in recordings.items():
        if path.endswith("|") or path.startswith("|"):
            raise ManifestError(
                f"{source / RECORDINGS}: {name} is the output of a command, {path[:60]!r}; "
                "make a recording of it first, for example with 'copy_data_dir.sh' and 'wav-copy'"
            )
    columns = {_field(file): _table(file) for file in _columns(source)}
    genders = _table(source / GENDERS) if (source / GENDERS).is_file() else {}
    rows = [
        {**_told(name, columns, genders), **cells, "path": recordings[cells["path"]]}
        for name, cells in _utterances(source, recordings)
    ]
    return rows_as_manifest(rows, source, source, options.root)


def _told(name: str, columns: Mapping[str, Mapping[str, str]], genders: Mapping[str, str]) -> dict[str, str]:
    """What the tables say of an utterance, without what stands for nothing."""
    nothing = {"speaker": name, "lang": UNKNOWN}
    cells = {field: told.get(name, "") for field, told in columns.items()}
    gender = {"gender": genders[cells["speaker"]]} if cells.get("speaker") in genders else {}
    return {**gender, **{field: cell for field, cell in cells.items() if cell != nothing.get(field)}}


def _utterances(source: Path, recordings: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Id, recording and times of each utterance."""
    segments = source / SEGMENTS
    if not segments.is_file():
        yield from ((name, {"id": name, "path": name}) for name in recordings)
        return
    for name, rest in _table(segments).items():
        cells = rest.split()
        if len(cells) != 3 or cells[0] not in recordings:
            found = f"{name} {rest}"[:80]
            raise ManifestError(f"{segments}: {found!r}, expected an id, a recording of {RECORDINGS}, start and end")
        times = {"start": cells[1], "end": "" if cells[2] == TO_THE_END else cells[2]}
        whole = cells[2] == TO_THE_END and not cells[1].strip("0.")
        yield name, {"id": name, "path": cells[0], **({} if whole else times)}


def _columns(source: Path) -> list[Path]:
    found = [file for file in sorted(source.glob("utt2*")) if file.is_file() and file.name not in COUNTED]
    return [file for name in ("text", "utt2spk") if (file := source / name).is_file()] + found


def _field(file: Path) -> str:
    return {told: field for field, told in NAMES.items()}.get(file.name, file.name.removeprefix("utt2"))


def _table(file: Path) -> dict[str, str]:
    """What a file says of each id."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ManifestError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{file}: not UTF-8 text; save it again as UTF-8") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ") if "\t" not in line else line.strip().partition("\t")
        if name in found:
            raise ManifestError(f"{file}:{number}: id {name!r} again; every line has an id of its own")
        found[name] = rest.strip()
    return found


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write a data folder. Paths in `wav.scp` are relative to the folder: run Kaldi's programs there.

    Raises:
        ManifestError: No row has a recording, or ids are the same without their spaces.
    """
    lost: list[str] = []
    rows = _with_plain_ids(spoken(outgoing, "Kaldi's data folder", lost), lost)
    linked = link_below(outgoing, rows)
    if any(row.start is not None or row.end is not None for row in rows) or len({row.path for row in rows}) < len(rows):
        _write_segments(outgoing.folder, linked)
    else:
        _write_table(outgoing.folder / RECORDINGS, {row.id: str(row.path) for row in linked})
    _write_columns(outgoing.folder, rows, lost)
    yield from lost


def _with_plain_ids(rows: Sequence[Utterance], lost: list[str]) -> tuple[Utterance, ...]:
    plain = tuple(replace(row, id=re.sub(r"\s+", "_", row.id)) for row in rows)
    changed = sum(before.id != after.id for before, after in zip(rows, plain, strict=True))
    if changed:
        lost.append(f"{many(changed, 'id')} with spaces, which Kaldi cannot read: there are underscores now")
    if len({row.id for row in plain}) < len(plain):
        raise ManifestError("two ids are the same once their spaces are underscores, as Kaldi needs; rename one")
    return plain


def _write_segments(folder: Path, rows: Sequence[Utterance]) -> None:
    """`segments`, and a `wav.scp` whose recordings have the ids of their paths."""
    names = {str(row.path): re.sub(r"\s+", "_", str(row.path)) for row in rows}
    times = {row.id: (row.start or 0.0, TO_THE_END if row.end is None else f"{row.end:.15g}") for row in rows}
    segments = {row.id: f"{names[str(row.path)]} {times[row.id][0]:.15g} {times[row.id][1]}" for row in rows}
    _write_table(folder / SEGMENTS, segments)
    _write_table(folder / RECORDINGS, {name: path for path, name in names.items()})


def _write_columns(folder: Path, rows: Sequence[Utterance], lost: list[str]) -> None:
    cells = {row.id: _one_line(row) for row in rows}
    columns = list(dict.fromkeys(name for told in cells.values() for name in told))
    odd = [name for name in columns if not COLUMN.fullmatch(name) or name in ("spk", "emo", "dur", "num_frames")]
    if odd:
        lost.append(f"the columns {', '.join(odd)} are left out: their names cannot be names of files of Kaldi")
    if any(re.search(r"\s", row.speaker or "") for row in rows):
        lost.append("names of speakers with spaces, which Kaldi cannot read: there are underscores now")
    if any(row.transcript is not None and cells[row.id].get("transcript") != row.transcript for row in rows):
        lost.append("transcripts lose line breaks and spaces around them: Kaldi has one line for each utterance")
    speakers = {name: re.sub(r"\s+", "_", told.pop("speaker", name)) for name, told in cells.items()}
    _write_table(folder / NAMES["speaker"], speakers)  # who has no name has that of the utterance
    _write_table(folder / "spk2utt", _utterances_of(speakers))
    for column in columns:
        told = {name: found.get(column, WITHOUT.get(column)) for name, found in cells.items()}
        if column not in (*odd, "speaker"):
            _write_table(folder / NAMES.get(column, f"utt2{column}"), {k: v for k, v in told.items() if v is not None})


def _utterances_of(speakers: Mapping[str, str]) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for name, speaker in sorted(speakers.items()):
        found.setdefault(speaker, []).append(name)
    return {speaker: " ".join(names) for speaker, names in found.items()}


def _one_line(row: Utterance) -> dict[str, str]:
    """Cells that have a file of their own, without line breaks and spaces around them."""
    cells = {name: str(value) for name, value in row_cells(row).items() if name not in ("id", "path", "start", "end")}
    plain = {
        name: text.strip() if len(text.splitlines()) < 2 else " ".join(text.split()) for name, text in cells.items()
    }
    return {name: text for name, text in plain.items() if text}


def _write_table(file: Path, told: Mapping[str, str]) -> None:
    """Lines in the order of the bytes of their ids, as Kaldi needs them."""
    write_text(file, "".join(f"{name} {told[name]}".rstrip(" ") + "\n" for name in sorted(told, key=str.encode)))


def recognise(source: Path) -> bool:
    """Whether a folder has `wav.scp`."""
    return (source / RECORDINGS).is_file()


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="Kaldi: a data folder, also of ESPnet and icefall",
    files="wav.scp, text, utt2spk, segments, utt2emo, utt2NAME for further columns",
)
