"""Tables of results and of failures, in Arrow."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bimodal.arrays import Floats
from bimodal.output.formats import FIRST_COLUMNS, LAST_COLUMNS, column_value
from bimodal.records import Recognition
from bimodal.scale.records import Item

FAILURES: Final = pa.schema([("path", pa.string()), ("id", pa.string()), ("error", pa.string())])
"""Columns of a table of failures."""

_NUMBERS: Final = frozenset({"start", "end", "gate", "arousal", "valence", "coverage", "transcript_confidence"})

Found = tuple[Item, Recognition]
"""A recording and one of its results."""


def recognition_schema(emotions: Sequence[str]) -> pa.Schema:
    """Columns of results: those of CSV, after the path and the id of the row, and last the warnings.

    Example:
        >>> recognition_schema(["anger"]).names[:7]
        ['path', 'id', 'start', 'end', 'speaker', 'emotion', 'anger']
    """
    named = [(name, _kind(name)) for name in FIRST_COLUMNS]
    scores = [(emotion, pa.float64()) for emotion in emotions]
    last = [(name, _kind(name)) for name in LAST_COLUMNS if name != "error"]
    return pa.schema([("path", pa.string()), ("id", pa.string()), *named, *scores, *last, ("warnings", pa.string())])


def _kind(name: str) -> pa.DataType:
    return pa.bool_() if name == "abstained" else pa.float64() if name in _NUMBERS else pa.string()


def recognition_table(found: Sequence[Found], emotions: Sequence[str]) -> pa.Table:
    """Results as a table.

    Args:
        found: Recordings with their results.
        emotions: Of the model.
    """
    rows = [
        {
            "path": item.name,
            "id": item.id,
            "warnings": "; ".join(result.warnings),
            **result.scores,
            **{name: column_value(result, name) for name in (*FIRST_COLUMNS, *LAST_COLUMNS)},
        }
        for item, result in found
    ]
    return pa.Table.from_pylist(rows, schema=recognition_schema(emotions))


def output_table(items: Sequence[Item], durations: Sequence[float | None], arrays: Mapping[str, Floats]) -> pa.Table:
    """Embeddings and logits as a table; a row without a modality has NaN there.

    Args:
        items: N recordings.
        durations: Of their speech, in seconds; None for words alone.
        arrays: As `Outputs.arrays` gives them: (N,) or (N, width).

    Example:
        >>> output_table([Item(name="a.wav")], [1.5], {"speech": np.ones((1, 2), np.float32)}).to_pylist()
        [{'path': 'a.wav', 'id': None, 'duration': 1.5, 'speaker': None, 'speech': [1.0, 1.0]}]
    """
    columns: dict[str, Any] = {
        "path": pa.array([item.name for item in items], pa.string()),
        "id": pa.array([item.id for item in items], pa.string()),
        "duration": pa.array(durations, pa.float64()),
        "speaker": pa.array([item.speaker for item in items], pa.string()),
    }
    for name, values in arrays.items():
        flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
        columns[name] = flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.table(columns)


def failure_table(failures: Sequence[tuple[Item, str]]) -> pa.Table:
    """Recordings that could not be used, and why.

    Example:
        >>> failure_table([(Item(name="a.wav"), "a.wav: no such file")]).to_pylist()
        [{'path': 'a.wav', 'id': None, 'error': 'a.wav: no such file'}]
    """
    rows = [{"path": item.name, "id": item.id, "error": error} for item, error in failures]
    return pa.Table.from_pylist(rows, schema=FAILURES)


def to_bytes(table: pa.Table) -> bytes:
    """A table as Arrow IPC bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_bytes(content: bytes) -> pa.Table:
    """The table that `to_bytes` wrote.

    Example:
        >>> from_bytes(to_bytes(failure_table([]))).num_rows
        0
    """
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()
