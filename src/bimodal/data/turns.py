"""Reference turns of recordings: who expresses which emotion from when to when.

A manifest with `path`, `start`, `end` and `emotion` names them, as do RTTM files (the emotion in the field for the
name, the speaker in the field for the channel) and TextGrids of Praat (tiers whose names end in `emotion`).
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

from bimodal.audio.recordings import EXTENSIONS
from bimodal.data.columns import FIELDS
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance, shortened

_SLACK: Final = 0.0015  # seconds; formats round times to milliseconds
_MOST_TOKENS: Final = 5_000_000
_TOKEN: Final = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\S)|<exists>|<absent>')
_TIER: Final = "emotion"

Token = str | float
"""Text in quotation marks, or a number."""


def read_turns(path: Path, root: Path | None = None) -> Manifest:
    """Reference turns, or clips, from a manifest, an RTTM file, a TextGrid, or a folder of the latter two.

    Args:
        path: A manifest (`.csv`, `.tsv`, `.jsonl`), an `.rttm`, a `.TextGrid`, or a folder. RTTM files and TextGrids
            lie beside their recordings; a TextGrid has the name of its recording.
        root: As in `read_manifest`; for RTTM and TextGrid, the folder of the recordings instead.

    Returns:
        One utterance a turn. Paths are relative to the folder of `path`, or absolute with `root`.

    Raises:
        ManifestError: A file cannot be read, has no turns, or names a recording that is not there.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, root)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return read_manifest(path, root=root)
    return _as_manifest(path, reader(path, root))


def _read_folder(folder: Path, root: Path | None) -> Manifest:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _READERS)
    if not files:
        raise ManifestError(f"{folder}: no .rttm and no .TextGrid in this folder, expected the reference turns")
    rows = [row for file in files for row in _READERS[file.suffix.lower()](file, root)]
    place = root or folder
    named = {row.path for row in rows}
    missing = [file.name for file in _recordings(place) if _stored(file, root) not in named]
    if missing:
        raise ManifestError(
            f"{folder}: {_few(missing)} {'has' if len(missing) == 1 else 'have'} no reference turns; add an .rttm or a "
            ".TextGrid, or move the recording elsewhere"
        )
    return _as_manifest(folder / "turns", rows)


def _as_manifest(path: Path, rows: Sequence[Utterance]) -> Manifest:
    if not rows:
        raise ManifestError(f"{path}: no turn has an emotion, expected at least one")
    return Manifest(path=path, utterances=tuple(rows), columns=FIELDS)


def _recordings(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in EXTENSIONS and file.is_file())


def _stored(file: Path, root: Path | None) -> str:
    """Path of a recording in a manifest's row."""
    return file.name if root is None else str(file.resolve())


def _find_recording(name: str, beside: Path, root: Path | None) -> str:
    """The recording of this name, with or without its extension."""
    folder = beside.parent if root is None else root
    known = _recordings(folder) if folder.is_dir() else []
    found = [file for file in known if name in (file.name, file.name.replace(" ", "_"))]
    found = found or [file for file in known if name in (file.stem, file.stem.replace(" ", "_"))]
    if not found:
        raise ManifestError(f"{beside}: no recording '{name}' in {folder}; --root names another folder")
    if len(found) > 1:
        raise ManifestError(f"{beside}: '{name}' may be {_few([file.name for file in found])}; name it with its ending")
    return _stored(found[0], root)


def _few(names: Sequence[str]) -> str:
    """Some names in a sentence.

    Example:
        >>> _few(["a.wav", "b.wav"]), _few(["a", "b", "c", "d"])
        ("'a.wav', 'b.wav'", "'a', 'b', 'c' and 1 more")
    """
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + rest


def _text(path: Path) -> str:
    """Content of a text file: UTF-8, or UTF-16 with its mark, as Praat writes where letters need it."""
    try:
        content = path.read_bytes()
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: neither UTF-8 nor UTF-16; save it again as UTF-8") from error


