"""The folder of results: pieces of unfinished parts as they come, finished parts as Parquet files.

`results/part-00000.parquet` is written last, in one step; where it stands, the part is finished.
"""

import shutil
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
from pyarrow import parquet

from bimodal.errors import BimodalError
from bimodal.files import write_bytes
from bimodal.scale.records import Batch, Outcome
from bimodal.scale.tables import from_bytes

RESULTS: Final = "results"
FAILURES: Final = "failures"
UNFINISHED: Final = "unfinished"
_PIECE: Final = ".piece"
_KINDS: Final = (RESULTS, FAILURES)


def results_file(folder: Path, part: int, kind: str = RESULTS) -> Path:
    """Where a finished part stands.

    Example:
        >>> results_file(Path("out"), 12).as_posix()
        'out/results/part-00012.parquet'
    """
    return folder / kind / f"part-{part:05d}.parquet"


def is_finished(folder: Path, part: int) -> bool:
    """Whether a part is finished. What a killed process left of its pieces is deleted then.

    Raises:
        BimodalError: The file of the part is damaged.
    """
    if not results_file(folder, part).exists():
        return False
    _rows(folder, part, RESULTS)
    shutil.rmtree(_pieces(folder, part), ignore_errors=True)
    return True


def finished_ranges(folder: Path, part: int) -> list[tuple[int, int]]:
    """First recording of each piece of an unfinished part, and the one after its last; in order."""
    names = (file.stem.split("-") for file in _pieces(folder, part).glob(f"*-*{_PIECE}"))
    return sorted((int(start), int(end)) for start, end in names)


def keep_piece(folder: Path, batch: Batch, outcome: Outcome) -> None:
    """Keep what a worker found in a batch, until its part is finished.

    Raises:
        OSError: It cannot be written.
    """
    pieces = _pieces(folder, batch.part)
    pieces.mkdir(parents=True, exist_ok=True)
    content = msgspec.msgpack.encode((outcome.results, outcome.failures))
    write_bytes(pieces / f"{batch.start:08d}-{batch.end:08d}{_PIECE}", content)


def finish_part(folder: Path, part: int) -> int:
    """Put the pieces of a part together, in the order of the recordings.

    Returns:
        How many recordings of the part failed.

    Raises:
        OSError: It cannot be written; the pieces stay.
    """
    files = [_pieces(folder, part) / f"{start:08d}-{end:08d}{_PIECE}" for start, end in finished_ranges(folder, part)]
    pieces = [msgspec.msgpack.decode(file.read_bytes(), type=tuple[bytes, bytes]) for file in files]
    tables = {
        kind: pa.concat_tables(map(from_bytes, one))
        for kind, one in zip(_KINDS, zip(*pieces, strict=True), strict=True)
    }
    for kind in reversed(_KINDS):
        file = results_file(folder, part, kind)
        file.parent.mkdir(exist_ok=True)
        write_bytes(file, _parquet(tables[kind]))
    shutil.rmtree(_pieces(folder, part), ignore_errors=True)
    return int(tables[FAILURES].num_rows)


def _parquet(table: Any) -> Any:
    """A table as Parquet, whose bytes depend on its rows alone."""
    sink = pa.BufferOutputStream()
    parquet.write_table(table.combine_chunks(), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def count_failures(folder: Path, parts: int) -> int:
    """Failures in all finished parts.

    Raises:
        BimodalError: A file is damaged.
    """
    there = (part for part in range(parts) if results_file(folder, part, FAILURES).exists())
    return sum(_rows(folder, part, FAILURES) for part in there)


def _rows(folder: Path, part: int, kind: str) -> int:
    """Rows of a file of a finished part; only its end is read."""
    file = results_file(folder, part, kind)
    try:
        return int(parquet.ParquetFile(file).metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        again = results_file(folder, part)
        raise BimodalError(f"{file}: damaged ({error}); delete {again}, and give the command again") from error


def _pieces(folder: Path, part: int) -> Path:
    return folder / UNFINISHED / f"{part:05d}"
