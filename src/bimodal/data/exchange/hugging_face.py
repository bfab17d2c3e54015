"""What Parquet files and saved datasets of Hugging Face share: features, recordings within the table, Arrow batches.

The metadata `huggingface` of an Arrow schema has a feature for each column: `Audio` is a struct of `bytes` and `path`,
`ClassLabel` a number with names. Source: https://huggingface.co/docs/datasets (Features, Audio).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from bimodal.data.columns import find_sources
from bimodal.data.exchange.info import Outgoing, ReadOptions
from bimodal.data.exchange.rows import cell_text, many, row_cells, with_several_labels
from bimodal.data.labels import split_labels
from bimodal.data.links import link_recording
from bimodal.data.manifest import SPLITS
from bimodal.data.paths import FOREIGN, PathFinder
from bimodal.errors import ManifestError
from bimodal.records import Utterance

PARTS: Final = {"train": "train", "dev": "validation", "test": "test"}
UNSPLIT: Final = "unsplit"
ROWS_AT_ONCE: Final = 100
"""Rows of a batch, which memory holds with their recordings."""
KINDS: Final = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"), (b"\xff", ".mp3"))
"""Endings of recordings without a name, by how they begin."""


def load_pyarrow() -> Any:
    """The package pyarrow.

    Raises:
        ManifestError: It is not installed.
    """
    try:
        import pyarrow  # an extra; slow to load
    except ModuleNotFoundError as error:
        raise ManifestError("this format needs pyarrow: pip install 'bimodal-emotion[exchange]'") from error
    return pyarrow


@dataclass(kw_only=True)
class Unpacker:
    """Gives the cells of rows, and puts recordings that lie within them into a folder.

    Attributes:
        source: Where the rows come from, for messages and for paths within them.
        options: How they are read.
        digests: Of the recordings that were put into the folder, by their path there.
    """

    source: Path
    options: ReadOptions
    digests: dict[str, bytes] = field(default_factory=dict)

    def rows(self, batches: Iterable[Any], schema: Any, split: str) -> Iterator[dict[str, str | float]]:
        """Cells of the rows of some batches.

        Args:
            batches: Of pyarrow.
            schema: Of the batches.
            split: Of the rows, where they have no column for it.

        Raises:
            ManifestError: A column has a type that is not understood, or a recording cannot be written.
        """
        features, audio = _features(schema), _audio_column(schema, self.source)
        _refuse_numbers_as_emotions(schema, features, self.source)
        for batch in batches:
            for number, row in enumerate(batch.to_pylist()):
                recording = row.pop(audio) if audio else None
                cells: dict[str, str | float] = {name: _cell(value, features.get(name)) for name, value in row.items()}
                if audio and recording is not None:
                    cells["path"] = self._put(recording, f"{split or 'rows'}-{len(self.digests)}-{number}")
                if not cells.get("split"):
                    cells["split"] = split
                yield cells

    def _put(self, recording: Any, otherwise: str) -> str:
        """The path of a recording in the folder."""
        content, named = (recording, "") if isinstance(recording, bytes) else (recording["bytes"], recording["path"])
        if content is None:
            return self._linked(named) if named else ""
        name, digest = _file_name(named or "", content, otherwise), hashlib.sha256(content).digest()
        if self.digests.get(name, digest) != digest:  # another recording has this name
            name = f"{otherwise}/{name}"
        if name not in self.digests:
            file = self.options.scratch / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            self.digests[name] = digest
        return name

    def _linked(self, named: str) -> str:
        """A recording that the table names, and that lies outside."""
        folder = self.source if self.source.is_dir() else self.source.parent
        root = self.options.root
        found, complaints = PathFinder(folder=folder.resolve(), root=root.resolve() if root else None).find(named)
        if complaints or not (folder / found).is_file():
            raise ManifestError(f"{self.source}: {complaints[0] if complaints else f'no recording {named!r}'}")
        name = named.lstrip("/") if ".." not in named.split("/") else PurePosixPath(named).name
        link_recording((folder / found).resolve(), self.options.scratch / name)
        return name


def _file_name(named: str, content: bytes, otherwise: str) -> str:
    """A safe, relative name of a recording."""
    unsafe = not named or named.startswith(("/", "~")) or ".." in named.split("/") or FOREIGN.match(named)
    name = (PurePosixPath(named.replace("\\", "/")).name or otherwise) if unsafe or "\\" in named else named
    if PurePosixPath(name).suffix:
        return name
    return name + next((ending for start, ending in KINDS if content.startswith(start)), ".wav")


def _features(schema: Any) -> Mapping[str, Any]:
    """The features that a schema tells; empty without any."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _audio_column(schema: Any, source: Path) -> str | None:
    """The column with recordings; None for rows that name them, or have words alone."""
    arrow = load_pyarrow()
    found = [one.name for one in schema if arrow.types.is_struct(one.type) and _holds_audio(one.type)]
    found += [one.name for one in schema if one.name == "audio" and _is_binary(one.type)]
    if len(found) > 1:
        raise ManifestError(f"{source}: the columns {', '.join(found)} hold recordings, expected one; drop the others")
    wrong = [one for one in schema if one.name == "audio" and not found and not _is_text(one.type)]
    if wrong:
        raise ManifestError(
            f"{source}: the column 'audio' holds {wrong[0].type}, expected bytes, or a struct of bytes and path"
        )
    if binary := [one.name for one in schema if _is_binary(one.type) and one.name not in found]:
        raise ManifestError(f"{source}: the column {binary[0]!r} holds bytes; call it 'audio', or drop it")
    return found[0] if found else None


