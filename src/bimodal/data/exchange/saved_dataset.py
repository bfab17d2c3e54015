"""A dataset of Hugging Face as `save_to_disk` writes it: Arrow files with `dataset_info.json` and `state.json`.

A folder of several parts has `dataset_dict.json` and a folder for each. Source: https://huggingface.co/docs/datasets
(Dataset.save_to_disk).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bimodal.data.exchange.hugging_face import (
    PARTS,
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
from bimodal.data.exchange.rows import read_json, rows_as_manifest, write_json_file
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

PARTS_FILE, STATE, INFO = "dataset_dict.json", "state.json", "dataset_info.json"


def read(source: Path, options: ReadOptions) -> Manifest:
    """Utterances of all parts of a saved dataset, or of one part.

    Raises:
        ManifestError: A file is missing or damaged, or a column has a wrong type.
    """
    load_pyarrow()
    unpacker = Unpacker(source=source, options=options)
    rows = [row for part, folder in _parts(source, options.table) for row in _rows(folder, part_of(part), unpacker)]
    return rows_as_manifest(rows, options.scratch, source, None)


def _parts(source: Path, table: str) -> list[tuple[str, Path]]:
    if (source / STATE).is_file():
        return [(str(read_json(source / STATE).get("_split") or ""), source)]
    if not (source / PARTS_FILE).is_file():
        raise ManifestError(f"{source}: no {PARTS_FILE} and no {STATE} in this folder, expected a saved dataset")
    content = read_json(source / PARTS_FILE)
    parts = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(parts, list) or (table and table not in parts):
        raise ManifestError(
            f"{source / PARTS_FILE}: found {str(content)[:80]}, expected the list 'splits'{_with(table)}"
        )
    return [(str(part), source / str(part)) for part in parts if part == table or not table]


def _with(table: str) -> str:
    return f" with {table!r}" if table else ""


def _rows(folder: Path, split: str, unpacker: Unpacker) -> Iterator[dict[str, str | float]]:
    import pyarrow.ipc  # an extra; slow to load

    state = read_json(folder / STATE)
    try:
        names = [str(Path(one["filename"]).name) for one in state["_data_files"]]
    except (KeyError, TypeError) as error:
        raise ManifestError(f"{folder / STATE}: no list of _data_files; save the dataset again") from error
    for name in names:
        try:
            with pyarrow.memory_map(str(folder / name)) as stream, pyarrow.ipc.open_stream(stream) as opened:
                yield from unpacker.rows(opened, opened.schema, split)
        except (pyarrow.ArrowException, OSError) as error:
            raise ManifestError(f"{folder / name}: not an Arrow file that can be read ({str(error)[:200]})") from error


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write a folder that `datasets.load_from_disk` loads: a `DatasetDict` with splits, a `Dataset` without.

    Raises:
        ManifestError: pyarrow is not installed.
        OSError: A recording cannot be read, or a file not be written.
    """
    schema, parts = table_schema(outgoing.utterances), list(splits_of(outgoing.utterances))
    if parts == [("", outgoing.utterances)]:
        _write_part(outgoing.folder, outgoing, outgoing.utterances, schema, None)
    else:
        named = {PARTS[split] if split else UNSPLIT: rows for split, rows in parts}
        write_json_file(outgoing.folder / PARTS_FILE, {"splits": list(named)})
        for name, rows in named.items():
            _write_part(outgoing.folder / name, outgoing, rows, schema, name)
    yield from what_is_lost(outgoing)


def _write_part(folder: Path, outgoing: Outgoing, rows: Sequence[Utterance], schema: Any, split: str | None) -> None:
    import pyarrow.ipc  # an extra; slow to load

    name = "data-00000-of-00001.arrow"
    folder.mkdir(exist_ok=True)
    with pyarrow.OSFile(str(folder / name), "wb") as file, pyarrow.ipc.new_stream(file, schema) as stream:
        for batch in table_batches(outgoing, rows, schema):
            stream.write_batch(batch)
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    about = dict.fromkeys(("citation", "description", "homepage", "license"), "")
    write_json_file(folder / INFO, {**about, "features": features})
    with (folder / name).open("rb") as opened:
        fingerprint = hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    state: dict[str, Any] = {"_data_files": [{"filename": name}], "_fingerprint": fingerprint, "_format_columns": None}
    state |= {"_format_kwargs": {}, "_format_type": None, "_output_all_columns": False, "_split": split}
    write_json_file(folder / STATE, state)


def recognise(source: Path) -> bool:
    """Whether a folder holds a saved dataset or several parts of one."""
    return (source / PARTS_FILE).is_file() or ((source / STATE).is_file() and (source / INFO).is_file())


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="a dataset of Hugging Face on disk, as 'save_to_disk' writes it",
    files="dataset_dict.json, train/data-00000-of-00001.arrow, train/dataset_info.json, train/state.json",
)