def _read_rttm(path: Path, root: Path | None) -> list[Utterance]:
    rows, found = [], dict[str, str]()
    for number, line in enumerate(_text(path).splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue  # comments, and records that are no turns
        times = [_seconds(field) for field in fields[3:5]]
        if len(fields) < 8 or None in times:
            raise ManifestError(
                f"{path}:{number}: {shortened(line, 80)!r}, expected SPEAKER recording channel start duration <NA> "
                "<NA> emotion"
            )
        recording, channel, emotion = fields[1], fields[2], fields[7]
        if recording not in found:
            found[recording] = _find_recording(recording, path, root)
        start, length = times[0] or 0.0, times[1] or 0.0
        rows.append(_turn(path, number, found[recording], start, start + length, emotion, f"channel {channel}"))
    return rows


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _turn(path: Path, number: int, recording: str, start: float, end: float, emotion: str, speaker: str) -> Utterance:
    if not 0 <= start < end:
        raise ManifestError(f"{path}:{number}: a turn from {start:g} to {end:g} s, expected 0 <= start < end")
    name = f"{recording}:{number}"
    return Utterance(id=name, path=recording, start=start, end=end, emotion=emotion, speaker=speaker or None)


def _read_textgrid(path: Path, root: Path | None) -> list[Utterance]:
    tokens = _tokens(path)
    try:
        tiers = _tiers(tokens)
    except ValueError:
        raise ManifestError(f"{path}: ends in the middle of a tier, or is no TextGrid") from None
    chosen = [tier for tier in tiers if tier[0].casefold().endswith(_TIER)] or (tiers if len(tiers) == 1 else [])
    if not chosen:
        names = _few([name for name, _ in tiers])
        raise ManifestError(f"{path}: tiers {names or 'are missing'}; expected one whose name ends in '{_TIER}'")
    recording = _find_recording(path.stem, path, root)
    rows = []
    for name, intervals in chosen:
        speaker = name[: -len(_TIER)].strip() if name.casefold().endswith(_TIER) else ""
        for number, (start, end, text) in enumerate(intervals, start=1):
            if text.strip():
                rows.append(_turn(path, number, recording, start, end, text.strip(), speaker))
    return rows


def _tokens(path: Path) -> Iterator[Token]:
    """Texts and free-standing numbers, which is what Praat reads of its long and its short form."""
    text = _text(path)
    if "ooTextFile" not in text[:200]:
        raise ManifestError(f"{path}: no TextGrid that is a text file of Praat")
    for count, found in enumerate(_TOKEN.finditer(text)):
        if count > _MOST_TOKENS:
            raise ManifestError(f"{path}: more than {_MOST_TOKENS:,} values, which is no annotation of a recording")
        if found[2] is not None:
            yield float(found[2])
        elif found[1] is not None:
            yield found[1].replace('""', '"')


def _tiers(tokens: Iterator[Token]) -> list[tuple[str, list[tuple[float, float, str]]]]:
    """Name and intervals of each tier of intervals; tiers of points are skipped.

    Raises:
        ValueError: The file ends too early, or has text in place of a number.
    """
    found = []
    head = _take(tokens, 5)  # file type, object class, xmin, xmax, number of tiers
    for _ in range(_count(head[4])):
        kind, name, _start, _end, count = _take(tokens, 5)
        if kind == "IntervalTier":
            found.append((str(name), [_interval(tokens) for _ in range(_count(count))]))
        else:
            _take(tokens, 2 * _count(count))
    return found


def _interval(tokens: Iterator[Token]) -> tuple[float, float, str]:
    start, end, text = _take(tokens, 3)
    return float(start), float(end), str(text)


def _take(tokens: Iterator[Token], count: int) -> list[Token]:
    found = list(islice(tokens, count))
    if len(found) < count:
        raise ValueError("the file ends too early")
    return found


def _count(token: Token) -> int:
    if isinstance(token, str) or not 0 <= token <= _MOST_TOKENS:
        raise ValueError("no count")
    return int(token)


def check_overlaps(rows: Sequence[Utterance]) -> None:
    """Refuse turns of one speaker of one recording that overlap.

    Args:
        rows: With path, start and end.

    Raises:
        ManifestError: Two turns overlap; names them.

    Example:
        >>> check_overlaps([Utterance(id="a", path="x.wav", start=0.0, end=2.0, speaker="Ann"),
        ...                 Utterance(id="b", path="x.wav", start=2.0, end=3.0, speaker="Ann")])
    """
    placed = sorted(rows, key=lambda row: (row.path or "", row.speaker or "", row.start or 0.0))
    for one, other in pairwise(placed):
        same = (one.path, one.speaker) == (other.path, other.speaker)
        if same and (other.start or 0.0) < (one.end or 0.0) - _SLACK:
            whose = f"of {one.speaker}" if one.speaker else "without a speaker"
            raise ManifestError(
                f"{one.path}: turns {whose} overlap ('{one.id}' ends at {one.end:g} s, '{other.id}' begins at "
                f"{other.start:g} s), expected one emotion at a time; name the speakers, or mend the times"
            )


_READERS: Final = {".rttm": _read_rttm, ".textgrid": _read_textgrid}