def _holds_audio(struct: Any) -> bool:
    types = {struct.field(number).name: struct.field(number).type for number in range(struct.num_fields)}
    return types.keys() == {"bytes", "path"} and _is_binary(types["bytes"]) and _is_text(types["path"])


def _is_binary(kind: Any) -> bool:
    types = load_pyarrow().types
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_text(kind: Any) -> bool:
    types = load_pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))


def _refuse_numbers_as_emotions(schema: Any, features: Mapping[str, Any], source: Path) -> None:
    types, column = load_pyarrow().types, find_sources(schema.names).get("emotion")
    if column is None or _class_names(features.get(column)):
        return
    kind = schema.field(column).type
    inner = kind.value_type if types.is_list(kind) or types.is_large_list(kind) else kind
    inner = inner.value_type if types.is_dictionary(inner) else inner
    if not _is_text(inner):
        raise ManifestError(
            f"{source}: the column {column!r} holds {kind} without names, expected the emotions as text, lists of "
            "text, or a ClassLabel"
        )


def _class_names(feature: Any) -> Sequence[str]:
    """Names of a ClassLabel, or of a list of them; empty for another feature."""
    while isinstance(feature, list) and feature:
        feature = feature[0]
    if isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        feature = feature["feature"]
    names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    return names if isinstance(names, list) else ()


def _cell(value: Any, feature: Any) -> str | float:
    names = _class_names(feature)
    if not names or value is None:
        return value if isinstance(value, float) and value == value else cell_text(value)
    numbers = value if isinstance(value, list) else [value]
    return cell_text([names[number] for number in numbers if isinstance(number, int) and 0 <= number < len(names)])


def part_of(name: str) -> str:
    """The split that the name of a file or part means; empty for none.

    Example:
        >>> part_of("validation-00000-of-00002"), part_of("other")
        ('dev', '')
    """
    return SPLITS.get(name.lower().split("-")[0].split(".")[0], "")


def table_schema(utterances: Sequence[Utterance]) -> Any:
    """Schema of the rows of some utterances, with their features."""
    arrow = load_pyarrow()
    columns: dict[str, tuple[Any, dict[str, Any]]] = {}
    if any(row.path is not None for row in utterances):
        columns["audio"] = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]), {"_type": "Audio"}
    text = arrow.string(), {"dtype": "string", "_type": "Value"}
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {"start": (arrow.float64(), {"dtype": "float64", "_type": "Value"})}
    kinds["end"] = kinds["start"]
    if with_several_labels(utterances):
        kinds["emotion"] = arrow.list_(arrow.string()), {"feature": text[1], "_type": "List"}
    for name in dict.fromkeys(name for row in utterances for name in row_cells(row)):
        if name not in ("path", "split", "audio"):
            columns[name] = kinds.get(name, text)
    described = json.dumps({"info": {"features": {name: feature for name, (_, feature) in columns.items()}}})
    return arrow.schema([(name, kind) for name, (kind, _) in columns.items()], metadata={"huggingface": described})


def table_batches(outgoing: Outgoing, rows: Sequence[Utterance], schema: Any) -> Iterator[Any]:
    """Rows as batches of pyarrow, with the bytes of their recordings.

    Raises:
        OSError: A recording cannot be read.
    """
    arrow = load_pyarrow()
    listed = "emotion" in schema.names and arrow.types.is_list(schema.field("emotion").type)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        cells = []
        for row in rows[first : first + ROWS_AT_ONCE]:
            found: dict[str, Any] = row_cells(row)
            if row.path is not None:
                found["audio"] = {"bytes": outgoing.files[row.path].read_bytes(), "path": row.path}
            if listed and row.emotion is not None:
                found["emotion"] = split_labels(row.emotion)
            cells.append({name: found.get(name) for name in schema.names})
        yield arrow.RecordBatch.from_pylist(cells, schema=schema)


def what_is_lost(outgoing: Outgoing) -> Iterator[str]:
    """One sentence for what a table with recordings does otherwise."""
    paths = [row.path for row in outgoing.utterances if row.path is not None]
    if shared := len(paths) - len(set(paths)):
        yield f"{many(shared)} with the recording of another row: each row has all bytes of its recording"
    if any("audio" in row.extra for row in outgoing.utterances):
        yield "the column 'audio' is left out: the recordings have this name"
    without = sum(row.split is None for row in outgoing.utterances)
    if 0 < without < len(outgoing.utterances):
        yield f"{many(without)} without a split: in the part '{UNSPLIT}', which 'datasets' does not load by itself"
