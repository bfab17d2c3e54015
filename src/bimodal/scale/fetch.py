"""The bytes of recordings: from files, from the middle of archives, from rows of Parquet files, from stores."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

from bimodal.audio.source import Encoded
from bimodal.errors import BimodalError
from bimodal.files import temporary_folder
from bimodal.scale.records import Item
from bimodal.scale.stores import asking, opened

IN_MEMORY: Final = 1 << 24
"""A recording of a store with more bytes than this is copied to the disk to be read."""

_READERS: Final = 8
_COPIED: Final = 1 << 20  # bytes at a time
_ROWS: Final = 8  # of a Parquet file at a time

Fetched = Encoded | BimodalError | None
"""A recording's path or bytes; why it cannot be read; None if it is too large to be held, or there are only words."""


@lru_cache(maxsize=1)
def _readers() -> ThreadPoolExecutor:
    """Threads that wait for stores while the model works."""
    return ThreadPoolExecutor(_READERS, thread_name_prefix="bimodal-fetch")


def fetch_all(items: Sequence[Item], at_once: int) -> Iterator[list[Fetched]]:
    """Groups of recordings; the next group is read from its store while the caller works on one.

    Args:
        items: In order.
        at_once: Recordings in a group.
    """
    groups = [items[first : first + at_once] for first in range(0, len(items), at_once)]
    waiting = [_submit(group) for group in groups[:1]]
    for place in range(len(groups)):
        waiting += [_submit(group) for group in groups[place + 1 : place + 2]]
        yield [one.result() if hasattr(one, "result") else fetch(one) for one in waiting[place]]
        waiting[place] = []


def _submit(group: Sequence[Item]) -> list[Any]:
    """A promise for each recording of a store; other recordings as they are."""
    return [_readers().submit(fetch, item) if item.is_remote and item.row is None else item for item in group]


def fetch(item: Item) -> Fetched:
    """A recording, as a decoder takes it."""
    if item.problem:
        return BimodalError(item.problem)
    if not item.url:
        return None
    try:
        if item.group is not None:
            return _row(item)
        if item.offset is None and not item.is_remote:
            return Path(item.url)
        with asking(item.name), opened(item.url) as stream:
            stream.seek(item.offset or 0)
            wanted = IN_MEMORY + 1 if item.offset is None else min(item.size, IN_MEMORY + 1)
            content = stream.read(wanted)
    except BimodalError as error:
        return error
    if len(content) > IN_MEMORY:
        return None
    if item.offset is not None and len(content) < item.size:
        return BimodalError(f"{item.name}: the archive is cut; {len(content)} of {item.size} bytes are there")
    return content


@contextmanager
def on_disk(item: Item) -> Iterator[Path]:
    """A large recording of a store or an archive, copied to a folder that is deleted at the end.

    Raises:
        BimodalError: It cannot be read.
    """
    with temporary_folder() as folder:
        file, left = folder / "recording", item.size if item.offset is not None else None
        with asking(item.name), opened(item.url) as stream, file.open("wb") as copy:
            stream.seek(item.offset or 0)
            while content := stream.read(_COPIED if left is None else min(_COPIED, left)):
                copy.write(content)
                left = None if left is None else left - len(content)
        yield file


def _row(item: Item) -> Fetched:
    """The bytes that a row of a Parquet file holds."""
    assert item.group is not None and item.row is not None  # noqa: S101
    content = _rows(item.url, item.group).take(item.row)
    return content if content else BimodalError(f"{item.name}: the row holds no bytes of a recording")


@lru_cache(maxsize=2)
def _rows(url: str, group: int) -> "_Rows":
    return _Rows(url, group)


class _Rows:
    """The recordings of a row group, read forwards a few at a time, since a group may be larger than the memory.

    Args:
        url: Of the Parquet file.
        group: Number of the row group.
    """

    def __init__(self, url: str, group: int) -> None:
        self._url, self._group = url, group
        self._open: Any = None
        self._stream: IO[bytes] | None = None
        self._first, self._held = 0, list[Any]()

    def take(self, row: int) -> bytes | None:
        """The bytes of a row. Rows are asked for in order; another order reads the group again."""
        import pyarrow

        try:
            if self._open is None or row < self._first:
                self._restart()
            while row >= self._first + len(self._held):
                self._first += len(self._held)
                self._held = next(self._open)
            found = self._held[row - self._first]
        except StopIteration as error:
            raise BimodalError(
                f"{self._url}: row group {self._group} has no row {row}; the file has changed"
            ) from error
        except (pyarrow.ArrowException, OSError) as error:
            raise BimodalError(f"{self._url}: row {row} of group {self._group} cannot be read ({error})") from error
        content = found.get("bytes") if isinstance(found, dict) else found
        return content if isinstance(content, bytes) else None

    def _restart(self) -> None:
        from pyarrow import parquet

        from bimodal.scale.manifests import audio_column
        from bimodal.scale.stores import open_store

        if self._stream is not None:
            self._stream.close()
        store, path = open_store(self._url)
        self._stream = store.open(path, "rb")
        file = parquet.ParquetFile(self._stream, pre_buffer=False, buffer_size=_COPIED)
        column, _ = audio_column(self._url, file.schema_arrow)
        batches = file.iter_batches(_ROWS, row_groups=[self._group], columns=[column])
        self._open = (batch.column(0).to_pylist() for batch in batches)
        self._first, self._held = 0, []
