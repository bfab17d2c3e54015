"""Recordings that a manifest names more than once: by path, by another spelling, as a copy, in another container."""

import hashlib
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np

from bimodal.audio.decode import iterate_audio, read_header
from bimodal.data.splits import Overlap
from bimodal.errors import AudioError, SplitError
from bimodal.files import file_digest
from bimodal.records import Utterance

EMPTY_WORDS: Final = frozenset({"nan", "NaN", "NAN", "NaT", "None", "none", "null", "NULL", "NA", "N/A", "n/a", "<NA>"})
"""What other programs write into an empty cell."""

_PREFIX_SECONDS: Final = 1.0  # decoded first: files of one length mostly differ there

Pair = tuple[int, int]
"""Two rows of a manifest, the lower number first."""

Stretch = tuple[float | None, float | None]
"""Start and end in a recording, in seconds; None for its own."""


def same_recordings(files: Sequence[Path]) -> dict[Path, int]:
    """A number for each file; files that hold the same recording have the same one.

    Files are the same if their paths lead to one file, if their bytes are equal, or if their decoded samples (channels
    mixed, 16 bits) are equal. Only files of equal size, then of equal length, are read. A file that cannot be read is
    the same as no other.

    Args:
        files: Paths, in any spelling.
    """
    resolved = {file: file.resolve() for file in files}
    root: dict[Path, Path] = {}
    for keys in (_by_size, _by_bytes), (_by_length, _by_prefix, _by_samples):
        for equal in _equal([file for file in dict.fromkeys(resolved.values()) if file not in root], keys):
            root.update(dict.fromkeys(equal[1:], equal[0]))
    numbers: dict[Path, int] = {}
    return {file: numbers.setdefault(root.get(place, place), len(numbers)) for file, place in resolved.items()}


def _equal(files: Sequence[Path], keys: Sequence[Callable[[Path], Hashable]]) -> Iterator[list[Path]]:
    """Groups of two or more files that are equal by all keys, each of which costs more than the one before."""
    if len(files) < 2 or not keys:
        if len(files) > 1:
            yield list(files)
        return
    first, *rest = keys
    groups: dict[Hashable, list[Path]] = defaultdict(list)
    for file in files:
        try:
            groups[first(file)].append(file)
        except (AudioError, OSError):  # what is wrong with it is told elsewhere
            continue
    for group in groups.values():
        yield from _equal(group, rest)


def _by_size(file: Path) -> Hashable:
    return file.stat().st_size


def _by_bytes(file: Path) -> Hashable:
    return file_digest(file)


def _by_length(file: Path) -> Hashable:
    header = read_header(file)
    return header.sampling_rate, round(header.duration * header.sampling_rate)


def _by_prefix(file: Path) -> Hashable:
    return _digest(file, _PREFIX_SECONDS)


def _by_samples(file: Path) -> Hashable:
    return _digest(file, None)


def _digest(file: Path, seconds: float | None) -> str:
    digest = hashlib.sha256()
    for signal, rate in iterate_audio(file, end=seconds):
        digest.update(np.rint(signal * 32768).astype("<i4").tobytes())
        digest.update(str(rate).encode())
    return digest.hexdigest()


