"""The plan of a run: all recordings in numbered parts, kept in the folder of results. It only grows.

Each call that finds new recordings adds one file, `plan/00000.parquet` and so on. A row group of it is one part.
Recordings that are in the plan keep their part, so finished parts never change.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from bimodal.errors import BimodalError
from bimodal.files import atomic_write, write_json
from bimodal.output.result_folder import check_same_settings
from bimodal.scale.records import BYTES_AT_ONCE, Batch, Item

PLAN: Final = "plan"
SETTINGS: Final = "settings.json"

_KINDS: Final[Mapping[str, pa.DataType]] = {
    "url": pa.binary(),  # a file name of this machine need not be UTF-8
    **dict.fromkeys(("size", "offset", "held_in"), pa.int64()),
    **dict.fromkeys(("group", "row"), pa.int32()),
    **dict.fromkeys(("start", "end", "confidence"), pa.float64()),
}
_SCHEMA: Final = pa.schema([(one.name, _KINDS.get(one.name, pa.string())) for one in fields(Item)])
_KEY: Final = "key"
_STORED: Final = _SCHEMA.append(pa.field(_KEY, pa.uint64()))
_TOLD_EVERY: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Where the recordings of a part stand.

    Attributes:
        number: From 0.
        file: Of the plan.
        group: Row group in it.
        count: How many recordings.
    """

    number: int
    file: Path
    group: int
    count: int

    def items(self) -> list[Item]:
        """The recordings, in order."""
        table = parquet.ParquetFile(self.file).read_row_group(self.group, columns=_SCHEMA.names)
        return [Item(**{**row, "url": row["url"].decode("utf-8", "surrogateescape")}) for row in table.to_pylist()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What listing the sources again has found.

    Attributes:
        known: Recordings that are in the plan.
        new: Recordings that were added to it.
        gone: Recordings of the plan that the sources do not name any more.
        changed: Recordings of the plan whose files have another size now.
    """

    known: int
    new: int
    gone: int
    changed: int


def key_of(item: Item) -> int:
    """A number that tells one recording from all others: where it stands, and what is said of it.

    Example:
        >>> one = Item(name="a.wav", url="/a.wav")
        >>> key_of(one) == key_of(Item(name="other name", url="/a.wav")), key_of(one) == key_of(Item(name="", url="/b"))
        (True, False)
    """
    said = [item.id, item.start, item.end, item.transcript, item.confidence, item.language, item.speaker]
    content = repr([item.url, item.offset, item.group, item.row, *said, item.problem or None])
    digest = hashlib.blake2b(content.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def check_settings(folder: Path, settings: Mapping[str, str]) -> None:
    """Store what decides the results in a new folder; refuse a folder with other settings.

    Raises:
        BimodalError: The folder holds results with other settings, or something else.
    """
    file = folder / SETTINGS
    if not file.exists() and any(not one.name.startswith(".") for one in folder.iterdir()):
        raise BimodalError(f"{folder}: holds other files and no {SETTINGS}; choose a new folder")
    if not any((folder / PLAN).glob("*.parquet")):  # a call that found no recordings leaves settings without a plan
        write_json(file, settings)
        return
    check_same_settings(file, settings)


def read_plan(folder: Path) -> list[Part]:
    """All parts of a plan, in order; empty where there is none.

    Raises:
        BimodalError: A file of the plan is damaged.
    """
    parts: list[Part] = []
    for file in sorted((folder / PLAN).glob("*.parquet")):
        known = _opened(file).metadata
        for group in range(known.num_row_groups):
            count = known.row_group(group).num_rows
            parts.append(Part(number=len(parts), file=file, group=group, count=count))
    return parts


def _opened(file: Path) -> Any:
    """A file of the plan, opened.

    Raises:
        BimodalError: It is damaged.
    """
    try:
        return parquet.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise BimodalError(f"{file}: damaged ({error}); choose a new folder") from error


def extend_plan(folder: Path, items: Iterable[Item], part_size: int, told: Callable[[int], None]) -> Growth:
    """Add the recordings that a plan does not have yet, as new parts; nothing is written if there are none.

    Args:
        folder: Of the results.
        items: What the sources name now.
        part_size: Recordings in a part.
        told: Called now and then with the number of recordings so far.

    Raises:
        BimodalError: The sources name none of the planned recordings, an archive has changed, there is nothing, or the
            plan is damaged.
    """
    (folder / PLAN).mkdir(exist_ok=True)
    listing, new = _Listing(folder), 0
    with suppress(_NothingNew), atomic_write(listing.file) as unfinished:
        with parquet.ParquetWriter(unfinished, _STORED, compression="zstd") as writer:
            for part in _chunks(listing.new(items, told), part_size):
                writer.write_table(_table(part), row_group_size=len(part))
                new += len(part)
        listing.check(new)
        if not new:
            raise _NothingNew
    return Growth(known=listing.known, new=new, gone=len(listing.planned), changed=listing.changed)


class _NothingNew(Exception):  # noqa: N818 (no error: it keeps an empty file from being put in place)
    """The sources name nothing that the plan does not have."""


class _Listing:
    """The recordings of the sources beside those of the plan.

    Args:
        folder: Of the results.

    Attributes:
        file: The next file of the plan.
        planned: Size of each planned recording that the sources have not named yet, by key.
        known: Planned recordings that they have named.
        changed: How many of these have another size.
    """

    def __init__(self, folder: Path) -> None:
        files = sorted((folder / PLAN).glob("*.parquet"))
        self._folder, self.file = folder, folder / PLAN / f"{len(files):05d}.parquet"
        self.planned: dict[int, int] = {}
        self.known, self.changed = 0, 0
        self._named, self._held = set[int](), dict[bytes, int]()
        for file in files:
            for batch in _opened(file).iter_batches(columns=[_KEY, "size", "url", "held_in"]):
                keys, sizes = batch.column(_KEY).to_pylist(), batch.column("size").to_pylist()
                self.planned |= dict(zip(keys, sizes, strict=True))
                inside = batch.filter(pc.is_valid(batch.column("held_in"))).select(["url", "held_in"])
                self._held |= {row["url"]: row["held_in"] for row in inside.to_pylist()}

    def new(self, items: Iterable[Item], told: Callable[[int], None]) -> Iterator[tuple[int, Item]]:
        """Each recording that the plan does not have, once, with its key."""
        for count, item in enumerate(items, start=1):
            if count % _TOLD_EVERY == 0:
                told(count)
            key = key_of(item)
            if key in self._named:
                continue
            self._named.add(key)
            self._check_held(item)
            size = self.planned.pop(key, None)
            if size is None:
                yield key, item
            else:
                self.known += 1
                self.changed += size != item.size

    def _check_held(self, item: Item) -> None:
        """Refuse an archive that has changed: what the plan says of places in it is not true any more."""
        before = self._held.get(_bytes(item.url), item.held_in) if item.held_in is not None else None
        if before != item.held_in:
            raise BimodalError(
                f"{item.name}: the file that holds it has changed since it was planned ({item.held_in} bytes instead "
                f"of {before}); choose a new folder for the results"
            )

    def check(self, new: int) -> None:
        """Refuse sources that have nothing to do with the plan, or name nothing."""
        if not self.known and not new:
            raise BimodalError("the sources name no recording")
        if not self.known and self.planned:
            raise BimodalError(
                f"{self._folder}: contains results of other recordings (none of its {len(self.planned)} is among the "
                "sources); choose a new folder"
            )


def _chunks(found: Iterator[tuple[int, Item]], size: int) -> Iterator[list[tuple[int, Item]]]:
    while part := list(islice(found, size)):
        yield part


def _table(part: Sequence[tuple[int, Item]]) -> pa.Table:
    columns: dict[str, Any] = {one.name: [getattr(item, one.name) for _, item in part] for one in fields(Item)}
    columns["url"] = list(map(_bytes, columns["url"]))
    return pa.table({**columns, _KEY: [key for key, _ in part]}, schema=_STORED)


def _bytes(url: str) -> bytes:
    return url.encode("utf-8", "surrogateescape")


def cut_batches(part: int, items: Sequence[Item], done: Sequence[tuple[int, int]], count: int) -> list[Batch]:
    """What is left of a part, in batches. The same part is always cut at the same places.

    Args:
        part: Number of the part.
        items: Its recordings.
        done: Ranges that are finished, in order.
        count: Most recordings in a batch; one also ends where `BYTES_AT_ONCE` are reached.

    Example:
        >>> items = [Item(name=str(number)) for number in range(5)]
        >>> [(batch.start, batch.end) for batch in cut_batches(0, items, [(2, 3)], 2)]
        [(0, 2), (3, 4), (4, 5)]
    """
    borders, first, size = {len(items)}, 0, 0
    for place, item in enumerate(items):
        if place > first and (place - first >= count or size + item.size > BYTES_AT_ONCE):
            borders.add(place)
            first, size = place, 0
        size += item.size
    inside = np.zeros(len(items), np.bool_)
    for start, end in done:
        inside[start:end] = True
        borders |= {start, end}
    ordered = sorted(borders - {0})
    return [
        Batch(part=part, start=start, end=end)
        for start, end in zip([0, *ordered], ordered, strict=False)
        if not inside[start]
    ]
