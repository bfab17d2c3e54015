"""Parquet with the bytes of the recordings, as Hugging Face's Hub keeps data sets: `data/train-00000-of-00001.parquet`.

Source: https://huggingface.co/docs/hub/datasets-audio (Parquet format).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bimodal.data.exchange.hugging_face import (
    PARTS,
    ROWS_AT_ONCE,
    UNSPLIT,
    Unpacker,
    load_pyarrow,
    part_of,
    table_batches,
    table_schema,
    what_is_lost,
)
from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import splits_of
from bimodal.data.exchange.rows import rows_as_manifest
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

SHARD: Final = 450_000_000
"""Bytes of recordings in one file; the Hub takes files of 500 MB."""


def read(source: Path, options: ReadOptions) -> Manifest:
    """Utterances of a Parquet file, or of all below a folder; names such as `test-00000-of-00001` are splits.

    Raises:
        ManifestError: There is none, one is damaged, or a column has a wrong type.
    """
    load_pyarrow()
    files = [source] if source.is_file() else sorted(source.rglob("*.parquet"))
    if options.table:
        files = [file for file in files if file.stem.split("-")[0] == options.table]
    if not files:
        part = f" whose name begins with {options.table!r}" if options.table else ""
        raise ManifestError(f"{source}: no .parquet file{part} below")
    unpacker = Unpacker(source=source, options=options)
    rows = [row for file in files for row in _rows(file, unpacker)]
    return rows_as_manifest(rows, options.scratch, source, None)


def _rows(file: Path, unpacker: Unpacker) -> Iterator[dict[str, str | float]]:
    import pyarrow.parquet  # an extra; slow to load

    split = part_of(file.stem) or part_of(file.parent.name)
    try:
        with pyarrow.parquet.ParquetFile(file) as opened:
            yield from unpacker.rows(opened.iter_batches(batch_size=ROWS_AT_ONCE), opened.schema_arrow, split)
    except (pyarrow.ArrowException, OSError) as error:
        raise ManifestError(f"{file}: not a Parquet file that can be read ({str(error)[:200]})") from error


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write `data/` with the files of each split.

    Rows without a split are in `unsplit`, which 'datasets' takes for `train` if all are.

    Raises:
        ManifestError: pyarrow is not installed.
        OSError: A recording cannot be read, or a file not be written.
    """
    schema = table_schema(outgoing.utterances)
    (outgoing.folder / "data").mkdir()
    for split, rows in splits_of(outgoing.utterances):
        name = PARTS[split] if split else UNSPLIT
        shards = list(_shards(outgoing, rows))
        for number, shard in enumerate(shards):
            file = outgoing.folder / "data" / f"{name}-{number:05}-of-{len(shards):05}.parquet"
            _write_file(file, outgoing, shard, schema)
    yield from what_is_lost(outgoing)


def _shards(outgoing: Outgoing, rows: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    """Rows of each file."""
    first, size = 0, 0
    for number, row in enumerate(rows):
        size += outgoing.files[row.path].stat().st_size if row.path is not None else 0
        if size > SHARD and number > first:
            yield rows[first:number]
            first, size = number, 0
    yield rows[first:]


def _write_file(file: Path, outgoing: Outgoing, rows: Sequence[Utterance], schema: Any) -> None:
    import pyarrow.parquet  # an extra; slow to load

    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for batch in table_batches(outgoing, rows, schema):
            writer.write_batch(batch)


def recognise(source: Path) -> bool:
    """Whether this is a Parquet file, or a folder with one in it or in its folders."""
    if source.is_dir():
        return any(source.glob("*.parquet")) or any(source.glob("*/*.parquet"))
    return source.suffix.lower() == ".parquet"


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="Parquet with the bytes of the recordings, as on the Hugging Face Hub",
    files="data/train-00000-of-00001.parquet, data/validation-..., data/test-...",
)