def repeated_rows(rows: Sequence[Utterance], numbers: Sequence[int | None]) -> list[Pair]:
    """Pairs of rows that are about the same stretch of the same recording.

    Stretches count as the same if they overlap by more than half of the shorter one.

    Args:
        rows: Of a manifest.
        numbers: Of each row's recording, see `same_recordings`; None without one.

    Example:
        >>> rows = [Utterance(id=name, path="a.wav", start=start, end=start + 2.0) for name, start in
        ...         {"x": 0.0, "y": 0.5, "z": 2.0}.items()]
        >>> repeated_rows(rows, [0, 0, 0])
        [(0, 1)]
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(numbers):
        if number is not None:
            groups[number].append(row)
    pairs = []
    for group in groups.values():
        running: list[int] = []
        for row in sorted(group, key=lambda row: rows[row].start or 0.0):
            running = [other for other in running if _end(rows[other]) > (rows[row].start or 0.0)]
            pairs += [(min(row, other), max(row, other)) for other in running if _is_same(rows[other], rows[row])]
            running.append(row)
    return sorted(pairs)


def _end(row: Utterance) -> float:
    return math.inf if row.end is None else row.end


def _is_same(one: Utterance, other: Utterance) -> bool:
    return is_same_stretch((one.start, one.end), (other.start, other.end))


def is_same_stretch(one: Stretch, other: Stretch) -> bool:
    """Whether two stretches of a recording overlap by more than half of the shorter one.

    Args:
        one: Start and end in seconds; None for the recording's own.
        other: Likewise.

    Example:
        >>> is_same_stretch((None, None), (2.0, 4.0)), is_same_stretch((0.0, 2.0), (2.0, 4.0))
        (True, False)
    """
    spans = [(start or 0.0, math.inf if end is None else end) for start, end in (one, other)]
    common = min(end for _, end in spans) - max(start for start, _ in spans)
    shorter = min(end - start for start, end in spans)
    return common == shorter or common > shorter / 2


def crossing_pairs(pairs: Sequence[Pair], parts: Sequence[str | None]) -> Mapping[tuple[str, str], list[Pair]]:
    """The pairs whose rows are in two different parts, by the names of these parts.

    Args:
        pairs: As `repeated_rows` gives them.
        parts: Part of each row; None for none.

    Example:
        >>> crossing_pairs([(0, 1), (0, 2)], ["train", "test", "train"])
        {('train', 'test'): [(0, 1)]}
    """
    names = [name for name in ("train", "dev", "test") if name in parts]
    found = {
        (one, other): [(a, b) for a, b in pairs if {parts[a], parts[b]} == {one, other}]
        for one, other in combinations(names, 2)
    }
    return {names: crossing for names, crossing in found.items() if crossing}


def describe_leak(one: str, other: str, pairs: Sequence[Pair], rows: Sequence[Utterance]) -> str:
    """A sentence on recordings that two parts share.

    Example:
        >>> rows = [Utterance(id="1", path="a.wav"), Utterance(id="2", path="./a.wav")]
        >>> describe_leak("train", "test", [(0, 1)], rows)
        "train and test share 1 recording, such as 'a.wav', which is './a.wav'"
    """
    first, second = (rows[row].path for row in pairs[0])
    count = len({b for _, b in pairs})
    same = "in two rows" if first == second else f"which is {second!r}"
    return f"{one} and {other} share {count} recording{'s' if count > 1 else ''}, such as {first!r}, {same}"


def shared_recordings(
    names: tuple[str, str], pairs: Sequence[Pair], parts: Sequence[str | None], allowed: str
) -> Overlap:
    """Recordings that two parts of an official split share.

    Args:
        names: Of the two parts.
        pairs: Their common recordings, see `crossing_pairs`.
        parts: Part of each row.
        allowed: Name of the official split.

    Example:
        >>> print(shared_recordings(("train", "test"), [(0, 1)], ["train", "test", "test"], "EmoX"))
        recordings in train and test: 1 shared, 50.0 % of the second part's rows; accepted as the official split 'EmoX'
    """
    second = {row for pair in pairs for row in pair if parts[row] == names[1]}
    return Overlap(
        what=f"recordings in {names[0]} and {names[1]}",
        shared=len(second),
        share_of_rows=len(second) / parts.count(names[1]),
        allowed=allowed,
    )


def check_shared_recordings(
    rows: Sequence[Utterance], folder: Path, parts: Sequence[str | None], official_split: str
) -> list[Overlap]:
    """Make sure that no two parts share a recording, whatever its path or container.

    Args:
        rows: Of a manifest.
        folder: Folder that their paths are relative to.
        parts: `train`, `dev` or `test` for each row; None for rows that are not used.
        official_split: Name of a published split whose shared recordings are accepted; empty for none.

    Returns:
        What is shared and accepted; empty unless `official_split`.

    Raises:
        SplitError: Two parts share recordings, and no `official_split` allows it.
    """
    files = [folder / row.path if row.path and part else None for row, part in zip(rows, parts, strict=True)]
    numbers = same_recordings([file for file in files if file is not None])
    pairs = repeated_rows(rows, [None if file is None else numbers[file] for file in files])
    crossing = crossing_pairs(pairs, parts)
    if crossing and not official_split:
        raise SplitError(
            f"{'; '.join(describe_leak(*names, shared, rows) for names, shared in crossing.items())}: a model would be "
            "tested on what it learnt from; 'bimodal check' names the rows: take them out of one part, or accept the "
            "split by its name with --set official_split=NAME"
        )
    return [shared_recordings(names, shared, parts, official_split) for names, shared in crossing.items()]


def similar_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names that may mean the same person: equal but for case, spaces, accents' form, leading zeros or `.0`.

    Example:
        >>> similar_names(["Anna", "anna", "01", "1", "10"])
        [('Anna', 'anna'), ('01', '1')]
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        folded = re.sub(r"[\s_.-]+", "", re.sub(r"^(\d+)\.0+$", r"\1", unicodedata.normalize("NFKC", name).casefold()))
        groups[re.sub(r"(?<!\d)0+(?=\d)", "", folded)].append(name)
    return [(group[0], other) for group in groups.values() for other in group[1:]]
