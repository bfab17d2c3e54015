"""Manifests of any length, a row at a time: CSV, JSON Lines, and Parquet that names recordings or holds their bytes."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from bimodal.data.columns import ALIASES, find_sources
from bimodal.data.manifest import MAX_CELL, find_delimiter, read_utterance
from bimodal.data.paths import PathFinder
from bimodal.errors import BimodalError, ManifestError
from bimodal.records import shortened
from bimodal.scale.records import Item, utterance_fields
from bimodal.scale.stores import is_url, opened

PARQUET: Final = ".parquet"
SUFFIXES: Final = (".csv", ".tsv", ".jsonl", PARQUET)

Cells = dict[str, str]


def manifest_items(name: str, url: str, size: int, root: str | None) -> Iterator[Item]:
    """The rows of a manifest, in order. A row with a problem is an item that says so.

    Args:
        name: Of the manifest, for the tables.
        url: Where it lies.
        size: In bytes.
        root: As in `list_items`.

    Raises:
        ManifestError: It cannot be read, or no column names recordings or words.
    """
    if url.lower().endswith(PARQUET):
        yield from _parquet_items(name, url, size, root)
        return
    places = _Places(url, root)
    read = _json_rows if url.lower().endswith(".jsonl") else _csv_rows
    sources: dict[str, str] = {}
    columns: tuple[str, ...] = ()
    with opened(url) as stream:
        for number, (line, cells) in enumerate(read(name, stream), start=1):
            if isinstance(cells, str):
                yield Item(name=f"{name}:{line}", problem=f"{name}:{line}: {cells}")
                continue
            if tuple(cells) != columns:
                columns, sources = tuple(cells), _sources(name, tuple(cells))
            yield _row_item(cells, sources, number, f"{name}:{line}", places)


def _sources(name: str, columns: Sequence[str]) -> dict[str, str]:
    sources = find_sources(columns)
    if not {"path", "transcript"} & set(sources):
        raise ManifestError(
            f"{name}: no column 'path' or 'transcript', found {list(columns)[:20]}; rename the column of the "
            "recordings to path"
        )
    return sources


def _row_item(cells: Mapping[str, str], sources: Mapping[str, str], number: int, where: str, places: "_Places") -> Item:
    """A row that names its recording."""
    utterance, complaints = read_utterance(cells, sources, number)
    url = ""
    if utterance.path is not None:
        url, against = places.find(utterance.path)
        complaints += against
    elif utterance.transcript is None:
        complaints.append("neither a path nor a transcript; one of them is needed")
    try:
        said = utterance_fields(utterance)
    except BimodalError as error:
        said, complaints = {"id": utterance.id}, [*complaints, str(error)]
    problem = f"{where}: {'; '.join(complaints)}" if complaints else ""
    return Item(name=utterance.path or where, url=url, problem=problem, **said)


class _Places:
    """Where the recordings of a manifest lie: below its folder, or below the root that a person named.

    Args:
        url: Of the manifest.
        root: Folder or URL; None for the manifest's folder alone.
    """

    def __init__(self, url: str, root: str | None) -> None:
        self._base = url.rpartition("/")[0]
        self._allowed = [one.rstrip("/") + "/" for one in (self._base, root or "") if is_url(one)]
        folder = None if root is None or is_url(root) else Path(root).expanduser().resolve()
        self._finder = None if is_url(url) else PathFinder(folder=Path(self._base).resolve(), root=folder)

    def find(self, path: str) -> tuple[str, list[str]]:
        """The recording as workers open it, and what speaks against it."""
        if self._finder is not None and not is_url(path):
            found, complaints = self._finder.find(path)
            return str(self._finder.folder / found), complaints
        url = path if is_url(path) else f"{self._base}/{path}"
        inside = not path.startswith("/") and ".." not in path.split("/")
        if inside and any(url.startswith(one) for one in self._allowed):
            return url, []
        return url, [f"path {path[:200]!r} is not below the manifest's folder; --root URL allows recordings elsewhere"]


def _csv_rows(name: str, stream: IO[bytes]) -> Iterator[tuple[int, Cells | str]]:
    """Rows of a CSV file, each with its line; a row that cannot be read is a sentence."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    head = text.readline()
    if not head.strip():
        raise ManifestError(f"{name}: the file is empty, expected a header and a row for each recording")
    delimiter = find_delimiter(head)
    columns = [cell.strip() for cell in next(csv.reader([head], delimiter=delimiter))]
    if len(set(columns)) < len(columns) or "\0" in head:
        raise ManifestError(f"{name}: its first line is no header of distinct column names; is it UTF-8 text?")
    rows, line = csv.reader(text, delimiter=delimiter, strict=True), 2
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"cannot be split into cells ({error})"
        else:
            if cells:
                yield line, _named(columns, cells)
        line = rows.line_num + 2


def _named(columns: Sequence[str], cells: Sequence[str]) -> Cells | str:
    if len(cells) != len(columns):
        return f"{len(cells)} cells, the header has {len(columns)}; text with a comma needs quotation marks around it"
    if not all(cell.isascii() or _is_text(cell) for cell in cells):
        return "the line is not UTF-8; save the file again as UTF-8"
    return dict(zip(columns, cells, strict=True))


def _is_text(cell: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in cell)


def _json_rows(name: str, stream: IO[bytes]) -> Iterator[tuple[int, Cells | str]]:
    """Rows of JSON Lines, as `_csv_rows`."""
    for line, content in enumerate(stream, start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            yield line, f"not JSON ({shortened(str(error))})"
            continue
        if not isinstance(row, dict):
            yield line, f"found a {type(row).__name__}, expected an object"
            continue
        yield line, {str(key): _text(value) for key, value in row.items() if not isinstance(value, dict | list)}


def _text(value: Any) -> str:
    """A cell as a CSV file would have it."""
    return "" if value is None or value != value else str(value)


def _parquet_items(name: str, url: str, size: int, root: str | None) -> Iterator[Item]:
    """Rows of a Parquet file; those whose bytes it holds are read from it by the workers."""
    import pyarrow
    from pyarrow import parquet

    with opened(url) as stream:
        try:
            file = parquet.ParquetFile(stream)
            audio, plain = audio_column(name, file.schema_arrow)
            places, number = _Places(url, root), 0
            sources = find_sources(plain) if audio else _sources(name, plain)
            for group in range(file.num_row_groups):
                inside = audio is not None and _holds_bytes(file.metadata.row_group(group), audio)
                each = _bytes_per_row(file.metadata.row_group(group), audio) if inside and audio else 0
                wanted = [*plain, *([f"{audio}.path"] if audio and not inside else [])]
                rows = file.read_row_group(group, columns=wanted)
                for row, cells in enumerate(_plain_rows(rows, plain, None if inside else audio)):
                    number += 1
                    where = f"{name}#{number}"
                    if inside:
                        held = {"url": url, "group": group, "row": row, "size": each, "held_in": size}
                        yield _held_item(cells, sources, number, where, held)
                    else:
                        known = {**sources, "path": audio} if audio else sources
                        yield _row_item(cells, known, number, where, places)
        except pyarrow.ArrowException as error:
            raise ManifestError(f"{name}: no Parquet file that can be read ({shortened(str(error))})") from error


def audio_column(name: str, schema: Any) -> tuple[str | None, list[str]]:
    """The column of a Parquet file that holds recordings as bytes, and the columns of text and numbers.

    Args:
        name: Of the file, for the error message.
        schema: Arrow schema. Bytes stand in a binary column, or in a struct with `bytes` and `path`, as Hugging Face
            writes it.

    Raises:
        ManifestError: The column of the recordings has another type.
    """
    from pyarrow import types

    def holds_audio(kind: Any) -> bool:
        return is_bytes(kind) or (types.is_struct(kind) and kind.get_field_index("bytes") >= 0)

    def is_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    found = [field.name for field in schema if holds_audio(field.type)]
    named = [column for column in found if column.lower() in ("audio", "path", *ALIASES["path"])]
    audio = next(iter([*named, *found]), None)
    plain = [field.name for field in schema if not types.is_nested(field.type) and not is_bytes(field.type)]
    path = find_sources([field.name for field in schema]).get("path")
    if audio is None and path is not None:
        kind = schema.field(path).type
        if types.is_dictionary(kind):
            kind = kind.value_type
        if not (types.is_string(kind) or types.is_large_string(kind)):
            raise ManifestError(f"{name}: the column {path!r} is {kind}, expected text (paths) or bytes (recordings)")
    return audio, plain


def _column_of(group: Any, audio: str) -> Any:
    places = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    return places.get(f"{audio}.bytes") or places.get(audio)


def _holds_bytes(group: Any, audio: str) -> bool:
    """Whether a row group has any bytes: a data set may be stored with paths alone."""
    column = _column_of(group, audio)
    if column is None:
        return False
    known = column.statistics
    return known is None or not known.has_null_count or known.null_count < group.num_rows


def _bytes_per_row(group: Any, audio: str) -> int:
    return int(_column_of(group, audio).total_uncompressed_size // max(1, group.num_rows))


def _plain_rows(table: Any, plain: Sequence[str], audio: str | None) -> Iterator[Cells]:
    """Rows as text; the path in the column of recordings stands under the column's name."""
    for batch in table.to_batches(max_chunksize=4096):
        columns = {name: [_text(value)[: MAX_CELL + 1] for value in batch.column(name).to_pylist()] for name in plain}
        if audio is not None:
            columns[audio] = [_text((value or {}).get("path")) for value in batch.column(audio).to_pylist()]
        for row in range(batch.num_rows):
            yield {name: column[row] for name, column in columns.items()}


def _held_item(
    cells: Mapping[str, str], sources: Mapping[str, str], number: int, where: str, held: Mapping[str, Any]
) -> Item:
    """A row that holds its recording."""
    utterance, complaints = read_utterance(cells, {k: v for k, v in sources.items() if k != "path"}, number)
    try:
        said = utterance_fields(utterance)
    except BimodalError as error:
        said, complaints = {"id": utterance.id}, [*complaints, str(error)]
    problem = f"{where}: {'; '.join(complaints)}" if complaints else ""
    return Item(name=where, problem=problem, **held, **said)
